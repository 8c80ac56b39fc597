/**
 * A backup directory belongs to one store and holds
 *
 *   <time>-<epoch>-<last seq>.backup.json       a manifest: one backup, written last
 *   segments/<first>-<last>-<hash>.records      raw records: see record-file.ts
 *
 * Segments never change and backups share them: a manifest names all segments that its records 1..last are in, whichever backup wrote them. A
 * manifest is one line of JSON and a line with the sha256 of that line, so that nothing in it can change unseen.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import type { Lineage } from '../log.js';
import { HOW_TO_READ, type RecordName } from '../record-file.js';

export const FORMAT = 1;
export const SEGMENTS = 'segments';
const MANIFEST_SUFFIX = '.backup.json';
/** Ends the name of a file that is still being written. */
export const UNFINISHED = '.unfinished';

export interface Segment {
  /** In `segments/`. */
  readonly file: string;
  readonly first: RecordName;
  readonly last: RecordName;
  readonly records: number;
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
}

/** A backup by the name of its manifest without the suffix. */
export interface Backup {
  readonly id: string;
  readonly manifest: BackupManifest;
}

const digits = (seq: number): string => String(seq).padStart(16, '0');

export const segmentName = (first: number, last: RecordName): string =>
  `${digits(first)}-${digits(last.seq)}-${last.hash}.records`;

/** What a segment's name says; undefined for another file. */
export function parseSegmentName(name: string): { first: number; last: RecordName } | undefined {
  const parts = /^(\d{16})-(\d{16})-([0-9a-f]{16})\.records$/.exec(name);
  return parts === null
    ? undefined
    : { first: Number(parts[1]), last: { seq: Number(parts[2]), hash: parts[3]! } };
}

export const backupId = ({ time, lineage, last }: BackupManifest): string =>
  `${time.replace(/[:.]/g, '-')}-${lineage.epoch}-${last.seq}`;

export const manifestPath = (dir: string, id: string): string => join(dir, `${id}${MANIFEST_SUFFIX}`);

export function encodeManifest(manifest: Omit<BackupManifest, 'format' | 'howToRead'>): string {
  return withDigest(JSON.stringify({ format: FORMAT, howToRead: HOW_TO_READ, ...manifest }));
}

const withDigest = (json: string): string => `${json}\n${sha256(json)}\n`;

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
  readonly damaged: readonly { readonly id: string; readonly problem: string }[];
}

/**
 * The backups of a directory, by their manifests alone.
 * @throws WalError BACKUP_MISSING where there is no such directory
 */
export function listBackups(dir: string): BackupList {
  if (!existsSync(dir))
    throw new WalError(
      'BACKUP_MISSING',
      `${dir} does not exist`,
      'Name the directory that backups were written to.',
    );
  const backups: Backup[] = [];
  const damaged: { id: string; problem: string }[] = [];
  for (const name of readdirSync(dir).sort()) {
    if (!name.endsWith(MANIFEST_SUFFIX)) continue;
    const id = name.slice(0, -MANIFEST_SUFFIX.length);
    const read = readManifest(join(dir, name));
    if (read.manifest === undefined) damaged.push({ id, problem: `${name} ${read.problem}` });
    else backups.push({ id, manifest: read.manifest });
  }
  return { backups: backups.sort(inOrder), damaged };
}

function readManifest(
  path: string,
): { manifest: BackupManifest; problem?: never } | { manifest?: never; problem: string } {
  const text = readFileSync(path, 'utf8');
  const [json = ''] = text.split('\n', 1);
  if (text !== withDigest(json)) return { problem: 'does not match its sha256' };
  const manifest = JSON.parse(json) as BackupManifest;
  if (manifest.format !== FORMAT)
    return { problem: `has format ${manifest.format}, this program reads ${FORMAT}` };
  return { manifest };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
