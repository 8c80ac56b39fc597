/**
 * Sets one member of a JSON document and leaves every other byte of it as it was: order, indentation, numbers beyond
 * 2^53 and all. A parse and a JSON.stringify would rewrite a file that belongs to somebody else.
 */
import type { JsonValue } from '../../domain/model.js';

/** A range of the text, [start, end). */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value on the way to the member that is there, but no object. */
export class NotAnObject extends Error {
  override readonly name = 'NotAnObject';
}

/**
 * @param text strict JSON (JSON.parse accepts it) whose root is an object
 * @param path names from the root; objects that are missing on the way are made
 * @returns the text with the member set; the new value is indented as the rest is
 * @throws NotAnObject where something on the path is there, but not an object
 */
export function setMember(text: string, path: readonly string[], value: JsonValue): string {
  const indent = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  let object: Span = { start: skipSpace(text, 0), end: text.trimEnd().length };
  for (const [depth, name] of path.entries()) {
    if (text[object.start] !== '{') {
      throw new NotAnObject(path.slice(0, depth).join('.') || 'the document');
    }
    const members = membersOf(text, object.start);
    // JSON.parse takes the last of several members of one name, and so must the edit.
    const member = members.findLast(m => m.name === name);
    const render = (inner: JsonValue) =>
      JSON.stringify(inner, null, indent).replaceAll('\n', eol + indent.repeat(depth + 1));
    if (member === undefined) {
      const inner = path.slice(depth + 1).reduceRight<JsonValue>((v, key) => ({ [key]: v }), value);
      const line = `${eol}${indent.repeat(depth + 1)}${JSON.stringify(name)}: ${render(inner)}`;
      const last = members.at(-1);
      return last === undefined
        ? splice(text, { start: object.start + 1, end: object.end - 1 }, line + eol + indent.repeat(depth))
        : splice(text, { start: last.value.end, end: last.value.end }, `,${line}`);
    }
    if (depth === path.length - 1) return splice(text, member.value, render(value));
    object = member.value;
  }
  return text;
}

function splice(text: string, { start, end }: Span, by: string): string {
  return text.slice(0, start) + by + text.slice(end);
}

/** The members of the object that starts at `start`, in order. */
function membersOf(text: string, start: number): { name: string; value: Span }[] {
  const members: { name: string; value: Span }[] = [];
  let at = skipSpace(text, start + 1);
  while (text[at] !== '}') {
    const nameEnd = skipString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = skipValue(text, valueStart);
    members.push({ name, value: { start: valueStart, end } });
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

/** A byte order mark counts as space. */
function skipSpace(text: string, at: number): number {
  while (at < text.length && ' \t\r\n\ufeff'.includes(text[at]!)) at++;
  return at;
}

/** The end of the string that starts at `at`. */
function skipString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** The end of the value that starts at `at`: brackets are counted outside strings; a scalar ends where it must. */
function skipValue(text: string, at: number): number {
  if (text[at] === '"') return skipString(text, at);
  if (text[at] !== '{' && text[at] !== '[') {
    let end = at;
    while (end < text.length && !',}] \t\r\n'.includes(text[end]!)) end++;
    return end;
  }
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const char = text[i]!;
    if (char === '"') i = skipString(text, i) - 1;
    else if (char === '{' || char === '[') depth++;
    else if ((char === '}' || char === ']') && --depth === 0) return i + 1;
  }
  return text.length;
}
