import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { isLost } from '../lost.js';
import { type ChainLink, checkFollows, decodeRecord, type LogRecord } from '../record.js';
import { nameRecord, type ReadingPace, type RecordName, readRecordFile } from '../record-file.js';
import { type BackupManifest, SEGMENTS, type Segment } from './manifest.js';

export const damagedSegment = (file: string, what: string): WalError =>
  new WalError(
    'BACKUP_DAMAGED',
    `${SEGMENTS}/${file}: ${what}`,
    'Nothing was changed. Restore a moment before what it holds, or from another backup; and back up in full into another directory now.',
    { details: { file } },
  );

/** What is wrong with the end of a backup whose segments are sound. @param lastSeq the last record that was read; undefined where there was none */
export function endProblem(
  { segments, last }: BackupManifest,
  lastSeq: number | undefined,
): WalError | undefined {
  const final = segments.at(-1);
  return lastSeq === last.seq && final?.last.hash === last.hash
    ? undefined
    : damagedSegment(final?.file ?? '', `the backup does not end with record ${last.seq}`);
}

/** Given a record as it stands in a file; its bytes are valid during the call. */
export type OnRecord = (record: LogRecord, value: Buffer) => void;

/**
 * Reads a segment through, every record and its chain.
 * @param previous the record before it; undefined only before record 1
 * @returns what there is of it, and its last record
 * @throws WalError BACKUP_DAMAGED
 */
export async function scanSegment(
  dir: string,
  file: string,
  previous: ChainLink | undefined,
  onRecord: OnRecord = () => {},
  pace?: ReadingPace,
): Promise<Segment & { readonly lastRecord: LogRecord }> {
  const path = join(dir, SEGMENTS, file);
  const wrong = (what: string) => damagedSegment(file, what);
  if (!exists(path)) throw wrong('it is missing');
  const digest = createHash('sha256');
  let first: LogRecord | undefined;
  let last: LogRecord | undefined;
  let erased = 0;
  let lost = 0;
  for await (const value of readRecordFile(path, digest, wrong, pace)) {
    const before = last ?? previous;
    const record = checked(wrong, () => {
      const decoded = decodeRecord(value, (before?.seq ?? 0) + 1);
      checkFollows(before, decoded);
      return decoded;
    });
    onRecord(record, value);
    if (isLost(record)) lost += 1;
    else if (record.body === undefined) erased += 1;
    first ??= record;
    last = record;
  }
  if (first === undefined || last === undefined) throw wrong('it is empty');
  return {
    file,
    first: nameRecord(first),
    last: nameRecord(last),
    records: last.seq - first.seq + 1,
    erased,
    ...(lost > 0 && { lost }),
    sizeBytes: statSync(path).size,
    sha256: digest.digest('hex'),
    lastRecord: last,
  };
}

/**
 * The numbers of a segment's records whose payload is erased, in order. Each record is checked by itself.
 * @throws WalError BACKUP_DAMAGED
 */
export async function erasedIn(dir: string, { file, first, erased }: Segment): Promise<readonly number[]> {
  if (erased === 0) return [];
  const wrong = (what: string) => damagedSegment(file, what);
  const path = join(dir, SEGMENTS, file);
  if (!exists(path)) throw wrong('it is missing');
  const found: number[] = [];
  let seq = first.seq;
  for await (const value of readRecordFile(path, { update() {} }, wrong)) {
    const record = checked(wrong, () => decodeRecord(value, seq));
    if (record.body === undefined && !isLost(record)) found.push(seq);
    seq++;
  }
  return found;
}

/**
 * Reads a segment through and compares it with what its manifest says.
 * @param previous as for scanSegment
 * @returns its last record
 * @throws WalError BACKUP_DAMAGED
 */
export async function readSegment(
  dir: string,
  segment: Segment,
  previous: ChainLink | undefined,
  onRecord?: OnRecord,
  pace?: ReadingPace,
): Promise<LogRecord> {
  const wrong = (what: string) => damagedSegment(segment.file, what);
  if ((previous?.seq ?? 0) + 1 !== segment.first.seq)
    throw wrong(
      `it begins with record ${segment.first.seq}, and the one before it ends with ${previous?.seq ?? 0}`,
    );
  const found = await scanSegment(dir, segment.file, previous, onRecord, pace);
  if (found.sizeBytes !== segment.sizeBytes)
    throw wrong(`it has ${found.sizeBytes} bytes, not ${segment.sizeBytes}`);
  if (found.sha256 !== segment.sha256) throw wrong('it does not match its sha256');
  const isNamed = (one: RecordName, other: RecordName) => one.seq === other.seq && one.hash === other.hash;
  if (
    !isNamed(found.first, segment.first) ||
    !isNamed(found.last, segment.last) ||
    found.records !== segment.records ||
    found.erased !== (segment.erased ?? found.erased)
  )
    throw wrong(
      `it holds records ${found.first.seq} to ${found.last.seq}, not those that the manifest names`,
    );
  return found.lastRecord;
}

/** Does a check of a record, and names the file in what it finds. */
function checked(wrong: (what: string) => Error, check: () => LogRecord): LogRecord {
  try {
    return check();
  } catch (error) {
    throw wrong((error as WalError).message);
  }
}
