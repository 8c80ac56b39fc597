import type { PassageRange } from '../../domain/model.js';

/** Tokens a passage should have at most: the model's window with some to spare. */
export const PASSAGE_TOKENS = 120;
/** Tokens below which a passage is too little to stand for itself, so that small paragraphs are kept together. */
const ENOUGH_TOKENS = 40;
/** UTF-16 code units of a passage at most: what is not language (blank space, scripts unknown to the model) has few tokens. */
const PASSAGE_CHARS = 2000;
/** Longer runs without white space are data, not words: each piece of such a run is a passage of its own. */
const RUN_CHARS = 512;
/** Code units of a piece of a run; the model sees the first window of it. */
const RUN_PIECE_CHARS = 1500;
/** Longer words are cut, so that they can be spread over two passages. */
const WORD_CHARS = 48;

/** How well a text can be broken behind a unit; higher is better. */
const BREAK = { inWord: 0, word: 1, sentence: 2, paragraph: 3 } as const;

/** A word or part of one with the white space behind it. */
interface Unit {
  readonly end: number;
  readonly tokens: number;
  readonly break: number;
}

/**
 * Cuts a text into ranges that cover it in order and fit the model's window, broken at paragraphs, else sentences, else
 * words; at least one range. Time is linear in the text's length.
 * @param countTokens tokens of a word, white space excluded
 */
export function cutPassages(text: string, countTokens: (word: string) => number): PassageRange[] {
  const units = [...unitsOf(text, countTokens)];
  const ranges: PassageRange[] = [];
  let start = 0;
  let remaining = units.reduce((sum, unit) => sum + unit.tokens, 0);
  for (let first = 0; first < units.length; ) {
    const last = lastUnitOfPassage(units, first, start, remaining);
    for (let i = first; i <= last; i++) remaining -= units[i]!.tokens;
    const end = units[last]!.end;
    ranges.push([start, end]);
    start = end;
    first = last + 1;
  }
  return ranges.length > 0 ? ranges : [[0, text.length]];
}

/** Index of the last unit of the passage that begins with units[first] at offset `start`. */
function lastUnitOfPassage(units: readonly Unit[], first: number, start: number, remaining: number): number {
  // Where the rest does not fit, it keeps enough for a last passage that can stand for itself.
  const fits = remaining <= PASSAGE_TOKENS;
  const budget = fits ? remaining : Math.min(PASSAGE_TOKENS, remaining - ENOUGH_TOKENS);
  let tokens = 0;
  let best = first;
  let bestTokens = 0;
  for (let i = first; i < units.length; i++) {
    const unit = units[i]!;
    if (i > first && (tokens + unit.tokens > budget || unit.end - start > PASSAGE_CHARS)) return best;
    tokens += unit.tokens;
    if (bestTokens < ENOUGH_TOKENS || unit.break >= units[best]!.break) {
      best = i;
      bestTokens = tokens;
    }
    // A paragraph that can stand for itself is a passage, rather than half of one.
    if (!fits && unit.break === BREAK.paragraph && tokens >= ENOUGH_TOKENS) return i;
  }
  return units.length - 1;
}

function* unitsOf(text: string, countTokens: (word: string) => number): Generator<Unit> {
  let run = nextRun(text, 0);
  while (run !== undefined) {
    const [start, end] = run;
    const next = nextRun(text, end);
    const size = end - start > RUN_CHARS ? RUN_PIECE_CHARS : WORD_CHARS;
    for (let from = start; from < end; ) {
      const to = splitPoint(text, from, Math.min(from + size, end));
      const last = to === end;
      yield {
        end: last ? (next?.[0] ?? text.length) : to,
        tokens: size === WORD_CHARS ? countTokens(text.slice(from, to)) : PASSAGE_TOKENS,
        break: last ? breakBehind(text, end, next?.[0] ?? text.length) : BREAK.inWord,
      };
      from = to;
    }
    run = next;
  }
}

/** The next run of characters other than white space at or behind `from`. */
function nextRun(text: string, from: number): PassageRange | undefined {
  RUN.lastIndex = from;
  const match = RUN.exec(text);
  return match === null ? undefined : [match.index, match.index + match[0].length];
}
const RUN = /\S+/g;

/** `at`, or one less where it would part a surrogate pair. */
function splitPoint(text: string, from: number, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff && at - from > 1 ? at - 1 : at;
}

/** The kind of break that the white space in [from, to) is, behind a word that ends at `from`. */
function breakBehind(text: string, from: number, to: number): number {
  const gap = text.slice(from, to);
  const line = gap.indexOf('\n');
  if (line !== -1) return gap.indexOf('\n', line + 1) === -1 ? BREAK.sentence : BREAK.paragraph;
  // A sentence's end and what may close behind it; more than eight such characters are no sentence's end.
  return /[.!?…。！？]["'”’»)\]*_`]*$/.test(text.slice(Math.max(0, from - 8), from))
    ? BREAK.sentence
    : BREAK.word;
}
