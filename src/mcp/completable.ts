import type { Completable } from '../domain/watch.js';

/** What the value of an argument may be: names out of the store, words of ours, or both. */
export interface Completion {
  readonly of?: Completable;
  /** They come behind the names. */
  readonly words?: readonly string[];
}

/** Moments that people ask for, beside the marks. */
export const MOMENT_WORDS = ['1 hour ago', 'today', 'yesterday', '3 days ago', '1 week ago'] as const;
