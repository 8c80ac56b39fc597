import { SENTENCE_DIMENSION } from './identity.js';
import { DENSE, type DenseMode, type Kernels, loadKernels } from './kernels.js';
import { loadWeights, STAGING_BYTES, WEIGHTS_BYTES, type Weights } from './weights.js';

/** Tokens the model sees; more are clipped (the graph's ClipToMaxLength). */
export const WINDOW = 128;

const HEADS = 4;
const EMBEDDING = 256;
const STATE = 512;
const WIDE = 1536;
const BYTES = Float32Array.BYTES_PER_ELEMENT;

/**
 * The network of the Universal Sentence Encoder Lite (Cer et al. 2018, arXiv:1803.11175): two transformer layers over
 * piece embeddings, the mean over the pieces, a tanh layer, unit length. One text at a time, so that a vector cannot
 * depend on what else is embedded.
 */
export class SentenceEncoder {
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #weights: Weights;
  readonly #timing: number;
  // Activations, row after row for up to WINDOW pieces.
  readonly #ids: number;
  readonly #state: number;
  readonly #normed: number;
  readonly #wide: number;
  readonly #attended: number;
  readonly #attentionWeights: number;

  /** @param directory the weights' directory; throws MODEL_DAMAGED. */
  constructor(directory: string) {
    const timingBytes = WINDOW * EMBEDDING * BYTES;
    // The module's own data end below one page.
    const { kernels, memory } = loadKernels(65536 + WEIGHTS_BYTES + timingBytes + STAGING_BYTES);
    this.#kernels = kernels;
    this.#memory = memory;
    const base = Math.ceil(kernels.heapBase() / 64) * 64;
    this.#timing = base + WEIGHTS_BYTES;
    const staging = this.#timing + timingBytes;
    this.#weights = loadWeights(directory, kernels, memory, base, staging);
    this.#fillTiming();
    // Once the weights are packed, the activations take the place of the staging area.
    this.#ids = staging;
    this.#attentionWeights = this.#ids + WINDOW * BYTES;
    this.#state = this.#attentionWeights + WINDOW * BYTES;
    this.#normed = this.#state + WINDOW * STATE * BYTES;
    this.#attended = this.#normed + WINDOW * STATE * BYTES;
    this.#wide = this.#attended + WINDOW * STATE * BYTES;
  }

  /** Bytes of WebAssembly memory that the model holds. */
  get sizeBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Writes the unit vector of a text's pieces to `target` (512 components). */
  encode(ids: readonly number[], target: Float32Array): void {
    const rows = Math.min(ids.length, WINDOW);
    new Int32Array(this.#memory.buffer, this.#ids, rows).set(rows < ids.length ? ids.slice(0, rows) : ids);
    const { arrays } = this.#weights;
    const kernels = this.#kernels;
    kernels.gather(this.#ids, arrays.embeddings, this.#timing, this.#attended, rows, EMBEDDING);
    // The first layer widens 256 to 512, so its residual goes through a matrix of its own.
    this.#dense('layer0.residual', this.#attended, this.#state, rows, EMBEDDING, STATE, DENSE.store);
    this.#attention('layer0', this.#attended, EMBEDDING, rows);
    this.#expand('layer0', rows);
    this.#dense('layer0.conv2', this.#wide, this.#state, rows, WIDE, STATE, DENSE.add);
    this.#attention('layer1', this.#state, STATE, rows);
    this.#expand('layer1', rows);
    // Nothing but the mean follows the last conv2, which is linear: the mean first saves a sixth of the whole.
    kernels.mean(this.#wide, this.#attended, rows, WIDE);
    kernels.mean(this.#state, this.#state, rows, STATE);
    this.#dense('layer1.conv2', this.#attended, this.#state, 1, WIDE, STATE, DENSE.add);
    this.#dense('hidden', this.#state, this.#attended, 1, STATE, SENTENCE_DIMENSION, DENSE.store);
    kernels.tanhUnit(this.#attended, SENTENCE_DIMENSION);
    target.set(new Float32Array(this.#memory.buffer, this.#attended, SENTENCE_DIMENSION));
  }

  /** state += output(attention(qkv(norm(input)))) */
  #attention(layer: 'layer0' | 'layer1', input: number, width: number, rows: number): void {
    const { arrays } = this.#weights;
    const norm = `${layer}.attentionNorm` as const;
    this.#kernels.layerNorm(
      input,
      arrays[`${norm}.scale`],
      arrays[`${norm}.bias`],
      this.#normed,
      rows,
      width,
    );
    this.#dense(`${layer}.qkv`, this.#normed, this.#wide, rows, width, width * 3, DENSE.store);
    const scale = 1 / Math.sqrt(width / HEADS);
    this.#kernels.attention(this.#wide, this.#attended, this.#attentionWeights, rows, width, HEADS, scale);
    this.#dense(`${layer}.output`, this.#attended, this.#state, rows, width, STATE, DENSE.add);
  }

  /** wide = relu(conv1(norm(state))), the first half of the feed-forward network; state += conv2(wide) is the second. */
  #expand(layer: 'layer0' | 'layer1', rows: number): void {
    const { arrays } = this.#weights;
    const norm = `${layer}.feedForwardNorm` as const;
    this.#kernels.layerNorm(
      this.#state,
      arrays[`${norm}.scale`],
      arrays[`${norm}.bias`],
      this.#normed,
      rows,
      STATE,
    );
    this.#dense(`${layer}.conv1`, this.#normed, this.#wide, rows, STATE, WIDE, DENSE.relu);
  }

  #dense(
    name: keyof Weights['matrices'],
    input: number,
    output: number,
    rows: number,
    from: number,
    to: number,
    mode: DenseMode,
  ): void {
    const { matrices, arrays } = this.#weights;
    this.#kernels.dense(input, matrices[name], arrays[`${name}.bias`], output, rows, from, to, mode);
  }

  /** Sines, then cosines, of position x timescale (Vaswani et al. 2017, arXiv:1706.03762, section 3.5). */
  #fillTiming(): void {
    const half = EMBEDDING / 2;
    const timescales = new Float32Array(this.#memory.buffer, this.#weights.arrays.timescales, half);
    const timing = new Float32Array(this.#memory.buffer, this.#timing, WINDOW * EMBEDDING);
    for (let position = 0; position < WINDOW; position++) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * timescales[i]!);
        timing[position * EMBEDDING + i] = Math.sin(angle);
        timing[position * EMBEDDING + half + i] = Math.cos(angle);
      }
    }
  }
}
