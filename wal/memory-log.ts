import { randomBytes } from 'node:crypto';
import { GroupCommitLog } from './group-commit.js';
import type { Lineage } from './log.js';
import type { Pending, QueueLimits } from './queue.js';
import { decodeRecord } from './record.js';

export interface MemoryLogOptions {
  readonly clock?: () => number;
  readonly limits?: Partial<QueueLimits>;
}

/** The log without a disk: for tests and for stores that need not outlive the process. Same bytes, same checks. */
export class MemoryLog extends GroupCommitLog {
  readonly lineage: Lineage = {
    storeId: randomBytes(16).toString('hex'),
    epoch: 1,
    epochSeq: 0,
    lineageSeq: 0,
  };
  protected readonly stored: Uint8Array[] = [];

  constructor(options: MemoryLogOptions = {}) {
    super({ seq: 0, hash: 0n, logicalMs: 0 }, options.clock ?? Date.now, options.limits);
  }

  /** A log of stored records as LevelLog.raw gives them, all from the first on; the last must end a transaction. */
  static of(stored: readonly Uint8Array[], options: MemoryLogOptions = {}): MemoryLog {
    const log = new MemoryLog(options);
    log.stored.push(...stored);
    if (stored.length > 0) log.startAfter(decodeRecord(stored[stored.length - 1]!, stored.length));
    return log;
  }

  /** A log of this one's records up to `untilSeq`, which must end a transaction: what was there then. Bytes are shared. */
  prefix(untilSeq: number, options: MemoryLogOptions = {}): MemoryLog {
    if (untilSeq > 0 && !this.get(untilSeq).last)
      throw new RangeError(`record ${untilSeq} does not end a transaction`);
    return MemoryLog.of(this.stored.slice(0, untilSeq), options);
  }

  protected async writeBatch(batch: readonly Pending[]): Promise<void> {
    // A turn of the event loop passes as with a disk: writers that wait for each other's writes must not keep it to themselves.
    await new Promise(resolve => setImmediate(resolve));
    for (const { records } of batch) for (const { bytes } of records) this.stored.push(bytes);
  }

  protected async settleAfterFailure(): Promise<boolean> {
    return false;
  }

  protected value(seq: number): Uint8Array | undefined {
    return this.stored[seq - 1];
  }

  protected async *values(
    from: number,
    to: number,
    reverse: boolean,
  ): AsyncGenerator<[number, Uint8Array][]> {
    const pieceRecords = 1000;
    for (let at = 0; at <= to - from; at += pieceRecords) {
      const piece: [number, Uint8Array][] = [];
      for (let i = at; i < Math.min(at + pieceRecords, to - from + 1); i++) {
        const seq = reverse ? to - i : from + i;
        const value = this.stored[seq - 1];
        if (value !== undefined) piece.push([seq, value]);
      }
      yield piece;
    }
  }

  async readable(): Promise<void> {}

  protected async replace(values: readonly [seq: number, value: Uint8Array][]): Promise<void> {
    for (const [seq, value] of values) this.stored[seq - 1] = value;
  }

  async reclaim(): Promise<void> {}

  fragments(): [] {
    return [];
  }

  protected async release(): Promise<void> {}
}
