import type { PassageRange } from '../domain/model.js';

/** How well a text can be broken at a point; higher is better. */
const BREAK = { none: 0, word: 1, sentence: 2, line: 3, paragraph: 4 } as const;

/**
 * Cuts a text, where no tokenizer says what fits, into ranges that cover it in order: each at most `maxChars` UTF-16
 * code units long, white space around it not counted, and none blank (but for a blank text, which is one range). Breaks
 * at the last paragraph, else line, else sentence in the later half of what fits, else at the last word's end, else
 * between any two characters. Takes time linear in the text's length.
 * @param maxChars at least 2
 */
export function cutText(text: string, maxChars: number): PassageRange[] {
  const ranges: PassageRange[] = [];
  const textEnd = text.trimEnd().length;
  let start = 0;
  let first = skipSpace(text, 0);
  while (textEnd - first > maxChars) {
    const end = skipSpace(text, breakPoint(text, first, first + maxChars));
    ranges.push([start, end]);
    start = end;
    first = end;
  }
  ranges.push([start, text.length]);
  return ranges;
}

/** The best offset in (from, limit] to break at; white space in front of `limit` may end up on either side. */
function breakPoint(text: string, from: number, limit: number): number {
  const half = from + ((limit - from) >> 1);
  let best: number = BREAK.none;
  let at = isLowSurrogate(text, limit) && limit - from > 1 ? limit - 1 : limit;
  for (let i = limit; i > from; i--) {
    // In the earlier half any break is better than none, but a good one is no better than a word's end.
    if (i <= half && best !== BREAK.none) break;
    const rank = breakAt(text, from, i);
    if (rank > best) {
      best = rank;
      at = i;
    }
    if (best === BREAK.paragraph) break;
  }
  return at;
}

/** What breaks off behind text[i - 1]. */
function breakAt(text: string, from: number, i: number): number {
  if (isSpace(text, i - 1)) return BREAK.none;
  if (!isSpace(text, i)) return isFullStopWithoutSpace(text[i - 1]!) ? BREAK.sentence : BREAK.none;
  // A gap longer than this is a paragraph's end however it looks.
  const gap = text.slice(i, i + 64);
  const space = gap.length - gap.trimStart().length;
  const newlines = gap.slice(0, space).split('\n').length - 1;
  if (newlines > 1 || space === 64) return BREAK.paragraph;
  if (newlines === 1) return BREAK.line;
  return /[.!?…]["'”’»)\]*_`]{0,4}$/.test(text.slice(Math.max(from, i - 5), i)) ? BREAK.sentence : BREAK.word;
}

function skipSpace(text: string, from: number): number {
  let i = from;
  while (i < text.length && isSpace(text, i)) i++;
  return i;
}

function isSpace(text: string, i: number): boolean {
  return i < text.length && text[i]!.trim() === '';
}

/** Chinese and Japanese write on without a space. */
function isFullStopWithoutSpace(character: string): boolean {
  return '。！？'.includes(character);
}

function isLowSurrogate(text: string, i: number): boolean {
  const code = text.charCodeAt(i);
  return code >= 0xdc00 && code <= 0xdfff;
}
