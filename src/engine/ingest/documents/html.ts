import { Parser } from 'htmlparser2';
import type { BlockStyle } from '../section.js';
import { type DocumentHeading, type DocumentText, Refusal } from './document.js';
import { maxNesting } from './limits.js';
import { type Piece, TextBuilder } from './text-builder.js';

/** Elements whose contents nobody reads as text: code, controls, navigation, what stands in for something else. */
const UNREAD = new Set(
  'script style template noscript nav svg math iframe object canvas video audio select textarea button datalist'.split(
    ' ',
  ),
);
/** Elements that end a paragraph (HTML Living Standard 15.3.3, "flow content"; rows and cells are told apart below). */
const BLOCKS = new Set(
  'address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form header hgroup hr html legend li main menu ol p pre search section summary table tbody td tfoot th thead tr ul'.split(
    ' ',
  ),
);
const HEADING = /^h([1-6])$/;

interface Element {
  readonly name: string;
  /** Its contents are left out. */
  readonly unread: boolean;
  readonly main: boolean;
}

interface Found {
  readonly pieces: readonly Piece[];
  readonly style: BlockStyle;
  readonly heading?: DocumentHeading;
  readonly main: boolean;
}

/**
 * The text of an HTML page as its reader sees it: without scripts, navigation and what is hidden; where there is a `main` element, of that
 * alone. Headings, lists and tables are kept as Markdown has them. Takes time in proportion to the source, however it is nested.
 * @param withLines Places are lines of the source.
 * @throws Refusal where there is no text
 */
export function htmlDocument(source: string, withLines = true): DocumentText {
  const walk = new HtmlWalk(source);
  const { found, title } = walk.blocks();
  const main = found.filter(block => block.main);
  const chosen = main.some(block => block.heading === undefined) ? main : found;
  if (chosen.length === 0) throw new Refusal('no text in it, only markup or scripts');
  const builder = new TextBuilder(withLines ? 'lines' : undefined);
  const repeated = chosen.some(({ heading }) => heading?.level === 1 && title.includes(heading.title));
  if (title !== '' && !repeated) {
    const heading = { level: 0, title, shown: true };
    builder.add([{ text: title, place: walk.titleLine }], 'prose', heading);
  }
  for (const { pieces, style, heading } of chosen) builder.add(pieces, style, heading);
  return builder.build();
}

/** Goes once through the source and collects blocks. */
class HtmlWalk {
  titleLine = 1;
  private title = '';
  private readonly found: Found[] = [];
  private readonly open: Element[] = [];
  private unread = 0;
  private mains = 0;
  private pres = 0;
  private tables = 0;
  /** The lists around this place: how many items an ordered one has had, 0 for none; undefined for bullets. */
  private readonly lists: (number | undefined)[] = [];
  private list: Piece[] = [];
  /** The mark of an item whose first line has not come yet. */
  private marker: string | undefined;
  private rows: Piece[] = [];
  private cells = 0;
  private heading: number | undefined;
  private inline: Piece[] = [];
  private endsInSpace = true;
  private line = 1;
  private counted = 0;
  /** The line of the text that came last. */
  private last = 1;

  constructor(private readonly source: string) {}

  blocks(): { found: readonly Found[]; title: string } {
    const parser = new Parser(
      {
        onopentag: (name, attributes) => this.enter(name, attributes),
        onclosetag: name => this.leave(name),
        ontext: text => this.take(text, this.lineOf(parser.startIndex)),
      },
      { decodeEntities: true },
    );
    parser.end(this.source);
    this.flushAll();
    return { found: this.found, title: this.title.replace(/\s+/g, ' ').trim() };
  }

  /** Offsets come in ascending order. */
  private lineOf(offset: number): number {
    for (;;) {
      const newline = this.source.indexOf('\n', this.counted);
      if (newline === -1 || newline >= offset) return this.line;
      this.counted = newline + 1;
      this.line++;
    }
  }

  private enter(name: string, attributes: Record<string, string>): void {
    const unread = UNREAD.has(name) || isHidden(name, attributes);
    const main = name === 'main' || attributes.role === 'main';
    this.open.push({ name, unread, main });
    if (this.open.length > maxNesting)
      throw new Refusal(`elements nested too deeply (more than ${maxNesting}): save it in a simpler form`);
    if (unread) this.unread++;
    if (this.unread > 0) return;
    if (main) {
      this.flushAll();
      this.mains++;
    }
    if (name === 'br') this.push('\n', this.last);
    else if (name === 'img') this.take(attributes.alt ?? '', this.last);
    else if (HEADING.test(name)) {
      this.flushAll();
      this.heading = Number(name.slice(1));
    } else if (BLOCKS.has(name)) this.boundary(name, true);
  }

  private leave(name: string): void {
    const element = this.open.pop();
    if (element === undefined) return;
    if (this.unread === 0) {
      if (HEADING.test(name)) this.endHeading();
      else if (BLOCKS.has(name)) this.boundary(name, false);
      if (element.main) {
        this.flushAll();
        this.mains--;
      }
    }
    if (element.unread) this.unread--;
  }

  /** The beginning or the end of a block element. */
  private boundary(name: string, opens: boolean): void {
    if (this.heading !== undefined) this.space();
    else if (name === 'table') {
      this.flushAll();
      this.tables = Math.max(0, this.tables + (opens ? 1 : -1));
    } else if (this.tables > 0) this.inTable(name, opens);
    else if (name === 'ul' || name === 'ol' || name === 'menu') {
      this.flush();
      if (opens) this.lists.push(name === 'ol' ? 0 : undefined);
      else this.lists.pop();
      if (this.lists.length === 0) this.flushAll();
    } else if (name === 'li') {
      this.flush();
      this.marker = opens ? this.nextMarker() : undefined;
    } else if (name === 'pre') {
      this.flushAll();
      this.pres = Math.max(0, this.pres + (opens ? 1 : -1));
    } else this.flush();
  }

  private inTable(name: string, opens: boolean): void {
    if (name === 'tr') this.endRow();
    else if ((name === 'td' || name === 'th') && opens) {
      if (this.cells++ > 0) this.push(this.endsInSpace && this.inline.length > 0 ? '| ' : ' | ', this.last);
    } else this.space();
  }

  private nextMarker(): string {
    const indent = '  '.repeat(Math.min(8, Math.max(0, this.lists.length - 1)));
    const items = this.lists.at(-1);
    if (items === undefined) return `${indent}- `;
    this.lists[this.lists.length - 1] = items + 1;
    return `${indent}${items + 1}. `;
  }

  private take(text: string, line: number): void {
    if (this.open.at(-1)?.name === 'title' && this.unread === 0) {
      if (this.title === '') this.titleLine = line;
      this.title += text;
      return;
    }
    if (this.unread > 0 || text === '' || this.open.at(-1)?.name === 'head') return;
    const lines = text.split(/\r?\n/);
    lines.forEach((part, i) => {
      const last = i === lines.length - 1;
      if (this.pres > 0) this.push(last ? part : `${part}\n`, line + i);
      else this.flow(last ? part : `${part} `, line + i);
    });
  }

  /** Running text: white space is one space, none at the beginning of a block. */
  private flow(text: string, line: number): void {
    const collapsed = text.replace(/\s+/g, ' ');
    const rest = this.endsInSpace ? collapsed.trimStart() : collapsed;
    if (rest !== '') this.push(rest, line);
  }

  private push(text: string, place: number): void {
    this.inline.push({ text, place });
    this.last = place;
    this.endsInSpace = /\s$/.test(text);
  }

  private space(): void {
    if (!this.endsInSpace) this.push(' ', this.last);
  }

  /** Ends the paragraph: a block of its own, or a line of the list it is in. */
  private flush(): void {
    const pieces = this.inline;
    this.inline = [];
    this.endsInSpace = true;
    const first = pieces[0];
    if (first === undefined || pieces.every(piece => piece.text.trim() === '')) return;
    if (this.lists.length === 0 || this.tables > 0) {
      const style = this.pres > 0 ? 'code' : 'prose';
      this.found.push({ pieces, style, main: this.mains > 0 });
      return;
    }
    const continued = '  '.repeat(Math.min(8, this.lists.length));
    this.list.push({ text: this.marker ?? continued, place: first.place }, ...pieces);
    this.list.push({ text: '\n', place: pieces.at(-1)!.place });
    this.marker = undefined;
  }

  private endRow(): void {
    if (this.inline.some(piece => piece.text.trim() !== '' && piece.text !== ' | ')) {
      const { place } = this.inline[0]!;
      this.rows.push({ text: '| ', place }, ...this.inline, {
        text: this.endsInSpace ? '|\n' : ' |\n',
        place: this.last,
      });
    }
    this.inline = [];
    this.cells = 0;
    this.endsInSpace = true;
  }

  private endHeading(): void {
    const level = this.heading;
    this.heading = undefined;
    const pieces = this.inline;
    const title = pieces
      .map(piece => piece.text)
      .join('')
      .replace(/\s+/g, ' ')
      // The mark that documentation puts behind a heading as a link to itself.
      .replace(/\s*[¶#]\s*$/, '')
      .trim();
    this.inline = [];
    this.endsInSpace = true;
    const first = pieces[0];
    if (level === undefined || first === undefined || title === '') return;
    this.found.push({
      pieces: [{ text: `${'#'.repeat(level)} ${title}`, place: first.place }],
      style: 'prose',
      heading: { level, title, shown: true },
      main: this.mains > 0,
    });
  }

  /** Ends whatever is under way: paragraph, heading, list, table. */
  private flushAll(): void {
    if (this.heading !== undefined) this.endHeading();
    if (this.tables > 0) this.endRow();
    this.flush();
    const main = this.mains > 0;
    if (this.list.length > 0) this.found.push({ pieces: this.list, style: 'list', main });
    if (this.rows.length > 0) this.found.push({ pieces: this.rows, style: 'lines', main });
    this.list = [];
    this.rows = [];
  }
}

/** What a browser does not show could only be meant for programs that read it. */
function isHidden(name: string, { hidden, style, open }: Record<string, string>): boolean {
  if (hidden !== undefined || (name === 'dialog' && open === undefined)) return true;
  return style !== undefined && /display\s*:\s*none|visibility\s*:\s*hidden/i.test(style);
}

/**
 * The characters of an HTML file: by its byte order mark, else by the charset that it names in its first 1024 bytes, as browsers look for it
 * (HTML Living Standard 13.2.3.2), else UTF-8.
 * @throws Refusal for bytes that are not valid in it
 */
export function decodeHtml(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, 1024)).toString('latin1');
  const bom = start.startsWith('\xff\xfe')
    ? 'utf-16le'
    : start.startsWith('\xfe\xff')
      ? 'utf-16be'
      : undefined;
  const named = /<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w:.-]{1,40})/i.exec(start)?.[1];
  const utf8 = start.startsWith('\xef\xbb\xbf');
  // A file that is read as bytes in ASCII up to its charset cannot be in UTF-16.
  const label = bom ?? (utf8 || named === undefined || /^utf-?16/i.test(named) ? 'utf-8' : named);
  try {
    const text = new TextDecoder(label, { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch (error) {
    if (error instanceof RangeError && label !== 'utf-8')
      throw new Refusal('in a charset that is not known: save it as UTF-8');
    if (!(error instanceof TypeError)) throw error;
  }
  throw new Refusal('binary, or not in the charset that it names: save it as UTF-8');
}
