/**
 * Finds records in bytes whose own structure cannot be trusted: a record proves itself by its hashes, wherever it lies. Tables and
 * backups hold each one in one piece; of LevelDB's log files that is made so first (log-payloads.ts).
 */
import { assertWalError } from '../errors.js';
import {
  decodeRecord,
  FORMAT_VERSION,
  findStubBytes,
  HEADER_BYTES,
  isHeader,
  type LogRecord,
  otherFormat,
  readHeader,
} from '../record.js';

export interface Carved {
  readonly offset: number;
  /** Its length in the file; 0 where the header alone is whole. */
  readonly sizeBytes: number;
  readonly record: LogRecord;
}

/** Bytes of a header that are zero for certain: the high ones of numbers below 2^53 and the two that are unused. */
const ZEROS = [15, 23, 31, 39, 46, 47, 55] as const;

/**
 * @param found called for every record, in the order of the bytes, and for every header without its payload
 * @throws WalError WAL_NEWER_FORMAT for a sound record of a later version: it must not be taken for a lost one
 */
export function carve(bytes: Buffer, found: (carved: Carved) => void): void {
  const end = bytes.length - HEADER_BYTES;
  for (let at = 0; at <= end; ) {
    const form = bytes[at + 1]!;
    // Most bytes are passed over here. Versions are counted from 1 and few.
    if (form === 0 || form > 3 || bytes[at] === 0 || bytes[at]! > 15 || !mayBegin(bytes, at)) {
      at += 1;
      continue;
    }
    const header = bytes.subarray(at, at + HEADER_BYTES);
    if (!isHeader(header)) {
      at += 1;
      continue;
    }
    const record = readHeader(header);
    if (header[0] !== FORMAT_VERSION) throw otherFormat(record.seq, header[0]!);
    const sizeBytes = findStubBytes(bytes.subarray(at)) ?? record.sizeBytes;
    const whole = decoded(bytes.subarray(at, at + sizeBytes), record.seq);
    found({ offset: at, sizeBytes: whole === undefined ? 0 : sizeBytes, record: whole ?? record });
    // A payload may hold anything, the bytes of a record too. Where it is damaged, what follows may begin within what was its length.
    at += whole === undefined ? HEADER_BYTES : sizeBytes;
  }
}

function mayBegin(bytes: Buffer, at: number): boolean {
  for (const offset of ZEROS) if (bytes[at + offset] !== 0) return false;
  return true;
}

function decoded(value: Buffer, seq: number): LogRecord | undefined {
  try {
    return decodeRecord(value, seq);
  } catch (error) {
    assertWalError(error);
    return undefined;
  }
}
