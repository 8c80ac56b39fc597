/**
 * What a client knows of a store: what was acknowledged, and what was on its way when the server died. Against it, what a
 * restarted server shows is either right or one of the three sins: lost, altered, half-done.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Metadata } from '#src/domain/model.js';

/** An item's content; undefined where it does not exist. */
export type Content = { readonly text: string; readonly metadata: Metadata } | undefined;

/** What one call changes, all of it or nothing. */
export interface Operation {
  readonly collection: string;
  readonly changes: ReadonlyMap<string, Content>;
}

/** Content at a version; of what does not exist, the version at which it was deleted, 0 if it never was. */
export interface Known {
  readonly content: Content;
  readonly version: number;
}

export interface Verdict {
  /** Acknowledged, and not there or older than acknowledged. */
  readonly lost: string[];
  /** There, but as nobody wrote it, or with another version than the acknowledged one. */
  readonly altered: string[];
  /** A call that was on its way and is there in parts. */
  readonly halfDone: string[];
  /** Calls that were on their way and turned out to be there. */
  readonly applied: number;
}

const NEVER: Known = { content: undefined, version: 0 };

/** What a ledger knew at some moment. */
export type LedgerSnapshot = ReadonlyMap<string, ReadonlyMap<string, Known>>;

export class Ledger {
  private items = new Map<string, Map<string, Known>>();
  private readonly underWay = new Set<Operation>();
  private readonly unread = new Set<string>();
  acknowledged = 0;

  /** Knows the same, what is on its way included, and learns for itself from here on. */
  fork(): Ledger {
    const fork = new Ledger();
    fork.items = copyOf(this.items);
    for (const operation of this.underWay) fork.underWay.add(operation);
    for (const collection of this.unread) fork.unread.add(collection);
    fork.acknowledged = this.acknowledged;
    return fork;
  }

  known(collection: string, id: string): Known {
    return this.items.get(collection)?.get(id) ?? NEVER;
  }

  get collections(): string[] {
    return [...new Set([...this.items.keys(), ...this.unread])];
  }

  /** Nothing may be on its way. */
  snapshot(): LedgerSnapshot {
    if (this.underWay.size > 0) throw new Error(`${this.underWay.size} calls are on their way`);
    return copyOf(this.items);
  }

  /** The store was cut back to the moment of a snapshot. What was written since is gone, acknowledged or not, and is read again. */
  goBackTo(snapshot: LedgerSnapshot): void {
    for (const collection of this.items.keys()) this.unread.add(collection);
    this.items = copyOf(snapshot);
    for (const { collection } of this.underWay) this.unread.add(collection);
    this.underWay.clear();
  }

  /** Collections that were written to since they were last settled. */
  get unsettled(): string[] {
    return [...this.unread];
  }

  /** Every id of a collection that was ever written or is on its way. */
  ids(collection: string): string[] {
    const inFlight = [...this.underWay].filter(operation => operation.collection === collection);
    return [
      ...new Set([
        ...(this.items.get(collection)?.keys() ?? []),
        ...inFlight.flatMap(operation => [...operation.changes.keys()]),
      ]),
    ];
  }

  /** The longest text that an id may have, in UTF-16 code units. */
  longestText(collection: string, id: string): number {
    const candidates = [
      this.known(collection, id).content,
      ...this.candidates(collection, id).map(c => c[1]),
    ];
    return Math.max(...candidates.map(content => content?.text.length ?? 0));
  }

  begin(operation: Operation): void {
    this.underWay.add(operation);
    this.unread.add(operation.collection);
  }

  /** @param versionOf the version that the answer gives an item, or the seq of a deletion */
  acknowledge(operation: Operation, versionOf: (id: string) => number): void {
    this.underWay.delete(operation);
    this.acknowledged++;
    for (const [id, content] of operation.changes)
      this.set(operation.collection, id, { content, version: versionOf(id) });
  }

  /** The server said that it wrote nothing. */
  refuse(operation: Operation): void {
    this.underWay.delete(operation);
  }

  get inFlight(): number {
    return this.underWay.size;
  }

  /** Several writers of one id: the acknowledgement with the highest version counts, whichever was heard first. */
  private set(collection: string, id: string, known: Known): void {
    let items = this.items.get(collection);
    if (items === undefined) {
      items = new Map();
      this.items.set(collection, items);
    }
    if (known.version >= (items.get(id)?.version ?? 0)) items.set(id, known);
  }

  private candidates(collection: string, id: string): [Operation, Content][] {
    return [...this.underWay].flatMap(operation =>
      operation.collection === collection && operation.changes.has(id)
        ? [[operation, operation.changes.get(id)] as [Operation, Content]]
        : [],
    );
  }

  /**
   * Compares what a restarted server shows of a collection with what is known, and takes what it shows for known from then on:
   * nothing is on its way in the collection any more.
   * @param found every one of `ids(collection)` that the server has
   */
  settle(collection: string, found: ReadonlyMap<string, { content: Content; version: number }>): Verdict {
    const verdict = { lost: [] as string[], altered: [] as string[], halfDone: [] as string[], applied: 0 };
    const applied = new Map<Operation, boolean[]>();
    for (const id of this.ids(collection)) {
      const known = this.known(collection, id);
      const shown = found.get(id) ?? NEVER;
      const candidates = this.candidates(collection, id);
      const isOld =
        isDeepStrictEqual(shown.content, known.content) &&
        (shown.content === undefined || shown.version === known.version);
      const match = candidates.find(
        ([, content]) =>
          isDeepStrictEqual(shown.content, content) &&
          (content === undefined || shown.version > known.version),
      );
      // A deletion of what was not there leaves no trace either way.
      for (const [operation, content] of candidates)
        if (content !== undefined || known.content !== undefined)
          applied.set(operation, [...(applied.get(operation) ?? []), match?.[0] === operation]);
      if (!isOld && match === undefined) {
        const what = `${collection}/${id}: known ${show(known)}, shown ${show(shown)}`;
        const isLost = shown.content === undefined || shown.version < known.version;
        (isLost ? verdict.lost : verdict.altered).push(what);
      }
      // The seq of an unacknowledged deletion is unknown; whatever is written later is beyond what was known.
      this.set(
        collection,
        id,
        match === undefined
          ? known
          : { content: shown.content, version: Math.max(shown.version, known.version) },
      );
    }
    for (const [operation, parts] of applied) {
      if (parts.every(Boolean)) verdict.applied++;
      else if (parts.some(Boolean))
        verdict.halfDone.push(
          `${collection}: ${parts.filter(Boolean).length} of ${parts.length} of [${[...operation.changes.keys()].slice(0, 10).join(', ')}]`,
        );
    }
    for (const operation of this.underWay)
      if (operation.collection === collection) this.underWay.delete(operation);
    this.unread.delete(collection);
    return verdict;
  }
}

const copyOf = (items: LedgerSnapshot): Map<string, Map<string, Known>> =>
  new Map([...items].map(([collection, known]) => [collection, new Map(known)]));

function show({ content, version }: Known): string {
  return content === undefined
    ? 'nothing'
    : `version ${version} ${JSON.stringify(content.text.slice(0, 60))} ${JSON.stringify(content.metadata)}`;
}
