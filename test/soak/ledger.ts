/**
 * What one client knows of the items that only it writes: what each held after each of its latest changes, so that the present and the near past can
 * be told from a plain Map. Bounded, as a run of any length needs it.
 */
import type { Metadata } from '#src/domain/model.js';

export interface Content {
  readonly text: string;
  readonly metadata: Metadata;
  readonly vector?: readonly number[];
}

/** A change: the item's version from then on, or the event that deleted it. */
export interface Entry {
  readonly seq: number;
  /** undefined: deleted. */
  readonly content: Content | undefined;
}

const ENTRIES_KEPT = 60;

export class OwnItems {
  private readonly items = new Map<string, Entry[]>();

  note(id: string, entry: Entry): void {
    const entries = this.items.get(id) ?? [];
    this.items.set(id, [...entries, entry].slice(-ENTRIES_KEPT));
  }

  now(id: string): Entry | undefined {
    return this.items.get(id)?.at(-1);
  }

  /** What lives: id, content and version. */
  live(): [id: string, content: Content, version: number][] {
    return [...this.items].flatMap(([id, entries]) => {
      const { seq, content } = entries.at(-1)!;
      return content === undefined ? [] : [[id, content, seq] as [string, Content, number]];
    });
  }

  /** What an item held at an event. */
  at(id: string, seq: number): Entry | undefined {
    return this.items.get(id)?.findLast(entry => entry.seq <= seq);
  }

  /** Whether all that was known at an event still is. */
  reachesBackTo(seq: number): boolean {
    return [...this.items.values()].every(entries => entries.length < ENTRIES_KEPT || entries[0]!.seq <= seq);
  }

  get ids(): string[] {
    return [...this.items.keys()];
  }
}

export interface Shown {
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
  readonly version: number;
}
