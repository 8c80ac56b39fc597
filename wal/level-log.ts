import { closeSync, fsync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WalError } from './errors.js';
import { closedError, describe, GroupCommitLog } from './group-commit.js';
import { fsyncDirectory, type HeadFile, Intent } from './head-file.js';
import { LOG_OPTIONS } from './level.js';
import type { TableGuard } from './leveldb/table-guard.js';
import type { Head, Lineage } from './log.js';
import { type LogDatabase, openDatabase, voidUnfinished } from './open-database.js';
import type { Ownership } from './owner.js';
import { PATHS } from './paths.js';
import { probe } from './probe.js';
import type { Pending, QueueLimits } from './queue.js';
import {
  type ChainLink,
  checkFollows,
  decodeKey,
  decodeRecord,
  encodeKey,
  type LogRecord,
} from './record.js';

const fsyncAsync = promisify(fsync);

/** When HEAD is written: within a second of an event, or before each acknowledgement. docs/durability.md has what each promises. */
export type Durability = 'interval' | 'strict';

export interface LevelLogOptions {
  readonly storeDir: string;
  readonly durability: Durability;
  readonly clock: () => number;
  readonly limits?: Partial<QueueLimits>;
  /** How often HEAD follows the log in interval mode, and how often a poisoned log tries the disk. Default 1 000. */
  readonly intervalMs?: number;
  /** Told when writes stop and when they resume. */
  readonly onState?: (failure: WalError | undefined) => void;
}

/** The log in LevelDB. Made by openLog (open.ts), which has looked at the files and taken ownership before. */
export class LevelLog extends GroupCommitLog {
  private readonly timer: NodeJS.Timeout;
  private reopening: Promise<void> | undefined;
  /** Set while no database is open after a failed reopen: reads fail with it. */
  private unreadable: Error | undefined;
  private provenSeq: number;
  private ticking: Promise<void> | undefined;
  private currentLogFile: string;
  private bytesInLogFile = 0;
  private held: readonly Pending[] = [];

  constructor(
    private database: LogDatabase,
    private guard: TableGuard,
    readonly lineage: Lineage,
    head: Head,
    private readonly headFile: HeadFile,
    private readonly ownership: Ownership,
    private readonly options: LevelLogOptions,
  ) {
    super(head, options.clock, options.limits);
    this.provenSeq = head.seq;
    this.currentLogFile = this.newestLogFile();
    this.timer = setInterval(() => {
      this.ticking ??= this.tick().finally(() => {
        this.ticking = undefined;
      });
    }, options.intervalMs ?? 1000);
    this.timer.unref();
  }

  private async tick(): Promise<void> {
    if (this.closed) return;
    if (this.failure) await this.tryToHeal();
    else await this.proveHead().catch(error => this.latchHeadFailure(error));
  }

  /** Writes {seq, hash} of the durable head into HEAD. */
  private async proveHead(intent: number = Intent.none): Promise<void> {
    const { seq, hash } = this.head;
    if (seq === this.provenSeq && intent === Intent.none) return;
    await this.headFile.write({ ...this.lineage, intent, seq, hash, wallMs: this.options.clock() });
    this.provenSeq = seq;
  }

  private latchHeadFailure(error: unknown): void {
    this.latch(
      error instanceof WalError
        ? error
        : new WalError(
            'WAL_POISONED',
            `HEAD could not be written: ${describe(error)}`,
            'Reads go on. Make room or mend the disk; writes resume by themselves.',
            { cause: error },
          ),
    );
    this.options.onState?.(this.failure);
  }

  protected async writeBatch(batch: readonly Pending[]): Promise<void> {
    const records = batch.flatMap(pending => pending.records);
    // Only a transaction of several batches exceeds the limit: it counts when its commit record is there.
    const maxBytes = this.options.limits?.maxBatchBytes ?? LevelLog.maxBatchBytes;
    let start = 0;
    while (start < records.length) {
      let end = start;
      let bytes = 0;
      while (end < records.length && (end === start || bytes + records[end].bytes.length <= maxBytes))
        bytes += records[end++].bytes.length;
      await this.database.batch(
        records
          .slice(start, end)
          .map(({ record, bytes: value }) => ({ type: 'put' as const, key: encodeKey(record.seq), value })),
        { sync: true },
      );
      // 128: what LevelDB's memtable needs per entry beyond the value, generously.
      this.bytesInLogFile += bytes + 128 * (end - start);
      await this.settleLogFile();
      start = end;
    }
    if (this.options.durability === 'strict') {
      const last = batch[batch.length - 1];
      await this.headFile.write({
        ...this.lineage,
        intent: Intent.none,
        seq: last.lastSeq,
        hash: last.lastHash,
        wallMs: this.options.clock(),
      });
      this.provenSeq = last.lastSeq;
    }
  }

  private static readonly maxBatchBytes = 64 * 1024 * 1024;

  /**
   * LevelDB fdatasyncs the log file that it writes to, but not the directory in which a new one appeared; on macOS it
   * calls plain fsync, which does not reach the platter, where Node's fsync (F_FULLFSYNC) does.
   */
  private async settleLogFile(): Promise<void> {
    // A new file can only have appeared once the old one's share of the write buffer is used up.
    if (this.bytesInLogFile >= LOG_OPTIONS.writeBufferSize / 2) {
      const newest = this.newestLogFile();
      if (newest !== this.currentLogFile) {
        fsyncDirectory(join(this.options.storeDir, PATHS.log));
        this.currentLogFile = newest;
        this.bytesInLogFile = 0;
      }
    }
    if (process.platform === 'darwin' && this.options.durability === 'strict') {
      const fd = openSync(join(this.options.storeDir, PATHS.log, this.currentLogFile), 'r+');
      try {
        await fsyncAsync(fd);
      } finally {
        closeSync(fd);
      }
    }
  }

  private newestLogFile(): string {
    const logs = readdirSync(join(this.options.storeDir, PATHS.log)).filter(name => name.endsWith('.log'));
    return logs.sort().at(-1) ?? '';
  }

  protected async settleAfterFailure(inFlight: readonly Pending[]): Promise<boolean> {
    this.options.onState?.(this.failure);
    this.held = inFlight;
    await this.tryToHeal();
    const settled = this.held.length === 0;
    this.held = [];
    return settled;
  }

  /**
   * Reopens the database once a probe file can be written and flushed, and compares its tail with what was acknowledged.
   * Opening needs free space, and a closed database cannot be read: so the probe comes first.
   */
  private async tryToHeal(): Promise<void> {
    if (this.failure?.code !== 'WAL_POISONED' || this.reopening) return;
    if (!(await probe(this.options.storeDir))) return;
    this.reopening = this.reopen().finally(() => {
      this.reopening = undefined;
    });
    await this.reopening;
  }

  private async reopen(): Promise<void> {
    const acknowledged = this.head;
    try {
      await this.database.close();
      const opened = await openDatabase(this.options.storeDir, acknowledged);
      await voidUnfinished(opened, this.options.clock());
      this.database = opened.database;
      this.guard = opened.guard;
      this.unreadable = undefined;
      this.currentLogFile = this.newestLogFile();
      this.bytesInLogFile = 0;
      await this.adoptTail(acknowledged, opened.head);
      opened.sound();
      this.unlatch();
      this.options.onState?.(undefined);
    } catch (error) {
      // Still closed. A full disk is tried again at the next tick; damage stays what it is.
      this.unreadable = error as Error;
      if (error instanceof WalError && error.code !== 'WAL_IO') {
        this.stopForGood(error);
      }
    }
  }

  private stopForGood(error: WalError): void {
    this.final = error;
    this.options.onState?.(error);
  }
  private final: WalError | undefined;

  override get failure(): WalError | undefined {
    return this.final ?? super.failure;
  }

  /**
   * What the reopened log holds beyond the acknowledged head was written after all: followers get it, and whoever was in
   * flight when the disk failed learns which side of the failure their write fell on.
   */
  private async adoptTail(acknowledged: Head, head: Head): Promise<void> {
    let previous: ChainLink = { ...this.readChecked(acknowledged.seq) };
    const tail: LogRecord[] = [];
    for (let seq = acknowledged.seq + 1; seq <= head.seq; seq++) {
      const record = this.readChecked(seq);
      checkFollows(previous, record);
      previous = record;
      tail.push(record);
    }
    for (let start = 0; start < tail.length; ) {
      const end = tail.findIndex((record, index) => index >= start && record.last) + 1;
      this.publish(tail.slice(start, end));
      start = end;
    }
    for (const pending of this.held) {
      const written = tail.some(record => record.seq === pending.lastSeq && record.hash === pending.lastHash);
      pending.settle(
        written
          ? undefined
          : new WalError(
              'WAL_POISONED',
              'nothing was written: the disk failed, and the reopened log does not hold it',
              'The store takes writes again: repeat the call.',
            ),
      );
    }
    this.held = [];
  }

  private readChecked(seq: number): LogRecord {
    const value = this.value(seq);
    if (value === undefined) throw this.readError(new Error('it is missing'), `record ${seq}`);
    return decodeRecord(value, seq);
  }

  protected value(seq: number): Uint8Array | undefined {
    if (this.unreadable) throw this.unreadable;
    this.guard.assertReadable(seq, seq);
    try {
      return this.database.getSync(encodeKey(seq));
    } catch (error) {
      throw this.readError(error, `record ${seq}`);
    }
  }

  private readError(error: unknown, what: string): Error {
    if (this.closed) return closedError();
    return new WalError(
      'WAL_BAD_RECORD',
      `${what} cannot be read: ${describe(error)}`,
      'Run `mcp-vector-server verify` for every finding; restore a backup.',
      { cause: error },
    );
  }

  protected async *values(
    from: number,
    to: number,
    reverse: boolean,
  ): AsyncGenerator<[number, Uint8Array][]> {
    if (this.unreadable) throw this.unreadable;
    this.guard.assertReadable(from, to);
    const iterator = this.database.iterator({
      gte: encodeKey(from),
      lte: encodeKey(to),
      reverse,
      highWaterMarkBytes: 1024 * 1024,
    });
    try {
      for (;;) {
        let entries: [Uint8Array, Uint8Array][];
        try {
          entries = await iterator.nextv(1000);
        } catch (error) {
          throw this.readError(error, `records ${from} to ${to}`);
        }
        if (entries.length === 0) return;
        yield entries.map(([key, value]) => [decodeKey(key), value]);
      }
    } finally {
      await iterator.close();
    }
  }

  /** Stored values as they are, unchecked: for copies that must be equal byte for byte. In pieces of about a megabyte. */
  raw(from: number, to: number): AsyncIterable<[number, Uint8Array][]> {
    return this.values(from, to, false);
  }

  async readable(): Promise<void> {
    await this.reopening;
    if (this.unreadable) throw this.unreadable;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    clearInterval(this.timer);
    await this.drained();
    this.closed = true;
    await this.ticking;
    await this.reopening;
    try {
      // Twice, so that both slots tell the same: one damaged slot then hides nothing.
      if (!this.failure) {
        await this.proveHead(Intent.closed);
        await this.proveHead(Intent.closed);
      }
    } finally {
      this.headFile.close();
      await this.database.close();
      await this.ownership.release();
    }
  }
}
