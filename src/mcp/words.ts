import type { WordRun } from '../domain/travel.js';
import { excerpt } from './fit.js';

/** Characters of JSON that a run costs besides its text: quotes, the sign, a comma. */
const RUN_CHARS = 4;
/** What is kept of an equal run at each end where room is short, in UTF-16 code units. */
const MIN_END_CHARS = 12;

export interface FittedWords {
  /** Each run as its sign and its text: "=same", "-old", "+new". */
  readonly words: readonly string[];
  /** True where `…` stands for something that was left out. */
  readonly truncated: boolean;
}

/**
 * A word difference in at most about `maxChars`: where it is longer, equal runs are shortened to their ends, all to the
 * same length, the longest that fits; where that is not enough, it ends early.
 */
export function fitWords(runs: readonly WordRun[], maxChars: number): FittedWords {
  if (charsOf(runs) <= maxChars) return { words: runs.map(signed), truncated: false };
  let ends = shortened(runs, MIN_END_CHARS);
  if (charsOf(ends) > maxChars) return { words: cutOff(ends, maxChars).map(signed), truncated: true };
  let low = MIN_END_CHARS;
  let high = maxChars;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    const longer = shortened(runs, middle);
    if (charsOf(longer) <= maxChars) {
      ends = longer;
      low = middle;
    } else high = middle;
  }
  return { words: ends.map(signed), truncated: true };
}

const signed = ({ op, text }: WordRun) => `${op}${text}`;

const charsOf = (runs: readonly WordRun[]) => runs.reduce((sum, run) => sum + run.text.length + RUN_CHARS, 0);

/** Every equal run cut to `endChars` beside each change; the text's own beginning and end are the first to go. */
function shortened(runs: readonly WordRun[], endChars: number): WordRun[] {
  return runs.map((run, at) => {
    if (run.op !== '=') return run;
    const keptAtStart = at === 0 ? 0 : endChars;
    const keptAtEnd = at === runs.length - 1 ? 0 : endChars;
    if (run.text.length <= keptAtStart + keptAtEnd + 1) return run;
    const start = wholeTo(run.text, keptAtStart);
    const end = wholeFrom(run.text, run.text.length - keptAtEnd);
    return { op: run.op, text: `${run.text.slice(0, start)}…${run.text.slice(end)}` };
  });
}

/** The runs that fit, the one that does not cut to what is left, and a sign that there was more. */
function cutOff(runs: readonly WordRun[], maxChars: number): WordRun[] {
  const kept: WordRun[] = [];
  let roomChars = maxChars - RUN_CHARS - 1;
  for (const run of runs) {
    roomChars -= RUN_CHARS;
    if (run.text.length > roomChars) {
      if (roomChars > MIN_END_CHARS) kept.push({ op: run.op, text: excerpt(run.text, roomChars).text });
      break;
    }
    roomChars -= run.text.length;
    kept.push(run);
  }
  return kept.length === runs.length ? kept : [...kept, { op: '=', text: '…' }];
}

// A cut may not leave half of a surrogate pair behind.
const isLow = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xdc00;
const wholeTo = (text: string, at: number) => (isLow(text, at) ? at - 1 : at);
const wholeFrom = (text: string, at: number) => (isLow(text, at) ? at + 1 : at);
