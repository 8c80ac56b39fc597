/**
 * A digest of a log's versions and of a catalog's, which must be equal: of each write and delete its number, collection, id, time and actor, of a
 * write its text's hash and its passages, of a restore what it restored; and of each mark. A sum, so that threads can share the work. Texts make a
 * sum of their own: where some were erased, a catalog from before it knows more than the log.
 */
import { xxh64 } from '../../wal/hash.js';
import { type LogRecord, RecordType } from '../../wal/record.js';
import type { Catalog } from '../projections/catalog.js';
import { textHash } from '../projections/version-table.js';
import type { CheckedEvent } from './event-codec.js';

const KIND = { put: 1, restored: 2, deleted: 3, mark: 4 } as const;
const FIXED_BYTES = 40;
const scratch = Buffer.alloc(64 * 1024);

interface Row {
  readonly kind: number;
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: number;
  readonly collection: number;
  /** Passages of a put; the event that a restore took its content from. */
  readonly number: number;
  readonly name: string;
}

/** Of versions, and of their texts. */
export interface Digest {
  readonly sum: bigint;
  readonly texts: bigint;
}

function digestOf({ kind, seq, timeMs, actor, collection, number, name }: Row): bigint {
  scratch.writeUInt32LE(kind, 0);
  scratch.writeUInt32LE(collection, 4);
  scratch.writeDoubleLE(seq, 8);
  scratch.writeDoubleLE(timeMs, 16);
  scratch.writeDoubleLE(actor, 24);
  scratch.writeDoubleLE(number, 32);
  const bytes = scratch.write(name, FIXED_BYTES);
  return xxh64(scratch.subarray(0, FIXED_BYTES + bytes));
}

/** @param text hash of the text of a put; 0 for none */
function textDigest(seq: number, text: number): bigint {
  if (text === 0) return 0n;
  scratch.writeDoubleLE(seq, 0);
  scratch.writeUInt32LE(text, 8);
  return xxh64(scratch.subarray(0, 12));
}

const add = (one: bigint, other: bigint): bigint => BigInt.asUintN(64, one + other);
const addBoth = (one: Digest, other: Digest): Digest => ({
  sum: add(one.sum, other.sum),
  texts: add(one.texts, other.texts),
});
const NOTHING: Digest = { sum: 0n, texts: 0n };

/** What the records of a stretch come to: a message between threads. */
export interface DigestPart extends Digest {
  /** Of transactions of several batches, by their first event: they count unless they are among `voided`. */
  readonly long: ReadonlyMap<number, Digest>;
  readonly voided: readonly number[];
  /** Contents of some were erased. */
  readonly hasErased: boolean;
}

/** Digests records up to an event. */
export class LogDigest {
  private digest = NOTHING;
  private readonly long = new Map<number, Digest>();
  private readonly voided: number[] = [];
  private hasErased = false;

  constructor(private readonly throughSeq: number) {}

  take(record: LogRecord, checked: unknown): void {
    if (record.seq > this.throughSeq) return;
    if (record.type === RecordType.abort) this.voided.push(record.txFirst);
    const event = checked as CheckedEvent | undefined;
    const row = event && rowOf(event, record);
    if (event === undefined || row === undefined) return;
    this.hasErased ||= 'erased' in event && event.erased !== undefined;
    const text = event.type === 'item_put' && event.text !== '' ? textHash(event.text) : 0;
    const digest = { sum: digestOf(row), texts: textDigest(record.seq, text) };
    if (record.long) this.long.set(record.txFirst, addBoth(this.long.get(record.txFirst) ?? NOTHING, digest));
    else this.digest = addBoth(this.digest, digest);
  }

  result(): DigestPart {
    return { ...this.digest, long: this.long, voided: this.voided, hasErased: this.hasErased };
  }
}

/** The digest that the parts of a log come to. */
export function sumOf(parts: readonly DigestPart[]): Digest {
  const voided = new Set(parts.flatMap(part => part.voided));
  let digest = NOTHING;
  for (const part of parts) {
    digest = addBoth(digest, part);
    for (const [txFirst, long] of part.long) if (!voided.has(txFirst)) digest = addBoth(digest, long);
  }
  return digest;
}

function rowOf(event: CheckedEvent, record: LogRecord): Row | undefined {
  const { seq, logicalMs: timeMs, actor } = record;
  const of = (kind: number, collection: number, name: string): Row => ({
    ...{ kind, seq, timeMs, actor, collection, name },
    number: 0,
  });
  switch (event.type) {
    case 'item_put':
      return { ...of(KIND.put, event.collection, event.id), number: event.passages.length };
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
export function digestCatalog(catalog: Catalog): Digest & { readonly problem?: string } {
  let sum = 0n;
  let texts = 0n;
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
        number: isRestored ? catalog.seqOf(catalog.sourceOf(ordinal)) : catalog.passagesOfContent(ordinal),
        name: catalog.idOf(ordinal),
      }),
    );
    if (!isRestored) texts = add(texts, textDigest(catalog.seqOf(ordinal), catalog.textHashOf(ordinal)));
    const previous = catalog.previousOf(ordinal);
    if (previous >= 0 && catalog.diedOf(previous) === catalog.seqOf(ordinal)) replaced += 1;
    if (catalog.isLive(ordinal)) live.set(collection, (live.get(collection) ?? 0) + 1);
    else dead += 1;
  }
  let ended = 0;
  for (let n = 0; n < catalog.deleteCount; n++) {
    const { seq, timeMs, ordinal, actor } = catalog.deleteAt(n);
    const [collection, name] = [catalog.collectionOf(ordinal), catalog.idOf(ordinal)];
    sum = add(sum, digestOf({ ...{ kind: KIND.deleted, seq, timeMs, actor, collection, name }, number: 0 }));
    if (catalog.diedOf(ordinal) === seq) ended += 1;
  }
  for (const { name, seq, timeMs } of catalog.registry.marks)
    sum = add(
      sum,
      digestOf({
        ...{ kind: KIND.mark, seq, timeMs, actor: 0, collection: 0, number: 0 },
        name,
      }),
    );
  const problem = contradiction(catalog, { replaced, dead, ended, live });
  return problem === undefined ? { sum, texts } : { sum, texts, problem };
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
