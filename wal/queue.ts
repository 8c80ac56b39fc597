/**
 * Encodes transactions into records and holds them, bounded, until the log writes them: sequence numbers, times and the
 * hash chain are settled here, in one synchronous step, for every implementation of the log.
 */
import { WalError } from './errors.js';
import type { Appended, Head, NewEvent } from './log.js';
import {
  FIRST_CALLER_TYPE,
  HEADER_BYTES,
  type HeaderFields,
  type LogRecord,
  MAY_SKIP,
  NONCE_BYTES,
  RecordBytes,
  RecordType,
  recordBytes,
} from './record.js';

export interface QueueLimits {
  /** Refuse what would make more than this wait; a transaction that would wait alone is always let in. */
  readonly maxQueuedBytes: number;
  readonly maxQueuedTransactions: number;
  /** A transaction beyond this is written in several batches and counts only with its commit record. */
  readonly maxBatchBytes: number;
}

export const DEFAULT_LIMITS: QueueLimits = {
  maxQueuedBytes: 128 * 1024 * 1024,
  maxQueuedTransactions: 10_000,
  maxBatchBytes: 64 * 1024 * 1024,
};

/** A record on its way to disk. */
export interface EncodedRecord {
  readonly record: LogRecord;
  readonly bytes: Buffer;
}

/** A queued transaction, or a part of one that is written in parts. */
export interface Pending {
  /** `part`: nothing counts before its `commit` or `abort`, which is the last record of its own entry. */
  readonly kind: 'whole' | 'part' | 'commit' | 'abort';
  readonly records: readonly EncodedRecord[];
  readonly sizeBytes: number;
  readonly lastSeq: number;
  readonly lastHash: bigint;
  /** What followers made of it while it was written, by follower. */
  prepared?: Map<unknown, unknown>;
  settle(error?: Error): void;
}

/** What the records of a transaction share, and how many there are so far. */
interface Opened {
  readonly wallMs: number;
  readonly logicalMs: number;
  readonly txFirst: number;
  index: number;
  readonly long: boolean;
}

/** What a piece of memory for records holds at least. */
const ROOM_BYTES = 64 * 1024;

const COMMIT: NewEvent = { type: RecordType.commit, body: new Uint8Array(0), actor: 0 };
const ABORT: NewEvent = { type: RecordType.abort, body: new Uint8Array(0), actor: 0 };

export class AppendQueue {
  private waiting: Pending[] = [];
  /** The transaction that is being written in parts. */
  private open: Opened | undefined;
  private waitingBytes = 0;
  /** Where records are encoded, and how much of it is taken: never to be used again. */
  private room: RecordBytes | undefined;
  private roomUsed = 0;

  constructor(
    private tail: Head,
    private readonly clock: () => number,
    private readonly limits: QueueLimits,
  ) {}

  get nextSeq(): number {
    return this.tail.seq + 1;
  }

  get length(): number {
    return this.waiting.length;
  }

  /** Encodes and queues one transaction. See Log.append. */
  push(events: readonly NewEvent[], expectedSeq?: number): Appended {
    assertAppendable(events);
    if (expectedSeq !== undefined && expectedSeq !== this.nextSeq)
      throw new WalError(
        'WAL_CONFLICT',
        `expected to append at ${expectedSeq}, but the next sequence number is ${this.nextSeq}`,
        'Read what was appended meanwhile and decide again.',
        { details: { expected: expectedSeq, next: this.nextSeq } },
      );
    if (this.open)
      throw new WalError(
        'WAL_BUSY',
        `the transaction that begins at record ${this.open.txFirst} is still being written`,
        'Nothing was written. Try again when it is done.',
      );
    const bodyBytes = sizeOf(events);
    if (
      this.waiting.length >= this.limits.maxQueuedTransactions ||
      (this.waiting.length > 0 && this.waitingBytes + bodyBytes > this.limits.maxQueuedBytes)
    )
      throw new WalError(
        'WAL_BUSY',
        `${this.waiting.length} transactions (${this.waitingBytes} bytes) wait for the disk already`,
        'Nothing was written. Try again in a moment, with fewer writes at a time.',
      );
    const isLong = bodyBytes > this.limits.maxBatchBytes;
    const all = isLong ? [...events, COMMIT] : events;
    return this.enqueue(
      'whole',
      all,
      { ...this.times(), txFirst: this.nextSeq, index: 0, long: isLong },
      true,
    );
  }

  /** Opens a transaction that is written in parts. @returns its first seq */
  begin(): number {
    if (this.open)
      throw new WalError(
        'WAL_BUSY',
        `the transaction that begins at record ${this.open.txFirst} is still being written`,
        'Try again when it is done.',
      );
    this.open = { ...this.times(), txFirst: this.nextSeq, index: 0, long: true };
    return this.open.txFirst;
  }

  /** Queues a part of the open transaction. Not bounded: whoever writes waits for each part. */
  pushPart(events: readonly NewEvent[]): Appended {
    assertAppendable(events);
    return this.enqueue('part', events, this.assertOpen(), false);
  }

  /** Queues the end of the open transaction. */
  pushEnd(kind: 'commit' | 'abort'): Appended {
    const opened = this.assertOpen();
    this.open = undefined;
    return this.enqueue(kind, [kind === 'commit' ? COMMIT : ABORT], opened, true);
  }

  private assertOpen(): Opened {
    if (this.open) return this.open;
    throw new WalError(
      'WAL_POISONED',
      'nothing was written: the transaction ended with the write that failed',
      'Once the store takes writes again, repeat the call.',
    );
  }

  private enqueue(
    kind: Pending['kind'],
    events: readonly NewEvent[],
    transaction: Opened,
    isEnd: boolean,
  ): Appended {
    const before = this.tail;
    let encoded: EncodedRecord[];
    try {
      encoded = this.encode(events, transaction, isEnd);
    } catch (error) {
      this.tail = before;
      throw error;
    }
    transaction.index += events.length;
    const sizeBytes = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let settle!: (error?: Error) => void;
    const durable = new Promise<void>((resolve, reject) => {
      settle = error => (error ? reject(error) : resolve());
    });
    // The log latches its failure as well; a caller who does not wait must not crash the process.
    durable.catch(() => undefined);
    const last = encoded[encoded.length - 1].record;
    this.waiting.push({ kind, records: encoded, sizeBytes, lastSeq: last.seq, lastHash: last.hash, settle });
    this.waitingBytes += sizeBytes;
    return {
      firstSeq: before.seq + 1,
      lastSeq: last.seq,
      hash: last.hash,
      wallMs: last.wallMs,
      logicalMs: last.logicalMs,
      durable,
    };
  }

  private times(): { wallMs: number; logicalMs: number } {
    const wallMs = this.clock();
    return { wallMs, logicalMs: Math.max(wallMs, this.tail.logicalMs) };
  }

  /** @param isEnd the last event ends the transaction */
  private encode(
    events: readonly NewEvent[],
    { wallMs, logicalMs, txFirst, index: firstIndex, long }: Opened,
    isEnd: boolean,
  ): EncodedRecord[] {
    // Records begin where numbers of any width are aligned: vectors in them can be read in place.
    const sizes = events.map(({ body }) => recordBytes(body.length));
    const room = this.roomFor(sizes.reduce((sum, size) => sum + aligned(size), 0));
    let offset = this.roomUsed;
    const encoded = events.map((event, index) => {
      const { type, actor } = event;
      const seq = txFirst + firstIndex + index;
      const txIndex = firstIndex + index;
      const last = isEnd && index === events.length - 1;
      const prevHash = this.tail.hash;
      const header = { type, seq, wallMs, logicalMs, txFirst, txIndex, last, long, actor, prevHash };
      const hash = room.encode(offset, header, event.body);
      this.tail = { seq, hash, logicalMs };
      const sizeBytes = sizes[index]!;
      const bytes = room.buffer.subarray(offset, offset + sizeBytes);
      offset += aligned(sizeBytes);
      // The caller may reuse its buffer: readers get the encoded copy.
      const body = bytes.subarray(HEADER_BYTES + NONCE_BYTES);
      return { record: recordOf(header, hash, body, sizeBytes), bytes };
    });
    this.roomUsed = offset;
    return encoded;
  }

  /** Small transactions share pieces of memory: to get one takes longer than to fill it. */
  private roomFor(sizeBytes: number): RecordBytes {
    if (this.room === undefined || this.roomUsed + sizeBytes > this.room.buffer.length) {
      this.room = new RecordBytes(Math.max(sizeBytes, ROOM_BYTES));
      this.roomUsed = 0;
    }
    return this.room;
  }

  /** Takes whole transactions up to a batch's size, at least one. @param most of them */
  take(most: number): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.waiting) {
      if (count === most || (count > 0 && bytes + pending.sizeBytes > this.limits.maxBatchBytes)) break;
      bytes += pending.sizeBytes;
      count += 1;
    }
    this.waitingBytes -= bytes;
    return this.waiting.splice(0, count);
  }

  /** Drops everything that waits and starts again behind `tail`. The dropped transactions are returned. */
  reset(tail: Head): Pending[] {
    this.tail = tail;
    this.open = undefined;
    this.waitingBytes = 0;
    return this.waiting.splice(0);
  }
}

/** Field by field: a spread with fields behind it takes longer than encoding the record. */
const recordOf = (header: HeaderFields, hash: bigint, body: Uint8Array, sizeBytes: number): LogRecord => ({
  type: header.type,
  seq: header.seq,
  wallMs: header.wallMs,
  logicalMs: header.logicalMs,
  txFirst: header.txFirst,
  txIndex: header.txIndex,
  last: header.last,
  long: header.long,
  actor: header.actor,
  prevHash: header.prevHash,
  hash,
  body,
  sizeBytes,
});

/** The next offset for a record behind one of so many bytes. */
const aligned = (sizeBytes: number): number => (sizeBytes + 7) & ~7;

/** What the events take in a batch, with 128 bytes for each record's header and key. */
const sizeOf = (events: readonly NewEvent[]): number =>
  events.reduce((sum, event) => sum + event.body.length + 128, 0);

/** The log's own types are not the caller's to write: a commit record by mistake would end a transaction. */
function assertAppendable(events: readonly NewEvent[]): void {
  if (events.length === 0) throw new RangeError('a transaction needs at least one event');
  for (const { type } of events)
    if (!Number.isInteger(type) || type > 0xffff || (type & ~MAY_SKIP) < FIRST_CALLER_TYPE)
      throw new RangeError(`${type} is not a type for a caller's event`);
}

/** Cuts what is written at once into batches of at most `maxBytes`; a larger record has one of its own. */
export function* partsOf(
  records: readonly EncodedRecord[],
  maxBytes: number,
): Generator<readonly EncodedRecord[]> {
  for (let start = 0; start < records.length; ) {
    let end = start;
    let bytes = 0;
    while (end < records.length && (end === start || bytes + records[end].bytes.length <= maxBytes))
      bytes += records[end++].bytes.length;
    yield records.slice(start, end);
    start = end;
  }
}
