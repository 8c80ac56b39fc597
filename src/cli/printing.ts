/** Everything the command line prints goes through here: stdout for answers, stderr for errors and progress. */
import { CodedError, isCoded } from '../domain/errors.js';
import { explained } from '../domain/explained.js';
import type { Erased } from '../domain/model.js';
import { printable, UNPRINTABLE } from '../domain/printable.js';
import { EXIT } from './exit-codes.js';

export { printable };

/**
 * One line of at most `width` characters, white space collapsed, an ellipsis where it was cut.
 * @param width in code points; a wide character counts as one
 */
export function oneLine(text: string, width: number): string {
  const line = [...printable(text).replace(/\s+/g, ' ').trim()];
  return line.length <= width
    ? line.join('')
    : `${line
        .slice(0, width - 1)
        .join('')
        .trimEnd()}…`;
}

/** Lines with every column but the last padded to its longest cell; two spaces between. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, [...cell].length);
  }
  return rows.map(row =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - [...cell].length)))
      .join('  ')
      .trimEnd(),
  );
}

/** `1.2 MB`, with the decimal units that file managers show. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `12 345`: a whole number in groups of three digits, the same in every locale. */
export function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** `1 item`, `2 items`, `12 345 items`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(n)} ${n === 1 ? noun : plural}`;
}

/** `8 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`: the two largest units, rounded up so that work left is never 0 s. */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.ceil(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.ceil(minutes / 60);
  return `${grouped(Math.floor(hours / 24))} d ${hours % 24} h`;
}

/** `forked from <store id> at 1042` */
export function describeOrigin({ storeId, seq }: { storeId: string; seq: number }): string {
  return `forked from ${storeId} at ${seq}`;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
const SGR: Record<Style, readonly [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Colours on a terminal only, and not where NO_COLOR (no-color.org) is set. */
export function styler(stream: { isTTY?: boolean }): (style: Style, text: string) => string {
  if (!isColoured(stream)) return (_style, text) => text;
  return (style, text) => `\u001b[${SGR[style][0]}m${text}\u001b[${SGR[style][1]}m`;
}

function isColoured(stream: { isTTY?: boolean }): boolean {
  const noColor = process.env.NO_COLOR;
  return stream.isTTY === true && (noColor === undefined || noColor === '') && process.env.TERM !== 'dumb';
}

/** What styler puts in, and any one character that is not to be printed. */
const STYLES_OR_UNPRINTABLE = new RegExp(`(\u001b\\[(?:1|2|3[1-9]|22|39)m)|${UNPRINTABLE.source}`, 'gu');

/**
 * A line of an answer. Whatever of it came from a store was made printable where it was put in, since there it is known how long it may
 * be and whether it is one line; what was forgotten there loses its control characters here.
 */
export function say(line = ''): void {
  const styled = isColoured(process.stdout);
  process.stdout.write(`${line.replace(STYLES_OR_UNPRINTABLE, (_all, sgr = '') => (styled ? sgr : ''))}\n`);
}

/** An answer for programs: one JSON document on stdout. */
export function sayJson(value: unknown): void {
  process.stdout.write(`${toJson(value, 2)}\n`);
}

/**
 * JSON whose strings are what they were, and which a terminal shows as it is: JSON itself escapes only C0 controls, so the others that
 * UNPRINTABLE names are escaped as well. Line ends and tabs of the text itself are escaped already.
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNPRINTABLE, escaped);
}

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => {
    return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }).join('');
}

/**
 * Lets a command end by itself when whoever reads its answer has gone: `… | head` closes the pipe early, which is no error of
 * ours. Any other failure to write the answer ends the process: nothing after it could be believed.
 */
export function surviveClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    sayError(
      new CodedError(
        'OUTPUT_FAILED',
        `the answer could not be written: ${error.message}`,
        'Check the disk and the program that stdout goes to.',
      ),
      false,
    );
    process.exit(EXIT.couldNotRun);
  });
}

/** An error on stderr: for people with the way out, for programs as one line of JSON. */
export function sayError(thrown: unknown, json: boolean): void {
  const error = explained(thrown);
  const { code, message, wayOut, details } = isCoded(error)
    ? error
    : {
        code: 'INTERNAL',
        message: error instanceof Error ? error.message : String(error),
        wayOut: 'This is a bug: please report it together with the lines below.',
        details: undefined,
      };
  if (json) {
    process.stderr.write(`${toJson({ error: { code, message, wayOut, details } })}\n`);
    return;
  }
  const style = styler(process.stderr);
  process.stderr.write(`${style('red', 'error')} ${style('bold', code)}: ${printable(message)}\n`);
  process.stderr.write(`what to do: ${printable(wayOut)}\n`);
  if (!isCoded(error) && error instanceof Error && error.stack !== undefined) {
    process.stderr.write(`${printable(error.stack)}\n`);
  }
}

/** In place of a content that is gone. */
export const erasedLine = (why: Erased): string =>
  why === 'redacted' ? '(redacted)' : '(erased: it died before the horizon)';
