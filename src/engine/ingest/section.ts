/** A range of the file's text in UTF-16 code units, [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Chunks below this size, in characters, say too little on their own: they join a neighbour. */
export const tinyChars = 160;

/**
 * How a block comes apart when it is larger than a window: `code` at blank lines into `lines`, these at line ends into
 * `prose`, a `list` at its items into `prose`, this at sentence ends into `sentence`, and this by the window itself. Always downwards, so it ends.
 */
export type BlockStyle = 'code' | 'lines' | 'list' | 'prose' | 'sentence';

/** What is kept together if it fits: a paragraph, a list, a fenced block, a declaration with its body. */
export interface Block extends Range {
  readonly style: BlockStyle;
}

/** A stretch of a file under one heading path. The blocks of all sections, in order, cover all of the file's text. */
export interface Section {
  /** Headings from the outermost to its own; for code the declaration that the section is the body of. */
  readonly path: readonly string[];
  /** Its text begins with the last heading of `path`, so that its first chunk need not repeat it. */
  readonly headed: boolean;
  /** It only leads to what follows (front matter, a heading without text of its own). */
  readonly leading: boolean;
  readonly blocks: readonly Block[];
}

/** A line of the text: [start, end) without its `\n`. */
export interface Line extends Range {
  readonly text: string;
}

/** The lines of a text whose line ends are `\n`. */
export function linesOf(text: string, from = 0, to = text.length): Line[] {
  const lines: Line[] = [];
  for (let start = from; start < to; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 || newline > to ? to : newline;
    lines.push({ start, end, text: text.slice(start, end) });
    start = end + 1;
  }
  return lines;
}

/** Whether a line begins an item of a Markdown list (CommonMark 5.2), however deep. */
export function isListItem(line: Line): boolean {
  return /^\s*([-*+]|\d{1,9}[.)])\s/.test(line.text);
}

export function isBlank(line: Line): boolean {
  return line.text.trim() === '';
}

/** At most `maxChars` characters, the last an ellipsis where something was cut; never half a surrogate pair. */
export function shorten(text: string, maxChars: number): string {
  const points = [...text.slice(0, 2 * maxChars + 2)];
  return points.length <= maxChars
    ? text
    : `${points
        .slice(0, maxChars - 1)
        .join('')
        .trimEnd()}…`;
}
