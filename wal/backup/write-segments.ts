import { createHash } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from '../errors.js';
import { exists } from '../exists.js';
import { hashHex } from '../hash.js';
import { fsyncDirectory } from '../head-file.js';
import type { RecordSource } from '../log.js';
import { isLost } from '../lost.js';
import type { Pace } from '../pace.js';
import { type ChainLink, checkFollows, decodeRecord, type LogRecord } from '../record.js';
import { lengthOf, nameRecord, RecordFileWriter, type RecordName, storedBytes } from '../record-file.js';
import { type BackupList, parseSegmentName, SEGMENTS, type Segment, segmentName } from './manifest.js';
import { UNFINISHED } from './sealed.js';
import { scanSegment } from './segment.js';

export interface WriteSegmentsOptions {
  /** Take no file that a backup names. */
  readonly isIndependent: boolean;
  /** A segment that has reached so much is ended. */
  readonly segmentBytes: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pace?: Pace | undefined;
}

/** Whether the log has a record. */
export const has = (log: RecordSource, { seq, hash }: RecordName): boolean =>
  seq <= log.head.seq && hashHex(log.get(seq).hash) === hash;

/** Writes the records behind `afterSeq` up to the end, but for those in whole segments that an interrupted backup left. */
export async function writeSegments(
  log: RecordSource,
  dir: string,
  list: BackupList,
  afterSeq: number,
  end: LogRecord,
  options: WriteSegmentsOptions,
): Promise<Segment[]> {
  const folder = join(dir, SEGMENTS);
  const named = new Map(
    list.backups.flatMap(({ manifest }) => manifest.segments.map(({ file, sha256 }) => [file, sha256])),
  );
  const segments: Segment[] = [];
  let previous: ChainLink | undefined = afterSeq === 0 ? undefined : log.get(afterSeq);
  for (;;) {
    const from = (previous?.seq ?? 0) + 1;
    if (from > end.seq) return segments;
    const segment =
      (await leftBehind(log, dir, named, previous, end.seq)) ??
      (await writeSegment(log, folder, previous, end.seq, options, (first, last, sha256) =>
        freeName(folder, first, last, sha256),
      ));
    segments.push(segment);
    previous = log.get(segment.last.seq);
    options.onProgress?.(previous.seq, end.seq);
  }

  /**
   * A file of the same records may be there already, in a backup that this one shares nothing with, or with payloads that the log has erased since. It stays
   * as it is, and this one gets another name; but for one that was lost or cut short, and would be the same again.
   */
  function freeName(folder: string, first: number, last: RecordName, sha256: string): string {
    for (let copy = 1; ; copy++) {
      const name = segmentName(first, last, copy);
      const other = named.get(name);
      if (other === undefined) {
        // Manifests that cannot be read may name it.
        if (list.damaged.length === 0 || !exists(join(folder, name))) return name;
      } else if (other === sha256 && !options.isIndependent) return name;
    }
  }
}

/** A whole segment that follows `previous`, that no backup names and whose records are as they are in the log: as an interrupted backup leaves it. */
async function leftBehind(
  log: RecordSource,
  dir: string,
  named: ReadonlyMap<string, string>,
  previous: ChainLink | undefined,
  endSeq: number,
): Promise<Segment | undefined> {
  const from = (previous?.seq ?? 0) + 1;
  for (const file of readdirSync(join(dir, SEGMENTS))) {
    const parts = named.has(file) ? undefined : parseSegmentName(file);
    if (parts === undefined || parts.first !== from || parts.last.seq > endSeq || !has(log, parts.last))
      continue;
    try {
      const { lastRecord, ...segment } = await scanSegment(dir, file, previous);
      // Hashes do not tell: erasing a payload leaves them as they are.
      if (segment.sha256 === (await sha256InLog(log, from, parts.last.seq))) return segment;
    } catch (error) {
      // Written anew under the same name.
      if (!(error instanceof WalError) || error.code !== 'BACKUP_DAMAGED') throw error;
    }
  }
  return undefined;
}

/** Of a file of records, as it would be written now. */
async function sha256InLog(log: RecordSource, from: number, to: number): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of log.raw(from, to))
    for (const [, value] of piece) digest.update(lengthOf(value)).update(value);
  return digest.digest('hex');
}

async function writeSegment(
  log: RecordSource,
  folder: string,
  after: ChainLink | undefined,
  endSeq: number,
  { signal, segmentBytes, pace }: WriteSegmentsOptions,
  nameOf: (first: number, last: RecordName, sha256: string) => string,
): Promise<Segment> {
  const from = (after?.seq ?? 0) + 1;
  const unfinished = join(folder, `${from}${UNFINISHED}`);
  const file = await RecordFileWriter.create(unfinished);
  let first: RecordName | undefined;
  let last = after;
  let erased = 0;
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
        else if (record.body === undefined) erased += 1;
        values.push(value);
        sizeBytes += storedBytes(value);
        if (sizeBytes >= segmentBytes) break;
      }
      const before = file.sizeBytes;
      await file.write(values);
      await pace?.spend(file.sizeBytes - before, signal);
      if (file.sizeBytes >= segmentBytes) break;
    }
    if (first === undefined)
      throw new WalError('WAL_GAP', `record ${from} is missing`, DAMAGE_WAY_OUT, {
        details: { from, to: endSeq },
      });
    sha256 = await file.finish();
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  const end = nameRecord(last!);
  const name = nameOf(first.seq, end, sha256);
  renameSync(unfinished, join(folder, name));
  fsyncDirectory(folder);
  const counts = { records: end.seq - first.seq + 1, erased, ...(lost > 0 && { lost }) };
  return { file: name, first, last: end, ...counts, sizeBytes: file.sizeBytes, sha256 };
}
