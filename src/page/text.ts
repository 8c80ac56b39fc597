/** Stored text and moments as people see them. */
import { UNPRINTABLE } from '../domain/printable.js';

/** Text with what could not be seen, or would turn it around, written out: `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text.replace(
    UNPRINTABLE,
    character => `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}

const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const NUMBER = new Intl.NumberFormat();

export const dateTime = (time: string | number): string => DATE_TIME.format(new Date(time));
export const exactTime = (time: string | number): string => EXACT.format(new Date(time));
export const date = (time: string | number): string => DATE.format(new Date(time));
export const number = (value: number): string => NUMBER.format(value);

/** `1 change`, `2 changes`. */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`;

const DECIMAL = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
/** Three digits: `0.42`, `12.5`, `1,230`. */
export const decimal = (value: number): string => DECIMAL.format(value);

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** `1.2 MB`, decimal as in the report of health. */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  for (; size >= 999.5 && unit < UNITS.length - 1; unit++) size /= 1000;
  return `${unit === 0 || size >= 100 ? Math.round(size) : Number(size.toFixed(1))} ${UNITS[unit]}`;
}

const STEP_NAMES: readonly (readonly [ms: number, name: string])[] = [
  [7 * 86_400_000, 'week'],
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];

/** `1 hour`, `15 minutes`. */
export function duration(ms: number): string {
  const [unitMs, name] = STEP_NAMES.find(([one]) => ms % one === 0) ?? [60_000, 'minute'];
  return count(Math.round(ms / unitMs), name);
}

const AGES: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];

/** `3 hours ago`; of what is to come nothing is said but that it is. */
export function age(time: string, nowMs = Date.now()): string {
  const ms = nowMs - Date.parse(time);
  if (ms < -60_000) return 'in the future';
  const found = AGES.find(([one]) => ms >= one);
  return found === undefined ? 'just now' : `${count(Math.floor(ms / found[0]), found[1])} ago`;
}

/** `0.3 s`, `2 minutes`. */
export function shortDuration(ms: number): string {
  if (ms < 60_000) return `${decimal(ms / 1000)} s`;
  return ms < 7_200_000
    ? count(Math.round(ms / 60_000), 'minute')
    : count(Math.round(ms / 3_600_000), 'hour');
}
