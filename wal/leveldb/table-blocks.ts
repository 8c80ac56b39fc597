/**
 * What a table's index says, in columns: a table of 16 MiB has some 4 000 blocks, and an object for each is most of the time that the
 * look before an opening takes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ByteReader, FormatError } from './coding.js';
import { firstWhere } from './first-where.js';
import { compareInternalKeys, encodeInternalKey, KEY_SIZE } from './internal-key.js';
import {
  BLOCK_TRAILER_SIZE,
  checkFilter,
  checkNamedBlock,
  FOOTER_SIZE,
  type IndexEntry,
  parseFooter,
  parseMetaindex,
  TAIL_READ_SIZE,
} from './table-file.js';

export interface TableBlocks {
  /** Byte offset of each data block, in the order of the file and of the keys, and of what follows the last one. */
  readonly offsets: Float64Array;
  /** The separator that follows each block: the sequence number, 0 where it is shortened to something else. */
  readonly seqs: Float64Array;
  /** And LevelDB's write counter; 0 where there is no sequence number. */
  readonly stamps: Float64Array;
  /** 1 where the separator is a deletion. */
  readonly deleted: Uint8Array;
  /** The separators that are no internal keys of ours, as they stand there, by the number of their block. */
  readonly otherSeparators: ReadonlyMap<number, Buffer>;
  readonly bytesRead: number;
}

/** So many of them are kept, some 20 KB each. */
export const KEPT_INDEXES = 64;

const INTERNAL_KEY_SIZE = KEY_SIZE + 8;
/** What is behind the data blocks is mostly less than this share of a table. */
const USUAL_TAIL_SHARE = 1 / 96;

/**
 * Reads and checks everything of a table but its data blocks: footer, index, metaindex and filter. Synchronous: some 200 KB.
 * @throws FormatError what is wrong with it; or the file system's error
 */
export function readTableBlocks(path: string): TableBlocks {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    if (size < FOOTER_SIZE) throw new FormatError('is shorter than a footer');
    let tail = readTail(
      file,
      size,
      Math.min(size, Math.max(TAIL_READ_SIZE, Math.ceil(size * USUAL_TAIL_SHARE))),
    );
    const { metaindex, index } = parseFooter(tail.subarray(tail.length - FOOTER_SIZE), size);
    // The filter comes before the metaindex, its handle in it. It takes some ten bits a key, and so about a sixth of the index.
    const wanted = size - metaindex.offset + Math.ceil(index.sizeBytes / 4);
    if (wanted > tail.length) tail = readTail(file, size, Math.min(size, wanted));
    let bytesRead = tail.length;
    const blockAt = (name: string, offset: number, sizeBytes: number): Buffer => {
      const from = offset - (size - tail.length);
      const length = sizeBytes + BLOCK_TRAILER_SIZE;
      if (from < 0) bytesRead += length;
      return checkNamedBlock(
        name,
        from < 0 ? readAtSync(file, offset, length) : tail.subarray(from, from + length),
      );
    };
    const contents = blockAt('index', index.offset, index.sizeBytes);
    const filter = parseMetaindex(
      blockAt('metaindex', metaindex.offset, metaindex.sizeBytes),
      metaindex.offset,
    );
    checkFilter(blockAt('filter', filter.offset, filter.sizeBytes));
    return { ...parseColumns(contents, filter.offset), bytesRead };
  } finally {
    closeSync(file);
  }
}

let scratch = Buffer.alloc(0);

/** The last `length` bytes, in a buffer that the next call uses again: fresh memory would take longer than the reading. */
function readTail(file: number, size: number, length: number): Buffer {
  if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(Math.max(length, 256 * 1024));
  return readInto(file, size - length, scratch.subarray(0, length));
}

/** `length` bytes from `offset`. @throws FormatError if the file ends before */
export function readAtSync(file: number, offset: number, length: number): Buffer {
  return readInto(file, offset, Buffer.allocUnsafe(length));
}

function readInto(file: number, offset: number, bytes: Buffer): Buffer {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(file, bytes, done, bytes.length - done, offset + done);
    if (read === 0) throw new FormatError('ends before a block does');
    done += read;
  }
  return bytes;
}

/**
 * Runs through tens of thousands of entries once, and mostly before it is compiled: so nothing is allocated or called for an entry of the usual
 * form.
 * @param filterOffset where the data blocks must end
 */
function parseColumns(contents: Buffer, filterOffset: number): Omit<TableBlocks, 'bytesRead'> {
  if (contents.length < 4) throw new FormatError('has a block that is too short');
  const restarts = contents.readUInt32LE(contents.length - 4);
  const end = contents.length - 4 - restarts * 4;
  if (restarts === 0 || end < 0) throw new FormatError('has a block with an impossible restart count');
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  const reader = new ByteReader(contents, 0, end);
  // LevelDB restarts at every entry of an index, so there are as many as restarts.
  const offsets = new Float64Array(restarts + 1);
  const seqs = new Float64Array(restarts);
  const stamps = new Float64Array(restarts);
  const deleted = new Uint8Array(restarts);
  const otherSeparators = new Map<number, Buffer>();
  let keyBefore = 0;
  let lengthBefore = 0;
  let seqBefore = 0;
  let next = 0;
  for (let i = 0; i < restarts; i++) {
    const shared = reader.varint();
    const length = reader.varint();
    const valueSize = reader.varint();
    const key = reader.at;
    if (shared !== 0) throw new FormatError('has an index whose keys share bytes');
    if (length < 8) throw new FormatError('has an index key that is too short');
    if (length + valueSize > reader.remaining) throw new FormatError('has an index entry beyond its end');
    let seq = 0;
    if (length === INTERNAL_KEY_SIZE) {
      const trailer = key + KEY_SIZE;
      const kind = contents[trailer]!;
      seq = view.getUint32(key) * 2 ** 32 + view.getUint32(key + 4);
      const stamp = view.getUint32(trailer + 4, true) * 2 ** 24 + (view.getUint32(trailer, true) >>> 8);
      if (seq <= Number.MAX_SAFE_INTEGER && kind <= 1 && stamp <= Number.MAX_SAFE_INTEGER) {
        seqs[i] = seq;
        stamps[i] = stamp;
        deleted[i] = 1 - kind;
      } else seq = 0;
    }
    const isHigher = seq > 0 && seqBefore > 0 && seq > seqBefore;
    if (i > 0 && !isHigher && !ascends(contents, keyBefore, lengthBefore, key, length))
      throw new FormatError('has an index whose keys do not ascend');
    // A copy: the contents are overwritten by the next table's.
    if (seq === 0) otherSeparators.set(i, Buffer.from(contents.subarray(key, key + length)));
    keyBefore = key;
    lengthBefore = length;
    seqBefore = seq;
    reader.at = key + length;
    if (reader.varint() !== next) throw new FormatError(`has an index that leaves a gap at byte ${next}`);
    offsets[i] = next;
    next += reader.varint() + BLOCK_TRAILER_SIZE;
    if (reader.at !== key + length + valueSize) throw new FormatError('has an index entry of another length');
  }
  if (reader.remaining > 0) throw new FormatError('has an index with more entries than restarts');
  if (next !== filterOffset) throw new FormatError('has an index that does not reach the filter');
  offsets[restarts] = next;
  return { offsets, seqs, stamps, deleted, otherSeparators };
}

/**
 * The first and the last of the blocks that may hold a key of `from` to `to`. The last separator is shortened to what is no sequence number;
 * so is one between keys that lie far apart, as those of records that were erased: then nothing tells, and all of them may.
 */
export function blocksWith({ seqs }: TableBlocks, from: number, to: number): { start: number; end: number } {
  const last = seqs.length - 1;
  const shortened = seqs.indexOf(0);
  if (shortened >= 0 && shortened < last) return { start: 0, end: last };
  return { start: firstWhere(last, i => seqs[i]! >= from), end: firstWhere(last, i => seqs[i]! > to) };
}

/** A data block as readTableIndex describes it. */
export function entryOf(blocks: TableBlocks, i: number): IndexEntry {
  const { offsets } = blocks;
  const sizeBytes = offsets[i + 1]! - offsets[i]! - BLOCK_TRAILER_SIZE;
  return { offset: offsets[i]!, sizeBytes, separator: separatorOf(blocks, i) };
}

function separatorOf({ seqs, stamps, deleted, otherSeparators }: TableBlocks, i: number): Buffer {
  const other = otherSeparators.get(i);
  if (other !== undefined) return other;
  return encodeInternalKey({ seq: seqs[i]!, stamp: stamps[i]!, deleted: deleted[i] === 1 });
}

/** Whether an internal key comes after another. */
function ascends(
  bytes: Buffer,
  keyBefore: number,
  lengthBefore: number,
  key: number,
  length: number,
): boolean {
  return (
    compareInternalKeys(
      bytes.subarray(keyBefore, keyBefore + lengthBefore),
      bytes.subarray(key, key + length),
    ) < 0
  );
}
