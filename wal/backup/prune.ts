import { readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { fsyncDirectory } from '../head-file.js';
import { withIoErrors } from '../io-error.js';
import { BackupCheck } from './check.js';
import { CONFIG, isConfigName } from './config-file.js';
import { Erasures, type Loss } from './erased.js';
import { withLock } from './lock.js';
import {
  assertOneStore,
  type Backup,
  filesOf,
  listBackups,
  manifestPath,
  newestBackup,
  parseSegmentName,
  SEGMENTS,
} from './manifest.js';
import { listPins } from './pins.js';
import { endsOfEpochs, type Retention, reasonsToKeep } from './retention.js';

export interface Pruning {
  readonly kept: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  readonly removed: readonly string[];
  /** Of the segments and configurations that no backup refers to afterwards. */
  readonly freedBytes: number;
  readonly segments: number;
  /**
   * Payloads that go for good, by the backup that goes: the log erased them after it was made, and what stays holds them erased. Moments that show them
   * cannot be restored whole afterwards.
   */
  readonly losses: readonly Loss[];
}

export interface PruneOptions {
  /** Of a caller that prunes again and again: segments that it has read before are not read again. */
  readonly check?: BackupCheck;
  /** Told how many records of what is to stay were read. */
  readonly onProgress?: (records: number) => void;
}

/**
 * What a retention keeps and what goes. The last backup of an epoch is always kept: it alone holds what was cut off afterwards, and every other one
 * of its epoch is a part of it, but for payloads that were erased in between. So no other moment that can be restored is lost.
 * @throws WalError BACKUP_MISSING; BACKUP_DAMAGED where a manifest cannot be read, for what it refers to must not go, and where a backup that is to
 *   hold what goes is not sound; BACKUP_DIVERGED where it does not hold it; BACKUP_FOREIGN where there are backups of several stores; WAL_IO
 */
export const planPruning = async (
  dir: string,
  retention: Retention,
  options: PruneOptions = {},
): Promise<Pruning> => (await withIoErrors(unpruned(dir), () => choose(dir, retention, options))).pruning;

/**
 * Carries out what planPruning says: manifests first, so that no backup is ever without its segments.
 * @throws as planPruning; WalError BACKUP_BUSY
 */
export async function prune(dir: string, retention: Retention, options: PruneOptions = {}): Promise<Pruning> {
  return await withIoErrors(unpruned(dir), () => {
    // Before the lock, which needs the directory.
    listBackups(dir);
    return withLock(dir, async () => {
      const { pruning, files } = await choose(dir, retention, options);
      for (const id of pruning.removed) rmSync(manifestPath(dir, id));
      fsyncDirectory(dir);
      for (const path of files) rmSync(join(dir, path), { force: true });
      for (const folder of new Set(files.map(path => dirname(path)))) fsyncDirectory(join(dir, folder));
      return pruning;
    });
  });
}

const unpruned = (dir: string): string => `the backups in ${dir} could not be pruned`;

/** @returns with the files that no backup which stays refers to */
async function choose(
  dir: string,
  retention: Retention,
  { check = new BackupCheck(dir), onProgress }: PruneOptions,
): Promise<{ pruning: Pruning; files: readonly string[] }> {
  const { backups, damaged } = listBackups(dir);
  if (damaged.length > 0)
    throw new WalError(
      'BACKUP_DAMAGED',
      damaged.map(({ problem }) => problem).join('; '),
      'Nothing was removed: what it refers to is not known. Move it away, or put it back from a copy; then try again.',
    );
  assertOneStore(
    dir,
    backups,
    'Nothing was removed. Move the manifests of all but one into directories of their own, with the folders beside them copied; then prune each.',
  );
  const reasons = reasonsToKeep(backups, retention, listPins(dir));
  const kept = backups.filter(({ id }) => reasons.has(id));
  const removed = backups.filter(({ id }) => !reasons.has(id));
  await assertHeld(kept, removed, check, onProgress);
  const erasures = new Erasures(dir);
  const losses: Loss[] = [];
  for (const backup of removed) {
    const others = kept.filter(other => isPartOf(backup, other));
    const loss = await erasures.payloadsOnlyIn(backup, others);
    if (loss !== undefined) losses.push(loss);
  }
  const files = unreferred(dir, kept);
  const pruning = {
    kept: kept.map(({ id }) => ({ id, reasons: reasons.get(id)! })),
    removed: removed.map(({ id }) => id),
    freedBytes: files.reduce((sum, path) => sum + statSync(join(dir, path)).size, 0),
    segments: files.filter(path => path.startsWith(SEGMENTS)).length,
    losses,
  };
  return { pruning, files };
}

/** Whether the other one has all records of a backup. */
const isPartOf = ({ manifest: one }: Backup, { manifest: other }: Backup): boolean =>
  one.lineage.epoch === other.lineage.epoch && one.last.seq <= other.last.seq;

/** Reads through what is to hold the moments of that which goes, and the newest one. @throws WalError BACKUP_DAMAGED, BACKUP_DIVERGED */
async function assertHeld(
  kept: readonly Backup[],
  removed: readonly Backup[],
  check: BackupCheck,
  onProgress: PruneOptions['onProgress'],
): Promise<void> {
  let records = 0;
  if (removed.length === 0) return;
  const epochs = new Set(removed.map(({ manifest }) => manifest.lineage.epoch));
  const ends = new Map([...endsOfEpochs(kept)].filter(([epoch]) => epochs.has(epoch)));
  check.renew([...kept, ...removed]);
  for (const backup of new Set([newestBackup(kept)!, ...ends.values()])) {
    const problem = await check.problemOf(backup, segment => {
      records += segment.records;
      onProgress?.(records);
    });
    if (problem !== undefined)
      throw new WalError(
        'BACKUP_DAMAGED',
        `${backup.id} is not sound, and would have to hold what others hold now: ${problem.message}`,
        'Nothing was removed. Make a full backup (backup --full) and prune again; if this one is of an earlier epoch, move its manifest away instead: the one before it counts then.',
        { cause: problem, details: problem.details },
      );
  }
  for (const { id, manifest } of removed) {
    const end = ends.get(manifest.lineage.epoch)!;
    const { seq, hash } = manifest.last;
    if (!check.holds(end, { id, manifest }))
      throw new WalError(
        'BACKUP_DIVERGED',
        `${id} holds record ${seq} with hash ${hash}, which ${end.id} of the same epoch does not have`,
        'Nothing was removed. Copies of the store went two ways, and each has a backup here: pin the one (backup pin), or move its manifest away, and prune again.',
        { details: { backup: id, seq } },
      );
  }
}

/**
 * Segments and configurations, relative to the directory, that none of these backups refers to: also what an interrupted pruning or backup left. Where there is no
 * backup at all, nothing: what is left may be all that there is.
 */
function unreferred(dir: string, kept: readonly Backup[]): string[] {
  if (kept.length === 0) return [];
  const segments = filesOf(kept);
  const configs = new Set(kept.map(({ manifest }) => manifest.config?.file));
  return [
    ...namesIn(join(dir, SEGMENTS))
      .filter(name => parseSegmentName(name) !== undefined && !segments.has(name))
      .map(name => join(SEGMENTS, name)),
    ...namesIn(join(dir, CONFIG))
      .filter(name => isConfigName(name) && !configs.has(name))
      .map(name => join(CONFIG, name)),
  ];
}

const namesIn = (folder: string): string[] => (exists(folder) ? readdirSync(folder) : []);
