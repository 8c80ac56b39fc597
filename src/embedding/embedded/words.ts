import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { modelDamaged } from './damage.js';
import { DIGESTS, WORD_DIMENSION } from './identity.js';

/**
 * Word vectors as scripts/make-glove.mjs writes them, little-endian:
 *
 * | bytes | what |
 * |---|---|
 * | 4 | number of words, n |
 * | 4 | bytes of all words together, b |
 * | 4 (n + 1) | where each word begins in the words, and the end of the last |
 * | 4 n | f32 factor of each word: its weight in a text times the scale of its row |
 * | 100 n | i8 rows |
 * | b | the words, UTF-8, in ascending byte order, without separators |
 */
export class WordVectors {
  readonly #count: number;
  readonly #offsets: Uint32Array;
  readonly #factors: Float32Array;
  readonly #rows: Int8Array;
  readonly #words: Uint8Array;

  /** @throws CodedError MODEL_DAMAGED when the file cannot be read or is altered */
  constructor(file: string) {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      throw modelDamaged(`the word vectors in ${file} cannot be read`, error);
    }
    if (createHash('sha256').update(bytes).digest('hex') !== DIGESTS.words) {
      throw modelDamaged(`the word vectors in ${file} are altered`);
    }
    const count = bytes.readUInt32LE(0);
    const { buffer, byteOffset } = bytes;
    this.#count = count;
    let at = byteOffset + 8;
    this.#offsets = new Uint32Array(buffer, at, count + 1);
    at += 4 * (count + 1);
    this.#factors = new Float32Array(buffer, at, count);
    at += 4 * count;
    this.#rows = new Int8Array(buffer, at, WORD_DIMENSION * count);
    at += WORD_DIMENSION * count;
    this.#words = new Uint8Array(buffer, at, bytes.readUInt32LE(4));
  }

  get sizeBytes(): number {
    return this.#rows.buffer.byteLength;
  }

  /**
   * Writes the unit vector of a text's weighted words to `target` (100 components); leaves zeros and answers false
   * where it has no word that is known.
   */
  embed(text: string, target: Float32Array): boolean {
    const sum = new Float64Array(WORD_DIMENSION);
    for (const word of wordsOf(text)) {
      const row = this.#find(word);
      if (row === -1) continue;
      const factor = this.#factors[row]!;
      const start = row * WORD_DIMENSION;
      for (let i = 0; i < WORD_DIMENSION; i++) sum[i]! += factor * this.#rows[start + i]!;
    }
    const norm = Math.sqrt(sum.reduce((squares, x) => squares + x * x, 0));
    target.fill(0);
    if (norm === 0) return false;
    for (let i = 0; i < WORD_DIMENSION; i++) target[i] = sum[i]! / norm;
    return true;
  }

  /** Row of a word by binary search, or -1. */
  #find(word: string): number {
    const key = ENCODER.encode(word);
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(key, middle);
      if (order === 0) return middle;
      if (order < 0) high = middle - 1;
      else low = middle + 1;
    }
    return -1;
  }

  /** Negative, zero or positive as `key` sorts before, at or behind the word of `row`. */
  #compare(key: Uint8Array, row: number): number {
    const start = this.#offsets[row]!;
    const length = this.#offsets[row + 1]! - start;
    const common = Math.min(length, key.length);
    for (let i = 0; i < common; i++) {
      const difference = key[i]! - this.#words[start + i]!;
      if (difference !== 0) return difference;
    }
    return key.length - length;
  }
}

const ENCODER = new TextEncoder();

/** Lower-case words and numbers of a text; `camelCase` counts as two words. */
function wordsOf(text: string): readonly string[] {
  const spaced = text.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2');
  return spaced.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? [];
}
