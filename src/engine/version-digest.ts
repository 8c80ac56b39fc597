/**
 * A digest of a log's versions and of a catalog's, which must be equal: of each write and delete its number, collection, id, time and actor, of a
 * write its text's hash and its passages, of a restore what it restored; and of each mark. A sum, so that threads can share the work.
 */
import { xxh64 } from '../../wal/hash.js';
import { type LogRecord, RecordType } from '../../wal/record.js';
import type { Catalog } from '../projections/catalog.js';
import { textHash } from '../projections/version-table.js';
import type { CheckedEvent } from './event-codec.js';

const KIND = { put: 1, restored: 2, deleted: 3, mark: 4 } as const;
const FIXED_BYTES = 48;
const scratch = Buffer.alloc(64 * 1024);

interface Row {
  readonly kind: number;
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: number;
  readonly collection: number;
  /** Hash of the text of a put; 0 for none. */
  readonly text: number;
  /** Passages of a put; the event that a restore took its content from. */
  readonly number: number;
  readonly name: string;
}

function digestOf({ kind, seq, timeMs, actor, collection, text, number, name }: Row): bigint {
  scratch.writeUInt32LE(kind, 0);
  scratch.writeUInt32LE(collection, 4);
  scratch.writeDoubleLE(seq, 8);
  scratch.writeDoubleLE(timeMs, 16);
  scratch.writeDoubleLE(actor, 24);
  scratch.writeDoubleLE(number, 32);
  scratch.writeUInt32LE(text, 40);
  const bytes = scratch.write(name, FIXED_BYTES);
  return xxh64(scratch.subarray(0, FIXED_BYTES + bytes));
}

const add = (one: bigint, other: bigint): bigint => BigInt.asUintN(64, one + other);

/** What the records of a stretch come to: a message between threads. */
export interface DigestPart {
  readonly sum: bigint;
  /** Of transactions of several batches, by their first event: they count unless they are among `voided`. */
  readonly long: ReadonlyMap<number, bigint>;
  readonly voided: readonly number[];
}

/** Digests records up to an event. */
export class LogDigest {
  private sum = 0n;
  private readonly long = new Map<number, bigint>();
  private readonly voided: number[] = [];

  constructor(private readonly throughSeq: number) {}

  take(record: LogRecord, checked: unknown): void {
    if (record.seq > this.throughSeq) return;
    if (record.type === RecordType.abort) this.voided.push(record.txFirst);
    const row = checked === undefined ? undefined : rowOf(checked as CheckedEvent, record);
    if (row === undefined) return;
    const digest = digestOf(row);
    if (record.long) this.long.set(record.txFirst, add(this.long.get(record.txFirst) ?? 0n, digest));
    else this.sum = add(this.sum, digest);
  }

  result(): DigestPart {
    return { sum: this.sum, long: this.long, voided: this.voided };
  }
}

/** The digest that the parts of a log come to. */
export function sumOf(parts: readonly DigestPart[]): bigint {
  const voided = new Set(parts.flatMap(part => part.voided));
  let sum = 0n;
  for (const part of parts) {
    sum = add(sum, part.sum);
    for (const [txFirst, digest] of part.long) if (!voided.has(txFirst)) sum = add(sum, digest);
  }
  return sum;
}

function rowOf(event: CheckedEvent, record: LogRecord): Row | undefined {
  const { seq, logicalMs: timeMs, actor } = record;
  const of = (kind: number, collection: number, name: string): Row => ({
    ...{ kind, seq, timeMs, actor, collection, name },
    ...{ text: 0, number: 0 },
  });
  switch (event.type) {
    case 'item_put':
      return {
        ...of(KIND.put, event.collection, event.id),
        text: event.text === '' ? 0 : textHash(event.text),
        number: event.passages.length,
      };
    case 'item_restored':
      return { ...of(KIND.restored, event.collection, event.id), number: event.from };
    case 'item_deleted':
      return of(KIND.deleted, event.collection, event.id);
    case 'mark_set':
      return { ...of(KIND.mark, 0, event.name), actor: 0 };
    default:
      return undefined;
  }
}

/** The digest of a catalog, and what contradicts itself in it. */
export function digestCatalog(catalog: Catalog): { readonly sum: bigint; readonly problem?: string } {
  let sum = 0n;
  let replaced = 0;
  let dead = 0;
  const live = new Map<number, number>();
  for (let ordinal = 0; ordinal < catalog.size; ordinal++) {
    const collection = catalog.collectionOf(ordinal);
    const isRestored = catalog.isRestored(ordinal);
    sum = add(
      sum,
      digestOf({
        kind: isRestored ? KIND.restored : KIND.put,
        seq: catalog.seqOf(ordinal),
        timeMs: catalog.timeOf(ordinal),
        actor: catalog.actorOf(ordinal),
        collection,
        text: isRestored ? 0 : catalog.textHashOf(ordinal),
        number: isRestored ? catalog.seqOf(catalog.sourceOf(ordinal)) : catalog.passagesOfContent(ordinal),
        name: catalog.idOf(ordinal),
      }),
    );
    const previous = catalog.previousOf(ordinal);
    if (previous >= 0 && catalog.diedOf(previous) === catalog.seqOf(ordinal)) replaced += 1;
    if (catalog.isLive(ordinal)) live.set(collection, (live.get(collection) ?? 0) + 1);
    else dead += 1;
  }
  let ended = 0;
  for (let n = 0; n < catalog.deleteCount; n++) {
    const { seq, timeMs, ordinal, actor } = catalog.deleteAt(n);
    const [collection, name] = [catalog.collectionOf(ordinal), catalog.idOf(ordinal)];
    sum = add(
      sum,
      digestOf({ ...{ kind: KIND.deleted, seq, timeMs, actor, collection, name }, text: 0, number: 0 }),
    );
    if (catalog.diedOf(ordinal) === seq) ended += 1;
  }
  for (const { name, seq, timeMs } of catalog.registry.marks)
    sum = add(
      sum,
      digestOf({
        ...{ kind: KIND.mark, seq, timeMs, actor: 0, collection: 0, text: 0, number: 0 },
        name,
      }),
    );
  const problem = contradiction(catalog, { replaced, dead, ended, live });
  return problem === undefined ? { sum } : { sum, problem };
}

function contradiction(
  catalog: Catalog,
  {
    replaced,
    dead,
    ended,
    live,
  }: { replaced: number; dead: number; ended: number; live: ReadonlyMap<number, number> },
): string | undefined {
  if (ended !== catalog.deleteCount || dead !== replaced + ended)
    return `${dead} versions are dead, of which ${replaced} were replaced and ${ended} deleted`;
  for (const { id, name, items } of catalog.collections)
    if (items !== (live.get(id) ?? 0))
      return `the collection ${JSON.stringify(name)} counts ${items} items, and has ${live.get(id) ?? 0}`;
  return undefined;
}
