/** Where the vectors of rows are: see VectorSlab. */
interface StoredVectors {
  readonly words: Int32Array;
  readonly dimension: number;
  offsetOf(row: number): number;
  hashOf(row: number): number;
}

/** Of equal vectors, as many enter the graph. */
const IN_GRAPH_AT_MOST = 8;

/**
 * Counts equal vectors. HNSW links a row to its nearest: more equal rows than a row has links only link to each other, and
 * a walk that gets among them never leaves. (Half of 1 000 rows equal: the graph found none of the other half.) So the
 * surplus stays out of the graph and is scanned. An open-addressing table over typed arrays, 9 bytes a slot.
 */
export class EqualVectors {
  /** Row + 1 of the first vector of its kind; 0 for a free slot. */
  #slots: Uint32Array = new Uint32Array(2048);
  /** Hash of the slot's vector: most others are told from it without a look at them, and growing reads none. */
  #hashes: Int32Array = new Int32Array(2048);
  /** How many there are of the kind, up to one more than may enter the graph. */
  #counts: Uint8Array = new Uint8Array(2048);
  #used = 0;
  #counted = 0;

  constructor(readonly vectors: StoredVectors) {}

  get sizeBytes(): number {
    return this.#slots.byteLength + this.#hashes.byteLength + this.#counts.byteLength;
  }

  /** Rows below it have been counted. */
  get counted(): number {
    return this.#counted;
  }

  /** Counts the rows below `end` that have not been. @returns false if there were none */
  countUpTo(end: number): boolean {
    if (this.#counted >= end) return false;
    while (this.#counted < end) this.isSurplus(this.#counted);
    return true;
  }

  /** Counts a row: each of them once, in order. @returns true if there are already enough rows with the same vector */
  isSurplus(row: number): boolean {
    this.#counted = row + 1;
    if (this.#used * 2 >= this.#slots.length) this.#resize(this.#slots.length * 2);
    const { words, dimension } = this.vectors;
    const at = this.vectors.offsetOf(row);
    const hash = this.vectors.hashOf(row);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) {
      const other = this.vectors.offsetOf(slots[slot]! - 1);
      if (this.#hashes[slot] === hash && isEqual(words, at, other, dimension)) {
        if (this.#counts[slot]! > IN_GRAPH_AT_MOST) return true;
        return ++this.#counts[slot]! > IN_GRAPH_AT_MOST;
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = row + 1;
    this.#hashes[slot] = hash;
    this.#counts[slot] = 1;
    this.#used++;
    return false;
  }

  /** Makes room for so many rows at once. */
  reserve(rows: number): void {
    if (rows * 2 > this.#slots.length) this.#resize(2 ** Math.ceil(Math.log2(rows * 2 + 1)));
  }

  #resize(length: number): void {
    const [slots, hashes, counts] = [this.#slots, this.#hashes, this.#counts];
    this.#slots = new Uint32Array(length);
    this.#hashes = new Int32Array(length);
    this.#counts = new Uint8Array(length);
    const mask = length - 1;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === 0) continue;
      let slot = hashes[i]! & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = slots[i]!;
      this.#hashes[slot] = hashes[i]!;
      this.#counts[slot] = counts[i]!;
    }
  }
}

/** Bit for bit: what differs in no more than the sign of a zero is another kind. */
function isEqual(words: Int32Array, one: number, other: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (words[one + i] !== words[other + i]) return false;
  return true;
}
