import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Embedded, PassageRange } from '../../domain/model.js';
import { modelDamaged } from './damage.js';
import { SentenceEncoder } from './encoder.js';
import { DIGESTS, DIMENSION, SENTENCE_DIMENSION } from './identity.js';
import { cutPassages } from './passages.js';
import type { WorkerSettings } from './protocol.js';
import { Tokenizer } from './tokenizer.js';
import { WordVectors } from './words.js';

/**
 * Passages of one text at most, so that 1 MiB of text has vectors of 1.2 MB and not of 5. In a text of more windows
 * (some 50 000 words) neighbouring windows share a passage, whose vector is their mean.
 */
export const MAX_PASSAGES = 512;

/**
 * Windows that a passage's vector is the mean of at most, so that a text never takes more than 1 024 windows to embed (a
 * window takes about 1/25 s). What a text of more (some 100 000 words) has in its later windows is found by words alone.
 */
const MAX_WINDOWS = 2;

/** The embedded model: text to passages to unit vectors of 612 components. Lives in the worker. */
export class EmbeddedModel {
  readonly #tokenizer: Tokenizer;
  readonly #encoder: SentenceEncoder;
  readonly #words: WordVectors;

  /** Loads and checks all files. @throws CodedError MODEL_DAMAGED */
  constructor(settings: WorkerSettings) {
    this.#encoder = new SentenceEncoder(settings.modelDirectory);
    this.#words = new WordVectors(settings.wordsFile);
    this.#tokenizer = loadTokenizer(join(settings.modelDirectory, 'vocab.json'));
  }

  get sizeBytes(): number {
    return this.#encoder.sizeBytes + this.#words.sizeBytes;
  }

  /** Ranges that cover `text` in order, each within the model's window. */
  cut(text: string): PassageRange[] {
    return cutPassages(text, word => this.#tokenizer.encode(word).length);
  }

  /** Embeds one text, pausing (yield) after each window. */
  *embedText(text: string): Generator<void, Embedded> {
    const windows = this.cut(text);
    const perPassage = Math.ceil(windows.length / MAX_PASSAGES);
    const passages: PassageRange[] = [];
    const vectors = new Float32Array(Math.ceil(windows.length / perPassage) * DIMENSION);
    for (let first = 0; first < windows.length; first += perPassage) {
      const group = windows.slice(first, first + perPassage);
      const start = passages.length * DIMENSION;
      yield* this.#embedWindows(
        text,
        group.slice(0, MAX_WINDOWS),
        vectors.subarray(start, start + DIMENSION),
      );
      passages.push([group[0]![0], group.at(-1)![1]]);
    }
    return { passages, vectors };
  }

  /** Embeds a query: one vector whatever its length, the mean of its windows. */
  *embedQuery(text: string): Generator<void, Float32Array> {
    const vector = new Float32Array(DIMENSION);
    yield* this.#embedWindows(text, this.cut(text), vector);
    return vector;
  }

  /** The mean of the windows' vectors, at unit length. */
  *#embedWindows(text: string, windows: readonly PassageRange[], target: Float32Array): Generator<void> {
    if (windows.length === 1) {
      this.#embedWindow(text.slice(...windows[0]!), target);
      yield;
      return;
    }
    const sum = new Float64Array(DIMENSION);
    const vector = new Float32Array(DIMENSION);
    for (const window of windows) {
      this.#embedWindow(text.slice(...window), vector);
      for (let i = 0; i < DIMENSION; i++) sum[i]! += vector[i]!;
      yield;
    }
    const norm = Math.sqrt(sum.reduce((squares, x) => squares + x * x, 0));
    for (let i = 0; i < DIMENSION; i++) target[i] = sum[i]! / norm;
  }

  /**
   * Both halves at length 1/sqrt(2), so that the cosine of two vectors is the mean of the cosines of their halves. A text
   * without a known word has no second half: its first is then the whole.
   */
  #embedWindow(text: string, target: Float32Array): void {
    // White space is layout, not language: the tokeniser would spell each line break as an unknown character.
    const plain = text.replace(/\s+/g, ' ').trim();
    const sentence = target.subarray(0, SENTENCE_DIMENSION);
    const words = target.subarray(SENTENCE_DIMENSION);
    this.#encoder.encode(this.#tokenizer.encode(plain), sentence);
    if (!this.#words.embed(plain, words)) return;
    for (let i = 0; i < DIMENSION; i++) target[i]! *= Math.SQRT1_2;
  }
}

function loadTokenizer(file: string): Tokenizer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw modelDamaged(`the vocabulary in ${file} cannot be read`, error);
  }
  if (createHash('sha256').update(bytes).digest('hex') !== DIGESTS.vocabulary) {
    throw modelDamaged(`the vocabulary in ${file} is altered`);
  }
  return new Tokenizer(JSON.parse(bytes.toString('utf8')));
}
