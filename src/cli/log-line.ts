/** A line of the log as people read it. */
import { oneLine as fitted, printable, type Style } from './printing.js';

/** pino's numbers. */
const LEVELS: Readonly<Record<number, readonly [name: string, style: Style]>> = {
  10: ['trace', 'dim'],
  20: ['debug', 'dim'],
  30: ['info', 'green'],
  40: ['warn', 'yellow'],
  50: ['error', 'red'],
  60: ['fatal', 'red'],
};

const LEFT_OUT = ['level', 'time', 'pid', 'msg', 'err'];
const MAX_VALUE_CHARS = 400;

/** A line as it was parsed; undefined for one that is no line of ours. */
export type LogRecord = Readonly<Record<string, unknown>>;

export function parseLogLine(line: string): LogRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as LogRecord)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * `12:00:05.123 info  called  tool=vector_search code=ok`; the stack of an error on lines of its own. Nothing of it acts on a terminal.
 * @param withDate the day as well
 */
export function renderLogLine(
  line: string,
  style: (style: Style, text: string) => string,
  withDate: boolean,
): string {
  const record = parseLogLine(line);
  if (record === undefined) return oneLine(line);
  const { level, time, msg, err } = record;
  const [name, colour] = LEVELS[level as number] ?? [String(level), 'dim'];
  const fields = Object.entries(record)
    .filter(([key]) => !LEFT_OUT.includes(key))
    .map(([key, value]) => `${style('cyan', oneLine(key))}=${valueText(value)}`);
  const head = [
    style('dim', timeText(time, withDate)),
    style(colour, oneLine(name).padEnd(5)),
    typeof msg === 'string' ? oneLine(msg) : '',
    ...fields,
  ].filter(part => part !== '');
  return [head.join(' '), ...errorLines(err)].join('\n');
}

/** In the zone of the machine, as the clock on the wall. */
function timeText(time: unknown, withDate: boolean): string {
  const date = new Date(typeof time === 'string' || typeof time === 'number' ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) return '';
  const pad = (n: number, width = 2) => String(n).padStart(width, '0');
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return withDate ? `${day} ${clock}` : clock;
}

function valueText(value: unknown): string {
  if (typeof value === 'string')
    return /^[\w.:/@+-]+$/.test(value) ? oneLine(value) : oneLine(JSON.stringify(value));
  return oneLine(JSON.stringify(value) ?? '');
}

function errorLines(err: unknown): string[] {
  if (typeof err !== 'object' || err === null) return [];
  const { type, code, message, stack } = err as Record<string, unknown>;
  const what = [type, code, message].filter(part => typeof part === 'string').join(' ');
  const frames = typeof stack === 'string' ? printable(stack).split('\n').slice(0, 30) : [];
  return [`    ${oneLine(what)}`, ...frames.map(frame => `    ${frame.trim()}`)];
}

const oneLine = (text: string): string => fitted(text, MAX_VALUE_CHARS);
