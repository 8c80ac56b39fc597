/** The jobs that back a store up: one backup each, then what is old is pruned. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BackupCheck } from '../../../wal/backup/check.js';
import { inOrder, listBackups, SEGMENTS } from '../../../wal/backup/manifest.js';
import { listPins, unpinBackup } from '../../../wal/backup/pins.js';
import { prune } from '../../../wal/backup/prune.js';
import { WalError } from '../../../wal/errors.js';
import { exists } from '../../../wal/exists.js';
import { Pace } from '../../../wal/pace.js';
import type { BackupAnswer } from '../../domain/backup.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { StoreEngine } from '../../engine/engine.js';
import { scheduledActor } from '../../engine/scheduled-actor.js';
import type { BackupKeep } from '../../schedule-settings.js';
import type { JobContext } from './job.js';

/** Pins of backups made before an update have reasons that begin so. The newest of them stay, however old they are. */
export const BEFORE_UPDATE = 'before update';

/** Pruning reads what stays once in the life of a server; a backup of every minute need not wait for it each time. */
const PRUNE_EVERY_MS = 3_600_000;
/** Another backup into the same directory is waited for so long. */
const BUSY_TRIES = 12;
const BUSY_WAIT_MS = 5_000;

export interface BackupsOptions {
  readonly engine: () => Pick<StoreEngine, 'backup' | 'headSeq'>;
  readonly dir: string;
  readonly keep: BackupKeep;
  readonly bytesPerSecond: number;
  /** The configuration that is taken along. */
  readonly savedConfig: () => Promise<string>;
  /** The directory in which the last backup was made, by this process or one before it. */
  readonly madeIn: () => string | undefined;
  readonly onMade: (dir: string) => void;
  readonly elapsedMs?: () => number;
  readonly busyWaitMs?: number;
}

export class Backups {
  private readonly check: BackupCheck;
  private config: string | undefined;
  /** Of the run under way. */
  private signal: AbortSignal | undefined;
  private prunedMs = Number.NEGATIVE_INFINITY;
  private backedUpSeq = 0;

  constructor(private readonly options: BackupsOptions) {
    const pace = new Pace(options.bytesPerSecond);
    this.check = new BackupCheck(options.dir, { spend: bytes => pace.spend(bytes, this.signal) });
  }

  /** Whether something was written since the last backup of this process. */
  get isBehind(): boolean {
    return this.options.engine().headSeq > this.backedUpSeq;
  }

  /**
   * Backs up what is new with the configuration, and prunes.
   * @param isContinuous often: the configuration is not read anew, and pruning is left out if it was done within the hour
   * @throws as Engine.backup and prune; WalError WAL_IO where the directory is gone
   */
  async make(context: JobContext, isContinuous: boolean): Promise<string> {
    const {
      dir,
      bytesPerSecond,
      savedConfig,
      madeIn,
      onMade,
      elapsedMs = () => performance.now(),
    } = this.options;
    const engine = this.options.engine();
    if (madeIn() === dir) assertThere(dir);
    if (!isContinuous || this.config === undefined) this.config = await savedConfig();
    const { config } = this;
    const seq = engine.headSeq;
    const answer = await this.whileBusy(context, () =>
      engine.backup(
        { to: dir, config, bytes_per_second: bytesPerSecond },
        { actor: scheduledActor('backup'), ...context },
      ),
    );
    this.backedUpSeq = Math.max(seq, answer.last.seq);
    onMade(dir);
    if (isContinuous && elapsedMs() - this.prunedMs < PRUNE_EVERY_MS) return made(answer, 0);
    const removed = await this.prune(context, answer);
    this.prunedMs = elapsedMs();
    return made(answer, removed);
  }

  /** @throws with what was made: that there is a backup matters more than that none was pruned */
  private async prune(context: JobContext, answer: BackupAnswer): Promise<number> {
    const { dir, keep } = this.options;
    context.signal.throwIfAborted();
    this.signal = context.signal;
    try {
      return await this.whileBusy(context, async () => {
        await unpinOldUpdates(dir, keep.updates);
        const onProgress = (done: number) =>
          context.onProgress({ done, unit: 'records', message: 'reading the backups that stay' });
        return (await prune(dir, keep, { check: this.check, onProgress })).removed.length;
      });
    } catch (error) {
      if (!isCoded(error)) throw error;
      throw new CodedError(
        'PRUNE_FAILED',
        `${answer.id} was made, but nothing was pruned: ${error.code}: ${error.message}`,
        error.wayOut,
        { cause: error },
      );
    }
  }

  private async whileBusy<T>({ signal }: JobContext, work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!isCoded(error) || error.code !== 'BACKUP_BUSY' || tries >= BUSY_TRIES) throw error;
        await sleep(this.options.busyWaitMs ?? BUSY_WAIT_MS, undefined, { signal });
      }
    }
  }
}

function made({ id, is_unchanged, written_records }: BackupAnswer, removed: number): string {
  const what = is_unchanged ? `nothing is new since ${id}` : `${id}, ${written_records} records written`;
  return removed === 0 ? what : `${what}, ${removed} old removed`;
}

/** A disk that is no longer mounted leaves its place empty: backups would begin anew there, on the disk below. @throws WalError WAL_IO */
function assertThere(dir: string): void {
  if (!exists(join(dir, SEGMENTS)))
    throw new WalError(
      'WAL_IO',
      `${dir} is gone since the last backup`,
      `Mount its disk again: then it goes on. To begin anew there, make a backup by hand: mcp-vector-server backup --to ${dir}`,
    );
}

/**
 * Lets go of the backups before updates but for the newest ones: what their pins hold is then for the other rules to keep.
 * @returns the ids of those that were unpinned
 */
export async function unpinOldUpdates(dir: string, keep: number): Promise<readonly string[]> {
  const pins = listPins(dir);
  const pinned = listBackups(dir)
    .backups.filter(({ id }) => pins.get(id)?.reason.startsWith(BEFORE_UPDATE))
    .sort(inOrder);
  const old = pinned.slice(0, Math.max(0, pinned.length - keep)).map(({ id }) => id);
  for (const id of old) await unpinBackup(dir, id);
  return old;
}
