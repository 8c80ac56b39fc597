import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BackupLog } from '../../wal/backup/backup-log.js';
import {
  type Backup,
  type BackupList,
  listBackups,
  newestBackup,
  SEGMENTS,
  type Segment,
} from '../../wal/backup/manifest.js';
import { restoreLog } from '../../wal/backup/restore.js';
import { readSegment } from '../../wal/backup/segment.js';
import { backUp } from '../../wal/backup/write.js';
import { WalError } from '../../wal/errors.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { RecordSource } from '../../wal/log.js';
import { inspectTarget } from '../../wal/new-store.js';
import { openLog } from '../../wal/open.js';
import type { LogRecord } from '../../wal/record.js';
import type { BackupAnswer, BackupCommand } from '../domain/backup.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, Progress, ResolvedMoment } from '../domain/face.js';
import { assertSpace, type DiskSpace, storeBytes } from './disk-space.js';
import { eraseContents } from './erasing.js';
import { givesUpContents } from './event-codec.js';
import { beyondHorizon, describeSeq } from './moments.js';
import { replayCatalog } from './replay.js';
import { resolveRange } from './replay-range.js';
import { type VerifyReport, verifyStore } from './verify.js';
import { throwIfCancelled } from './write.js';

const isoOf = (ms: number): string => new Date(ms).toISOString();

/**
 * Backs up the log of an open store.
 * @param ending aborted, with an error, when the store is about to be closed
 * @throws as backUp; CodedError CANCELLED; what `ending` was aborted with
 */
export async function backUpStore(
  log: RecordSource,
  { to, full }: BackupCommand,
  context: CallContext,
  { clock, ending }: { clock: () => number; ending: AbortSignal },
): Promise<BackupAnswer> {
  const { id, manifest, written, isUnchanged } = await backUp(log, to, {
    full,
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
  };
}

/** A backup as it is listed: any moment from its first event to its last can be restored from it. */
export interface BackupSummary {
  readonly id: string;
  readonly kind: 'full' | 'incremental';
  readonly time: string;
  readonly epoch: number;
  readonly last: { readonly seq: number; readonly hash: string; readonly time: string };
  readonly sizeBytes: number;
  readonly segments: number;
}

export interface BackupOverview {
  readonly path: string;
  /** Absent where no backup can be read. */
  readonly storeId?: string;
  /** Oldest first. */
  readonly backups: readonly BackupSummary[];
  readonly damaged: readonly { readonly id: string; readonly problem: string }[];
}

const summaryOf = ({ id, manifest }: Backup): BackupSummary => ({
  id,
  kind: manifest.kind,
  time: manifest.time,
  epoch: manifest.lineage.epoch,
  last: { ...manifest.last, time: isoOf(manifest.lastMs) },
  sizeBytes: manifest.sizeBytes,
  segments: manifest.segments.length,
});

/** The backups of a directory by their manifests. @throws WalError BACKUP_MISSING */
export const overviewOf = (dir: string): BackupOverview => overview(dir, listBackups(dir));

function overview(dir: string, { backups, damaged }: BackupList): BackupOverview {
  const [first] = backups;
  return {
    path: dir,
    ...(first && { storeId: first.manifest.lineage.storeId }),
    backups: backups.map(summaryOf),
    damaged,
  };
}

export interface BackupFinding {
  /** The backups that it spoils. */
  readonly backups: readonly string[];
  readonly message: string;
}

export interface BackupReport extends BackupOverview {
  readonly isSound: boolean;
  /** Records that were read and checked; those that backups share once. */
  readonly records: number;
  readonly findings: readonly BackupFinding[];
  /** Of a trial: the backup that was restored, and what verifying that store said. */
  readonly trial?: {
    readonly backup: string;
    readonly isSound: boolean;
    readonly findings: VerifyReport['findings'];
  };
}

/**
 * Reads all backups of a directory through, without LevelDB; each segment once.
 * @param trialIn a directory in which the newest one is restored and verified as a store, and removed again
 * @throws WalError BACKUP_MISSING: there is none to verify; WAL_IO
 */
export function verifyBackups(dir: string, options: VerifyBackupsOptions = {}): Promise<BackupReport> {
  return withIoErrors(`${dir} could not be verified`, () => verifyAll(dir, options));
}

interface VerifyBackupsOptions {
  readonly trialIn?: string | undefined;
  readonly onProgress?: (progress: Progress) => void;
}

async function verifyAll(dir: string, { trialIn, onProgress }: VerifyBackupsOptions): Promise<BackupReport> {
  const list = listBackups(dir);
  const { backups, damaged } = list;
  if (backups.length === 0 && damaged.length === 0) throw noBackup(dir);
  const seen = new Map<string, LogRecord | WalError>();
  const findings: BackupFinding[] = damaged.map(({ id, problem }) => ({
    backups: [id],
    message: problem,
  }));
  let records = 0;
  for (const { manifest } of backups) {
    let previous: LogRecord | undefined;
    for (const segment of manifest.segments) {
      const key = JSON.stringify([segment, String(previous?.hash)]);
      let found = seen.get(key);
      if (found === undefined) {
        found = await readSegment(dir, segment, previous).catch((error: unknown) => {
          if (error instanceof WalError) return error;
          throw error;
        });
        seen.set(key, found);
        records += segment.records;
        onProgress?.({ done: records, unit: 'records', message: 'verifying' });
        if (found instanceof WalError)
          findings.push({ backups: holding(backups, segment), message: found.message });
      }
      if (found instanceof WalError) break;
      previous = found;
    }
  }
  const isSound = findings.length === 0;
  const newest = newestBackup(backups);
  const trial =
    trialIn === undefined || newest === undefined
      ? undefined
      : await tryOut(dir, newest, trialIn, onProgress);
  return {
    ...overview(dir, list),
    isSound: isSound && trial?.isSound !== false,
    records,
    findings,
    ...(trial && { trial }),
  };
}

const holding = (backups: readonly Backup[], { file }: Segment): string[] =>
  backups
    .filter(({ manifest }) => manifest.segments.some(segment => segment.file === file))
    .map(({ id }) => id);

async function tryOut(
  dir: string,
  backup: Backup,
  trialIn: string,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<NonNullable<BackupReport['trial']>> {
  const folder = mkdtempSync(join(trialIn, 'mcp-vector-trial-'));
  try {
    const restored = await restore({ from: dir, to: join(folder, 'store'), backup: backup.id, onProgress });
    return { backup: backup.id, isSound: restored.verified!.sound, findings: restored.verified!.findings };
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return { backup: backup.id, isSound: false, findings: [{ code: error.code, message: error.message }] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
  const { backups, damaged } = listBackups(from);
  const backup = chosen(from, backups, damaged, options.backup);
  inspectTarget(to);
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
    const epoch = 1 + Math.max(...backups.map(({ manifest }) => manifest.lineage.epoch));
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

/** The backup may hold contents that were given up after it was written: what the restored log gives up is erased in it. */
async function eraseAgain(storeDir: string, onProgress: RestoreOptions['onProgress']): Promise<void> {
  const log = await openLog({ storeDir });
  try {
    const until = describeSeq(log, log.head.seq);
    const { catalog } = await replayCatalog(log, { sinceSeq: until.seq + 1, until }, onProgress);
    for (const why of ['horizon', 'redacted'] as const)
      await eraseContents(log, catalog, why, { onProgress });
  } finally {
    await log.close();
  }
}

function chosen(
  dir: string,
  backups: readonly Backup[],
  damaged: readonly { readonly id: string; readonly problem: string }[],
  id: string | undefined,
): Backup {
  const broken = damaged.find(backup => backup.id === id);
  if (broken !== undefined)
    throw new WalError(
      'BACKUP_DAMAGED',
      broken.problem,
      'Name another backup: `mcp-vector-server backup list` has them.',
    );
  // Which one is the newest is not known then; an older one is not taken in its place unasked.
  if (id === undefined && damaged.length > 0)
    throw new WalError(
      'BACKUP_DAMAGED',
      damaged.map(({ problem }) => problem).join('; '),
      `Name a backup with --backup: the newest one that can be read is ${newestBackup(backups)?.id ?? 'none'}.`,
    );
  const found = id === undefined ? newestBackup(backups) : backups.find(backup => backup.id === id);
  if (found !== undefined) return found;
  if (id === undefined) throw noBackup(dir);
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${dir} holds no backup ${id}`,
    `There are: ${backups
      .slice(-5)
      .map(backup => backup.id)
      .join(', ')}.`,
  );
}

function noBackup(dir: string): WalError {
  return new WalError(
    'BACKUP_MISSING',
    `${dir} holds no backup`,
    `Name a directory that backups were written to: it has a folder ${SEGMENTS} and a manifest for each.`,
  );
}
