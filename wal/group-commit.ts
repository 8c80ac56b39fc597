import { WalError } from './errors.js';
import { describe } from './io-error.js';
import type {
  Appended,
  Erasure,
  Fragment,
  Head,
  Lineage,
  Log,
  NewEvent,
  OpenTransaction,
  ReadOptions,
  RecordSource,
} from './log.js';
import { AppendQueue, DEFAULT_LIMITS, type Pending, type QueueLimits } from './queue.js';
import { checkFollows, decodeRecord, eraseRecord, type LogRecord } from './record.js';

/** So many transactions are not divided. */
const LEAST_HALF = 8;

interface Batch {
  readonly transactions: readonly Pending[];
  readonly written: Promise<void>;
}

type Listener = (records: readonly LogRecord[], prepared: unknown) => void;
type Prepare = (records: readonly LogRecord[]) => unknown;

/**
 * What both implementations of the log share: the queue, group commit (one batch in flight while the next collects), the
 * durable head, followers, and the rule that a failed write stops all writes.
 */
export abstract class GroupCommitLog implements Log, RecordSource {
  abstract readonly lineage: Lineage;
  protected readonly limits: QueueLimits;
  private readonly queue: AppendQueue;
  private readonly listeners = new Map<Listener, Prepare | undefined>();
  private flushing: Promise<void> | undefined;
  /** A batch that is being written. */
  private begun: Batch | undefined;
  /** Transactions of the batch before. */
  private lastSize = 0;
  private durableHead: Head;
  private latched: WalError | undefined;
  private closing: Promise<void> | undefined;
  /** Nothing is in flight any more, and nothing can be read. */
  protected closed = false;

  protected constructor(head: Head, clock: () => number, limits: Partial<QueueLimits> = {}) {
    this.durableHead = head;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.queue = new AppendQueue(head, clock, this.limits);
  }

  get head(): Head {
    return this.durableHead;
  }

  get nextSeq(): number {
    return this.queue.nextSeq;
  }

  get failure(): WalError | undefined {
    return this.latched;
  }

  append(events: readonly NewEvent[], expectedSeq?: number): Appended {
    this.assertWritable();
    const appended = this.queue.push(events, expectedSeq);
    this.flushSoon();
    return appended;
  }

  begin(): OpenTransaction {
    this.assertWritable();
    const firstSeq = this.queue.begin();
    const queued = (push: () => Appended): Appended => {
      this.assertWritable();
      const appended = push();
      this.flushSoon();
      return appended;
    };
    return {
      firstSeq,
      append: async events => queued(() => this.queue.pushPart(events)).durable,
      commit: async () => {
        const appended = queued(() => this.queue.pushEnd('commit'));
        await appended.durable;
        return { ...appended, firstSeq };
      },
      abort: async () => queued(() => this.queue.pushEnd('abort')).durable,
    };
  }

  private assertWritable(): void {
    if (this.closing) throw closedError();
    if (this.latched) throw notWritten(this.latched);
  }

  private flushSoon(): void {
    if (this.flushing === undefined) this.flushing = this.flush();
    // Many writers that wait for one another's batch would come back together: the disk would have nothing to do while they prepare
    // what they write next, and they nothing while it does. Halves take turns.
    else if (this.begun === undefined && this.queue.length >= Math.max(LEAST_HALF, this.lastSize))
      this.begun = this.beginBatch();
  }

  private async flush(): Promise<void> {
    // Let what follows from what just happened join the first batch: all promises are settled before the next tick.
    await new Promise<void>(resolve => process.nextTick(resolve));
    for (;;) {
      // Looked at again after a failure too: once it is healed, whoever was told may have appended already.
      const batch = this.begun ?? this.beginBatch();
      if (batch === undefined) break;
      // Nothing further is begun while it is in flight, as a failure makes void what follows.
      this.begun = batch;
      this.prepare(batch.transactions);
      try {
        await batch.written;
      } catch (error) {
        await this.fail(error, batch.transactions);
        this.begun = undefined;
        continue;
      }
      // The disk goes on with what has come meanwhile, while followers are told of what is written.
      this.begun = this.beginBatch();
      this.acknowledge(batch.transactions);
    }
    this.flushing = undefined;
  }

  /** Gives the disk what waits. */
  private beginBatch(): Batch | undefined {
    if (this.queue.length === 0 || this.latched) return undefined;
    // Of those that come back when the batch before is acknowledged, and of those that wait, one half.
    const half = Math.ceil((this.queue.length + this.lastSize) / 2);
    const transactions = this.queue.take(Math.max(LEAST_HALF, half));
    this.lastSize = transactions.length;
    const written = this.writeBatch(transactions);
    // Whoever waits for it hears of a failure.
    written.catch(() => {});
    return { transactions, written };
  }

  /**
   * Makes a batch durable, or throws: then nobody knows what of it reached the disk. A WalError that it throws is the failure
   * that stops the writes; any other error counts as a failed write.
   */
  protected abstract writeBatch(batch: readonly Pending[]): Promise<void>;

  /** While the disk is at work, followers do what they can do beforehand. */
  private prepare(batch: readonly Pending[]): void {
    for (const [listener, prepare] of this.listeners) {
      if (prepare === undefined) continue;
      for (const pending of batch) {
        if (pending.kind !== 'whole') continue;
        try {
          pending.prepared ??= new Map();
          pending.prepared.set(listener, prepare(recordsOf(pending)));
        } catch (error) {
          surface(error);
        }
      }
    }
  }

  /** Followers first, then whoever waits for the write: a writer always finds its own write applied. */
  private acknowledge(batch: readonly Pending[]): void {
    for (const pending of batch) {
      // Of a transaction in parts nothing counts before its commit; an aborted one only takes up numbers.
      if (pending.kind === 'abort') this.moveHead(pending.records[pending.records.length - 1].record);
      else if (pending.kind !== 'part') this.publish(recordsOf(pending), pending.prepared);
      pending.settle();
    }
  }

  /** Moves the durable head behind `records`, a committed transaction or its commit record, and tells the followers. */
  protected publish(records: readonly LogRecord[], prepared?: ReadonlyMap<unknown, unknown>): void {
    this.moveHead(records[records.length - 1]);
    for (const listener of this.listeners.keys()) {
      try {
        listener(records, prepared?.get(listener));
      } catch (error) {
        surface(error);
      }
    }
  }

  protected moveHead({ seq, hash, logicalMs }: Head): void {
    this.durableHead = { seq, hash, logicalMs };
  }

  /** After any write error: no more writes on this handle, and whoever only waited in the queue is told so. */
  private async fail(error: unknown, inFlight: readonly Pending[]): Promise<void> {
    const what = describe(error);
    this.latch(
      error instanceof WalError
        ? error
        : new WalError(
            'WAL_POISONED',
            `a write to the log failed: ${what}`,
            'Reads go on. Make room or mend the disk; writes resume by themselves once a test file can be written.',
            { cause: error },
          ),
    );
    if (await this.settleAfterFailure(inFlight)) return;
    for (const pending of inFlight)
      pending.settle(
        new WalError(
          'WAL_OUTCOME_UNKNOWN',
          `the disk failed while this was written (${what}): it may or may not be stored`,
          'Once the store takes writes again, read the item to find out, then repeat the call if needed.',
          { cause: error },
        ),
      );
  }

  /** Stops writes. What waits was never given to the disk. A failure that cannot heal is not replaced by one that can. */
  protected latch(failure: WalError): void {
    if (this.latched === undefined || this.latched.code === 'WAL_POISONED') this.latched = failure;
    for (const pending of this.queue.reset(this.durableHead)) pending.settle(notWritten(failure));
  }

  /** Writes are possible again behind the durable head. */
  protected unlatch(): void {
    this.queue.reset(this.durableHead);
    this.latched = undefined;
  }

  /** @returns true when the callers in flight have been told what became of their writes */
  protected abstract settleAfterFailure(inFlight: readonly Pending[]): Promise<boolean>;

  /** Sets the head of a log that was filled by other means than appending. */
  protected startAfter(head: Head): void {
    this.moveHead(head);
    this.queue.reset(this.durableHead);
  }

  /** Waits until nothing is queued or in flight. */
  async drained(): Promise<void> {
    while (this.flushing) await this.flushing;
  }

  subscribe<P>(
    listener: (records: readonly LogRecord[], prepared: P | undefined) => void,
    prepare?: (records: readonly LogRecord[]) => P,
  ): () => void {
    this.listeners.set(listener as Listener, prepare);
    return () => this.listeners.delete(listener as Listener);
  }

  /** The raw stored value, or undefined. */
  protected abstract value(seq: number): Uint8Array | undefined;
  /** Raw stored values in pieces, in key order. */
  protected abstract values(
    from: number,
    to: number,
    reverse: boolean,
  ): AsyncIterable<[number, Uint8Array][]>;

  get(seq: number): LogRecord {
    if (this.closed) throw closedError();
    if (!Number.isSafeInteger(seq) || seq < 1 || seq > this.head.seq)
      throw new RangeError(`no record ${seq} in a log of ${this.head.seq}`);
    const value = this.value(seq);
    if (value === undefined) throw missing(seq, seq);
    return decodeRecord(value, seq);
  }

  async *read(options: ReadOptions = {}): AsyncGenerator<LogRecord[]> {
    const from = Math.max(options.from ?? 1, 1);
    const to = Math.min(options.to ?? this.head.seq, this.head.seq);
    if (this.closed) throw closedError();
    if (from > to) return;
    const step = options.reverse ? -1 : 1;
    let expected = options.reverse ? to : from;
    let previous = !options.reverse && from > 1 ? this.get(from - 1) : undefined;
    for await (const piece of this.values(from, to, options.reverse === true)) {
      const records = piece.map(([seq, value]) => {
        if (seq !== expected) throw options.reverse ? missing(seq + 1, expected) : missing(expected, seq - 1);
        const record = decodeRecord(value, seq);
        if (!options.reverse && (previous !== undefined || seq === 1)) checkFollows(previous, record);
        previous = record;
        expected += step;
        return record;
      });
      yield records;
      if (this.closed) throw closedError();
    }
    if (options.reverse ? expected >= from : expected <= to)
      throw options.reverse ? missing(from, expected) : missing(expected, to);
  }

  raw(from: number, to: number): AsyncIterable<[number, Uint8Array][]> {
    return this.values(from, to, false);
  }

  abstract readable(): Promise<void>;

  /**
   * Erases payloads: headers stay, and with them the chain. Durable when it resolves; the bytes are still on the disk until `reclaim`.
   * Appending goes on meanwhile. One that is erased already stays as it is.
   * @param erasures of records up to the head
   * @returns the bytes by which the records became shorter
   * @throws WalError as get and append do; of a failure in the middle some are erased
   */
  async erase(erasures: readonly Erasure[]): Promise<number> {
    this.assertWritable();
    const stubs: [number, Uint8Array][] = [];
    let savedBytes = 0;
    for (const { seq, residue } of erasures) {
      const value = this.value(seq);
      if (value === undefined) throw missing(seq, seq);
      const stub = eraseRecord(value, seq, residue);
      if (stub.length === value.length && stub.equals(value)) continue;
      stubs.push([seq, stub]);
      savedBytes += value.length - stub.length;
    }
    if (stubs.length > 0) await this.replace(stubs);
    return savedBytes;
  }

  /** Writes stored values anew, durably. A failure stops the writes as a failed append does. */
  protected abstract replace(values: readonly [seq: number, value: Uint8Array][]): Promise<void>;

  /**
   * Takes what was erased among these records off the disk, where it lies in files. May take long: the files that hold the records are
   * written anew.
   * @throws WalError WAL_BAD_RECORD where any of the files is damaged: nothing was changed
   */
  abstract reclaim(firstSeq: number, lastSeq: number): Promise<void>;

  /**
   * Stretches of the log that lie in many small files: each opening of a store makes one, and LevelDB, whose keys here only ascend, only moves
   * them from level to level. They are of a size that `merge` writes anew in about a second.
   */
  abstract fragments(): Fragment[];

  /**
   * Makes few files of the many that hold these records. LevelDB merges only what overlaps, so the first and the last record are put again, byte
   * for byte as they are: the table that holds them overlaps all between. A crash leaves the log as it was, in more or fewer files.
   * @throws WalError as erase and reclaim do
   */
  async merge(firstSeq: number, lastSeq: number): Promise<void> {
    this.assertWritable();
    const ends = [...new Set([firstSeq, lastSeq])];
    const values = ends.map((seq): [number, Uint8Array] => {
      // Checked against its hash: what is damaged must not be written with a new checksum.
      this.get(seq);
      return [seq, this.value(seq)!];
    });
    await this.replace(values);
    await this.reclaim(firstSeq, lastSeq);
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    await this.drained();
    this.closed = true;
    await this.release();
  }

  /** Lets go of what the log holds; nothing is in flight any more. */
  protected abstract release(): Promise<void>;
}

const recordsOf = (pending: Pending): LogRecord[] => pending.records.map(({ record }) => record);

/** A follower's fault must neither hold up the log nor pass unseen: it becomes an uncaught exception. */
function surface(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

function missing(from: number, to: number): WalError {
  return new WalError(
    'WAL_GAP',
    from === to ? `record ${from} is missing` : `records ${from} to ${to} are missing`,
    'Nothing was changed. Run `mcp-vector-server verify` for every finding; restore a backup.',
    { details: { from, to } },
  );
}

/** The refusal of a write that never reached the disk; it carries the code of what stopped the writes. */
const notWritten = (failure: WalError): WalError =>
  new WalError(failure.code, `nothing was written: ${failure.message}`, failure.wayOut, { cause: failure });

export const closedError = (): WalError =>
  new WalError('WAL_CLOSED', 'the log is closed', 'Open the store again.');
