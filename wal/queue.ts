/**
 * Encodes transactions into records and holds them, bounded, until the log writes them: sequence numbers, times and the
 * hash chain are settled here, in one synchronous step, for every implementation of the log.
 */
import { WalError } from './errors.js';
import type { Appended, Head, NewEvent } from './log.js';
import { encodeRecord, type LogRecord, RecordType } from './record.js';

export interface QueueLimits {
  /** Refuse appends while more than this waits (one transaction is always let in). */
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

/** A queued transaction. */
export interface Pending {
  readonly records: readonly EncodedRecord[];
  readonly sizeBytes: number;
  readonly lastSeq: number;
  readonly lastHash: bigint;
  settle(error?: Error): void;
}

export class AppendQueue {
  private waiting: Pending[] = [];
  private waitingBytes = 0;

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
    if (events.length === 0)
      throw new WalError('WAL_TOO_LARGE', 'a transaction without events', 'Append at least one event.');
    if (expectedSeq !== undefined && expectedSeq !== this.nextSeq)
      throw new WalError(
        'WAL_CONFLICT',
        `expected to append at ${expectedSeq}, but the next sequence number is ${this.nextSeq}`,
        'Read what was appended meanwhile and decide again.',
        { details: { expected: expectedSeq, next: this.nextSeq } },
      );
    if (
      this.waiting.length >= this.limits.maxQueuedTransactions ||
      (this.waiting.length > 0 && this.waitingBytes >= this.limits.maxQueuedBytes)
    )
      throw new WalError(
        'WAL_BUSY',
        `${this.waiting.length} transactions (${this.waitingBytes} bytes) wait for the disk already`,
        'Nothing was written. Try again in a moment, with fewer writes at a time.',
      );
    const before = this.tail;
    let encoded: EncodedRecord[];
    try {
      encoded = this.encode(events);
    } catch (error) {
      this.tail = before;
      throw error;
    }
    const sizeBytes = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let settle!: (error?: Error) => void;
    const durable = new Promise<void>((resolve, reject) => {
      settle = error => (error ? reject(error) : resolve());
    });
    // The log latches its failure as well; a caller who does not wait must not crash the process.
    durable.catch(() => undefined);
    const last = encoded[encoded.length - 1].record;
    this.waiting.push({ records: encoded, sizeBytes, lastSeq: last.seq, lastHash: last.hash, settle });
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

  private encode(events: readonly NewEvent[]): EncodedRecord[] {
    const wallMs = this.clock();
    const logicalMs = Math.max(wallMs, this.tail.logicalMs);
    const txFirst = this.tail.seq + 1;
    const bodyBytes = events.reduce((sum, event) => sum + event.body.length + 128, 0);
    const long = bodyBytes > this.limits.maxBatchBytes;
    const all = long ? [...events, { type: RecordType.commit, body: new Uint8Array(0), actor: 0 }] : events;
    return all.map((event, index) => {
      const fields = {
        type: event.type,
        seq: txFirst + index,
        wallMs,
        logicalMs,
        txFirst,
        txIndex: index,
        last: index === all.length - 1,
        long,
        actor: event.actor,
        prevHash: this.tail.hash,
        body: event.body,
      };
      const { bytes, hash } = encodeRecord(fields);
      this.tail = { seq: fields.seq, hash, logicalMs };
      // The caller may reuse its buffer: readers get the encoded copy.
      const body = bytes.subarray(bytes.length - event.body.length);
      return { record: { ...fields, body, hash, sizeBytes: bytes.length }, bytes };
    });
  }

  /** Takes whole transactions up to a batch's size, at least one. */
  take(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.waiting) {
      if (count > 0 && bytes + pending.sizeBytes > this.limits.maxBatchBytes) break;
      bytes += pending.sizeBytes;
      count += 1;
    }
    this.waitingBytes -= bytes;
    return this.waiting.splice(0, count);
  }

  /** Drops everything that waits and starts again behind `tail`. The dropped transactions are returned. */
  reset(tail: Head): Pending[] {
    this.tail = tail;
    this.waitingBytes = 0;
    return this.waiting.splice(0);
  }
}
