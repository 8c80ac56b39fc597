/** Words of small letters a to z are remembered up to this many; then all are forgotten. */
const MOST_WORDS = 50_000;

const PRIME = 0x01000193;
/** Hash of no letters: FNV-1a, 32 bits. */
export const NO_LETTERS = 0x811c9dc5 | 0;
/** The hash of one letter more. */
export const withLetter = (hash: number, code: number): number => Math.imul(hash ^ code, PRIME);

/**
 * A number for each word of small letters that was met lately, found by the letters where they stand in a text: without a string for the word, whose
 * making and hashing takes most of the time of indexing it. An open-addressing table over typed arrays; the letters are compared, so it is exact.
 */
export class PlainWords {
  #slots = new Uint32Array(4096);
  #hashes = new Int32Array(1024);
  #starts = new Uint32Array(1025);
  #values = new Uint32Array(1024);
  #letters = new Uint8Array(8192);
  #count = 0;

  /** @param hash of the letters [start, end) of `text` @returns the number of the word, or -1 */
  find(text: string, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = spread(hash) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const word = slots[slot]! - 1;
      if (this.#hashes[word] === hash && this.#isWord(word, text, start, end)) return this.#values[word]!;
    }
    return -1;
  }

  /** Remembers a word that `find` does not. @param value a u32 */
  add(text: string, start: number, end: number, hash: number, value: number): void {
    if (this.#count === MOST_WORDS) this.#forget();
    const word = this.#count;
    const first = this.#starts[word]!;
    const after = first + end - start;
    this.#reserve(word + 1, after);
    for (let i = start; i < end; i++) this.#letters[first + i - start] = text.charCodeAt(i);
    this.#starts[word + 1] = after;
    this.#hashes[word] = hash;
    this.#values[word] = value;
    this.#count++;
    this.#enter(word);
  }

  #isWord(word: number, text: string, start: number, end: number): boolean {
    const first = this.#starts[word]!;
    if (this.#starts[word + 1]! - first !== end - start) return false;
    const letters = this.#letters;
    for (let i = start; i < end; i++) if (letters[first + i - start] !== text.charCodeAt(i)) return false;
    return true;
  }

  #enter(word: number): void {
    const mask = this.#slots.length - 1;
    let slot = spread(this.#hashes[word]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = word + 1;
  }

  #reserve(words: number, letters: number): void {
    if (letters > this.#letters.length)
      this.#letters = copyOf(this.#letters, new Uint8Array(Math.max(letters, 2 * this.#letters.length)));
    if (words <= this.#values.length) return;
    const room = 2 * this.#values.length;
    this.#hashes = copyOf(this.#hashes, new Int32Array(room));
    this.#starts = copyOf(this.#starts, new Uint32Array(room + 1));
    this.#values = copyOf(this.#values, new Uint32Array(room));
    this.#slots = new Uint32Array(4 * room);
    for (let word = 0; word < this.#count; word++) this.#enter(word);
  }

  #forget(): void {
    this.#slots.fill(0);
    this.#count = 0;
  }
}

/** Into the low bits, which the table uses, from all of them. */
export const spread = (hash: number): number => Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 8;

function copyOf<T extends Uint8Array | Uint32Array | Int32Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
