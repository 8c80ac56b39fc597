import type { Metadata } from '../../domain/model.js';
import { bodySection, codeUnits, paragraphs } from './code.js';
import type { DocumentFormat, DocumentText, Places } from './documents/document.js';
import { documentSections } from './documents/sections.js';
import { documentKind } from './languages.js';
import { markdownSections } from './markdown.js';
import { chunkText, type Packed, Packer } from './pack.js';
import type { ChunkStore } from './port.js';
import { linesOf, type Section, tinyChars } from './section.js';

/** Part of a file's digest: a change of how files are cut must cut them all anew. Raise it with any such change. */
export const chunkerVersion = 1;

/** A piece of a file as it is embedded and stored. */
export interface Chunk {
  readonly text: string;
  /**
   * `{lines?, pages?, chunk, kind, heading?, language?}`; `lines` and `pages` (of a PDF) count from 1 and include both ends, `chunk` from 1. A
   * DOCX has neither lines nor pages.
   */
  readonly metadata: Metadata;
}

/**
 * Cuts a file's text (line ends `\n`) into chunks of about one window. Every character that is not white space is in
 * exactly one chunk, in order; above it stands the heading path that the chunk's own text does not show.
 * @param path Decides by its name between Markdown, code and plain text.
 */
export async function chunkFile(path: string, text: string, cut: ChunkStore['cut']): Promise<Chunk[]> {
  const { kind, language, records } = documentKind(path);
  const packer = new Packer(text, cut);
  const sections =
    kind === 'markdown'
      ? markdownSections(text)
      : kind === 'code'
        ? await codeSections(text, packer)
        : [plainSection(text, records)];
  const lineAt = lineNumbers(text);
  const about = { kind, ...(language === undefined ? {} : { language }) };
  return chunksOf(await packer.pack(sections), text, about, (from, to) => ({
    lines: `${lineAt(from)}-${lineAt(to)}`,
  }));
}

/** The same for a text that was taken out of a document. */
export async function chunkDocument(
  { text, blocks, places }: DocumentText,
  kind: DocumentFormat,
  cut: ChunkStore['cut'],
): Promise<Chunk[]> {
  const packed = await new Packer(text, cut).pack(documentSections(blocks));
  return chunksOf(packed, text, { kind }, (from, to) =>
    places === undefined ? {} : { [places.unit]: `${placeAt(places, from)}-${placeAt(places, to)}` },
  );
}

/** @param placeOf From the offsets of a chunk's first and last character to where they are in the file. */
function chunksOf(
  packed: readonly Packed[],
  text: string,
  about: Metadata,
  placeOf: (from: number, to: number) => Metadata,
): Chunk[] {
  return packed.map(({ start, end, prefix, heading }, i) => {
    const body = text.slice(start, end);
    const from = start + body.length - body.trimStart().length;
    const to = start + body.trimEnd().length - 1;
    return {
      text: chunkText(prefix, body),
      metadata: {
        ...placeOf(from, to),
        ...(heading === '' ? {} : { heading }),
        chunk: i + 1,
        ...about,
      },
    };
  });
}

function placeAt({ offsets, numbers }: Places, offset: number): number {
  return numbers[lastAtMost(offsets, offset)]!;
}

function plainSection(text: string, records: boolean): Section {
  const blocks = paragraphs(linesOf(text), records ? 'lines' : 'prose');
  return { path: [], headed: false, leading: false, blocks };
}

/** Units that fit a chunk lie side by side in flat sections; each larger one is a section that bears its declaration. */
async function codeSections(text: string, packer: Packer): Promise<Section[]> {
  const sections: Section[] = [];
  let flat: Section['blocks'][number][] = [];
  const flush = (): void => {
    if (flat.length === 0) return;
    const leading = flat.at(-1)!.end - flat[0]!.start < tinyChars;
    sections.push({ path: [], headed: false, leading, blocks: flat });
    flat = [];
  };
  for (const unit of codeUnits(text)) {
    if (await packer.fitsAlone(unit)) flat.push(unit);
    else {
      flush();
      sections.push(bodySection(text, unit));
    }
  }
  flush();
  return sections;
}

/** From an offset to the number of its line. */
function lineNumbers(text: string): (offset: number) => number {
  const starts = linesOf(text).map(line => line.start);
  return offset => lastAtMost(starts, offset) + 1;
}

/** Index of the last of some ascending numbers that is at most `value`, by bisection; 0 where none is. */
function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
