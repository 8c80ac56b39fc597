/** Of equal vectors, as many enter the graph. */
const IN_GRAPH_AT_MOST = 8;

/**
 * Counts equal vectors. HNSW links a row to its nearest: more equal rows than a row has links only link to each other, and
 * a walk that gets among them never leaves. (Half of 1 000 rows equal: the graph found none of the other half.) So the
 * surplus stays out of the graph and is scanned. An open-addressing table over typed arrays, 12 bytes a slot.
 */
export class EqualVectors {
  /** Row + 1 of the first vector of its kind; 0 for a free slot. */
  #slots: Uint32Array = new Uint32Array(2048);
  #counts: Uint32Array = new Uint32Array(2048);
  #hashes: Uint32Array = new Uint32Array(2048);
  #used = 0;
  #counted = 0;

  /** @param vectorOf the stored vector of a row */
  constructor(readonly vectorOf: (row: number) => Float32Array) {}

  get sizeBytes(): number {
    return 3 * this.#slots.byteLength;
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
    const vector = this.vectorOf(row);
    const hash = hashOf(vector);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) {
      if (this.#hashes[slot] === hash && isEqual(this.vectorOf(slots[slot]! - 1), vector)) break;
      slot = (slot + 1) & mask;
    }
    if (slots[slot] === 0) {
      slots[slot] = row + 1;
      this.#hashes[slot] = hash;
      this.#used++;
    }
    return ++this.#counts[slot]! > IN_GRAPH_AT_MOST;
  }

  /** Makes room for so many rows at once. */
  reserve(rows: number): void {
    if (rows * 2 > this.#slots.length) this.#resize(2 ** Math.ceil(Math.log2(rows * 2 + 1)));
  }

  #resize(length: number): void {
    const slots = this.#slots;
    const counts = this.#counts;
    const hashes = this.#hashes;
    this.#slots = new Uint32Array(length);
    this.#counts = new Uint32Array(length);
    this.#hashes = new Uint32Array(length);
    const mask = length - 1;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === 0) continue;
      let slot = hashes[i]! & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = slots[i]!;
      this.#counts[slot] = counts[i]!;
      this.#hashes[slot] = hashes[i]!;
    }
  }
}

/** FNV-1a over the 32-bit words, with a final mix since the table uses the low bits. */
function hashOf(vector: Float32Array): number {
  const words = new Int32Array(vector.buffer, vector.byteOffset, vector.length);
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function isEqual(a: Float32Array, b: Float32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
