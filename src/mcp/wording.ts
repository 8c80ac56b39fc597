/** Words for people in what a client shows its user. */
import { printable } from '../domain/printable.js';

/** Longest name that is shown whole, in code points. */
const NAME_CHARS = 60;

/** A name that somebody chose, in quotes: short, and without what could act on whoever shows it. */
export function named(name: string): string {
  const shown = [...printable(name).replace(/\s+/g, ' ')];
  return JSON.stringify(
    shown.length <= NAME_CHARS ? shown.join('') : `${shown.slice(0, NAME_CHARS - 1).join('')}…`,
  );
}

/** "1 item", "1 234 items". */
export function quantity(count: number, noun: string): string {
  const digits = String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
  return `${digits} ${noun}${count === 1 ? '' : 's'}`;
}
