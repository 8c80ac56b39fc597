/**
 * A backup directory belongs to one store and holds
 *
 *   <time>-<epoch>-<last seq>.backup.json              a manifest: one backup, written last
 *   <time>-<epoch>-<last seq>.pin.json                 says that the backup is not to be pruned: see pins.ts
 *   segments/<first>-<last>-<hash>[-<copy>].records    raw records: see record-file.ts
 *   config/<sha256>.json                               a configuration that was taken along: see config-file.ts
 *   *.lock                                             somebody is at work here: see lock.ts
 *
 * Segments never change and backups share them: a manifest names all segments that its records 1..last are in, whichever backup wrote them.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import type { Lineage } from '../log.js';
import { HOW_TO_READ, type RecordName } from '../record-file.js';
import { CONFIG, type ConfigFile } from './config-file.js';
import { isLock } from './lock.js';
import { readSealed, seal, UNFINISHED, type Unread } from './sealed.js';

export const FORMAT = 1;
export const SEGMENTS = 'segments';
const MANIFEST_SUFFIX = '.backup.json';
export const PIN_SUFFIX = '.pin.json';

/** File managers and file servers leave such files in any directory, also beside each file that is there (`._<name>`): they are nobody's. */
export const isHidden = (name: string): boolean => name.startsWith('.') || name === '@eaDir';

/** Whether a file belongs into a directory of backups, or is no matter there. */
export const isPart = (name: string): boolean =>
  name === SEGMENTS ||
  name === CONFIG ||
  isHidden(name) ||
  isLock(name) ||
  [MANIFEST_SUFFIX, PIN_SUFFIX].some(suffix => name.endsWith(suffix) || name.endsWith(suffix + UNFINISHED));

export interface Segment {
  /** In `segments/`. */
  readonly file: string;
  readonly first: RecordName;
  readonly last: RecordName;
  readonly records: number;
  /** Of them, those whose payload was erased in the log before they were written. Absent in manifests of earlier versions: not known. */
  readonly erased?: number;
  /** How many of them stand for lost ones; absent where none does. */
  readonly lost?: number;
  readonly sizeBytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
}

export interface BackupManifest {
  readonly format: number;
  readonly howToRead: string;
  readonly lineage: Lineage;
  /** `incremental` where it was made on top of an earlier one, whose segments it shares but for small ones that were merged. */
  readonly kind: 'full' | 'incremental';
  /** When it was made, ISO 8601 in UTC. */
  readonly time: string;
  /** Its last record, which ends a transaction, and that record's logical time in ms. */
  readonly last: RecordName;
  readonly lastMs: number;
  readonly records: number;
  readonly sizeBytes: number;
  /** In order, without a gap from record 1 to the last. */
  readonly segments: readonly Segment[];
  /** Absent where none was taken along. */
  readonly config?: ConfigFile;
}

/** A backup by the name of its manifest without the suffix. */
export interface Backup {
  readonly id: string;
  readonly manifest: BackupManifest;
}

const digits = (seq: number): string => String(seq).padStart(16, '0');

/** @param copy 1 for the first file of these records; later ones have it in their names */
export const segmentName = (first: number, last: RecordName, copy: number): string =>
  `${digits(first)}-${digits(last.seq)}-${last.hash}${copy === 1 ? '' : `-${copy}`}.records`;

/** What a segment's name says; undefined for another file. */
export function parseSegmentName(name: string): { first: number; last: RecordName } | undefined {
  const parts = /^(\d{16})-(\d{16})-([0-9a-f]{16})(?:-\d+)?\.records$/.exec(name);
  return parts === null
    ? undefined
    : { first: Number(parts[1]), last: { seq: Number(parts[2]), hash: parts[3]! } };
}

export const backupId = ({ time, lineage, last }: BackupManifest): string =>
  `${time.replace(/[:.]/g, '-')}-${lineage.epoch}-${last.seq}`;

/** The epoch that a backup's id says it is of; 0 for an id of another form. */
export const epochOfId = (id: string): number => Number(/-(\d{1,9})-\d+$/.exec(id)?.[1] ?? 0);

export const manifestPath = (dir: string, id: string): string => join(dir, `${id}${MANIFEST_SUFFIX}`);

export const encodeManifest = (manifest: Omit<BackupManifest, 'format' | 'howToRead'>): string =>
  seal(JSON.stringify({ format: FORMAT, howToRead: HOW_TO_READ, ...manifest }));

/**
 * By what they hold, oldest first: a later epoch goes on from an earlier one. When they were made says little: a clock may have been set back since
 * the last one.
 */
export const inOrder = ({ manifest: a }: Backup, { manifest: b }: Backup): number =>
  a.lineage.epoch - b.lineage.epoch || a.last.seq - b.last.seq || (a.time < b.time ? -1 : 1);

/** The one that holds the latest record of the latest epoch. */
export const newestBackup = (backups: readonly Backup[]): Backup | undefined =>
  [...backups].sort(inOrder).at(-1);

/** The segments that backups are in. */
export const filesOf = (backups: readonly Backup[]): Set<string> =>
  new Set(backups.flatMap(({ manifest }) => manifest.segments.map(({ file }) => file)));

export interface BackupList {
  /** Those that can be read, oldest first. */
  readonly backups: readonly Backup[];
  /** Manifests that cannot, and why. */
  readonly damaged: readonly UnreadManifest[];
}

export interface UnreadManifest extends Pick<Unread, 'problem' | 'error'> {
  readonly id: string;
}

/**
 * The backups of a directory, by their manifests alone.
 * @throws WalError BACKUP_MISSING where there is no such directory
 */
export function listBackups(dir: string): BackupList {
  if (!exists(dir)) throw missing(`${dir} does not exist`);
  if (!statSync(dir).isDirectory()) throw missing(`${dir} is no directory`);
  const backups: Backup[] = [];
  const damaged: UnreadManifest[] = [];
  for (const name of readdirSync(dir).sort()) {
    if (!name.endsWith(MANIFEST_SUFFIX) || isHidden(name)) continue;
    const id = name.slice(0, -MANIFEST_SUFFIX.length);
    const { manifest, problem, error } = readManifest(join(dir, name));
    // Pruned since the directory was read.
    if (error?.code === 'ENOENT') continue;
    if (manifest === undefined) damaged.push({ id, problem: `${name} ${problem}`, ...(error && { error }) });
    else backups.push({ id, manifest });
  }
  return { backups: backups.sort(inOrder), damaged };
}

const missing = (message: string): WalError =>
  new WalError('BACKUP_MISSING', message, 'Name the directory that backups were written to.');

/**
 * Whoever copies two directories of backups into one has the backups of two stores there. By their epochs and numbers, one would be taken for a part
 * of the other.
 * @throws WalError BACKUP_FOREIGN
 */
export function assertOneStore(dir: string, backups: readonly Backup[], wayOut: string): void {
  const stores = new Set(backups.map(({ manifest }) => manifest.lineage.storeId));
  if (stores.size > 1)
    throw new WalError(
      'BACKUP_FOREIGN',
      `${dir} holds backups of the stores ${[...stores].join(' and ')}`,
      wayOut,
    );
}

function readManifest(
  path: string,
): { manifest: BackupManifest; problem?: never; error?: never } | (Unread & { manifest?: never }) {
  const { value, ...unread } = readSealed(path);
  if (unread.problem !== undefined) return unread;
  const manifest = value as BackupManifest;
  if (manifest.format !== FORMAT)
    return { problem: `has format ${manifest.format}, this program reads ${FORMAT}` };
  return { manifest };
}
