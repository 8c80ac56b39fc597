import { resolve } from 'node:path';
import { BackupLog } from '../../wal/backup/backup-log.js';
import { type BackupList, epochOfId, listBackups } from '../../wal/backup/manifest.js';
import { restoreLog } from '../../wal/backup/restore.js';
import { backUp } from '../../wal/backup/write.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { RecordSource } from '../../wal/log.js';
import { inspectStoreTarget } from '../../wal/new-store.js';
import { Pace } from '../../wal/pace.js';
import type { BackupAnswer, BackupCommand } from '../domain/backup.js';
import type { CallContext, Progress, ResolvedMoment } from '../domain/face.js';
import { type BackupSummary, chosenBackup, summaryOf } from './backup-list.js';
import { throwIfCancelled } from './cancelled.js';
import { assertSpace, type DiskSpace, storeBytes } from './disk-space.js';
import { eraseAgain } from './erase-again.js';
import { givesUpContents } from './event-codec.js';
import { assertOutside } from './fork.js';
import { beyondHorizon } from './moments.js';
import { replayCatalog } from './replay.js';
import { resolveRange } from './replay-range.js';
import { type VerifyReport, verifyStore } from './verify.js';

const isoOf = (ms: number): string => new Date(ms).toISOString();

/**
 * Backs up the log of an open store.
 * @param ending aborted, with an error, when the store is about to be closed
 * @throws as backUp; CodedError CANCELLED; what `ending` was aborted with
 */
export async function backUpStore(
  log: RecordSource,
  { to, full, config, bytes_per_second }: BackupCommand,
  context: CallContext,
  { clock, ending }: { clock: () => number; ending: AbortSignal },
): Promise<BackupAnswer> {
  const { id, manifest, written, isUnchanged } = await backUp(log, to, {
    full,
    config,
    ...(bytes_per_second !== undefined && { pace: new Pace(bytes_per_second) }),
    clock,
    signal: AbortSignal.any(context.signal === undefined ? [ending] : [ending, context.signal]),
    onProgress: (done, total) =>
      context.onProgress?.({ done, total, unit: 'records', message: 'backing up' }),
  }).catch((error: unknown) => {
    throwIfCancelled(context);
    throw error;
  });
  return {
    id,
    path: to,
    kind: manifest.kind,
    is_unchanged: isUnchanged,
    last: { ...manifest.last, time: isoOf(manifest.lastMs) },
    epoch: manifest.lineage.epoch,
    records: manifest.records,
    written_records: written,
    size_bytes: manifest.sizeBytes,
    ...(manifest.config && { config: manifest.config.file }),
  };
}

export interface RestoreOptions {
  /** A directory of backups. */
  readonly from: string;
  /** Where the store is to be: absent or an empty directory. */
  readonly to: string;
  /** A backup by its id. Default: the newest one, if all can be read. */
  readonly backup?: string | undefined;
  /** The last moment to be restored. Default: all of it. */
  readonly until?: string | undefined;
  /** Only tell what would be restored, and whether it can be. */
  readonly dryRun?: boolean;
  readonly clock?: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Restored {
  readonly backup: BackupSummary;
  readonly moment: ResolvedMoment;
  readonly to: string;
  readonly storeId: string;
  readonly records: number;
  readonly disk: DiskSpace;
  /** What verifying the new store said; absent on a dry run. */
  readonly verified?: VerifyReport;
  /** The epoch in which it goes on; absent on a dry run. */
  readonly epoch?: number;
}

/**
 * Makes a store of a backup, which is verified before and after.
 * @throws WalError BACKUP_MISSING, BACKUP_DAMAGED, STORE_FOREIGN (the target holds something), WAL_IO; CodedError as resolveRange, DISK_FULL,
 *   MOMENT_BEYOND_HORIZON
 */
export function restore(options: RestoreOptions): Promise<Restored> {
  return withIoErrors(`${options.to} could not be restored`, () => restoreFrom(options));
}

async function restoreFrom(options: RestoreOptions): Promise<Restored> {
  const { dryRun = false, clock = Date.now, onProgress } = options;
  const from = resolve(options.from);
  const to = resolve(options.to);
  const list = listBackups(from);
  const backup = chosenBackup(from, list, options.backup);
  // A directory of backups that holds something else is not written to any more.
  assertOutside(from, to, 'the backups');
  inspectStoreTarget(to);
  let isWhole = true;
  const log = await BackupLog.open(
    from,
    backup,
    (done, total) => onProgress?.({ done, total, unit: 'records', message: 'verifying the backup' }),
    ({ type, body }) => {
      isWhole &&= body !== undefined && !givesUpContents(type);
    },
  );
  try {
    const { until } = await resolveRange(log, { until: options.until }, clock());
    if (!isWhole) await assertWhole(log, until, onProgress);
    const plan = {
      backup: summaryOf(backup),
      moment: until,
      to,
      storeId: log.lineage.storeId,
      records: until.seq,
      disk: await assertSpace(to, storeBytes(backup.manifest.sizeBytes)),
    };
    if (dryRun) return plan;
    const epoch = 1 + lastEpoch(list);
    await restoreLog(log, until.seq, to, {
      epoch,
      clock,
      onProgress: done => onProgress?.({ done, total: until.seq, unit: 'records', message: 'restoring' }),
    });
    if (!isWhole) await eraseAgain(to, onProgress);
    return { ...plan, epoch, verified: await verifyStore(to, { onProgress }) };
  } finally {
    log.close();
  }
}

/** @throws CodedError MOMENT_BEYOND_HORIZON where something that lived then was erased before the backup was made */
async function assertWhole(
  log: BackupLog,
  until: ResolvedMoment,
  onProgress: RestoreOptions['onProgress'],
): Promise<void> {
  const { catalog } = await replayCatalog(log, { sinceSeq: until.seq + 1, until }, onProgress);
  const erased = catalog.erasedSpanAt(until.seq);
  if (erased !== undefined) throw beyondHorizon(log, 'the moment', until.seq, erased);
}

/** Of all backups of a directory; a manifest that cannot be read says it by its name. */
const lastEpoch = ({ backups, damaged }: BackupList): number =>
  Math.max(
    ...backups.map(({ manifest }) => manifest.lineage.epoch),
    ...damaged.map(({ id }) => epochOfId(id)),
  );
