import type { BinaryCodes } from './binary-codes.js';
import type { VectorRows } from './vector-rows.js';

/**
 * Moves the live rows of one VectorRows to another; the dead ones too, if they are kept, or else it encodes them. Everything that is asked meanwhile is answered by
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
    /** Of the dead rows; undefined if they are kept. */
    readonly codes: BinaryCodes | undefined,
  ) {
    this.#learning = codes?.learn(from.table.rows, row => from.slab.vector(row));
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
    const row = this.#moved;
    const owner = table.owners[row]!;
    if (codes !== undefined && table.isDead(row)) {
      codes.stage(owner, slab.vector(row));
      this.#moved++;
    } else {
      // All of them, since an owner's rows are adjacent.
      const { first, count } = table.rowsOf(owner);
      into.take(from, owner, first, count);
      if (table.isDead(row)) into.remove(owner);
      this.#moved = first + count;
    }
    return true;
  }
}
