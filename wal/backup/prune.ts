import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { fsyncDirectory } from '../head-file.js';
import { withLock } from './lock.js';
import { type Backup, filesOf, inOrder, listBackups, manifestPath, SEGMENTS } from './manifest.js';

/** How many to keep, each the newest of its day, week or month (UTC). */
export interface Retention {
  /** The newest ones, whenever they were made. */
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export interface Pruning {
  readonly kept: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  readonly removed: readonly string[];
  /** Of the segments that no backup refers to afterwards. */
  readonly freedBytes: number;
  readonly segments: number;
}

/**
 * What a retention keeps and what goes. The last backup of an epoch is always kept: it alone holds what was cut off afterwards, and every other one
 * of its epoch is a part of it. So no moment that can be restored is lost.
 * @throws WalError BACKUP_MISSING; BACKUP_DAMAGED where a manifest cannot be read: what it refers to must not go
 */
export const planPruning = (dir: string, retention: Retention): Pruning => choose(dir, retention).pruning;

/**
 * Carries out what planPruning says: manifests first, so that no backup is ever without its segments.
 * @throws as planPruning; WalError BACKUP_BUSY
 */
export const prune = (dir: string, retention: Retention): Promise<Pruning> =>
  withLock(dir, () => {
    const { pruning, files } = choose(dir, retention);
    for (const id of pruning.removed) rmSync(manifestPath(dir, id));
    fsyncDirectory(dir);
    for (const file of files) rmSync(join(dir, SEGMENTS, file), { force: true });
    fsyncDirectory(join(dir, SEGMENTS));
    return pruning;
  });

/** @returns with the segments that only backups which go are in */
function choose(dir: string, retention: Retention): { pruning: Pruning; files: readonly string[] } {
  const { backups, damaged } = listBackups(dir);
  if (damaged.length > 0)
    throw new WalError(
      'BACKUP_DAMAGED',
      damaged.map(({ problem }) => problem).join('; '),
      'Nothing was removed: what it refers to is not known. Move it away, or put it back from a copy; then try again.',
    );
  const reasons = reasonsToKeep(backups, retention);
  const kept = backups.filter(({ id }) => reasons.has(id));
  const removed = backups.filter(({ id }) => !reasons.has(id));
  const needed = filesOf(kept);
  const files = [...filesOf(removed)].filter(file => !needed.has(file));
  const sizeOf = (file: string) => statSync(join(dir, SEGMENTS, file), { throwIfNoEntry: false })?.size ?? 0;
  const pruning = {
    kept: kept.map(({ id }) => ({ id, reasons: reasons.get(id)! })),
    removed: removed.map(({ id }) => id),
    freedBytes: files.reduce((sum, file) => sum + sizeOf(file), 0),
    segments: files.length,
  };
  return { pruning, files };
}

/** By id, in the order of the rules. */
function reasonsToKeep(
  backups: readonly Backup[],
  { last, daily, weekly, monthly }: Retention,
): Map<string, string[]> {
  const newestFirst = [...backups].sort((a, b) => inOrder(b, a));
  const reasons = new Map<string, string[]>();
  const keep = (id: string, reason: string) => reasons.set(id, [...(reasons.get(id) ?? []), reason]);
  for (const { id } of newestFirst.slice(0, last)) keep(id, 'last');
  const rules = [
    ['daily', daily, dayOf],
    ['weekly', weekly, weekOf],
    ['monthly', monthly, (time: string) => time.slice(0, 7)],
  ] as const;
  for (const [name, count, periodOf] of rules) {
    const seen = new Set<string>();
    for (const { id, manifest } of newestFirst) {
      const period = periodOf(manifest.time);
      if (seen.has(period) || seen.size >= count) continue;
      seen.add(period);
      keep(id, name);
    }
  }
  const ends = new Map<number, Backup>();
  for (const backup of backups) {
    const { lineage, last: end } = backup.manifest;
    const other = ends.get(lineage.epoch);
    if (other === undefined || other.manifest.last.seq <= end.seq) ends.set(lineage.epoch, backup);
  }
  for (const [epoch, { id }] of ends) keep(id, `end of epoch ${epoch}`);
  return reasons;
}

const dayOf = (time: string): string => time.slice(0, 10);

/** The Monday that a day's week begins with. */
function weekOf(time: string): string {
  const day = new Date(`${dayOf(time)}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}
