import { readConfig } from '../../wal/backup/config-file.js';
import {
  assertOneStore,
  type Backup,
  type BackupList,
  listBackups,
  newestBackup,
  SEGMENTS,
} from '../../wal/backup/manifest.js';
import { listPins, type Pin } from '../../wal/backup/pins.js';
import { WalError } from '../../wal/errors.js';
import { exists } from '../../wal/exists.js';
import { CodedError } from '../domain/errors.js';

/** A backup as it is listed: any moment from its first event to its last can be restored from it. */
export interface BackupSummary {
  readonly id: string;
  readonly kind: 'full' | 'incremental';
  readonly time: string;
  readonly epoch: number;
  readonly last: { readonly seq: number; readonly hash: string; readonly time: string };
  readonly sizeBytes: number;
  readonly segments: number;
  /** Why pruning leaves it; empty where nothing was said. Absent where it is not pinned. */
  readonly pinned?: string;
  /** The configuration that was taken along, in `config/`. */
  readonly config?: string;
}

export interface BackupOverview {
  readonly path: string;
  /** Absent where no backup can be read. */
  readonly storeId?: string;
  /** Oldest first. */
  readonly backups: readonly BackupSummary[];
  readonly damaged: readonly { readonly id: string; readonly problem: string }[];
}

export const summaryOf = ({ id, manifest }: Backup, pin?: Pin): BackupSummary => ({
  id,
  kind: manifest.kind,
  time: manifest.time,
  epoch: manifest.lineage.epoch,
  last: { ...manifest.last, time: new Date(manifest.lastMs).toISOString() },
  sizeBytes: manifest.sizeBytes,
  segments: manifest.segments.length,
  ...(pin && { pinned: pin.reason }),
  ...(manifest.config && { config: manifest.config.file }),
});

/** The backups of a directory by their manifests. @throws WalError BACKUP_MISSING */
export function overviewOf(dir: string, { backups, damaged }: BackupList = listBackups(dir)): BackupOverview {
  const [first] = backups;
  const pins = listPins(dir);
  return {
    path: dir,
    ...(first && { storeId: first.manifest.lineage.storeId }),
    backups: backups.map(backup => summaryOf(backup, pins.get(backup.id))),
    damaged,
  };
}

/** Those of the directory that is configured, if one is: it is not there before the first backup, nor while its disk is not mounted. */
export function configuredBackups(dir: string | undefined): BackupOverview | undefined {
  if (dir === undefined) return undefined;
  return exists(dir) ? overviewOf(dir) : { path: dir, backups: [], damaged: [] };
}

/**
 * A backup by its id, else the newest one, if all can be read.
 * @throws WalError BACKUP_MISSING, BACKUP_DAMAGED, BACKUP_FOREIGN (of several stores); CodedError INVALID_ARGUMENT for an id that is not there
 */
export function chosenBackup(dir: string, { backups, damaged }: BackupList, id: string | undefined): Backup {
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
  if (id === undefined)
    assertOneStore(dir, backups, 'Name a backup with --backup: `mcp-vector-server backup list` has them.');
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

/**
 * The configuration that a backup has along.
 * @param id as for chosenBackup
 * @throws as chosenBackup; WalError BACKUP_MISSING where it has none, BACKUP_DAMAGED where it is not what was written
 */
export function configIn(
  dir: string,
  id: string | undefined,
): { readonly id: string; readonly text: string } {
  const list = listBackups(dir);
  const backup = chosenBackup(dir, list, id);
  const { config } = backup.manifest;
  if (config === undefined) {
    const others = list.backups.filter(({ manifest }) => manifest.config !== undefined);
    throw new WalError(
      'BACKUP_MISSING',
      `the backup ${backup.id} has no configuration along`,
      others.length === 0
        ? 'None there has one: it is taken along by backup --with-config.'
        : `Name one that has with --backup: the latest is ${others.at(-1)!.id}.`,
    );
  }
  return { id: backup.id, text: readConfig(dir, config) };
}

export function noBackup(dir: string): WalError {
  return new WalError(
    'BACKUP_MISSING',
    `${dir} holds no backup`,
    `Name a directory that backups were written to: it has a folder ${SEGMENTS} and a manifest for each.`,
  );
}
