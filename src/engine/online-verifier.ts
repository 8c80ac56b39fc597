import type { Backup } from '../../wal/backup/manifest.js';
import { hashHex } from '../../wal/hash.js';
import type { ReadableLog } from '../../wal/log.js';
import { Pace } from '../../wal/pace.js';
import { type OnlineResult, verifyOnline } from '../../wal/verify-online.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, Progress } from '../domain/face.js';
import type {
  Finding,
  VerifiedRecord,
  VerifiedState,
  VerifyAnswer,
  VerifyCommand,
} from '../domain/verify.js';
import { readVerified, writeVerified } from './verified-state.js';
import { nextSteps } from './verify-advice.js';
import { coverageOf, divergence, hasGoneOn, newestIn } from './verify-coverage.js';
import { throwIfCancelled } from './write.js';

export interface OnlineVerifierOptions {
  readonly storeDir: string;
  readonly log: ReadableLog;
  readonly clock: () => number;
  /** Told of what is wrong: of each finding once. */
  readonly warn: (message: string) => void;
}

/** How far it has come is written each time so many bytes were read: after a crash at most they are read again. */
const SAVE_BYTES = 256 * 1024 * 1024;

/** How a round is gone on with. */
export interface Round {
  /** Read of the disk at most. */
  readonly bytesPerSecond: number;
  /** Aborting ends it; the next one goes on there. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

interface Run {
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
  /** By the schedule, not asked for: it gives way. */
  readonly isScheduled: boolean;
}

/** Verifies the log of a store that is open: in rounds from the first record to the head, each of which goes on where it was stopped. */
export class OnlineVerifier {
  private current: VerifiedState;
  /** One write of the note after the other. */
  private saved: Promise<void> = Promise.resolve();
  private run: Run | undefined;
  private isStopped = false;

  constructor(private readonly options: OnlineVerifierOptions) {
    const { storeDir, log } = options;
    const state = readVerified(storeDir, log.lineage.storeId);
    // After a cut the log holds something else there.
    this.current =
      state?.verified && isHeld(log, state.verified) ? state : { findings: state?.findings ?? [] };
  }

  get state(): VerifiedState {
    return this.current;
  }

  get isRunning(): boolean {
    return this.run !== undefined;
  }

  /**
   * Goes on with the round that was stopped, or begins one; nothing where a verification is under way.
   * @returns what was found, undefined where nothing was done or it was stopped
   */
  async goOn({ bytesPerSecond, signal, onProgress }: Round): Promise<OnlineResult | undefined> {
    if (this.run !== undefined || this.isStopped) return undefined;
    const abort = new AbortController();
    const ended = signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]);
    try {
      return await this.begin(abort, true, () =>
        this.round(this.resumeAfter(), new Pace(bytesPerSecond), ended, onProgress),
      );
    } catch (error) {
      if (ended.aborted) return undefined;
      throw error;
    }
  }

  /**
   * A whole round now, or of `quick` its end. One that the schedule began gives way.
   * @throws CodedError VERIFY_RUNNING, CANCELLED, ENGINE_CLOSED; WalError BACKUP_MISSING, BACKUP_FOREIGN, WAL_IO
   */
  async verify(command: VerifyCommand, context: CallContext): Promise<VerifyAnswer> {
    const { bytes_per_second = Number.POSITIVE_INFINITY, level, backups } = command;
    const newest = backups === undefined ? undefined : newestIn(backups);
    const isComparable = newest !== undefined && !hasGoneOn(this.options.storeDir, newest);
    this.assertFree();
    await this.halt();
    this.assertFree();
    const abort = new AbortController();
    const signal =
      context.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, context.signal]);
    const pace = new Pace(bytes_per_second);
    try {
      const result = await this.begin(abort, false, () =>
        level === 'quick'
          ? this.tail(pace, signal, context.onProgress)
          : this.round(0, pace, signal, context.onProgress),
      );
      return this.answer(command, result, newest, isComparable);
    } catch (error) {
      throwIfCancelled(context);
      throw abort.signal.aborted ? closed() : error;
    }
  }

  private assertFree(): void {
    if (this.isStopped) throw closed();
    if (this.run === undefined || this.run.isScheduled) return;
    throw new CodedError(
      'VERIFY_RUNNING',
      'another verification of this store has been asked for, and goes on',
      'Wait for it, or cancel it.',
    );
  }

  /** Stops what is under way, for good. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.halt();
  }

  private async halt(): Promise<void> {
    this.run?.abort.abort();
    await this.run?.done.catch(() => {});
  }

  private async begin<T>(abort: AbortController, isScheduled: boolean, work: () => Promise<T>): Promise<T> {
    const done = work();
    this.run = { abort, done, isScheduled };
    try {
      return await done;
    } finally {
      this.run = undefined;
    }
  }

  /** Where the round that was stopped goes on; 0 where the last one reached the head. */
  private resumeAfter(): number {
    const { verified, completed } = this.current;
    const isCompleted = verified?.seq === completed?.seq && verified?.time === completed?.time;
    return isCompleted ? 0 : (verified?.seq ?? 0);
  }

  private async tail(
    pace: Pace,
    signal: AbortSignal,
    onProgress?: (progress: Progress) => void,
  ): Promise<OnlineResult> {
    const { log, storeDir } = this.options;
    const to = log.head.seq;
    return verifyOnline(log, storeDir, {
      ...{ after: 0, to, tailOnly: true, pace, signal },
      onVerified: record => record && onProgress?.(progressOf(record.seq, to)),
      onFinding: finding => this.warnOf(finding),
    });
  }

  private async round(
    after: number,
    pace: Pace,
    signal: AbortSignal,
    onProgress?: (progress: Progress) => void,
  ): Promise<OnlineResult> {
    const { log, storeDir, clock } = this.options;
    const to = log.head.seq;
    // What the last round found beyond the place that this one has come to still stands.
    const former = this.current.findings;
    const found: Finding[] = after > 0 ? former.filter(({ seq = 0 }) => seq <= after) : [];
    let [savedBytes, at] = [0, after];
    let verified: VerifiedRecord | undefined = after > 0 ? this.current.verified : undefined;
    const note = (completed = this.current.completed) => {
      const standing = former.filter(({ seq = Number.POSITIVE_INFINITY }) => seq > at);
      const isNew = (one: Finding) =>
        !found.some(({ code, message }) => code === one.code && message === one.message);
      this.current = {
        ...(verified && { verified }),
        ...(completed && { completed }),
        findings: completed === verified ? [...found] : [...found, ...standing.filter(isNew)],
      };
    };
    try {
      const result = await verifyOnline(log, storeDir, {
        ...{ after, to, pace, signal },
        onVerified: (record, bytes) => {
          if (record === undefined) return;
          at = record.seq;
          verified = {
            seq: record.seq,
            hash: hashHex(record.hash),
            time: new Date(clock()).toISOString(),
            level: 'full',
          };
          note();
          onProgress?.(progressOf(at, to));
          if (bytes - savedBytes < SAVE_BYTES) return;
          savedBytes = bytes;
          void this.save();
        },
        onFinding: finding => {
          if (!former.some(({ code, message }) => code === finding.code && message === finding.message))
            this.warnOf(finding);
          found.push(finding);
          note();
        },
      });
      note(verified);
      return result;
    } finally {
      await this.save();
    }
  }

  /** A failure is a warning: the next round then begins earlier. */
  private save(): Promise<void> {
    const { storeDir, log, warn } = this.options;
    const write = () => writeVerified(storeDir, log.lineage.storeId, this.current);
    this.saved = this.saved.then(write).catch((error: Error) => {
      warn(`how far the verification has come could not be noted: ${error.message}`);
    });
    return this.saved;
  }

  private warnOf({ code, message }: Finding): void {
    this.options.warn(`verification found ${code}: ${message}`);
  }

  private answer(
    { level, backups }: VerifyCommand,
    result: OnlineResult,
    newest: Backup | undefined,
    isComparable: boolean,
  ): VerifyAnswer {
    const { log, storeDir } = this.options;
    const { storeId, epoch } = log.lineage;
    const findings: Finding[] = [...result.findings];
    if (newest !== undefined && isComparable) {
      const { last } = newest.manifest;
      if (!isHeld(log, last)) findings.push(divergence(newest, log.head.seq));
    }
    const coverage = backups === undefined ? undefined : coverageOf(backups, newest, log.head.seq);
    const whole = level === 'full' && result.findings.length === 0 ? result.range?.last : undefined;
    const timeOf = (seq: number) => new Date(log.get(seq).logicalMs).toISOString();
    const { head } = log;
    return {
      level,
      store: { path: storeDir, id: storeId, epoch },
      ...(result.range && { range: result.range }),
      head: { seq: head.seq, hash: hashHex(head.hash), time: new Date(head.logicalMs).toISOString() },
      records: result.records,
      bytes: result.bytes,
      tables: result.tables,
      findings,
      notes: [],
      next: nextSteps(findings),
      restorable: {
        ...(whole !== undefined && { store: { seq: whole, time: timeOf(whole) } }),
        ...(coverage?.last && { backup: { seq: coverage.last.seq, time: coverage.last.time } }),
      },
      ...(coverage && { coverage }),
    };
  }
}

/** Whether the log has that record; what cannot be read, or is no number of a record, is not there. */
function isHeld(log: ReadableLog, { seq, hash }: { seq: number; hash: string }): boolean {
  if (seq > log.head.seq) return false;
  try {
    return hashHex(log.get(seq).hash) === hash;
  } catch {
    return false;
  }
}

const closed = () => new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');

const progressOf = (done: number, total: number): Progress => ({
  done,
  total,
  unit: 'records',
  message: 'verifying beside the server',
});
