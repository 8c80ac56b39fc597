import {
  type Block,
  type BlockStyle,
  isBlank,
  isListItem,
  type Line,
  linesOf,
  type Section,
  shorten,
} from './section.js';

/** Headings longer than this are cut in a path: some documents set whole paragraphs as headings. */
const maxHeadingChars = 80;

interface Heading {
  readonly level: number;
  readonly title: string;
  /** Index of its first line and of the line behind it. */
  readonly first: number;
  readonly behind: number;
}

/**
 * The sections of a Markdown document: cut at ATX and setext headings (CommonMark 4.2, 4.3) outside fenced code (4.5).
 * Front matter (`---` in the first line) is the first section; its title heads the paths where no level-1 heading does.
 */
export function markdownSections(text: string): Section[] {
  const lines = linesOf(text);
  const bodyAt = frontMatterEnd(lines);
  const fenced = fencedLines(lines, bodyAt);
  const headings = findHeadings(lines, bodyAt, fenced);
  const title = headings.some(h => h.level === 1) ? undefined : frontMatterTitle(lines.slice(0, bodyAt));
  const root = title === undefined ? [] : [title];

  const sections: Section[] = [];
  const add = (first: number, behind: number, path: readonly string[], heading?: Heading): void => {
    const blocks = blocksOf(lines.slice(first, behind), fenced.slice(first, behind));
    if (blocks.length === 0) return;
    const leading =
      heading === undefined ? behind === bodyAt : lines.slice(heading.behind, behind).every(isBlank);
    sections.push({ path, headed: heading !== undefined, leading, blocks });
  };
  add(0, bodyAt, root);
  add(bodyAt, headings[0]?.first ?? lines.length, root);
  const open: Heading[] = [];
  headings.forEach((heading, i) => {
    while (open.length > 0 && open.at(-1)!.level >= heading.level) open.pop();
    open.push(heading);
    const behind = headings[i + 1]?.first ?? lines.length;
    add(heading.first, behind, [...root, ...open.map(h => h.title)], heading);
  });
  return sections;
}

/** Index of the first line behind the front matter; 0 without any. */
function frontMatterEnd(lines: readonly Line[]): number {
  if (lines[0]?.text.trimEnd() !== '---') return 0;
  // Something `key: value`-like must follow, or the dashes are a thematic break.
  if (!/^[\w"'-]+\s*:/.test(lines[1]?.text ?? '')) return 0;
  const close = lines.findIndex((line, i) => i > 0 && /^(---|\.\.\.)\s*$/.test(line.text));
  return close + 1;
}

function frontMatterTitle(lines: readonly Line[]): string | undefined {
  for (const { text } of lines) {
    const match = /^title\s*:(.+)$/i.exec(text);
    const title = plainTitle((match?.[1] ?? '').trim().replace(/^(["'])(.*)\1$/, '$2'));
    if (title !== '') return title;
  }
  return undefined;
}

/** For each line whether it belongs to a fenced code block, the fences included. */
function fencedLines(lines: readonly Line[], from: number): boolean[] {
  const fenced = lines.map(() => false);
  let fence: { mark: string; indent: number } | undefined;
  for (let i = from; i < lines.length; i++) {
    const text = lines[i]!.text;
    const match = fenceMark(text);
    if (fence === undefined) {
      // An info string with a backtick makes it inline code.
      if (match === undefined || (match.mark.startsWith('`') && match.info.includes('`'))) continue;
      fence = { mark: match.mark, indent: /^[ \t]*/.exec(text)![0].length };
      fenced[i] = true;
      continue;
    }
    // A fence deep in a list ends with its list, even where it was never closed.
    if (fence.indent >= 4 && /^\S/.test(text) && match === undefined) {
      fence = undefined;
      continue;
    }
    fenced[i] = true;
    const closes =
      match !== undefined &&
      match.mark[0] === fence.mark[0] &&
      match.mark.length >= fence.mark.length &&
      match.info.trim() === '';
    if (closes) fence = undefined;
  }
  return fenced;
}

/** The fence that a line begins with, behind indentation and the marks of quotes and lists, and what follows it. */
function fenceMark(text: string): { mark: string; info: string } | undefined {
  // Only so far: the pattern takes quadratic time on a long run of spaces.
  const match = /^([ \t]*(?:>[ \t]?)*(?:[-*+]|\d+[.)])?[ \t]*)(`{3,}|~{3,})/.exec(text.slice(0, 200));
  return match === null ? undefined : { mark: match[2]!, info: text.slice(match[0].length) };
}

function findHeadings(lines: readonly Line[], from: number, fenced: readonly boolean[]): Heading[] {
  const headings: Heading[] = [];
  /** First line of the paragraph that the current line may end as a setext heading. */
  let paragraph: number | undefined;
  for (let i = from; i < lines.length; i++) {
    const text = lines[i]!.text;
    if (fenced[i] === true || isBlank(lines[i]!)) {
      paragraph = undefined;
      continue;
    }
    const atx = atxHeading(text);
    if (atx !== undefined) {
      headings.push({ ...atx, first: i, behind: i + 1 });
      paragraph = undefined;
      continue;
    }
    const setext = /^ {0,3}(=+|-+)[ \t]*$/.exec(text);
    if (setext !== null && paragraph !== undefined) {
      const title = lines.slice(paragraph, i).map(line => line.text.trim());
      const level = setext[1]!.startsWith('=') ? 1 : 2;
      headings.push({ level, title: plainTitle(title.join(' ')), first: paragraph, behind: i + 1 });
      paragraph = undefined;
      continue;
    }
    // Lists, quotes, tables, HTML and indented code are no paragraphs: dashes below them are thematic breaks.
    const starts = !/^( {4}|\t| {0,3}([-*+]([ \t]|$)|\d{1,9}[.)][ \t]|>|\||<))/.test(text);
    if (paragraph === undefined) {
      const fresh =
        i === from || fenced[i - 1] === true || isBlank(lines[i - 1]!) || headings.at(-1)?.behind === i;
      if (starts && fresh) paragraph = i;
    } else if (/^ {0,3}([-*+][ \t]|>|\|)/.test(text)) paragraph = undefined;
  }
  return headings;
}

/** Blocks of a section: fenced code as one, everything else from blank line to blank line. */
function blocksOf(lines: readonly Line[], fenced: readonly boolean[]): Block[] {
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; ) {
    const inFence = fenced[i] === true;
    let behind = i;
    while (behind < lines.length && fenced[behind] === inFence && (inFence || !isBlank(lines[behind]!)))
      behind++;
    if (behind === i) {
      i++;
      continue;
    }
    const style = inFence ? 'code' : styleOf(lines.slice(i, behind));
    blocks.push({ start: lines[i]!.start, end: lines[behind - 1]!.end, style });
    i = behind;
  }
  return blocks;
}

/** Lists come apart at items, tables, definitions and indented code at lines, running text at sentences. */
function styleOf(lines: readonly Line[]): BlockStyle {
  const [first] = lines;
  if (/^(\s*\||\s*\[[^\]]+\]:|---\s*$)/.test(first!.text)) return 'lines';
  if (lines.some(isListItem)) return 'list';
  return /^( {4}|\t)/.test(first!.text) ? 'lines' : 'prose';
}

/** A heading as one plain line: links by their text, no emphasis, no marks of code. */
function plainTitle(heading: string): string {
  const plain = heading
    // Bounded first: the patterns below take quadratic time on hostile lines.
    .slice(0, 8 * maxHeadingChars)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<[^<>]*>|\{#[^}]*\}|[*`]|\\(?=\W)/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return shorten(plain, maxHeadingChars);
}

/** `## Title ##` -> level 2 and `Title`; by hand at its end, since a regular expression would be quadratic there. */
function atxHeading(text: string): { level: number; title: string } | undefined {
  const marks = /^ {0,3}(#{1,6})(?=[ \t]|$)/.exec(text);
  if (marks === null) return undefined;
  const rest = text.slice(marks[0].length).trim();
  let end = rest.length;
  while (end > 0 && rest[end - 1] === '#') end--;
  const closed = end === 0 || /[ \t]/.test(rest[end - 1]!);
  return { level: marks[1]!.length, title: plainTitle(closed ? rest.slice(0, end) : rest) };
}
