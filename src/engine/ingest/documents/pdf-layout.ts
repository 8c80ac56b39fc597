/** A line of a page as it was set: its text, and where its baseline begins, in points from the lower left corner. */
export interface PdfLine {
  readonly text: string;
  readonly page: number;
  readonly x: number;
  readonly y: number;
  /** Height of its type. */
  readonly height: number;
  /** It goes on with the line before it. */
  joins: boolean;
}

/** What pdf.js gives for a run of text; marked content has no `str`. */
export interface PdfRun {
  readonly str: string;
  /** [a, b, c, d, x, y] */
  readonly transform: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly hasEOL: boolean;
}

/** Above this share of a line's height apart, two lines are not of one paragraph. Type is set with up to 1.5. */
const maxLeading = 1.9;
/** Type that is so much larger or smaller is another kind of text: a heading, a note. */
const sizeChange = 1.15;
/** In this share of a document's pages a line must stand as the first or last to be a running title. */
const runningShare = 0.5;
const minRunningPages = 4;

/** The runs of one page as lines, in the order of the page's content, which is the reading order. */
export function linesOfPage(runs: readonly PdfRun[], page: number): PdfLine[] {
  const lines: PdfLine[] = [];
  let text = '';
  let first: PdfRun | undefined;
  const end = (): void => {
    const trimmed = text.replace(/\s+/g, ' ').trim();
    if (first !== undefined && trimmed !== '') {
      const [, , , , x, y] = first.transform as [number, number, number, number, number, number];
      lines.push({ text: trimmed, page, x, y, height: first.height, joins: false });
    }
    text = '';
    first = undefined;
  };
  for (const run of runs) {
    // The library ends a line by the direction of the text; a jump upwards or far down without one is a new line too.
    if (first !== undefined && run.str.trim() !== '') {
      const dy = Math.abs(run.transform[5]! - first.transform[5]!);
      if (dy > Math.max(first.height, run.height)) end();
    }
    text += run.str;
    if (first === undefined && run.str.trim() !== '') first = run;
    if (run.hasEOL) end();
  }
  end();
  return lines;
}

/** Without page numbers and running titles: they would stand in the middle of sentences. */
export function withoutRunning(pages: readonly (readonly PdfLine[])[]): PdfLine[][] {
  const edges = new Map<string, number>();
  for (const lines of pages)
    for (const text of new Set([lines[0]?.text, lines.at(-1)?.text]))
      if (text !== undefined) edges.set(text, (edges.get(text) ?? 0) + 1);
  const isRunning = (text: string): boolean => {
    if (pages.length > 1 && /^(page|p\.)?\s*[-–]?\s*\d{1,5}\s*[-–]?(\s*(of|\/)\s*\d{1,5})?$/i.test(text))
      return true;
    const pagesWith = edges.get(text) ?? 0;
    return pagesWith >= minRunningPages && pagesWith > runningShare * pages.length;
  };
  return pages.map(lines => {
    const kept = [...lines];
    if (kept.length > 0 && isRunning(kept[0]!.text)) kept.shift();
    if (kept.length > 0 && isRunning(kept.at(-1)!.text)) kept.pop();
    return kept;
  });
}

/** Says of each line whether it goes on with the paragraph of the line before it, over the end of a page too. */
export function joinParagraphs(lines: readonly PdfLine[]): void {
  for (let i = 1; i < lines.length; i++) {
    const before = lines[i - 1]!;
    const line = lines[i]!;
    const ratio = line.height / before.height;
    const sameSize = ratio < sizeChange && ratio > 1 / sizeChange;
    const endsSentence = /[.!?:;…]["'”’»)\]]*$/.test(before.text);
    const goesOn = /^[\p{Ll}\d(]/u.test(line.text);
    const listItem = /^([•▪◦‣–*-]|\d{1,3}[.)]|\(?[a-z]\))\s/.test(line.text);
    if (line.page !== before.page) line.joins = sameSize && !endsSentence && goesOn && !listItem;
    else {
      const down = before.y - line.y;
      const near = down >= 0 && down <= maxLeading * Math.max(line.height, before.height);
      line.joins = sameSize && near && !listItem;
    }
  }
}

/** What stands between a line and the one that it goes on with: nothing where a word was divided. */
export function joint(before: string, line: string): { keep: string; between: string } {
  if (/\p{L}[-\u00ad]$/u.test(before) && /^\p{Ll}/u.test(line))
    return { keep: before.slice(0, -1), between: '' };
  return { keep: before, between: '\n' };
}
