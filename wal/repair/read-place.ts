import { closeSync, openSync } from 'node:fs';
import { assertWalError, WalError } from '../errors.js';
import { readAtSync } from '../leveldb/table-blocks.js';
import { decodeRecord, type LogRecord } from '../record.js';
import type { Candidates, SourceFile } from './candidates.js';

/** Reads what was found again from where it is, one file open at a time. */
export class PlaceReader {
  private open: { readonly path: string; readonly fd: number } | undefined;

  constructor(private readonly candidates: Candidates) {}

  /** The bytes of a whole record. @throws WalError WAL_IO where the file is no longer what it was */
  value(row: number): Buffer {
    const { file, offset, sizeBytes } = this.candidates.placeOf(row);
    const value =
      file.payloads?.subarray(offset, offset + sizeBytes) ?? readAtSync(this.fileOf(file), offset, sizeBytes);
    const seq = this.candidates.seqOf(row);
    try {
      if (decodeRecord(value, seq).hash === this.candidates.hashOf(row)) return value;
    } catch (error) {
      assertWalError(error);
    }
    throw new WalError(
      'WAL_IO',
      `record ${seq} was whole in ${file.path} a moment ago, and is not now`,
      'Check the disk, copy the store to another one, and repeat it there. Nothing was changed.',
    );
  }

  private fileOf({ path }: SourceFile): number {
    if (this.open?.path === path) return this.open.fd;
    this.close();
    this.open = { path, fd: openSync(path, 'r') };
    return this.open.fd;
  }

  close(): void {
    if (this.open !== undefined) closeSync(this.open.fd);
    this.open = undefined;
  }
}

/** One whole record. */
export function recordAt(candidates: Candidates, row: number): LogRecord {
  const reader = new PlaceReader(candidates);
  try {
    return decodeRecord(reader.value(row), candidates.seqOf(row));
  } finally {
    reader.close();
  }
}
