/**
 * A digest of a log's versions and of a catalog's, which must be equal: of each write and delete its number, collection, id, time and actor, of a
 * write its text's hash and its passages, of a restore what it restored; and of each mark. A sum, so that threads can share the work.
 */
import { type LogRecord, RecordType } from '../../wal/record.js';
import type { Catalog } from '../projections/catalog.js';
import { textHash } from '../projections/version-table.js';
import type { CheckedEvent } from './event-codec.js';

const KIND = { put: 1, restored: 2, deleted: 3, mark: 4 } as const;

/**
 * A sum of rows, 64 bits in two numbers: in whole numbers of 32 bits, since a library's hash with its call and its BigInt took longer than to check
 * the record. Mixed as MurmurHash3 does it.
 */
export class DigestSum {
  private low = 0;
  private high = 0;

  /**
   * Without an object for a row: to make one took most of the time.
   * @param text hash of the text of a put; 0 for none
   * @param number passages of a put; the event that a restore took its content from
   */
  add(
    kind: number,
    collection: number,
    name: string,
    seq: number,
    timeMs: number,
    actor: number,
    text = 0,
    number = 0,
  ): void {
    let hash = kind;
    hash = mix(mix(hash, collection), text);
    hash = mixLong(mixLong(mixLong(mixLong(hash, seq), timeMs), actor), number);
    let other = 0x9747b28c;
    for (let i = 0; i < name.length; i++) other = mix(other, name.charCodeAt(i));
    this.low = (this.low + finish(mix(hash, other))) >>> 0;
    this.high = (this.high + finish(mix(other, hash))) >>> 0;
  }

  addSum({ low, high }: DigestSumParts): void {
    this.low = (this.low + low) >>> 0;
    this.high = (this.high + high) >>> 0;
  }

  get parts(): DigestSumParts {
    return { low: this.low, high: this.high };
  }
}

/** Both of 32 bits. A message between threads. */
export interface DigestSumParts {
  readonly low: number;
  readonly high: number;
}

function mix(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

const mixLong = (hash: number, value: number): number =>
  mix(mix(hash, value >>> 0), Math.floor(value / 2 ** 32));

function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What the records of a stretch come to: a message between threads. */
export interface DigestPart {
  readonly sum: DigestSumParts;
  /** Of transactions of several batches, by their first event: they count unless they are among `voided`. */
  readonly long: ReadonlyMap<number, DigestSumParts>;
  readonly voided: readonly number[];
  /** Puts without their content: whoever has a catalog from before they were erased knows more of them. */
  readonly erased: number;
}

/** Digests records up to an event. */
export class LogDigest {
  private readonly sum = new DigestSum();
  private readonly long = new Map<number, DigestSum>();
  private readonly voided: number[] = [];
  private erased = 0;

  constructor(private readonly throughSeq: number) {}

  take(record: LogRecord, checked: unknown): void {
    if (record.seq > this.throughSeq) return;
    if (record.type === RecordType.abort) this.voided.push(record.txFirst);
    const event = checked as CheckedEvent | undefined;
    if (event === undefined) return;
    if (event.type === 'item_put' && event.erased !== undefined) this.erased += 1;
    addEvent(this.sumFor(record), event, record);
  }

  private sumFor({ long, txFirst }: LogRecord): DigestSum {
    if (!long) return this.sum;
    const known = this.long.get(txFirst) ?? new DigestSum();
    this.long.set(txFirst, known);
    return known;
  }

  result(): DigestPart {
    const long = new Map([...this.long].map(([txFirst, sum]) => [txFirst, sum.parts]));
    return { sum: this.sum.parts, long, voided: this.voided, erased: this.erased };
  }
}

/** The digest that the parts of a log come to. */
export function sumOf(parts: readonly DigestPart[]): DigestSumParts {
  const voided = new Set(parts.flatMap(part => part.voided));
  const sum = new DigestSum();
  for (const part of parts) {
    sum.addSum(part.sum);
    for (const [txFirst, of] of part.long) if (!voided.has(txFirst)) sum.addSum(of);
  }
  return sum.parts;
}

function addEvent(
  sum: DigestSum,
  event: CheckedEvent,
  { seq, logicalMs, actor }: Pick<LogRecord, 'seq' | 'logicalMs' | 'actor'>,
): void {
  switch (event.type) {
    case 'item_put': {
      const { collection, id, text, passages } = event;
      const hash = text === '' ? 0 : textHash(text);
      sum.add(KIND.put, collection, id, seq, logicalMs, actor, hash, passages.length);
      break;
    }
    case 'item_restored':
      sum.add(KIND.restored, event.collection, event.id, seq, logicalMs, actor, 0, event.from);
      break;
    case 'item_deleted':
      sum.add(KIND.deleted, event.collection, event.id, seq, logicalMs, actor);
      break;
    case 'mark_set':
      sum.add(KIND.mark, 0, event.name, seq, logicalMs, 0);
  }
}

/** The digest of a catalog, and what contradicts itself in it. */
export function digestCatalog(catalog: Catalog): {
  readonly sum: DigestSumParts;
  readonly problem?: string;
} {
  const sum = new DigestSum();
  let replaced = 0;
  let dead = 0;
  const live = new Map<number, number>();
  for (let ordinal = 0; ordinal < catalog.size; ordinal++) {
    const collection = catalog.collectionOf(ordinal);
    const isRestored = catalog.isRestored(ordinal);
    sum.add(
      isRestored ? KIND.restored : KIND.put,
      collection,
      catalog.idOf(ordinal),
      catalog.seqOf(ordinal),
      catalog.timeOf(ordinal),
      catalog.actorOf(ordinal),
      isRestored ? 0 : catalog.textHashOf(ordinal),
      isRestored ? catalog.seqOf(catalog.sourceOf(ordinal)) : catalog.passagesOfContent(ordinal),
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
    sum.add(KIND.deleted, collection, name, seq, timeMs, actor);
    if (catalog.diedOf(ordinal) === seq) ended += 1;
  }
  for (const { name, seq, timeMs } of catalog.registry.marks) sum.add(KIND.mark, 0, name, seq, timeMs, 0);
  const problem = contradiction(catalog, { replaced, dead, ended, live });
  return problem === undefined ? { sum: sum.parts } : { sum: sum.parts, problem };
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
