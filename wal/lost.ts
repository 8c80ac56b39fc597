/**
 * What a repair leaves in a log: a record in the place of each one that is lost, so that numbers stay dense and the chain can be
 * followed across the gap, and one that says what was done. wal/FORMAT.md has both byte by byte.
 */
import { type HeaderFields, type LogRecord, RecordBytes, RecordType, recordBytes } from './record.js';

/** Whether a record only stands for one that is lost. */
export const isLost = ({ type }: Pick<LogRecord, 'type'>): boolean => type === RecordType.lost;

/** Consecutive numbers, both inclusive. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The record in the place of one that is lost.
 * @param known what is known of it; what is not is 0, the times and the transaction made to fit what is around it
 * @param hash that it had, which the next record names; 0 where nobody knows it
 */
export function encodeLost(known: Omit<HeaderFields, 'type'>, hash: bigint): Buffer {
  const carried = Buffer.alloc(8);
  carried.writeBigUInt64LE(hash);
  const record = new RecordBytes(recordBytes(0));
  record.encode(0, { ...known, type: RecordType.lost }, new Uint8Array(0), carried);
  return record.buffer;
}

/** Records that were put back, and the file or directory that they were found in. */
export interface Filled extends SeqRange {
  readonly source: string;
}

/** What a repair record says. */
export interface RepairNote {
  /** Version of the program that repaired. */
  readonly program: string;
  /** All that is lost, earlier repairs included. */
  readonly lost: readonly SeqRange[];
  /** Records that the store itself no longer had, and backups did. */
  readonly filled: readonly Filled[];
  /** Where the log was cut off instead of keeping what is behind the first damage: the first number that went. */
  readonly cutFrom?: number;
  /** False where there was no HEAD: then nobody knows whether the log had gone on. */
  readonly endProven: boolean;
}

const STORE_ID_BYTES = 16;

/** The body of a repair record: store id (16 bytes), the note as JSON. */
export const repairBody = (storeId: string, note: RepairNote): Buffer =>
  Buffer.concat([Buffer.from(storeId, 'hex'), Buffer.from(JSON.stringify(note))]);

/** What a repair record says; undefined for any other record. */
export function repairNoteOf({ type, body }: LogRecord): RepairNote | undefined {
  if (type !== RecordType.repair || body === undefined || body.length <= STORE_ID_BYTES) return undefined;
  return JSON.parse(Buffer.from(body.subarray(STORE_ID_BYTES)).toString('utf8')) as RepairNote;
}

/** Joins consecutive numbers, given in ascending order, into ranges. */
export class RangeCollector {
  readonly ranges: { from: number; to: number }[] = [];

  add(seq: number): void {
    const last = this.ranges.at(-1);
    if (last?.to === seq - 1) last.to = seq;
    else this.ranges.push({ from: seq, to: seq });
  }
}
