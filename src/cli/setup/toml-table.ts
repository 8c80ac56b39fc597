/**
 * Reads and sets one table of a TOML 1.0 file, and leaves every other byte of it as it was. Only what a table of strings,
 * string arrays and numbers needs; anything else about that table is refused, never guessed at.
 */

import type { JsonValue } from '../../domain/model.js';

/** The table is written in a form that this editor does not change. */
export class UnsupportedToml extends Error {
  override readonly name = 'UnsupportedToml';
}

interface Line {
  readonly kind: 'header' | 'key' | 'blank';
  /** Offsets of the whole line or, for a value that spans lines, of all of them; the line end included. */
  readonly start: number;
  readonly end: number;
  /** Of a header: the dotted name; of a key: what stands before the `=`. White space and quotes of bare-able parts gone. */
  readonly name: string;
  /** Of a key: the source of its value, comments included. */
  readonly value: string;
}

export type TomlValue = string | number | boolean | readonly string[];

/**
 * Sets the keys of `[table]` and of `[table.env]`; other keys of the two tables stay.
 * @param table dotted, of bare keys (A-Za-z0-9_-)
 * @param env left as it is where undefined
 * @returns the new text; the very same one where nothing differs
 * @throws UnsupportedToml where the table is there as an inline table, as dotted keys or twice
 */
export function setTable(
  text: string,
  table: string,
  keys: Readonly<Record<string, TomlValue>>,
  env: Readonly<Record<string, string>> | undefined,
): string {
  const withTable = setOne(text, table, keys);
  return env === undefined ? withTable : setOne(withTable, `${table}.env`, env);
}

/** The source of a key's value in `[table]`; undefined where the table or the key is not there. */
export function readKey(text: string, table: string, key: string): string | undefined {
  return sectionOf(linesOf(text), table)
    ?.find(line => line.kind === 'key' && line.name === key)
    ?.value.trim();
}

/**
 * The tables below a section by name, `[section.name.key]` as a member of the one above it. A value in a form that is not read here (inline tables,
 * dates, strings of several lines) is null.
 * @param section dotted, of bare keys
 */
export function readTables(text: string, section: string): Record<string, Record<string, JsonValue>> {
  const tables: Record<string, Record<string, JsonValue>> = {};
  let into: Record<string, JsonValue> | undefined;
  for (const { kind, name, value } of linesOf(text)) {
    if (kind === 'key' && into !== undefined) into[name] = plainValue(value.trim());
    if (kind !== 'header') continue;
    const below = name.startsWith(`${section}.`) ? name.slice(section.length + 1) : '';
    const [, table, inner] = /^("[^"]*"|'[^']*'|[^."']+)(?:\.([^."']+))?$/.exec(below) ?? [];
    into = undefined;
    if (table === undefined) continue;
    into = tables[table.replace(/^["']|["']$/g, '')] ??= {};
    if (inner !== undefined) into = into[inner] = {};
  }
  return tables;
}

const TOML_STRING = /"(?:[^"\\]|\\.)*"|'[^']*'/.source;

/** What a key's source says; behind the value stands a comment at most. Null for what is not read here. */
function plainValue(source: string): JsonValue {
  if (/^("""|''')/.test(source)) return null;
  const word = new RegExp(`^(?:${TOML_STRING}|[\\w.+-]+)`).exec(source)?.[0];
  if (word?.startsWith("'")) return word.slice(1, -1);
  const array = new RegExp(`^\\[((?:[\\s,]|#[^\\n]*\\n|${TOML_STRING})*)\\]`).exec(source)?.[1];
  if (array !== undefined)
    return [...array.matchAll(new RegExp(`#[^\\n]*|${TOML_STRING}`, 'g'))]
      .filter(([part]) => !part.startsWith('#'))
      .map(([part]) => plainValue(part));
  try {
    return word === undefined ? null : (JSON.parse(word) as JsonValue);
  } catch {
    // Escapes, numbers and dates that only TOML has.
    return null;
  }
}

/** True where `[table]` is there. */
export function hasTable(text: string, table: string): boolean {
  return sectionOf(linesOf(text), table) !== undefined;
}

function setOne(text: string, table: string, keys: Readonly<Record<string, TomlValue>>): string {
  const lines = linesOf(text);
  refuseOtherForms(lines, table);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const section = sectionOf(lines, table);
  const wanted = Object.entries(keys).map(([key, value]) => [key, render(value)] as const);
  if (section === undefined) {
    const gap = text === '' ? '' : text.endsWith('\n') ? eol : eol + eol;
    const block = [`[${table}]`, ...wanted.map(([key, value]) => `${key} = ${value}`)];
    // A sub-table may stand anywhere, so the end of the file is right for both.
    return text + gap + block.join(eol) + eol;
  }
  let result = text;
  const edits: { start: number; end: number; by: string }[] = [];
  const lastLine = section.findLast(line => line.kind !== 'blank')!;
  for (const [key, value] of wanted) {
    const line = section.find(l => l.kind === 'key' && l.name === key);
    if (line !== undefined && isJust(line.value, value)) continue;
    const by = `${key} = ${value}${eol}`;
    if (line !== undefined) edits.push({ start: line.start, end: line.end, by });
    else {
      const needsEnd = !text.slice(lastLine.start, lastLine.end).endsWith('\n');
      edits.push({ start: lastLine.end, end: lastLine.end, by: (needsEnd ? eol : '') + by });
    }
  }
  // From the back, so that the offsets of those in front stay right; insertions at one place keep their order.
  for (const { start, end, by } of edits.sort((a, b) => a.start - b.start).reverse()) {
    result = result.slice(0, start) + by + result.slice(end);
  }
  return result;
}

/** True where a key's source is `value`, with at most a comment behind it. */
function isJust(source: string, value: string): boolean {
  const trimmed = source.trim();
  return trimmed.startsWith(value) && /^\s*(#|$)/.test(trimmed.slice(value.length));
}

/** The header of `[table]` and the lines below it up to the next header. */
function sectionOf(lines: readonly Line[], table: string): Line[] | undefined {
  const start = lines.findIndex(line => line.kind === 'header' && line.name === table);
  if (start === -1) return undefined;
  const end = lines.findIndex((line, i) => i > start && line.kind === 'header');
  return lines.slice(start, end === -1 ? lines.length : end);
}

/** The same table may also be written inline (`a = { b = … }`) or by dotted keys (`a.b.c = …`): TOML allows it only once. */
function refuseOtherForms(lines: readonly Line[], table: string): void {
  const headers = lines.filter(line => line.kind === 'header' && line.name === table);
  if (headers.length > 1) throw new UnsupportedToml(`[${table}] stands there twice`);
  let current = '';
  for (const line of lines) {
    if (line.kind === 'header') current = line.name;
    if (line.kind !== 'key') continue;
    const full = current === '' ? line.name : `${current}.${line.name}`;
    const isInside = current === table && !line.name.includes('.');
    if (!isInside && (full === table || full.startsWith(`${table}.`) || isInlineAncestor(full, table))) {
      if (current.startsWith(`${table}.`)) continue;
      throw new UnsupportedToml(`${table} is not written as a [${table}] table of its own`);
    }
  }
}

const isInlineAncestor = (name: string, table: string): boolean => table.startsWith(`${name}.`);

/** The text as lines; a value that spans several (array, multi-line string) is one. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let at = 0;
  while (at < text.length) {
    const end = endOfStatement(text, at);
    const source = text.slice(at, end).replace(/^\ufeff/, '');
    const header = /^\s*\[+([^\]]*)\]/.exec(source);
    const key = /^\s*((?:"[^"]*"|'[^']*'|[^=#"'])+?)\s*=/.exec(source);
    const isBlank = /^\s*(#|$)/.test(source);
    if (isBlank || (header === null && key === null)) {
      lines.push({ kind: 'blank', start: at, end, name: '', value: '' });
    } else if (header !== null) {
      lines.push({ kind: 'header', start: at, end, name: plainName(header[1]!), value: '' });
    } else {
      const value = source.slice(key![0].length);
      lines.push({ kind: 'key', start: at, end, name: plainName(key![1]!), value });
    }
    at = end;
  }
  return lines;
}

function plainName(name: string): string {
  return name
    .replace(/\s*\.\s*/g, '.')
    .replace(/"([A-Za-z0-9_-]+)"|'([A-Za-z0-9_-]+)'/g, '$1$2')
    .trim();
}

/** The end of the statement that starts at `at`: a line end outside strings and brackets. A header's brackets close on its line. */
function endOfStatement(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const char = text[i]!;
    if (char === '#') {
      const lineEnd = text.indexOf('\n', i);
      if (lineEnd === -1) return text.length;
      i = lineEnd - 1;
    } else if (char === '"' || char === "'") {
      i = endOfString(text, i) - 1;
    } else if (char === '[' || char === '{') depth++;
    else if (char === ']' || char === '}') depth--;
    else if (char === '\n' && depth <= 0) return i + 1;
  }
  return text.length;
}

function endOfString(text: string, at: number): number {
  const quote = text[at]!;
  const isMultiLine = text.startsWith(quote.repeat(3), at);
  const close = isMultiLine ? quote.repeat(3) : quote;
  for (let i = at + close.length; i < text.length; i++) {
    if (quote === '"' && text[i] === '\\') i++;
    else if (!isMultiLine && text[i] === '\n') return i;
    else if (text.startsWith(close, i)) {
      let end = i + close.length;
      // A multi-line string may end in up to two quotes of its own before the closing three.
      while (isMultiLine && text[end] === quote && end < i + 5) end++;
      return end;
    }
  }
  return text.length;
}

/** TOML's basic strings take JSON's escapes, but for DEL, which JSON leaves bare and TOML forbids. */
function render(value: TomlValue): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value).replaceAll('\u007f', '\\u007F');
  return `[${value.map(render).join(', ')}]`;
}
