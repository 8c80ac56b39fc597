import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { lowerBound } from './lower-bound.js';

/** A delete: of which version, when and by whom. */
export interface Deleted {
  readonly seq: number;
  readonly timeMs: number;
  readonly ordinal: number;
  /** As the caller numbers actors. */
  readonly actor: number;
}

/** The deletes of a log, in its order. */
export class Deletes {
  private readonly columns = new Columns(['seq', 'timeMs', 'ordinal', 'actor']);

  get count(): number {
    return this.columns.rows;
  }

  get bytes(): number {
    return this.columns.bytes;
  }

  add({ seq, timeMs, ordinal, actor }: Deleted): void {
    const row = this.columns.append();
    this.columns.set('seq', row, seq);
    this.columns.set('timeMs', row, timeMs);
    this.columns.set('ordinal', row, ordinal);
    this.columns.set('actor', row, actor);
  }

  /** The n-th of them, from 0. */
  at(n: number): Deleted {
    const { seq, timeMs, ordinal, actor } = this.columns.at;
    return { seq: seq[n]!, timeMs: timeMs[n]!, ordinal: ordinal[n]!, actor: actor[n]! };
  }

  /** Number of the first one by event `seq` or a later one. */
  firstAtOrAfter(seq: number): number {
    return lowerBound(this.columns.at.seq, this.columns.rows, seq);
  }

  /** Number of the first one at `timeMs` or later. */
  firstSince(timeMs: number): number {
    return lowerBound(this.columns.at.timeMs, this.columns.rows, timeMs);
  }

  write(writer: ByteWriter): void {
    this.columns.write(writer);
  }

  /** @throws CodedError PROJECTION_FAILED for bytes that end too early */
  read(reader: ByteReader): void {
    this.columns.read(reader);
  }
}
