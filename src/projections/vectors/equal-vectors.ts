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
  /** Of its vector: growing must not read them all again, 100 ms for 65 536. */
  #hashes: Uint32Array = new Uint32Array(2048);
  /** Equal vectors so far, at most one more than may enter the graph. */
  #counts: Uint8Array = new Uint8Array(2048);
  #used = 0;

  /** @param vectorOf the stored vector of a row */
  constructor(readonly vectorOf: (row: number) => Float32Array) {}

  get sizeBytes(): number {
    return this.#slots.byteLength + this.#hashes.byteLength + this.#counts.byteLength;
  }

  /** Counts a row, once each. @returns true if there are already enough rows with the same vector */
  isSurplus(row: number): boolean {
    if (this.#used * 2 >= this.#slots.length) this.#grow();
    const vector = this.vectorOf(row);
    const hash = hashOf(vector);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0 && !this.#isIn(slot, hash, vector)) slot = (slot + 1) & mask;
    if (this.#slots[slot] === 0) {
      this.#slots[slot] = row + 1;
      this.#hashes[slot] = hash;
      this.#used++;
    }
    if (this.#counts[slot]! > IN_GRAPH_AT_MOST) return true;
    return ++this.#counts[slot]! > IN_GRAPH_AT_MOST;
  }

  #isIn(slot: number, hash: number, vector: Float32Array): boolean {
    return this.#hashes[slot] === hash && isEqual(this.vectorOf(this.#slots[slot]! - 1), vector);
  }

  #grow(): void {
    const slots = this.#slots;
    const hashes = this.#hashes;
    const counts = this.#counts;
    this.#slots = new Uint32Array(slots.length * 2);
    this.#hashes = new Uint32Array(slots.length * 2);
    this.#counts = new Uint8Array(slots.length * 2);
    const mask = this.#slots.length - 1;
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
