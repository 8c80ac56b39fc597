/** A store beside its backups, by their manifests. */
import { join } from 'node:path';
import { type Backup, listBackups, newestBackup } from '../../wal/backup/manifest.js';
import { WalError } from '../../wal/errors.js';
import { type HeadProof, readHeadFile } from '../../wal/head-file.js';
import { PATHS } from '../../wal/paths.js';
import type { LogFinding } from '../../wal/verify.js';
import type { Coverage } from '../domain/verify.js';

/** The newest backup of a directory; undefined where there is none. @throws WalError BACKUP_MISSING */
export const newestIn = (dir: string): Backup | undefined => newestBackup(listBackups(dir).backups);

/**
 * Whether the store's epoch is later than the backup's: a cut or a restore since then is no loss.
 * @throws WalError BACKUP_FOREIGN for the backup of another store
 */
export function hasGoneOn(storeDir: string, { id, manifest: { lineage } }: Backup): boolean {
  let proof: HeadProof | undefined;
  try {
    proof = readHeadFile(join(storeDir, PATHS.head))?.proof;
  } catch (error) {
    // A finding of its own, in a moment.
    if (!(error instanceof WalError)) throw error;
  }
  if (proof === undefined) return false;
  if (proof.storeId !== lineage.storeId)
    throw new WalError(
      'BACKUP_FOREIGN',
      `the backup ${id} is of the store ${lineage.storeId}, and ${storeDir} is ${proof.storeId}`,
      'Name the directory of the backups of this store.',
    );
  return proof.epoch > lineage.epoch;
}

export function divergence({ id, manifest: { last } }: Backup, headSeq: number): LogFinding {
  return {
    code: 'BACKUP_DIVERGED',
    message: `the backup ${id} holds record ${last.seq} with hash ${last.hash}, and the log ${headSeq < last.seq ? `ends at ${headSeq}` : 'has another one'}`,
    seq: last.seq,
  };
}

export function coverageOf(path: string, newest: Backup | undefined, headSeq: number): Coverage {
  if (newest === undefined) return { path, missing: headSeq };
  const { last, lastMs } = newest.manifest;
  const time = new Date(lastMs).toISOString();
  return { path, backup: newest.id, last: { ...last, time }, missing: Math.max(0, headSeq - last.seq) };
}
