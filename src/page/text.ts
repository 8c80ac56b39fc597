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

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024;
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
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
