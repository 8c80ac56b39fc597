import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Head, Lineage, ReadOptions, RecordSource } from '../log.js';
import { inPieces } from '../pieces.js';
import { decodeRecord, type LogRecord } from '../record.js';
import { LENGTH_BYTES, storedBytes } from '../record-file.js';
import { type Backup, SEGMENTS, type Segment } from './manifest.js';
import { damagedSegment, endProblem, readSegment } from './segment.js';

interface IndexedSegment {
  readonly segment: Segment;
  readonly file: number;
  /** Where each record's bytes begin, and where the next one's would. */
  readonly offsets: Float64Array;
}

/** A backup read as a log is, without LevelDB. All of it was verified when it was opened; every record is checked again when it is read. */
export class BackupLog implements RecordSource {
  readonly head: Head;

  private constructor(
    readonly lineage: Lineage,
    head: LogRecord,
    private readonly segments: readonly IndexedSegment[],
  ) {
    this.head = { seq: head.seq, hash: head.hash, logicalMs: head.logicalMs };
  }

  /**
   * Verifies a backup and opens it.
   * @param onProgress told how many records are verified, of how many
   * @param onRecord given each record; its body is valid during the call
   * @throws WalError BACKUP_DAMAGED
   */
  static async open(
    dir: string,
    { manifest }: Backup,
    onProgress: (done: number, total: number) => void = () => {},
    onRecord: (record: LogRecord) => void = () => {},
  ): Promise<BackupLog> {
    const segments: IndexedSegment[] = [];
    try {
      let last: LogRecord | undefined;
      for (const segment of manifest.segments) {
        const offsets = new Float64Array(segment.records + 1);
        let next = LENGTH_BYTES;
        let count = 0;
        last = await readSegment(dir, segment, last, (record, value) => {
          onRecord(record);
          offsets[count++] = next;
          next += storedBytes(value);
        });
        offsets[count] = next;
        segments.push({ segment, file: openSync(join(dir, SEGMENTS, segment.file), 'r'), offsets });
        onProgress(last.seq, manifest.records);
      }
      const problem = endProblem(manifest, last?.seq);
      if (problem !== undefined) throw problem;
      return new BackupLog(manifest.lineage, last!, segments);
    } catch (error) {
      for (const { file } of segments) closeSync(file);
      throw error;
    }
  }

  get(seq: number): LogRecord {
    return decodeRecord(this.value(seq), seq);
  }

  async *read({
    from = 1,
    to = this.head.seq,
    reverse = false,
  }: ReadOptions = {}): AsyncGenerator<LogRecord[]> {
    if (reverse) {
      for (let seq = to; seq >= from; seq--) yield [this.get(seq)];
      return;
    }
    for await (const piece of this.raw(from, to)) yield piece.map(([seq, value]) => decodeRecord(value, seq));
  }

  raw(from: number, to: number): AsyncGenerator<[number, Uint8Array][]> {
    return inPieces(from, Math.min(to, this.head.seq), seq => this.value(seq));
  }

  close(): void {
    for (const { file } of this.segments) closeSync(file);
  }

  private value(seq: number): Buffer {
    const { segment, file, offsets } = this.segmentOf(seq);
    const at = offsets[seq - segment.first.seq]!;
    const value = Buffer.allocUnsafe(offsets[seq - segment.first.seq + 1]! - LENGTH_BYTES - at);
    for (let done = 0; done < value.length; ) {
      const bytes = readSync(file, value, done, value.length - done, at + done);
      if (bytes === 0) throw damagedSegment(segment.file, 'it became shorter while it was read');
      done += bytes;
    }
    return value;
  }

  private segmentOf(seq: number): IndexedSegment {
    if (!Number.isInteger(seq) || seq < 1 || seq > this.head.seq)
      throw new RangeError(`record ${seq} of ${this.head.seq}`);
    let low = 0;
    let high = this.segments.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seq > this.segments[middle]!.segment.last.seq) low = middle + 1;
      else high = middle;
    }
    return this.segments[low]!;
  }
}
