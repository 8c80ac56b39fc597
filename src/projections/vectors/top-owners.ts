/** The best k owners, each with its best passage, best first. Parallel arrays of equal length. */
export interface OwnerHits {
  readonly owners: Uint32Array;
  /** Of each owner the index of its best passage: 0 for the first that was appended for it. */
  readonly passages: Uint32Array;
  readonly scores: Float32Array;
}

/**
 * Keeps the k nearest distinct owners of the passages offered to it, in whatever order they come.
 * Order: raw similarity, higher first; equal ones by owner, then by passage, lower first. So a scan and a graph that offer
 * the same passages end with the same answer. Insertion into a sorted array: made for k up to some hundreds.
 */
export class TopOwners {
  readonly #passages: Uint32Array;
  readonly #owners: Uint32Array;
  readonly #similarities: Float32Array;
  #size = 0;
  /** An offer below it changes nothing: callers test that first, since most rows fail it. */
  threshold = Number.NEGATIVE_INFINITY;

  constructor(readonly k: number) {
    this.#passages = new Uint32Array(k);
    this.#owners = new Uint32Array(k);
    this.#similarities = new Float32Array(k);
  }

  get size(): number {
    return this.#size;
  }

  /** `similarity` must be an f32: it is compared with what a Float32Array gives back. */
  offer(owner: number, passage: number, similarity: number): void {
    const passages = this.#passages;
    const owners = this.#owners;
    const similarities = this.#similarities;
    // From here the entries shift down by one, over the owner's own entry if it has one, else over the last.
    let hole = 0;
    while (hole < this.#size && owners[hole] !== owner) hole++;
    if (hole === this.#size) {
      if (this.#size === this.k) {
        hole = this.k - 1;
        if (!this.#precedes(similarity, owner, passage, hole)) return;
      } else {
        hole = this.#size++;
      }
    } else if (!this.#precedes(similarity, owner, passage, hole)) {
      return;
    }
    for (; hole > 0 && this.#precedes(similarity, owner, passage, hole - 1); hole--) {
      passages[hole] = passages[hole - 1]!;
      owners[hole] = owners[hole - 1]!;
      similarities[hole] = similarities[hole - 1]!;
    }
    passages[hole] = passage;
    owners[hole] = owner;
    similarities[hole] = similarity;
    if (this.#size === this.k) this.threshold = similarities[this.k - 1]!;
  }

  /** Offers all that was kept to another. */
  copyTo(other: TopOwners): void {
    for (let i = 0; i < this.#size; i++)
      other.offer(this.#owners[i]!, this.#passages[i]!, this.#similarities[i]!);
  }

  /** What was kept, best first, with scores by `toScore`. */
  hits(toScore: (similarity: number) => number): OwnerHits {
    return {
      owners: this.#owners.slice(0, this.#size),
      passages: this.#passages.slice(0, this.#size),
      scores: this.#similarities.slice(0, this.#size).map(toScore),
    };
  }

  #precedes(similarity: number, owner: number, passage: number, entry: number): boolean {
    const other = this.#similarities[entry]!;
    if (similarity !== other) return similarity > other;
    const otherOwner = this.#owners[entry]!;
    return owner < otherOwner || (owner === otherOwner && passage < this.#passages[entry]!);
  }
}
