import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from '../errors.js';
import { describe } from '../group-commit.js';
import { hashHex } from '../hash.js';
import { fsyncDirectory } from '../head-file.js';
import type { Lineage, RecordSource } from '../log.js';
import { isLost } from '../lost.js';
import { type ChainLink, checkFollows, decodeRecord, type LogRecord } from '../record.js';
import { nameRecord, RecordFileWriter, type RecordName, storedBytes, writeFlushed } from '../record-file.js';
import { LOCK, withLock } from './lock.js';
import {
  type Backup,
  type BackupManifest,
  backupId,
  encodeManifest,
  filesOf,
  listBackups,
  manifestPath,
  parseSegmentName,
  SEGMENTS,
  type Segment,
  segmentName,
  UNFINISHED,
} from './manifest.js';
import { scanSegment } from './segment.js';

export interface BackUpOptions {
  /** Write all records anew, sharing nothing with earlier backups. Default false. */
  readonly full?: boolean | undefined;
  readonly clock: () => number;
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
  if (existsSync(dir) && !statSync(dir).isDirectory()) throw foreign(dir, 'is no directory');
  mkdirSync(join(dir, SEGMENTS), { recursive: true, mode: 0o700 });
  const stranger = readdirSync(dir).find(
    name => ![SEGMENTS, LOCK].includes(name) && !/\.backup\.json(\.unfinished)?$/.test(name),
  );
  if (stranger !== undefined) throw foreign(dir, `holds ${stranger}, which is no part of a backup`);
}

const foreign = (dir: string, what: string): WalError =>
  new WalError(
    'BACKUP_FOREIGN',
    `${dir} ${what}`,
    'Name a directory of its own for the backups of this store.',
  );

async function backUpInto(log: RecordSource, dir: string, options: BackUpOptions): Promise<BackedUp> {
  const end = lastWhole(log);
  const { backups } = listBackups(dir);
  const earlier = newestOf(dir, backups, log.lineage);
  const held = earlier === undefined ? [] : heldSegments(log, earlier);
  const there = wholePrefix(dir, held);
  const isUnchanged =
    earlier !== undefined && earlier.manifest.last.seq === end.seq && there.length === held.length;
  if (isUnchanged && !options.full && there.at(-1)?.last.seq === end.seq)
    return { ...earlier, written: 0, isUnchanged: true };
  const shared = options.full ? [] : worthSharing(there, end.seq, options.segmentBytes ?? SEGMENT_BYTES);
  const sharedUpTo = shared.at(-1)?.last.seq ?? 0;
  const written = await writeSegments(log, dir, filesOf(backups), sharedUpTo, end, options);
  const segments = [...shared, ...written];
  const manifest: BackupManifest = await writeManifest(dir, {
    lineage: log.lineage,
    kind: earlier === undefined || options.full ? 'full' : 'incremental',
    time: new Date(options.clock()).toISOString(),
    last: nameRecord(end),
    lastMs: end.logicalMs,
    records: end.seq,
    sizeBytes: segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    segments,
  });
  return { id: backupId(manifest), manifest, written: end.seq - sharedUpTo, isUnchanged: false };
}

/** The last record that ends a transaction: behind it may be one that is still being written. */
function lastWhole(log: RecordSource): LogRecord {
  const head = log.get(log.head.seq);
  return head.last ? head : log.get(head.txFirst - 1);
}

/** The backup to go on from. @throws WalError BACKUP_FOREIGN */
function newestOf(dir: string, backups: readonly Backup[], { storeId }: Lineage): Backup | undefined {
  const other = backups.find(({ manifest }) => manifest.lineage.storeId !== storeId);
  if (other !== undefined)
    throw foreign(
      dir,
      `holds backups of the store ${other.manifest.lineage.storeId}, and this is ${storeId}`,
    );
  return backups.reduce<Backup | undefined>(
    (newest, backup) =>
      newest === undefined || isBehind(newest.manifest, backup.manifest) ? backup : newest,
    undefined,
  );
}

const isBehind = (one: BackupManifest, other: BackupManifest): boolean =>
  one.lineage.epoch < other.lineage.epoch ||
  (one.lineage.epoch === other.lineage.epoch && one.last.seq < other.last.seq);

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

const has = (log: RecordSource, { seq, hash }: RecordName): boolean =>
  seq <= log.head.seq && hashHex(log.get(seq).hash) === hash;

/** Writes the records behind `afterSeq` up to the end, but for those in whole segments that an interrupted backup left. */
async function writeSegments(
  log: RecordSource,
  dir: string,
  backedUp: ReadonlySet<string>,
  afterSeq: number,
  end: LogRecord,
  options: BackUpOptions,
): Promise<Segment[]> {
  const folder = join(dir, SEGMENTS);
  for (const name of readdirSync(folder)) if (name.endsWith(UNFINISHED)) rmSync(join(folder, name));
  const segments: Segment[] = [];
  let previous: ChainLink | undefined = afterSeq === 0 ? undefined : log.get(afterSeq);
  for (;;) {
    const from = (previous?.seq ?? 0) + 1;
    if (from > end.seq) return segments;
    const left = options.full ? undefined : await leftBehind(log, dir, backedUp, previous, end.seq);
    const segment = left ?? (await writeSegment(log, folder, previous, end.seq, options));
    segments.push(segment);
    previous = log.get(segment.last.seq);
    options.onProgress?.(previous.seq, end.seq);
  }
}

/** A whole segment that follows `previous` and that no backup names, as an interrupted one leaves it. */
async function leftBehind(
  log: RecordSource,
  dir: string,
  backedUp: ReadonlySet<string>,
  previous: ChainLink | undefined,
  endSeq: number,
): Promise<Segment | undefined> {
  const from = (previous?.seq ?? 0) + 1;
  for (const file of readdirSync(join(dir, SEGMENTS))) {
    const named = backedUp.has(file) ? undefined : parseSegmentName(file);
    // One with gaps may be of before a repair that filled them.
    if (named === undefined || named.lost > 0) continue;
    if (named.first !== from || named.last.seq > endSeq || !has(log, named.last)) continue;
    try {
      const { lastRecord, ...segment } = await scanSegment(dir, file, previous);
      return segment;
    } catch (error) {
      // Written anew under the same name.
      if (!(error instanceof WalError) || error.code !== 'BACKUP_DAMAGED') throw error;
    }
  }
  return undefined;
}

async function writeSegment(
  log: RecordSource,
  folder: string,
  after: ChainLink | undefined,
  endSeq: number,
  { signal, segmentBytes = SEGMENT_BYTES }: BackUpOptions,
): Promise<Segment> {
  const from = (after?.seq ?? 0) + 1;
  const unfinished = join(folder, `${from}${UNFINISHED}`);
  const file = await RecordFileWriter.create(unfinished);
  let first: RecordName | undefined;
  let last = after;
  let lost = 0;
  let sha256: string;
  try {
    for await (const piece of log.raw(from, endSeq)) {
      signal?.throwIfAborted();
      const values: Uint8Array[] = [];
      let sizeBytes = file.sizeBytes;
      for (const [seq, value] of piece) {
        const record = decodeRecord(value, seq);
        checkFollows(last, record);
        last = record;
        first ??= nameRecord(record);
        if (isLost(record)) lost += 1;
        values.push(value);
        sizeBytes += storedBytes(value);
        if (sizeBytes >= segmentBytes) break;
      }
      await file.write(values);
      if (file.sizeBytes >= segmentBytes) break;
    }
    sha256 = await file.finish();
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  if (first === undefined || last === undefined)
    throw new WalError('WAL_GAP', `record ${from} is missing`, DAMAGE_WAY_OUT, {
      details: { from, to: endSeq },
    });
  const name = segmentName(first.seq, nameRecord(last), lost);
  renameSync(unfinished, join(folder, name));
  fsyncDirectory(folder);
  const records = last.seq - first.seq + 1;
  const counts = { records, ...(lost > 0 && { lost }), sizeBytes: file.sizeBytes };
  return { file: name, first, last: nameRecord(last), ...counts, sha256 };
}

async function writeManifest(
  dir: string,
  content: Omit<BackupManifest, 'format' | 'howToRead'>,
): Promise<BackupManifest> {
  const text = encodeManifest(content);
  const manifest = JSON.parse(text.slice(0, text.indexOf('\n'))) as BackupManifest;
  const path = manifestPath(dir, backupId(manifest));
  const unfinished = `${path}${UNFINISHED}`;
  rmSync(unfinished, { force: true });
  await writeFlushed(unfinished, text);
  renameSync(unfinished, path);
  fsyncDirectory(dir);
  return manifest;
}
