import type { BinaryCodes } from './binary-codes.js';
import type { VectorRows } from './vector-rows.js';

/**
 * Moves the live rows of one VectorRows to another and encodes the dead ones. Everything that is asked meanwhile is answered by
 * the old rows, which go on being appended to; deaths must reach both. Once nothing is left to be done the new rows may take their
 * place, if the codes are committed in the same turn.
 */
export class Compaction {
  /** Rows of `from` that are dealt with. */
  #moved = 0;
  #learning: Generator<void> | undefined;

  constructor(
    readonly from: VectorRows,
    readonly into: VectorRows,
    readonly codes: BinaryCodes,
  ) {
    this.#learning = codes.learn(from.table.rows, row => from.slab.vector(row));
  }

  /** Does a piece of about 10 us. @returns false if nothing is left to be done before more rows are appended */
  step(): boolean {
    if (this.#learning !== undefined) {
      if (this.#learning.next().done) this.#learning = undefined;
      return true;
    }
    const { from, into, codes } = this;
    const { table, slab } = from;
    if (this.#moved === table.rows) return false;
    const owner = table.owners[this.#moved]!;
    const { first, count } = table.rowsOf(owner);
    if (table.isDead(first)) {
      for (let row = first; row < first + count; row++) codes.stage(owner, slab.vector(row));
    } else {
      into.take(from, owner, first, count);
    }
    this.#moved = first + count;
    return true;
  }
}
