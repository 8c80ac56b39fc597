/** What changed between two texts, word by word, and between two items' metadata. */
import { isDeepStrictEqual } from 'node:util';
import { diffArrays } from 'diff/lib/diff/array.js';
import type { Metadata } from '../domain/model.js';
import type { WordRun } from '../domain/travel.js';

/**
 * A word, a line break, a run of spaces, or any other character. What is written without spaces between the words is compared
 * character by character. Every character is part of exactly one token, so that tokens joined are the text.
 */
const TOKEN =
  /(?:\w|(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}])[\p{L}\p{M}\p{N}])+|\r?\n|[^\S\r\n]+|./gsu;

/**
 * Insertions and deletions of tokens that are looked for. The work grows with their square, and texts further apart than this
 * are no longer read as one text that was edited.
 */
const MAX_EDITS = 500;

/**
 * The runs of words that two texts share and do not share: the shortest edit by Myers' algorithm ("An O(ND) Difference
 * Algorithm and Its Variations", 1986, as the library `diff` has it). Joined, the runs of = and - are `older`, those of = and +
 * are `newer`; no two neighbours have the same op, and - comes before +. Between what both texts begin and end with, texts that
 * are more than MAX_EDITS tokens apart are - and + as a whole.
 */
export function diffWords(older: string, newer: string): WordRun[] {
  const from = older.match(TOKEN) ?? [];
  const to = newer.match(TOKEN) ?? [];
  const shorter = Math.min(from.length, to.length);
  let head = 0;
  while (head < shorter && from[head] === to[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && from.at(-1 - tail) === to.at(-1 - tail)) tail += 1;
  const runs = new Runs();
  runs.both(from.slice(0, head));
  const [removed, added] = [from.slice(head, from.length - tail), to.slice(head, to.length - tail)];
  const isFar = fewestEdits(removed, added) > MAX_EDITS;
  const edits = isFar ? undefined : diffArrays(removed, added, { maxEditLength: MAX_EDITS });
  if (edits === undefined) runs.change(removed, added);
  else
    for (const edit of edits) {
      if (edit.removed) runs.change(edit.value, []);
      else if (edit.added) runs.change([], edit.value);
      else runs.both(edit.value);
    }
  runs.both(from.slice(from.length - tail));
  return runs.finish();
}

/** A bound that no edit of one list of tokens into the other stays below: what only one of them has, wherever it stands. */
function fewestEdits(removed: readonly string[], added: readonly string[]): number {
  const surplus = new Map<string, number>();
  for (const token of removed) surplus.set(token, (surplus.get(token) ?? 0) + 1);
  for (const token of added) surplus.set(token, (surplus.get(token) ?? 0) - 1);
  let edits = 0;
  for (const count of surplus.values()) edits += Math.abs(count);
  return edits;
}

/** Puts runs together: a space or line break that stays between two changes is not worth a run of its own. */
class Runs {
  private readonly runs: WordRun[] = [];
  private same = '';
  private removed = '';
  private added = '';

  both(tokens: readonly string[]): void {
    this.same += tokens.join('');
  }

  change(removed: readonly string[], added: readonly string[]): void {
    const hasChanged = this.removed !== '' || this.added !== '';
    if (hasChanged && this.same.trim() === '') {
      this.removed += this.same;
      this.added += this.same;
      this.same = '';
    } else if (this.same !== '') this.flush();
    this.removed += removed.join('');
    this.added += added.join('');
  }

  /** The change that was collected, and what follows it in both texts. */
  private flush(): void {
    if (this.removed !== '') this.runs.push({ op: '-', text: this.removed });
    if (this.added !== '') this.runs.push({ op: '+', text: this.added });
    if (this.same !== '') this.runs.push({ op: '=', text: this.same });
    this.removed = '';
    this.added = '';
    this.same = '';
  }

  finish(): WordRun[] {
    this.flush();
    return this.runs;
  }
}

/** Top-level keys of metadata that only one side has, or whose values differ; sorted. */
export function differingKeys(older: Metadata, newer: Metadata): string[] {
  const keys = new Set([...Object.keys(older), ...Object.keys(newer)]);
  return [...keys]
    .filter(
      key =>
        Object.hasOwn(older, key) !== Object.hasOwn(newer, key) || !isDeepStrictEqual(older[key], newer[key]),
    )
    .sort();
}
