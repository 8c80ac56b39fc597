import { fitEntries, type Render } from './fit.js';

/** A page of an engine's answer: entries, and for each a cursor that continues after it. */
export interface Page<T> {
  readonly entries: readonly T[];
  readonly cursors: readonly string[];
  /** Whether there are more after the last entry. */
  readonly more: boolean;
}

export interface FittedPage {
  readonly shown: readonly object[];
  /** What the answer says besides: how to go on, and what was passed over. */
  readonly paging: { readonly next_cursor?: string; readonly omitted?: number };
}

/** Room for `next_cursor`'s and `omitted`'s names and punctuation, in characters of JSON. */
const PAGING_CHARS = 60;

/**
 * Fits a page into `maxChars` of JSON beside its envelope (the answer with an empty list): what does not fit comes with
 * the next page. An entry that does not fit even alone is passed over, and counted, so that the next page gets beyond it.
 */
export function fitPage<T>(page: Page<T>, envelope: object, maxChars: number, render: Render<T>): FittedPage {
  const { entries, cursors, more } = page;
  const longestCursor = cursors.reduce((longest, cursor) => Math.max(longest, cursor.length), 0);
  const budgetChars = maxChars - JSON.stringify(envelope).length - longestCursor - PAGING_CHARS;
  const { shown } = fitEntries(entries, budgetChars, render);
  const passed = entries.length > 0 && shown.length === 0 ? 1 : 0;
  const next = shown.length + passed;
  return {
    shown,
    paging: {
      ...(next < entries.length || (more && next > 0) ? { next_cursor: cursors[next - 1]! } : {}),
      ...(passed === 0 ? {} : { omitted: passed }),
    },
  };
}
