import type { BinaryCodes } from './binary-codes.js';
import type { VectorRows } from './vector-rows.js';

/**
 * Moves the live rows of one VectorRows to another and encodes the dead ones. Everything that is asked meanwhile is answered by
 * the old rows, which go on being appended to; deaths must reach both. Once `steps` is exhausted the new rows may take their place, if
 * the codes are committed in the same turn.
 */
export class Compaction {
  /** Rows of `from` that are dealt with. */
  #moved = 0;
  #hasLearned = false;

  constructor(
    readonly from: VectorRows,
    readonly into: VectorRows,
    readonly codes: BinaryCodes,
  ) {}

  /** Does what is left to do, yielding between pieces of 10 us or so; again when rows were appended since. */
  *steps(): Generator<void> {
    const { from, into, codes } = this;
    const { table, slab } = from;
    if (!this.#hasLearned) {
      yield* codes.learn(table.rows, row => slab.vector(row));
      this.#hasLearned = true;
    }
    while (this.#moved < table.rows) {
      const owner = table.owners[this.#moved]!;
      const { first, count } = table.rowsOf(owner);
      if (table.isDead(first)) {
        for (let row = first; row < first + count; row++) codes.stage(owner, slab.vector(row));
      } else {
        into.take(from, owner, first, count);
      }
      this.#moved = first + count;
      yield;
    }
  }
}
