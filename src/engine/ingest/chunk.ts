import type { Metadata } from '../../domain/model.js';
import { bodySection, codeUnits, paragraphs } from './code.js';
import { documentKind } from './languages.js';
import { markdownSections } from './markdown.js';
import { chunkText, Packer } from './pack.js';
import type { ChunkStore } from './port.js';
import { linesOf, type Section, tinyChars } from './section.js';

/** Part of a file's digest: a change of how files are cut must cut them all anew. Raise it with any such change. */
export const chunkerVersion = 1;

/** A piece of a file as it is embedded and stored. */
export interface Chunk {
  readonly text: string;
  /** `{lines, chunk, kind, heading?, language?}`; `lines` counts from 1 and includes both ends, `chunk` from 1. */
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
  const packed = await packer.pack(sections);
  const lineAt = lineNumbers(text);
  return packed.map(({ start, end, prefix, heading }, i) => {
    const body = text.slice(start, end);
    const from = start + body.length - body.trimStart().length;
    const to = start + body.trimEnd().length - 1;
    return {
      text: chunkText(prefix, body),
      metadata: {
        lines: `${lineAt(from)}-${lineAt(to)}`,
        ...(heading === '' ? {} : { heading }),
        chunk: i + 1,
        kind,
        ...(language === undefined ? {} : { language }),
      },
    };
  });
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

/** From an offset to the number of its line, by bisection. */
function lineNumbers(text: string): (offset: number) => number {
  const starts = linesOf(text).map(line => line.start);
  return offset => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
