/** Differences as people read them: red and green on a terminal, [-marked-]{+up+} elsewhere, as `git diff --word-diff` does. */
import type { Metadata } from '../domain/model.js';
import type { WordRun } from '../domain/travel.js';
import { printable, say, styler } from './printing.js';

/** What is shown of a run that both texts share, at each side of a change: a few lines. */
const CONTEXT_CHARS = 160;

/** Prints the runs of a text, indented; what both texts share is shortened to what surrounds the changes. */
export function sayWords(runs: readonly WordRun[]): void {
  const text = runs
    .map(({ op, text: run }, index) => {
      if (op === '=') return shortened(printable(run), index > 0, index < runs.length - 1);
      return op === '-' ? marked('red', '[-', run, '-]') : marked('green', '{+', run, '+}');
    })
    .join('');
  for (const line of text.split('\n')) say(`    ${line}`.trimEnd());
}

/** Prints each key of metadata that differs, with both values. */
export function sayMetadata(older: Metadata, newer: Metadata, keys: readonly string[]): void {
  for (const key of keys) {
    const sides = [
      ...(Object.hasOwn(older, key) ? [marked('red', '[-', JSON.stringify(older[key]), '-]')] : []),
      ...(Object.hasOwn(newer, key) ? [marked('green', '{+', JSON.stringify(newer[key]), '+}')] : []),
    ];
    say(`    ${printable(key)}: ${sides.join(' ')}`);
  }
}

function marked(colour: 'red' | 'green', open: string, text: string, close: string): string {
  const shown = printable(text);
  const coloured = styler(process.stdout)(colour, shown);
  return coloured === shown ? `${open}${shown}${close}` : coloured;
}

function shortened(text: string, isAfterChange: boolean, isBeforeChange: boolean): string {
  const points = [...text];
  const head = isAfterChange ? CONTEXT_CHARS : 0;
  const tail = isBeforeChange ? CONTEXT_CHARS : 0;
  if (points.length <= head + tail) return text;
  return `${points.slice(0, head).join('')}…${points.slice(points.length - tail).join('')}`;
}
