/**
 * Every record that was found anywhere, by number: there may be several for one, from before a cut or of another store, and copies of
 * one in several files. In columns, since there are as many as the log has records; a candidate is its row.
 */
import { type LogRecord, RecordType } from '../record.js';
import type { Carved } from './carve.js';

/** A file that records were found in. */
export interface SourceFile {
  readonly path: string;
  /** What holds it: STORE, or a directory of backups. */
  readonly source: string;
  /** What of a log file of LevelDB is its records', in one piece: they do not stand so in the file. Undefined where they do. */
  readonly payloads: Buffer | undefined;
}

/** The source of the files of the store itself. */
export const STORE = 'store';

const OF_LINEAGE: readonly number[] = [
  RecordType.genesis,
  RecordType.fork,
  RecordType.epoch,
  RecordType.repair,
];

export class Candidates {
  readonly files: SourceFile[] = [];
  /** 1 + the newest row for a number, and of each row 1 + the one before it for the same number. */
  private readonly newest = new Map<number, number>();
  private readonly before: number[] = [];
  private readonly seqs: number[] = [];
  private readonly hashes: bigint[] = [];
  private readonly prevHashes: bigint[] = [];
  private readonly times: number[] = [];
  private readonly fileNumbers: number[] = [];
  private readonly offsets: number[] = [];
  /** 0 where only the header was found. */
  private readonly sizes: number[] = [];
  /** Further files with the same record. */
  private readonly furtherFiles = new Map<number, number[]>();
  private readonly erased = new Set<number>();
  private readonly headers = new Map<number, LogRecord>();
  private readonly ownRows: number[] = [];

  get size(): number {
    return this.seqs.length;
  }

  /** Rows of the records that say whose the log is, and in which epoch. */
  get lineageRows(): readonly number[] {
    return this.ownRows;
  }

  /** All numbers that there is a candidate for, ascending. */
  numbers(): number[] {
    return [...this.newest.keys()].sort((a, b) => a - b);
  }

  /** @returns the number of the file, for `add` */
  addFile(file: SourceFile): number {
    return this.files.push(file) - 1;
  }

  add(file: number, { offset, sizeBytes, record }: Carved): void {
    const { seq, hash } = record;
    const isPlaceholder = record.type === RecordType.lost;
    // An earlier repair knew no more of it than that it is lost.
    if (isPlaceholder && hash === 0n) return;
    const wholeBytes = isPlaceholder ? 0 : sizeBytes;
    const isErased = wholeBytes > 0 && record.body === undefined;
    const known = this.find(seq, hash);
    if (known !== undefined) {
      // What was erased stays so, whoever has a whole copy.
      const isBetter = this.sizes[known] === 0 || (isErased && !this.erased.has(known));
      let further = file;
      if (wholeBytes > 0 && isBetter) {
        further = this.fileNumbers[known]!;
        this.place(known, file, offset, wholeBytes, isErased);
      }
      this.noteFile(known, further);
      return;
    }
    const row = this.seqs.push(seq) - 1;
    this.hashes.push(hash);
    this.prevHashes.push(record.prevHash);
    this.times.push(record.logicalMs);
    this.before.push(this.newest.get(seq) ?? 0);
    this.newest.set(seq, row + 1);
    this.place(row, file, offset, wholeBytes, isErased);
    if (wholeBytes === 0) this.headers.set(row, { ...record, body: undefined });
    if (OF_LINEAGE.includes(record.type)) this.ownRows.push(row);
  }

  private place(row: number, file: number, offset: number, sizeBytes: number, isErased: boolean): void {
    this.fileNumbers[row] = file;
    this.offsets[row] = offset;
    this.sizes[row] = sizeBytes;
    this.headers.delete(row);
    if (isErased) this.erased.add(row);
  }

  private noteFile(row: number, file: number): void {
    if (this.fileNumbers[row] === file) return;
    const files = this.furtherFiles.get(row);
    if (files === undefined) this.furtherFiles.set(row, [file]);
    else if (!files.includes(file)) files.push(file);
  }

  find(seq: number, hash: bigint): number | undefined {
    for (let next = this.newest.get(seq) ?? 0; next > 0; next = this.before[next - 1]!)
      if (this.hashes[next - 1] === hash) return next - 1;
    return undefined;
  }

  /** All rows for a number. */
  of(seq: number): number[] {
    const rows: number[] = [];
    for (let next = this.newest.get(seq) ?? 0; next > 0; next = this.before[next - 1]!) rows.push(next - 1);
    return rows;
  }

  seqOf(row: number): number {
    return this.seqs[row]!;
  }

  hashOf(row: number): bigint {
    return this.hashes[row]!;
  }

  /** 0 where nobody knows it. */
  prevHashOf(row: number): bigint {
    return this.prevHashes[row]!;
  }

  /** Logical time in ms. */
  timeOf(row: number): number {
    return this.times[row]!;
  }

  /** Whether all of it was found, and not its header alone. */
  isWhole(row: number): boolean {
    return this.sizes[row]! > 0;
  }

  /** Where a whole one is. */
  placeOf(row: number): { readonly file: SourceFile; readonly offset: number; readonly sizeBytes: number } {
    const file = this.files[this.fileNumbers[row]!]!;
    return { file, offset: this.offsets[row]!, sizeBytes: this.sizes[row]! };
  }

  /** What is known of one that is not whole. */
  headerOf(row: number): LogRecord | undefined {
    return this.headers.get(row);
  }

  /** Numbers of the files that it was found in. */
  filesOf(row: number): readonly number[] {
    return [this.fileNumbers[row]!, ...(this.furtherFiles.get(row) ?? [])];
  }
}
