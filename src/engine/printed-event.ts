/** Events as a program outside reads them: plain objects for JSON, with what the record's header says of them. */
import type { LevelLog } from '../../wal/level-log.js';
import { forkOriginOf, storeIdOf } from '../../wal/lineage.js';
import { isLost, repairNoteOf } from '../../wal/lost.js';
import { openLog } from '../../wal/open.js';
import { FIRST_CALLER_TYPE, type LogRecord, MAY_SKIP, RecordType } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Progress } from '../domain/face.js';
import type { Actor, DomainEvent, Erased } from '../domain/model.js';
import { eventOf, nameOfType } from './event-codec.js';
import { type RangeOptions, resolveRange } from './replay-range.js';

export interface PrintOptions extends RangeOptions {
  readonly storeDir: string;
  /** Vectors as arrays of numbers, one a passage. Default: their number and dimension. */
  readonly vectors?: boolean;
  readonly clock?: () => number;
  readonly onProgress?: (progress: Progress) => void;
}

/** One event; besides these, the fields that docs/events.md gives for its type, under the same names. */
export interface PrintedEvent {
  readonly seq: number;
  /** Logical time, ISO 8601 in UTC. */
  readonly time: string;
  /** What the clock said, where that was another time. */
  readonly wall_time?: string;
  /** First seq of its transaction. */
  readonly tx: number;
  /** The event's name, or its number where this version does not know it. */
  readonly type: string | number;
  /** Who wrote it, as declared; null where nobody did. */
  readonly actor: Actor | { readonly erased: true } | { readonly lost: true } | null;
  /** The payload was erased: why, and `true` where nothing else is known. */
  readonly erased?: Erased | true;
  readonly [field: string]: unknown;
}

/** Declarations of actors kept at hand. */
const ACTORS = 1000;

/**
 * The committed events of a store, in order, in pieces of about a megabyte of the log; events of aborted transactions are left out,
 * and so are the records that end a transaction. Holds the store's lock until it is through or given up.
 * @throws WalError as openLog and reading do; CodedError as resolveRange does, EVENT_UNKNOWN, EVENT_MALFORMED
 */
export async function* printEvents(options: PrintOptions): AsyncGenerator<PrintedEvent[]> {
  const clock = options.clock ?? Date.now;
  const log = await openLog({ storeDir: options.storeDir, clock });
  try {
    const { sinceSeq, until } = await resolveRange(log, options, clock());
    if (sinceSeq > until.seq) return;
    const actorOf = actorReader(log);
    for await (const records of readCommitted(log, sinceSeq, until.seq)) {
      yield records
        .filter(({ type }) => type !== RecordType.commit)
        .map(record => printed(record, actorOf(record.actor), options.vectors ?? false));
      const last = records[records.length - 1].seq;
      options.onProgress?.({
        done: last - sinceSeq + 1,
        total: until.seq - sinceSeq + 1,
        message: 'printing',
      });
    }
  } finally {
    await log.close();
  }
}

function printed(record: LogRecord, actor: PrintedEvent['actor'], vectors: boolean): PrintedEvent {
  const { seq, logicalMs, wallMs, txFirst, body } = record;
  return {
    seq,
    time: new Date(logicalMs).toISOString(),
    ...(wallMs !== logicalMs && { wall_time: new Date(wallMs).toISOString() }),
    tx: txFirst,
    type: typeName(record.type),
    actor,
    ...(isLost(record) ? {} : body === undefined ? residueFields(record) : fieldsOf(record, body, vectors)),
  };
}

function typeName(type: number): string | number {
  if (type >= FIRST_CALLER_TYPE) return nameOfType(type) ?? type & ~MAY_SKIP;
  return Object.entries(RecordType).find(([, number]) => number === type)?.[0] ?? type;
}

function fieldsOf(record: LogRecord, body: Uint8Array, vectors: boolean): Record<string, unknown> {
  if (record.type < FIRST_CALLER_TYPE) return lineageFields(record);
  const event = eventOf(record);
  if (event === undefined) return { unknown: true, sizeBytes: body.length };
  const { type, ...fields } = event;
  return 'vectors' in event ? { ...fields, vectors: printedVectors(event, vectors) } : fields;
}

function residueFields(record: LogRecord): Record<string, unknown> {
  const event = eventOf(record);
  if (event?.type === 'item_put') {
    const { collection, id, origin, erased } = event;
    return { collection, id, origin, erased };
  }
  if (event?.type !== 'vectors_added') return { erased: true };
  const { collection, id, version, space, erased } = event;
  return { collection, id, version, space, erased };
}

/** The store id that a record gives, of a fork where it comes from, and what a repair did. */
function lineageFields(record: LogRecord): Record<string, unknown> {
  const origin = forkOriginOf(record);
  return { storeId: storeIdOf(record), ...(origin && { forkedFrom: origin }), ...repairNoteOf(record) };
}

function printedVectors(
  { vectors, passages }: Extract<DomainEvent, { vectors: Float32Array }>,
  whole: boolean,
): unknown {
  const dimension = passages.length === 0 ? 0 : vectors.length / passages.length;
  if (!whole) return { dimension, passages: passages.length };
  return passages.map((_, row) => [...vectors.subarray(row * dimension, (row + 1) * dimension)]);
}

/** Reads declarations from the log, the latest of them kept. */
function actorReader(log: LevelLog): (seq: number) => PrintedEvent['actor'] {
  const known = new Map<number, PrintedEvent['actor']>();
  return seq => {
    if (seq === 0) return null;
    const cached = known.get(seq);
    if (cached !== undefined) return cached;
    const actor = readActor(log.get(seq));
    if (known.size >= ACTORS) known.delete(known.keys().next().value!);
    known.set(seq, actor);
    return actor;
  };
}

function readActor(record: LogRecord): PrintedEvent['actor'] {
  if (isLost(record)) return { lost: true };
  const event = eventOf(record);
  if (event?.type !== 'actor_declared') return { erased: true };
  const { type, ...actor } = event;
  return actor;
}
