/** Records as a salvage finds them in files, without the files. */
import type { HeadProof } from '#wal/head-file.js';
import { Intent } from '#wal/head-file.js';
import { decodeRecord, type LogRecord } from '#wal/record.js';
import { Candidates, STORE } from '#wal/repair/candidates.js';
import { carve } from '#wal/repair/carve.js';

export const ID = '000102030405060708090a0b0c0d0e0f';

export const seqOf = (value: Buffer): number => Number(value.readBigUInt64LE(8));
export const recordOf = (value: Buffer): LogRecord => decodeRecord(value, seqOf(value));

/** The record with its header alone: its payload does not match. */
export function headerAlone(value: Buffer): Buffer {
  const damaged = Buffer.from(value);
  damaged[damaged.length - 1]! ^= 1;
  return damaged;
}

export class Found {
  readonly candidates = new Candidates();

  /** A file that holds these records. @returns its number */
  file(values: readonly Buffer[], source = STORE): number {
    const payloads = Buffer.concat(values);
    const file = this.candidates.addFile({ path: `file ${this.candidates.files.length}`, source, payloads });
    carve(payloads, carved => this.candidates.add(file, carved));
    return file;
  }
}

/** What HEAD says once it has seen a record. */
export function headAt(value: Buffer, says: Partial<HeadProof> = {}): HeadProof {
  const { seq, hash } = recordOf(value);
  return {
    ...{ counter: 1, intent: Intent.none, storeId: ID, epoch: 1, seq, hash, nonce: '0'.repeat(32) },
    ...{ wallMs: 1000 * seq, lineageSeq: 1, epochSeq: 0 },
    ...says,
  };
}
