import { lowerBound } from './lower-bound.js';

/** Moments from event `fromSeq` to the one before `untilSeq`. */
export interface ErasedSpan {
  readonly fromSeq: number;
  readonly untilSeq: number;
}

/** The moments at which something lived whose content was erased: spans that neither overlap nor touch. */
export class ErasedSpans {
  private readonly from: Float64Array;
  private readonly until: Float64Array;

  /** @param lives of what was erased, in the order of their beginnings */
  constructor(lives: Iterable<ErasedSpan>) {
    const from: number[] = [];
    const until: number[] = [];
    for (const life of lives) {
      const last = until.length - 1;
      if (last >= 0 && life.fromSeq <= until[last]!) until[last] = Math.max(until[last]!, life.untilSeq);
      else {
        from.push(life.fromSeq);
        until.push(life.untilSeq);
      }
    }
    this.from = Float64Array.from(from);
    this.until = Float64Array.from(until);
  }

  /** The span that a moment falls into; undefined for one that is whole. */
  at(seq: number): ErasedSpan | undefined {
    const next = lowerBound(this.from, this.from.length, seq + 1);
    if (next === 0 || this.until[next - 1]! <= seq) return undefined;
    return { fromSeq: this.from[next - 1]!, untilSeq: this.until[next - 1]! };
  }

  /** The first moment from which on all are whole: 1 where nothing was erased. */
  get end(): number {
    return this.until.at(-1) ?? 1;
  }
}
