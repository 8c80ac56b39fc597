/** The states that a store went through, as a plain Map has them when the acknowledged writes are applied in the order of their events. */
import assert from 'node:assert/strict';
import type { JsonValue, Metadata } from '#src/domain/model.js';

export interface Item {
  readonly text: string;
  readonly metadata: Metadata;
  readonly version: number;
}
export type Items = ReadonlyMap<string, Item>;

export interface State {
  /** Its last event; 0: the empty store. */
  readonly seq: number;
  /** By collection; one that was emptied is there. */
  readonly collections: ReadonlyMap<string, Items>;
  readonly marks: ReadonlySet<string>;
}

const EMPTY: State = { seq: 0, collections: new Map(), marks: new Set() };
const NONE: Items = new Map();

export class States {
  private readonly all: State[] = [EMPTY];

  get last(): State {
    return this.all[this.all.length - 1]!;
  }

  add(state: State): void {
    assert.ok(state.seq > this.last.seq);
    this.all.push(state);
  }

  /** Forgets those behind an event. */
  cutTo(seq: number): void {
    while (this.last.seq > seq) this.all.pop();
  }

  /** The state that takes in events up to `seq`. */
  at(seq: number): State {
    return this.all.findLast(state => state.seq <= seq)!;
  }

  /** The end of the transaction that `seq` belongs to. */
  endOf(seq: number): State {
    return this.all.find(state => state.seq >= seq)!;
  }

  /** Those of which one was the store's at some instant between. */
  between(fromSeq: number, toSeq: number): State[] {
    const first = this.at(fromSeq).seq;
    return this.all.filter(({ seq }) => seq >= first && seq <= toSeq);
  }
}

export const itemsOf = (state: State, collection: string): Items => state.collections.get(collection) ?? NONE;

/** The state with these changes to a collection, undefined for what is deleted. */
export function changed(
  state: State,
  seq: number,
  collection: string,
  changes: ReadonlyMap<string, Item | undefined>,
): State {
  const items = new Map(itemsOf(state, collection));
  for (const [id, item] of changes)
    if (item === undefined) items.delete(id);
    else items.set(id, item);
  return { ...state, seq, collections: new Map([...state.collections, [collection, items]]) };
}

export function merged(before: Metadata | undefined, change: Metadata | undefined): Metadata {
  const entries = Object.entries({ ...before, ...change }) as [string, JsonValue][];
  return Object.fromEntries(entries.filter(([, value]) => value !== null));
}

/** Content alone: a revert brings it back under new versions. */
export const contentOf = (state: State): unknown =>
  [...state.collections]
    .map(([name, items]) => [
      name,
      [...items].map(([id, { text, metadata }]) => [id, text, metadata]).sort(byFirst),
    ])
    .filter(([, items]) => items!.length > 0)
    .sort(byFirst);

const byFirst = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
