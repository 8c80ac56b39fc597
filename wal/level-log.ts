import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { closedError, GroupCommitLog } from './group-commit.js';
import { fsyncDirectory, type HeadFile, Intent } from './head-file.js';
import { describe, withIoErrors, writeFailure } from './io-error.js';
import { compactRange } from './level.js';
import { LevelReader } from './level-reader.js';
import type { Fragment, Head, Lineage } from './log.js';
import { LogFileSync, memtableBytes } from './log-file-sync.js';
import { type LogDatabase, type OpenedDatabase, openDatabase, voidUnfinished } from './open-database.js';
import type { Ownership } from './owner.js';
import { PATHS } from './paths.js';
import { probe } from './probe.js';
import { type Pending, partsOf, type QueueLimits } from './queue.js';
import {
  type ChainLink,
  checkFollows,
  decodeRecord,
  encodeKey,
  type LogRecord,
  RecordType,
} from './record.js';

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

/** Log files from this size on are made tables when the log is closed. */
const FLUSH_BYTES = 1024 * 1024;

/** The log in LevelDB. Made by openLog (open.ts), which has looked at the files and taken ownership before. */
export class LevelLog extends GroupCommitLog {
  private readonly timer: NodeJS.Timeout;
  private readonly reader: LevelReader;
  private logFile: LogFileSync;
  private provenSeq: number;
  private ticking: Promise<void> | undefined;
  private held: readonly Pending[] = [];
  /** Records up to it are in tables; of later ones nobody looked. */
  private flushedSeq = 0;

  constructor(
    opened: OpenedDatabase,
    readonly lineage: Lineage,
    private readonly headFile: HeadFile,
    private readonly ownership: Ownership,
    private readonly options: LevelLogOptions,
  ) {
    super(opened.head, options.clock, options.limits);
    this.reader = new LevelReader(opened);
    this.provenSeq = opened.head.seq;
    this.logFile = this.newLogFileSync();
    this.timer = setInterval(() => {
      this.ticking ??= this.tick().finally(() => {
        this.ticking = undefined;
      });
    }, options.intervalMs ?? 1000);
    this.timer.unref();
  }

  private get database(): LogDatabase {
    return this.reader.database;
  }

  private newLogFileSync(): LogFileSync {
    const throughToPlatter = process.platform === 'darwin' && this.options.durability === 'strict';
    return new LogFileSync(join(this.options.storeDir, PATHS.log), throughToPlatter);
  }

  private async tick(): Promise<void> {
    if (this.failure) {
      // A batch that is still in flight must not lose its database.
      await this.drained();
      await this.heal();
    } else if (this.options.durability === 'interval' && this.head.seq !== this.provenSeq) {
      // In strict mode each batch proves itself; a proof of what is acknowledged now could replace a later one.
      await this.proveHead(this.head).catch(error => {
        this.latch(error instanceof WalError ? error : writeFailure('writing HEAD', error));
        this.options.onState?.(this.failure);
      });
    }
  }

  private async proveHead(
    { seq, hash }: Pick<Head, 'seq' | 'hash'>,
    intent: number = Intent.none,
  ): Promise<void> {
    await this.headFile.write({ ...this.lineage, intent, seq, hash, wallMs: this.options.clock() });
    this.provenSeq = seq;
  }

  protected async writeBatch(batch: readonly Pending[]): Promise<void> {
    // Only a transaction of several batches exceeds the limit: it counts when its commit record is there.
    const records = batch.flatMap(pending => pending.records);
    for (const part of partsOf(records, this.limits.maxBatchBytes)) {
      // A chained batch costs a third of what an array of operations does, which are looked at and copied one by one.
      const chained = this.database.batch();
      let used = 0;
      for (const { record, bytes } of part) {
        chained.put(encodeKey(record.seq), bytes);
        used += memtableBytes(bytes.length);
      }
      await chained.write({ sync: true });
      await this.logFile.settle(used);
    }
    if (this.options.durability === 'strict') {
      // A part is not acknowledged, and may become void.
      const last = batch.findLast(({ kind }) => kind !== 'part');
      if (last) await this.proveHead({ seq: last.lastSeq, hash: last.lastHash });
    }
  }

  protected async settleAfterFailure(inFlight: readonly Pending[]): Promise<boolean> {
    this.options.onState?.(this.failure);
    this.held = inFlight;
    await this.heal();
    const settled = this.held.length === 0;
    this.held = [];
    return settled;
  }

  /**
   * Reopens the database once a probe file can be written and flushed, and compares its tail with what was acknowledged.
   * Opening needs free space, and a closed database cannot be read: so the probe comes first. Nothing may be in flight.
   */
  private async heal(): Promise<void> {
    if (this.failure?.code !== 'WAL_POISONED' || !(await probe(this.options.storeDir))) return;
    await this.reader.during(this.reopen());
  }

  private async reopen(): Promise<void> {
    this.reader.stop(
      new WalError('WAL_IO', 'the log is being reopened after a failed write', 'Try again in a moment.'),
    );
    let opened: OpenedDatabase | undefined;
    try {
      await this.database.close();
      const { storeDir, clock } = this.options;
      opened = await openDatabase(storeDir, this.head);
      await voidUnfinished(opened, clock());
      fsyncDirectory(join(storeDir, PATHS.log));
      // HEAD may be what failed: writes resume when it can be written as well.
      await this.proveHead(opened.head);
      this.reader.use(opened);
      this.logFile = this.newLogFileSync();
      this.adoptTail(opened.head);
      opened.sound();
    } catch (error) {
      this.cannotReopen(error);
      try {
        await opened?.database.close();
        opened?.refuse(error);
      } catch {
        // What went wrong first is what callers are told. The evidence stays where it is.
      }
      return;
    }
    this.unlatch();
    this.options.onState?.(undefined);
  }

  /** What the disk answered is tried again at the next tick; damage stays what it is, until someone looks at it. */
  private cannotReopen(error: unknown): void {
    const why =
      error instanceof WalError
        ? error
        : new WalError(
            'WAL_IO',
            `the log could not be reopened: ${describe(error)}`,
            'Make room or mend the disk; it is tried again every second.',
            { cause: error },
          );
    this.reader.stop(why);
    if (why.code === 'WAL_IO') return;
    this.latch(why);
    this.options.onState?.(this.failure);
  }

  /**
   * What the reopened log holds beyond the acknowledged head was written after all: followers get what is committed of it, and
   * whoever was in flight when the disk failed learns which side of the failure their write fell on.
   */
  private adoptTail(head: Head): void {
    const acknowledged = this.head.seq;
    let previous: ChainLink = this.readChecked(acknowledged);
    const tail: LogRecord[] = [];
    for (let seq = acknowledged + 1; seq <= head.seq; seq++) {
      const record = this.readChecked(seq);
      checkFollows(previous, record);
      previous = record;
      tail.push(record);
    }
    for (let start = 0; start < tail.length; ) {
      const end = tail.findIndex((record, index) => index >= start && record.last) + 1;
      if (tail[end - 1].type === RecordType.abort) this.moveHead(tail[end - 1]);
      else this.publish(tail.slice(start, end));
      start = end;
    }
    for (const pending of this.held) {
      // A part without its commit is there, but void: the reopening has aborted its transaction.
      const written =
        pending.kind !== 'part' &&
        tail.some(record => record.seq === pending.lastSeq && record.hash === pending.lastHash);
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

  protected async replace(values: readonly [seq: number, value: Uint8Array][]): Promise<void> {
    // From here on LevelDB may merge the tables that hold them at any time, and would copy what is damaged with new checksums.
    const seqs = values.map(([seq]) => seq);
    const lastSeq = Math.max(...seqs);
    this.reader.guard.assertSound(Math.min(...seqs), lastSeq);
    try {
      const { database } = this;
      // Put twice while in memory, both would go into one table, which no merge need touch: the first must be in a table before.
      if (lastSeq > this.flushedSeq) {
        const { seq } = this.head;
        await flushMemtable(database);
        this.flushedSeq = seq;
      }
      const chained = database.batch();
      let used = 0;
      for (const [seq, value] of values) {
        chained.put(encodeKey(seq), value);
        used += memtableBytes(value.length);
      }
      await chained.write({ sync: true });
      await this.logFile.settle(used);
    } catch (error) {
      // LevelDB takes no write after one that failed, whoever's it was.
      const failure = writeFailure('erasing payloads', error);
      this.latch(failure);
      this.options.onState?.(this.failure);
      throw failure;
    }
  }

  async reclaim(firstSeq: number, lastSeq: number): Promise<void> {
    await this.readable();
    this.reader.guard.assertSound(firstSeq, lastSeq);
    await compactRange(this.database, encodeKey(firstSeq), encodeKey(lastSeq));
    fsyncDirectory(join(this.options.storeDir, PATHS.log));
  }

  fragments(): Fragment[] {
    return this.reader.guard.fragments();
  }

  private readChecked(seq: number): LogRecord {
    // The look at the files, before they were opened, has found no gap.
    return decodeRecord(this.value(seq)!, seq);
  }

  protected value(seq: number): Uint8Array | undefined {
    return this.reader.value(seq);
  }

  protected values(from: number, to: number, reverse: boolean): AsyncGenerator<[number, Uint8Array][]> {
    return this.reader.values(from, to, reverse);
  }

  readable(): Promise<void> {
    return this.reader.readable();
  }

  /** What is only in LevelDB's log file would be read twice by the next opening, and written to a table by it: better now, if it is much. */
  private async flushToTable(): Promise<void> {
    const dir = join(this.options.storeDir, PATHS.log);
    const logBytes = readdirSync(dir)
      .filter(name => name.endsWith('.log'))
      .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    if (logBytes < FLUSH_BYTES) return;
    await flushMemtable(this.database);
    fsyncDirectory(dir);
  }

  protected release(): Promise<void> {
    clearInterval(this.timer);
    return withIoErrors('the store could not be closed as it should, though nothing is lost', () =>
      this.letGo(),
    );
  }

  private async letGo(): Promise<void> {
    await this.ticking;
    this.reader.stop(closedError());
    try {
      // Twice, so that both slots tell the same: one damaged slot then hides nothing.
      if (!this.failure) {
        await this.flushToTable();
        await this.proveHead(this.head, Intent.closed);
        await this.proveHead(this.head, Intent.closed);
      }
    } finally {
      try {
        this.headFile.close();
      } finally {
        await this.database.close().finally(() => this.ownership.release());
      }
    }
  }
}

/** A merge begins with writing LevelDB's memory to a table; of a range without keys it is nothing else. */
const flushMemtable = (database: LogDatabase): Promise<void> =>
  compactRange(database, encodeKey(0), encodeKey(0));
