/** Shortest text worth showing, in UTF-16 code units; below it whole entries are dropped instead. */
const MIN_TEXT_CHARS = 120;

/**
 * Writes one entry of a result list with no text in it longer than `textChars`. `bare` leaves out what else can be long
 * (metadata); it is asked for only where a lone entry would not fit otherwise.
 */
export type Render<T> = (entry: T, textChars: number, bare: boolean) => object;

export interface Fitted {
  readonly shown: readonly object[];
  /** Entries dropped from the end because even shortened they did not fit. */
  readonly omitted: number;
}

/**
 * Fits `entries` into `budgetChars` of JSON (UTF-16 code units, one for a comma after each): first every text is
 * cut to the same length, the longest that fits; then entries are dropped from the end; a lone first entry loses its
 * metadata before it is dropped.
 */
export function fitEntries<T>(entries: readonly T[], budgetChars: number, render: Render<T>): Fitted {
  const renderAll = (textChars: number) => entries.map(entry => render(entry, textChars, false));
  const fits = (rendered: readonly object[]) => sizeOf(rendered) <= budgetChars;

  // No text longer than the whole budget can fit, so the first try need not serialise megabytes.
  const whole = renderAll(Math.max(budgetChars, MIN_TEXT_CHARS));
  if (fits(whole)) return { shown: whole, omitted: 0 };

  let best = renderAll(MIN_TEXT_CHARS);
  if (!fits(best)) return dropFromEnd(entries, best, budgetChars, render);
  let low = MIN_TEXT_CHARS;
  let high = budgetChars;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    const rendered = renderAll(middle);
    if (fits(rendered)) {
      best = rendered;
      low = middle;
    } else high = middle;
  }
  return { shown: best, omitted: 0 };
}

function dropFromEnd<T>(
  entries: readonly T[],
  rendered: object[],
  budgetChars: number,
  render: Render<T>,
): Fitted {
  const shown: object[] = [];
  let usedChars = 0;
  for (const entry of rendered) {
    usedChars += sizeOf([entry]);
    if (usedChars > budgetChars) break;
    shown.push(entry);
  }
  if (shown.length === 0) {
    const bare = render(entries[0]!, MIN_TEXT_CHARS, true);
    if (sizeOf([bare]) <= budgetChars) shown.push(bare);
  }
  return { shown, omitted: entries.length - shown.length };
}

const sizeOf = (rendered: readonly object[]) =>
  rendered.reduce((sum, entry) => sum + JSON.stringify(entry).length + 1, 0);

/**
 * At most `maxChars` of `text` around `passage` (the beginning, without one), cut between words where one is near and
 * never inside a surrogate pair; `…` stands where something was cut.
 */
export function excerpt(
  text: string,
  maxChars: number,
  passage: { readonly start: number; readonly end: number } = { start: 0, end: 0 },
): { readonly text: string; readonly truncated: boolean } {
  if (text.length <= maxChars) return { text, truncated: false };
  const room = Math.max(0, maxChars - 2); // for an ellipsis on each side
  const slack = room - (passage.end - passage.start);
  // A passage longer than the room is shown from its start; otherwise half of the slack goes before it.
  const wanted = slack <= 0 ? passage.start : passage.start - Math.floor(slack / 2);
  let start = Math.max(0, Math.min(wanted, text.length - room));
  let end = Math.min(text.length, start + room);
  if (start > 0) start = Math.min(nextWordStart(text, start), end);
  if (end < text.length) end = Math.max(previousWordEnd(text, end), start);
  const shown = text.slice(start, end);
  return { text: `${start > 0 ? '…' : ''}${shown}${end < text.length ? '…' : ''}`, truncated: true };
}

/** How far a cut moves to find a blank, in UTF-16 code units. */
const WORD_CHARS = 24;

function nextWordStart(text: string, at: number): number {
  const blank = text.slice(at - 1, at + WORD_CHARS).search(/\s/);
  const start = blank === -1 ? at : at + blank;
  return isLowSurrogate(text, start) ? start + 1 : start;
}

function previousWordEnd(text: string, at: number): number {
  const tail = text.slice(Math.max(0, at - WORD_CHARS), at + 1);
  const blank = tail.search(/\s\S*$/);
  const end = blank === -1 ? at : at + 1 - tail.length + blank;
  return isLowSurrogate(text, end) ? end - 1 : end;
}

const isLowSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xdc00;
