import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../directory.js';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { describe } from '../io-error.js';
import type { Lineage, RecordSource } from '../log.js';
import type { Pace } from '../pace.js';
import { nameRecord } from '../record-file.js';
import { CONFIG, writeConfig } from './config-file.js';
import { withLock } from './lock.js';
import {
  type Backup,
  type BackupManifest,
  backupId,
  encodeManifest,
  isPart,
  listBackups,
  manifestPath,
  newestBackup,
  SEGMENTS,
  type Segment,
} from './manifest.js';
import { UNFINISHED, writeWhole } from './sealed.js';
import { has, writeSegments } from './write-segments.js';

export interface BackUpOptions {
  /** Write all records anew, sharing no file with earlier backups. Default false. */
  readonly full?: boolean | undefined;
  /** A configuration to be taken along. */
  readonly config?: string | undefined;
  readonly clock: () => number;
  /** Holds back the reading of the log. Default: as fast as it goes. */
  readonly pace?: Pace;
  /** Told how many records are in finished segments, of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Aborting ends it between two pieces; what is finished is taken up by the next one. */
  readonly signal?: AbortSignal | undefined;
  /** For tests. Default 64 MiB. */
  readonly segmentBytes?: number;
}

export interface BackedUp extends Backup {
  /** Records that were written, not counting segments that were there. */
  readonly written: number;
  /** The backup holds no more than an earlier one, which is named instead of a new one. */
  readonly isUnchanged: boolean;
}

/** A segment is full with this much; a backup that is interrupted loses at most one. */
const SEGMENT_BYTES = 64 * 1024 * 1024;
/**
 * A segment that is not full is written anew together with what is new, if it has less than so many times its records: so backups of every minute leave few
 * segments, and a record is written as often as the logarithm of their number.
 */
const MERGE_FACTOR = 4;

/**
 * Backs up a log into a directory: records that earlier backups of it hold are not written again. The log may be written to meanwhile; the backup ends
 * with the last transaction that was whole when it began. Made durable step by step, the manifest last: a backup that has one is whole.
 * @param dir must be absent, empty or hold backups of this store
 * @throws WalError BACKUP_FOREIGN (it holds something else, or another store's), BACKUP_DIVERGED (an earlier backup holds records that the log does not),
 *   BACKUP_BUSY (another process writes there), what the log's records are off by, WAL_IO
 */
export async function backUp(log: RecordSource, dir: string, options: BackUpOptions): Promise<BackedUp> {
  try {
    prepareDirectory(dir);
    return await withLock(dir, () => backUpInto(log, dir, options));
  } catch (error) {
    if (error instanceof WalError || options.signal?.aborted) throw error;
    throw new WalError(
      'WAL_IO',
      `the backup could not be written to ${dir}: ${describe(error)}`,
      'Check free space and permissions, then repeat it: finished segments are not written again.',
      { cause: error },
    );
  }
}

function prepareDirectory(dir: string): void {
  if (exists(dir)) {
    if (!statSync(dir).isDirectory()) throw foreign(dir, 'is no directory');
    const stranger = readdirSync(dir).find(name => !isPart(name));
    if (stranger !== undefined) throw foreign(dir, `holds ${stranger}, which is no part of a backup`);
  }
  makeDirectory(dir);
  makeDirectory(join(dir, SEGMENTS));
}

const foreign = (dir: string, what: string): WalError =>
  new WalError(
    'BACKUP_FOREIGN',
    `${dir} ${what}`,
    'Name a directory of its own for the backups of this store.',
  );

async function backUpInto(log: RecordSource, dir: string, options: BackUpOptions): Promise<BackedUp> {
  const { full = false, segmentBytes = SEGMENT_BYTES, clock, onProgress, signal, pace } = options;
  for (const folder of [dir, join(dir, SEGMENTS), join(dir, CONFIG)]) removeUnfinished(folder);
  // The head ends a transaction: what is there of one that is still being written lies behind it.
  const end = log.get(log.head.seq);
  const list = listBackups(dir);
  // What it does not answer for now may be the newest one, which the log is to be compared with.
  for (const { error } of list.damaged) if (error !== undefined) throw error;
  const earlier = newestOf(dir, list.backups, log.lineage);
  const held = earlier === undefined ? [] : heldSegments(log, earlier);
  const there = wholePrefix(dir, held);
  const config = options.config === undefined ? undefined : await writeConfig(dir, options.config);
  const isUnchanged =
    !full &&
    earlier?.manifest.last.seq === end.seq &&
    there.at(-1)?.last.seq === end.seq &&
    (config === undefined || config.file === earlier.manifest.config?.file);
  if (isUnchanged) return { ...earlier, written: 0, isUnchanged };
  const shared = full ? [] : worthSharing(there, end.seq, segmentBytes);
  const sharedUpTo = shared.at(-1)?.last.seq ?? 0;
  const written = await writeSegments(log, dir, list, sharedUpTo, end, {
    isIndependent: full,
    segmentBytes,
    onProgress,
    signal,
    pace,
  });
  const segments = [...shared, ...written];
  const backup = await writeManifest(dir, clock(), {
    lineage: log.lineage,
    kind: earlier === undefined || full ? 'full' : 'incremental',
    last: nameRecord(end),
    lastMs: end.logicalMs,
    records: end.seq,
    sizeBytes: segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    segments,
    ...(config && { config }),
  });
  return { ...backup, written: end.seq - sharedUpTo, isUnchanged };
}

/** What killed processes left: nobody else is at work here. */
function removeUnfinished(folder: string): void {
  for (const name of exists(folder) ? readdirSync(folder) : [])
    if (name.endsWith(UNFINISHED)) rmSync(join(folder, name));
}

/** The backup to go on from. @throws WalError BACKUP_FOREIGN */
function newestOf(dir: string, backups: readonly Backup[], { storeId }: Lineage): Backup | undefined {
  const other = backups.find(({ manifest }) => manifest.lineage.storeId !== storeId);
  if (other !== undefined)
    throw foreign(
      dir,
      `holds backups of the store ${other.manifest.lineage.storeId}, and this is ${storeId}`,
    );
  return newestBackup(backups);
}

/** The segments of an earlier backup whose records the log has, which by the chain of hashes their last ones tell. @throws WalError BACKUP_DIVERGED */
function heldSegments(log: RecordSource, { id, manifest }: Backup): readonly Segment[] {
  // A later repair may have filled gaps, which the hashes around them do not tell.
  const isOlder = log.lineage.epoch > manifest.lineage.epoch;
  const isShared = ({ last, lost = 0 }: Segment) => has(log, last) && !(isOlder && lost > 0);
  const count = manifest.segments.findIndex(segment => !isShared(segment));
  if (count < 0) return manifest.segments;
  // A cut or a restore began another epoch: from there on the log goes its own way, and says so.
  if (isOlder) return manifest.segments.slice(0, count);
  throw new WalError(
    'BACKUP_DIVERGED',
    `the backup ${id} holds record ${manifest.last.seq} with hash ${manifest.last.hash}, which the log ` +
      (manifest.last.seq > log.head.seq ? `does not reach: it ends at ${log.head.seq}` : 'does not have'),
    'The store lost records, or is an older copy of the one that was backed up: verify it, and restore the backup if it is to be trusted. To keep the store as it is, back it up into another directory.',
    { details: { backup: id, seq: manifest.last.seq, head: log.head.seq } },
  );
}

/** Those before the first whose file is not there, or not whole: from there on records are written anew. What is in the files is for verifying to say. */
function wholePrefix(dir: string, segments: readonly Segment[]): readonly Segment[] {
  const isThere = ({ file, sizeBytes }: Segment) =>
    statSync(join(dir, SEGMENTS, file), { throwIfNoEntry: false })?.size === sizeBytes;
  const count = segments.findIndex(segment => !isThere(segment));
  return count < 0 ? segments : segments.slice(0, count);
}

function worthSharing(
  segments: readonly Segment[],
  endSeq: number,
  segmentBytes: number,
): readonly Segment[] {
  let count = segments.length;
  for (let records = endSeq - (segments.at(-1)?.last.seq ?? 0); count > 0; count--) {
    const last = segments[count - 1]!;
    if (last.sizeBytes >= segmentBytes || last.records >= MERGE_FACTOR * records) break;
    records += last.records;
  }
  return segments.slice(0, count);
}

/** @param nowMs when it is made: another backup may have been made in the same millisecond, and ended alike */
async function writeManifest(
  dir: string,
  nowMs: number,
  content: Omit<BackupManifest, 'format' | 'howToRead' | 'time'>,
): Promise<Backup> {
  for (let madeMs = nowMs; ; madeMs++) {
    const text = encodeManifest({ ...content, time: new Date(madeMs).toISOString() });
    const manifest = JSON.parse(text.slice(0, text.indexOf('\n'))) as BackupManifest;
    const id = backupId(manifest);
    const path = manifestPath(dir, id);
    if (exists(path)) continue;
    await writeWhole(path, text);
    return { id, manifest };
  }
}
