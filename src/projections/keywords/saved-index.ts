/**
 * The saved keyword index, little-endian. It is part of a checkpoint: a cache that may be discarded at any time.
 *
 *   bytes  field
 *   4      magic "KWIX"
 *   4      format version
 *   4      analysis version
 *   4      Unicode version of the writer, major << 16 | minor: what counts as a letter depends on it
 *   4      documents D
 *   4      terms T
 *   4 x 4  byte lengths of the four sections that follow
 *   -      D document lengths, varints
 *   -      T terms, UTF-8, each ended by a line feed, in order of their numbers
 *   -      T times the number of postings and the byte length of the list, varints
 *   -      the T posting lists (see postings.ts)
 */
import { CodedError } from '../../domain/errors.js';
import { canHold, copyFor, type Numbers, noNumbers } from '../numbers.js';
import { PostingLists } from './postings.js';
import { TermTable } from './term-table.js';
import { damaged, VarintReader, VarintWriter } from './varint.js';

export interface IndexParts {
  readonly terms: TermTable;
  readonly lengths: Numbers;
  readonly postings: PostingLists;
}

const MAGIC = 0x5849574b;
const FORMAT_VERSION = 1;
const HEADER_BYTES = 40;
/** Lengths that are unpacked in one step. */
const STEP_DOCS = 16_384;

export function packIndex(parts: IndexParts & { readonly analysisVersion: number }): Uint8Array[] {
  const lengths = new VarintWriter(parts.lengths.length * 2);
  for (const length of parts.lengths) lengths.write(length);
  const sections = [lengths.bytes(), parts.terms.save(), ...parts.postings.pack()];
  const fields = [
    MAGIC,
    FORMAT_VERSION,
    parts.analysisVersion,
    unicodeVersion(),
    parts.lengths.length,
    parts.terms.size,
    ...sections.map(section => section.length),
  ];
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  for (const [i, value] of fields.entries()) header.setUint32(4 * i, value, true);
  return [new Uint8Array(header.buffer), ...sections];
}

/**
 * @returns the number of documents, and steps that end with the parts; they may throw as this does
 * @throws CodedError KEYWORDS_DAMAGED, KEYWORDS_OUTDATED
 */
export function unpackIndex(
  bytes: Uint8Array,
  analysisVersion: number,
): { readonly docs: number; readonly steps: Iterator<void, IndexParts> } {
  if (bytes.length < HEADER_BYTES) throw damaged(`${bytes.length} bytes are less than its header`);
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const field = (i: number) => header.getUint32(4 * i, true);
  if (field(0) !== MAGIC) throw damaged('it does not begin as one');
  checkVersion('format', field(1), FORMAT_VERSION);
  checkVersion('analysis', field(2), analysisVersion);
  checkVersion('Unicode', field(3), unicodeVersion());
  const docs = field(4);
  const termCount = field(5);
  const sections: Uint8Array[] = [];
  let offset = HEADER_BYTES;
  for (let i = 0; i < 4; i++) {
    const end = offset + field(6 + i);
    if (end > bytes.length) throw damaged(`section ${i} ends at byte ${end} of ${bytes.length}`);
    sections.push(bytes.subarray(offset, end));
    offset = end;
  }
  if (offset !== bytes.length) throw damaged(`it is ${bytes.length - offset} bytes too long`);
  return { docs, steps: unpackSections(sections, docs, termCount) };
}

function* unpackSections(
  sections: readonly Uint8Array[],
  docs: number,
  termCount: number,
): Generator<void, IndexParts> {
  const [lengths, terms, sizes, lists] = sections as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const unpackedLengths = yield* unpackLengths(lengths, docs);
  const unpackedTerms = yield* TermTable.load(terms, termCount);
  const postings = yield* PostingLists.unpack(termCount, docs, sizes, lists);
  return { lengths: unpackedLengths, terms: unpackedTerms, postings };
}

function* unpackLengths(bytes: Uint8Array, docs: number): Generator<void, Numbers> {
  // Every varint takes a byte at least: a damaged count must not allocate what the file cannot hold.
  if (docs > bytes.length) throw damaged(`${docs} document lengths in ${bytes.length} bytes`);
  const reader = new VarintReader(bytes);
  let lengths = noNumbers(docs);
  for (let doc = 0; doc < docs; doc++) {
    const length = reader.read();
    if (!canHold(lengths, length)) lengths = copyFor(lengths, length, docs);
    lengths[doc] = length;
    if (doc % STEP_DOCS === STEP_DOCS - 1) yield;
  }
  if (reader.offset !== bytes.length) throw damaged('there are more document lengths than documents');
  return lengths;
}

function checkVersion(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new CodedError(
    'KEYWORDS_OUTDATED',
    `The saved keyword index has ${what} version ${found}; this program has ${expected}.`,
    'Discard the file; the index is rebuilt from the log.',
  );
}

function unicodeVersion(): number {
  const [major, minor] = (process.versions.unicode ?? '0.0').split('.').map(Number);
  return ((major ?? 0) << 16) | (minor ?? 0);
}
