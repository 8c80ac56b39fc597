/** What is known of a store at a moment of a recording, from the marks in its journal. */
import type { Operation } from '../faults/journal.js';

/** An item's content; null where it was deleted. */
export type Content = { readonly text: string; readonly metadata: Readonly<Record<string, unknown>> } | null;

/** A record by its number and hash, 16 hex digits. */
export interface Named {
  readonly seq: number;
  readonly hash: string;
}

/** An acknowledged write: its last record, and the items that it changed, by collection and id. */
export interface Write extends Named {
  readonly changes?: Readonly<Record<string, Readonly<Record<string, Content>>>>;
}

/** What a recording process has to say, in the order of its journal. */
export type Mark =
  | { readonly kind: 'acked'; readonly write: Write }
  /** Records behind `after` are about to be cut off: from here on they may be gone. */
  | { readonly kind: 'cut'; readonly after: number }
  | { readonly kind: 'backed up'; readonly id: string; readonly last: Named }
  /** A store was made of a backup, with all records up to this one. */
  | { readonly kind: 'restored'; readonly last: Named };

/** Where the parts of a recording are on its disk. */
export const STORE = 'store';
export const BACKUPS = 'backups';
export const RESTORED = 'restored';

export interface Knowledge {
  /** What must be there. */
  readonly acked: readonly Write[];
  readonly backups: readonly { readonly id: string; readonly last: Named }[];
  readonly restored: Named | undefined;
}

/** @param operations a journal up to the moment */
export function knowledgeOf(operations: Iterable<Operation>): Knowledge {
  let acked: Write[] = [];
  const backups: { id: string; last: Named }[] = [];
  let restored: Named | undefined;
  for (const mark of marksOf(operations)) {
    if (mark.kind === 'acked') acked.push(mark.write);
    else if (mark.kind === 'cut') acked = acked.filter(({ seq }) => seq <= mark.after);
    else if (mark.kind === 'backed up') backups.push({ id: mark.id, last: mark.last });
    else restored = mark.last;
  }
  return { acked, backups, restored };
}

/** All writes of a recording, those that were cut off later included. */
export function writesOf(operations: Iterable<Operation>): Write[] {
  return [...marksOf(operations)].flatMap(mark => (mark.kind === 'acked' ? [mark.write] : []));
}

function* marksOf(operations: Iterable<Operation>): Generator<Mark> {
  for (const operation of operations) if (operation.kind === 'mark') yield JSON.parse(operation.text) as Mark;
}
