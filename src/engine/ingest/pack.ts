import { paragraphs } from './code.js';
import {
  type Block,
  isBlank,
  isListItem,
  type Line,
  linesOf,
  type Range,
  type Section,
  tinyChars,
} from './section.js';

type Cut = (text: string) => Promise<(readonly [start: number, end: number])[]>;

/** Windows of remote models hold pages; a result must still be a paragraph or two. Twice that where it avoids a tiny chunk. */
const maxChars = 2000;
/** Heading paths longer than this lose their middle: they must leave the window to the text. */
const maxPrefixChars = 160;

/** A chunk as ranges: its text is `prefix` (where it is not empty, a line of its own) and the file's text in [start, end). */
export interface Packed extends Range {
  readonly prefix: string;
  /** Heading path, ` > ` between its parts; empty for none. */
  readonly heading: string;
}

interface Piece extends Range {
  readonly path: readonly string[];
  /** Path that its text does not say itself. */
  readonly above: readonly string[];
  readonly leading: boolean;
  /** It is all of its section (or of several): only then another section may join it. */
  readonly whole: boolean;
}

/**
 * Packs a file's sections into chunks of about one window of the model: blocks are joined while they fit, come apart
 * where they do not, and tiny ones join a neighbour, up to two windows within a section. Linear in the number of blocks;
 * a few calls of `cut` per chunk.
 */
export class Packer {
  /** Running estimate of a window, in characters; where the search for the longest run begins. */
  private windowChars = 400;

  constructor(
    private readonly text: string,
    private readonly cut: Cut,
  ) {}

  async pack(sections: readonly Section[]): Promise<Packed[]> {
    const out: Piece[] = [];
    for (const section of sections) {
      const pieces = await this.packSection(section);
      for (const piece of pieces) {
        const last = out.at(-1);
        const joined = last === undefined ? undefined : await this.joinSections(last, piece);
        if (joined === undefined) out.push(piece);
        else out[out.length - 1] = joined;
      }
    }
    return out.map(({ start, end, path, above }) => ({
      start,
      end,
      prefix: pathText(above),
      heading: path.filter(Boolean).join(' > '),
    }));
  }

  /** Whether a block fits one chunk by itself. */
  async fitsAlone(block: Range): Promise<boolean> {
    return this.fits('', block.start, block.end, 1);
  }

  private async packSection(section: Section): Promise<Piece[]> {
    const { path, headed, leading } = section;
    const ranges = await this.fill(section.blocks, pathText(path));
    return ranges.map(({ start, end }, i) => ({
      start,
      end,
      path,
      above: headed && i === 0 ? path.slice(0, -1) : path,
      leading: leading && ranges.length === 1,
      whole: ranges.length === 1,
    }));
  }

  /** Two neighbouring pieces of different sections as one, where that is better than two; otherwise undefined. */
  private async joinSections(a: Piece, b: Piece): Promise<Piece | undefined> {
    if (!a.whole || a.path === b.path) return undefined;
    const common = commonPath(a.path, b.path);
    const join = {
      start: a.start,
      end: b.end,
      above: a.above,
      leading: a.leading && b.leading,
      whole: b.whole,
    };
    if (a.leading && common.length === a.path.length) {
      return (await this.fits(pathText(a.above), a.start, b.end, 2)) ? { ...join, path: b.path } : undefined;
    }
    const related = common.length >= Math.min(a.path.length, b.path.length) - 1;
    const named = common.length > 0 || a.path.length === 0;
    const tiny = Math.min(a.end - a.start, b.end - b.start) < tinyChars;
    if (!b.whole || !related || !named || !tiny) return undefined;
    if (!(await this.fits(pathText(a.above), a.start, b.end, 1))) return undefined;
    return { ...join, path: a.path.length === 0 ? b.path : common };
  }

  /** Ranges that cover the blocks in order, each about one window with the prefix above it. */
  private async fill(blocks: readonly Block[], prefix: string): Promise<Range[]> {
    const out: Range[] = [];
    const waiting = [...blocks].reverse();
    while (waiting.length > 0) {
      const run = await this.longestRun(waiting, prefix);
      if (run === 0) {
        const { ranges, rest } = await this.takeApart(waiting.pop()!, prefix);
        out.push(...ranges);
        if (rest !== undefined) waiting.push(rest);
        continue;
      }
      const first = waiting.at(-1)!;
      const end = waiting.at(-run)!.end;
      const next = waiting.at(-run - 1);
      waiting.length -= run;
      if (next !== undefined && end - first.start < tinyChars) {
        // Too little to stand alone, and what follows does not fit with it: two windows together, or the two as one block.
        if (await this.fits(prefix, first.start, next.end, 2)) {
          out.push({ start: first.start, end: next.end });
          waiting.pop();
        } else waiting[waiting.length - 1] = { start: first.start, end: next.end, style: next.style };
      } else out.push({ start: first.start, end });
    }
    return this.joinTail(out, prefix);
  }

  /** How many blocks from the end of `waiting` (its next ones) fit one window together; 0 where the next alone does not. */
  private async longestRun(waiting: readonly Block[], prefix: string): Promise<number> {
    const start = waiting.at(-1)!.start;
    const fits = (run: number): Promise<boolean> => this.fits(prefix, start, waiting.at(-run)!.end, 1);
    let run = 1;
    while (run < waiting.length && waiting.at(-run - 1)!.end - start + prefix.length <= this.windowChars)
      run++;
    if (await fits(run)) {
      while (run < waiting.length && (await fits(run + 1))) run++;
    } else {
      do run--;
      while (run > 0 && !(await fits(run)));
    }
    if (run > 0 && run < waiting.length) {
      const seen = waiting.at(-run)!.end - start + prefix.length;
      this.windowChars = Math.max(40, Math.round(0.7 * this.windowChars + 0.3 * seen));
    }
    return run;
  }

  /** A block that is larger than a window as ranges; `rest` is the last of them, where what follows may still join it. */
  private async takeApart(block: Block, prefix: string): Promise<{ ranges: Range[]; rest?: Block }> {
    const smaller = this.smallerBlocks(block);
    if (smaller.length === 0) return { ranges: await this.cutByWindow(block.start, block.end) };
    const ranges = await this.fill(smaller, prefix);
    const last = ranges.at(-1);
    if (last === undefined || !(await this.fits(prefix, last.start, last.end, 1))) return { ranges };
    return { ranges: ranges.slice(0, -1), rest: { ...last, style: smaller[0]!.style } };
  }

  /** The parts of a block, of a lower style each; none where only the window itself can cut it. */
  private smallerBlocks({ start, end, style }: Block): Block[] {
    if (style === 'sentence') return [];
    if (style === 'prose') return sentences(this.text, start, end);
    const lines = linesOf(this.text, start, end);
    if (style === 'code') return paragraphs(lines, 'lines');
    if (style === 'list') return listItems(lines);
    return lines
      .filter(line => !isBlank(line))
      .map(line => ({ start: line.start, end: line.end, style: 'prose' }));
  }

  /** The embedder's own cut, for a sentence that is larger than its window or than a chunk may be. */
  private async cutByWindow(start: number, end: number): Promise<Range[]> {
    const out: Range[] = [];
    for (const [from, to] of await this.cut(this.text.slice(start, end))) {
      for (let at = start + from; at < start + to; ) {
        const next = this.breakBefore(at, start + to);
        out.push({ start: at, end: next });
        at = next;
      }
    }
    return out.filter(r => this.text.slice(r.start, r.end).trim() !== '');
  }

  /** The last good place for a break at most maxChars behind `at`: `end`, a space, else never within a surrogate pair. */
  private breakBefore(at: number, end: number): number {
    if (end - at <= maxChars) return end;
    const space = this.text.lastIndexOf(' ', at + maxChars - 1);
    if (space > at + maxChars / 2) return space + 1;
    const splitsPair = /[\uD800-\uDBFF]/.test(this.text[at + maxChars - 1]!);
    return at + maxChars - (splitsPair ? 1 : 0);
  }

  private async joinTail(ranges: Range[], prefix: string): Promise<Range[]> {
    const last = ranges.at(-1);
    const before = ranges.at(-2);
    if (last === undefined || before === undefined || last.end - last.start >= tinyChars) return ranges;
    if (!(await this.fits(prefix, before.start, last.end, 2))) return ranges;
    return [...ranges.slice(0, -2), { start: before.start, end: last.end }];
  }

  private async fits(prefix: string, start: number, end: number, windows: 1 | 2): Promise<boolean> {
    if (end - start > windows * maxChars) return false;
    const text = chunkText(prefix, this.text.slice(start, end));
    return (await this.cut(text)).length <= windows;
  }
}

/** A chunk's text: the heading path on a line of its own, then the file's text without blank lines around it. */
export function chunkText(prefix: string, body: string): string {
  const text = body.replace(/^(?:[^\S\n]*\n)+/, '').trimEnd();
  return prefix === '' ? text : `${prefix}\n\n${text}`;
}

/** A list's items, each with the lines that go on with it; what stands before the first is a block too. */
function listItems(lines: readonly Line[]): Block[] {
  const items: { start: number; end: number; style: 'prose' }[] = [];
  for (const line of lines) {
    const last = items.at(-1);
    if (last === undefined || isListItem(line))
      items.push({ start: line.start, end: line.end, style: 'prose' });
    else last.end = line.end;
  }
  return items;
}

/** Sentences (UAX 29) of running text, each with the space behind it. A line break within a paragraph ends none. */
function sentences(text: string, start: number, end: number): Block[] {
  const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
  const flowing = text.slice(start, end).replace(/\n/g, ' ');
  const blocks: Block[] = [];
  for (const { index, segment } of segmenter.segment(flowing)) {
    const from = start + index;
    blocks.push({ start: from, end: from + segment.length, style: 'sentence' });
  }
  return blocks;
}

function commonPath(a: readonly string[], b: readonly string[]): readonly string[] {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

function pathText(path: readonly string[]): string {
  const parts = path.filter(Boolean);
  const text = parts.join(' > ');
  if (text.length <= maxPrefixChars || parts.length < 3) return text;
  return `${parts[0]} > … > ${parts.at(-1)}`;
}
