/** Of equal vectors, as many enter the graph. */
const IN_GRAPH_AT_MOST = 8;

/**
 * Counts equal vectors. HNSW links a row to its nearest: more equal rows than a row has links only link to each other, and
 * a walk that gets among them never leaves. (Half of 1 000 rows equal: the graph found none of the other half.) So the
 * surplus stays out of the graph and is scanned. An open-addressing table over typed arrays, 8 bytes a slot.
 */
export class EqualVectors {
  /** Row + 1 of the first vector of its kind; 0 for a free slot. */
  #slots: Uint32Array = new Uint32Array(2048);
  #counts: Uint32Array = new Uint32Array(2048);
  #used = 0;
  #counted = 0;

  /** @param vectorOf the stored vector of a row */
  constructor(readonly vectorOf: (row: number) => Float32Array) {}

  get sizeBytes(): number {
    return this.#slots.byteLength + this.#counts.byteLength;
  }

  /** Rows below it have been counted. */
  get counted(): number {
    return this.#counted;
  }

  /** Counts the rows below `end` that have not been. @returns false if there were none */
  countUpTo(end: number): boolean {
    if (this.#counted >= end) return false;
    this.reserve(end);
    while (this.#counted < end) this.isSurplus(this.#counted);
    return true;
  }

  /** Counts a row: each of them once, in order. @returns true if there are already enough rows with the same vector */
  isSurplus(row: number): boolean {
    this.#counted = row + 1;
    if (this.#used * 2 >= this.#slots.length) this.#grow();
    const slot = this.#find(row);
    if (this.#slots[slot] === 0) {
      this.#slots[slot] = row + 1;
      this.#used++;
    }
    return ++this.#counts[slot]! > IN_GRAPH_AT_MOST;
  }

  /** The slot of the row's vector, or the free one where it belongs. */
  #find(row: number): number {
    const vector = this.vectorOf(row);
    const mask = this.#slots.length - 1;
    let slot = hashOf(vector) & mask;
    while (this.#slots[slot] !== 0 && !isEqual(this.vectorOf(this.#slots[slot]! - 1), vector)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Room for so many rows, where none has been counted: each growth costs as much as counting anew. */
  reserve(rows: number): void {
    if (this.#used > 0 || rows * 2 < this.#slots.length) return;
    const slots = 2 ** Math.ceil(Math.log2(rows * 2 + 1));
    this.#slots = new Uint32Array(slots);
    this.#counts = new Uint32Array(slots);
  }

  #grow(): void {
    const slots = this.#slots;
    const counts = this.#counts;
    this.#slots = new Uint32Array(slots.length * 2);
    this.#counts = new Uint32Array(slots.length * 2);
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === 0) continue;
      const slot = this.#find(slots[i]! - 1);
      this.#slots[slot] = slots[i]!;
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
