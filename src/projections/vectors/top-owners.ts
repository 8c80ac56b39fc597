/** The best k owners, each with its best row, best first. Parallel arrays of equal length. */
export interface OwnerHits {
  readonly owners: Uint32Array;
  /** The best row of each owner. */
  readonly rows: Uint32Array;
  readonly scores: Float32Array;
}

/**
 * Keeps the k nearest distinct owners of the rows offered to it, in whatever order they come.
 * Order: raw similarity, higher first; equal ones by row, lower first. So a scan and a graph that offer the same rows
 * end with the same answer. Insertion into a sorted array: made for k up to some hundreds.
 */
export class TopOwners {
  readonly #rows: Uint32Array;
  readonly #owners: Uint32Array;
  readonly #similarities: Float32Array;
  #size = 0;
  /** An offer below it changes nothing: callers test that first, since most rows fail it. */
  threshold = Number.NEGATIVE_INFINITY;

  constructor(readonly k: number) {
    this.#rows = new Uint32Array(k);
    this.#owners = new Uint32Array(k);
    this.#similarities = new Float32Array(k);
  }

  get size(): number {
    return this.#size;
  }

  /** `similarity` must be an f32: it is compared with what a Float32Array gives back. */
  offer(row: number, owner: number, similarity: number): void {
    const rows = this.#rows;
    const owners = this.#owners;
    const similarities = this.#similarities;
    // From here the entries shift down by one, over the owner's own entry if it has one, else over the last.
    let hole = 0;
    while (hole < this.#size && owners[hole] !== owner) hole++;
    if (hole === this.#size) {
      if (this.#size === this.k) {
        hole = this.k - 1;
        if (!this.#precedes(similarity, row, hole)) return;
      } else {
        hole = this.#size++;
      }
    } else if (!this.#precedes(similarity, row, hole)) {
      return;
    }
    for (; hole > 0 && this.#precedes(similarity, row, hole - 1); hole--) {
      rows[hole] = rows[hole - 1]!;
      owners[hole] = owners[hole - 1]!;
      similarities[hole] = similarities[hole - 1]!;
    }
    rows[hole] = row;
    owners[hole] = owner;
    similarities[hole] = similarity;
    if (this.#size === this.k) this.threshold = similarities[this.k - 1]!;
  }

  /** What was kept, best first, with scores by `toScore`. */
  hits(toScore: (similarity: number) => number): OwnerHits {
    return {
      owners: this.#owners.slice(0, this.#size),
      rows: this.#rows.slice(0, this.#size),
      scores: this.#similarities.slice(0, this.#size).map(toScore),
    };
  }

  #precedes(similarity: number, row: number, entry: number): boolean {
    const other = this.#similarities[entry]!;
    return similarity > other || (similarity === other && row < this.#rows[entry]!);
  }
}
