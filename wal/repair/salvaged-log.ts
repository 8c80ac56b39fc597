/** The log that a repair writes: the records that were found, and in the place of each that was not, one that stands for it. */
import { encodeLost, isLost } from '../lost.js';
import { inPieces } from '../pieces.js';
import { decodeRecord, encodeRecord, type HeaderFields, type LogRecord } from '../record.js';
import { abortAfter } from '../transactions.js';
import type { Candidates } from './candidates.js';
import type { Chain } from './chain.js';
import { PlaceReader } from './read-place.js';

type Known = Omit<HeaderFields, 'type'>;

/** Those around a run of records of which nothing is known. */
interface Neighbours {
  readonly before: LogRecord | undefined;
  readonly after: LogRecord | undefined;
}

export class SalvagedLog {
  private readonly reader: PlaceReader;
  /** The run of unknown records that was asked for last. */
  private run: (Neighbours & { readonly from: number; readonly to: number }) | undefined;
  /** The last record: of the ones that were found, or the one that voids what they end with. */
  readonly end: number;
  /** Behind `end`: records of a transaction of one batch that was never written whole, and so never acknowledged. */
  readonly torn: { readonly from: number; readonly to: number } | undefined;
  private readonly abort: Buffer | undefined;

  /** @param endHash of the last record, where HEAD knows it */
  constructor(
    private readonly candidates: Candidates,
    private readonly chain: Chain,
    private readonly endHash: bigint,
    nowMs: number,
  ) {
    this.reader = new PlaceReader(candidates);
    const last = chain.end === 0 ? undefined : this.get(chain.end);
    if (last === undefined || last.last) this.end = chain.end;
    else if (last.long) {
      // As the next opening would have done.
      this.end = chain.end + 1;
      this.abort = encodeRecord(abortAfter(last, nowMs)).bytes;
    } else {
      this.end = last.txFirst - 1;
      this.torn = { from: last.txFirst, to: chain.end };
    }
  }

  /** The row of a record that is whole. */
  wholeRow(seq: number): number | undefined {
    const row = this.knownRow(seq);
    return row !== undefined && this.candidates.isWhole(row) ? row : undefined;
  }

  /** The row of a record of which at least the header was found. */
  private knownRow(seq: number): number | undefined {
    const row = this.chain.rows[seq] ?? 0;
    return row === 0 ? undefined : row - 1;
  }

  get(seq: number): LogRecord {
    return decodeRecord(this.value(seq), seq);
  }

  raw(from: number, to: number): AsyncGenerator<[number, Uint8Array][]> {
    return inPieces(from, to, seq => this.value(seq));
  }

  close(): void {
    this.reader.close();
  }

  value(seq: number): Buffer {
    if (seq > this.chain.end) return this.abort!;
    const row = this.wholeRow(seq);
    return row === undefined ? encodeLost(this.knownOf(seq), this.hashOf(seq)) : this.reader.value(row);
  }

  /** The hash that a record has or had; 0 where nobody knows it. */
  private hashOf(seq: number): bigint {
    const { candidates } = this;
    if (seq === 0) return 0n;
    const row = this.knownRow(seq);
    if (row !== undefined) return candidates.hashOf(row);
    const next = this.knownRow(seq + 1);
    if (next !== undefined) return candidates.prevHashOf(next);
    return seq === this.chain.end ? this.endHash : 0n;
  }

  /** What is known of a lost record, and for the rest what fits between those around it. */
  private knownOf(seq: number): Known {
    const header = this.headerOf(seq);
    const prevHash = this.hashOf(seq - 1);
    if (header !== undefined) return { ...header, prevHash };
    const { before, after } = this.neighboursOf(seq);
    const fields = { seq, wallMs: 0, actor: 0, prevHash };
    // A transaction has consecutive numbers and one time.
    if (after !== undefined && seq >= after.txFirst)
      return {
        ...fields,
        wallMs: after.wallMs,
        logicalMs: after.logicalMs,
        txFirst: after.txFirst,
        txIndex: seq - after.txFirst,
        last: false,
        long: after.long,
      };
    const logicalMs = (before ?? after)?.logicalMs ?? 0;
    if (before !== undefined && !before.last && before.seq === seq - 1)
      return {
        ...fields,
        logicalMs,
        txFirst: before.txFirst,
        txIndex: before.txIndex + 1,
        last: true,
        long: before.long,
      };
    return { ...fields, logicalMs, txFirst: seq, txIndex: 0, last: true, long: false };
  }

  /** What the header says, undefined where it was not found: what stood for a lost record before tells its hash alone. */
  private headerOf(seq: number): LogRecord | undefined {
    const row = this.knownRow(seq);
    if (row === undefined) return undefined;
    if (this.candidates.isWhole(row)) return decodeRecord(this.reader.value(row), seq);
    const header = this.candidates.headerOf(row)!;
    return isLost(header) ? undefined : header;
  }

  private neighboursOf(seq: number): Neighbours {
    if (this.run !== undefined && seq >= this.run.from && seq <= this.run.to) return this.run;
    let from = seq;
    let before: LogRecord | undefined;
    for (; from > 1; from--) {
      before = this.headerOf(from - 1);
      if (before !== undefined) break;
    }
    let to = seq;
    let after: LogRecord | undefined;
    for (; to < this.chain.end; to++) {
      after = this.headerOf(to + 1);
      if (after !== undefined) break;
    }
    this.run = { from, to, before, after };
    return this.run;
  }
}
