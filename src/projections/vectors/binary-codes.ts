import type { Metric } from '../../domain/model.js';
import { Centroids } from './centroids.js';
import { CHUNK_BLOCKS, CodeBlocks, LANES, type Tables } from './code-blocks.js';

/*
 * RaBitQ (Gao and Long, SIGMOD 2024, arXiv 2405.12497): a row is kept as the signs of its rotated difference to a centroid. In
 * rotated coordinates, y the row, z its centroid, q the query, r = y - z:
 *
 *   <y, q> = <z, q> + <r, z> + <r, q - z>,   <r, q - z> ~ a (S(q) - S(z)),   S(x) = sum of sign(r_i) x_i,   a = |r|^2 / sum |r_i|
 *
 * which is unbiased over rotations, with a standard deviation of about a |q - z| sqrt(1 - 2/pi). So with
 * b = <r, z> - a S(z) an estimate is base(centroid, query) + b + a S(q), and for l2, where -|y - q|^2 = 2 <y, q> - |y|^2 - |q|^2,
 * the same with other a and b. All coordinates are relative to the mean of the first sample: it costs nothing for l2 and a
 * constant of the row, <y, mean>, otherwise, and keeps S small where all vectors point the same way.
 *
 * S is the sum of one table entry for every 4 dimensions, 16 rows at once (FastScan: Andre et al., arXiv 1704.07355).
 */

/**
 * Standard deviations of the estimator within which a row is taken to lie: 94 % do. Of the k nearest it loses fewer, since most of
 * them are nearer than they need to be: recall@10 .99 (bench/vectors.ts).
 */
const DEVIATIONS = 1.9;

/** What codes consist of but for the blocks. */
export interface CodesState {
  readonly rows: number;
  readonly mean: Float32Array;
  /** n x the dimension rounded up to 8. */
  readonly centroids: Float32Array;
  readonly lesson: Centroids['lesson'];
}

/**
 * One-bit codes of rows whose vectors are kept elsewhere: an eighth of a byte a dimension and 12 bytes a row. They say which rows
 * may be among the nearest, so that only few vectors have to be fetched and compared.
 */
export class BinaryCodes {
  readonly blocks: CodeBlocks;
  readonly #centroids: Centroids;
  /** Subtracted from every vector before the rotation; what it is after the rotation. */
  #mean: Float32Array | undefined;
  #rotatedMean: Float32Array;
  #rows = 0;
  #staged = 0;
  #lastOwner = -1;
  readonly #signs: Uint8Array;
  /** By what searches accept: the blocks that hold such rows, {number, mask} each, as of so many rows. */
  readonly #accepted = new WeakMap<Uint8Array, { readonly rows: number; readonly blocks: Uint32Array }>();

  /** @param dimension components of each vector, 1..LIMITS.dimension */
  constructor(
    readonly dimension: number,
    readonly metric: Metric,
  ) {
    this.blocks = new CodeBlocks(dimension);
    const { paddedDimension } = this.blocks;
    this.#centroids = new Centroids(paddedDimension);
    this.#rotatedMean = new Float32Array(paddedDimension);
    this.#signs = new Uint8Array(paddedDimension / 8);
  }

  /** Rows that scans find. */
  get rows(): number {
    return this.#rows;
  }

  /** The highest owner there is a code of; -1 without any. */
  get lastOwner(): number {
    return this.#lastOwner;
  }

  /** Bytes in use, centroids and scratch included. */
  get sizeBytes(): number {
    return this.blocks.sizeBytes(this.#staged) + this.#centroids.sizeBytes;
  }

  /**
   * Prepares for rows like these, where that is due; to be exhausted before the first is staged. Yields every 10 us or so of work.
   * @param vectorOf the vector of each of `count` rows, as it is compared
   */
  *learn(count: number, vectorOf: (row: number) => Float32Array): Generator<void> {
    if (!this.#centroids.isLessonDue || count === 0) return;
    const size = this.#centroids.sampleSize(count);
    const rowOf = (i: number) => Math.floor((i * count) / size);
    if (this.#mean === undefined) {
      const sums = new Float64Array(this.dimension);
      for (let i = 0; i < size; i++) {
        const vector = vectorOf(rowOf(i));
        for (let j = 0; j < sums.length; j++) sums[j]! += vector[j]!;
        yield;
      }
      this.#setMean(Float32Array.from(sums, sum => sum / size));
    }
    const { paddedDimension } = this.blocks;
    const samples = new Float32Array(size * paddedDimension);
    for (let i = 0; i < size; i++) {
      samples.set(this.blocks.rotated(vectorOf(rowOf(i)), this.#mean!), i * paddedDimension);
      yield;
    }
    yield* this.#centroids.learn(samples, count);
  }

  #setMean(mean: Float32Array): void {
    this.#mean = mean;
    this.#rotatedMean = this.blocks.rotated(mean, new Float32Array(this.dimension)).slice();
  }

  /** Encodes a row. Scans find it after the next commit. @param vector as it is compared */
  stage(owner: number, vector: Float32Array): void {
    this.blocks.reserve(this.#staged + 1);
    const y = this.blocks.rotated(vector, this.#mean!);
    const centroid = this.#centroids.describe(y);
    const z = this.#centroids.vector(centroid);
    const mean = this.#rotatedMean;
    let squares = 0;
    let absolutes = 0;
    let alongCentroid = 0;
    let signedCentroid = 0;
    let alongMean = 0;
    let length = 0;
    for (let i = 0; i < y.length; ) {
      let byte = 0;
      for (let bit = 1; bit < 256; bit <<= 1, i++) {
        const yi = y[i]!;
        const zi = z[i]!;
        const r = yi - zi;
        squares += r * r;
        alongCentroid += r * zi;
        alongMean += yi * mean[i]!;
        length += yi * yi;
        if (r > 0) {
          byte |= bit;
          absolutes += r;
          signedCentroid += zi;
        } else {
          absolutes -= r;
          signedCentroid -= zi;
        }
      }
      this.#signs[i / 8 - 1] = byte;
    }
    // As it is kept, so that b makes up for its rounding.
    const a = toBfloat16(absolutes === 0 ? 0 : squares / absolutes);
    const b = alongCentroid - fromBfloat16(a) * signedCentroid;
    const factors =
      this.metric === 'l2'
        ? { a: toBfloat16(2 * fromBfloat16(a)), b: 2 * b - length, centroid }
        : { a, b: b + alongMean, centroid };
    this.blocks.write(this.#staged, owner, this.#signs, factors);
    this.#staged++;
  }

  /** From now on scans find what was staged. */
  commit(): void {
    for (; this.#rows < this.#staged; this.#rows++) {
      this.#lastOwner = Math.max(this.#lastOwner, this.blocks.ownerOf(this.#rows));
    }
  }

  /** Forgets what was staged. */
  rollback(): void {
    this.#staged = this.#rows;
  }

  /** @param accept see PastSearch.accept; what follows from it is kept for as long as the array is */
  #blocksOf(accept: Uint8Array): Uint32Array {
    const known = this.#accepted.get(accept);
    if (known?.rows === this.#rows) return known.blocks;
    const blocks = new Uint32Array(2 * Math.ceil(this.#rows / LANES));
    let length = 0;
    for (let first = 0; first < this.#rows; first += LANES) {
      const mask = this.blocks.acceptedIn(first / LANES, Math.min(LANES, this.#rows - first), accept);
      if (mask === 0) continue;
      blocks[length++] = first / LANES;
      blocks[length++] = mask;
    }
    const accepted = { rows: this.#rows, blocks: blocks.slice(0, length) };
    this.#accepted.set(accept, accepted);
    return accepted.blocks;
  }

  /**
   * Bounds the raw similarities of all rows of accepted owners; a row lies within its bounds with a probability of .94.
   * @param query as it is compared
   * @param threshold asked again and again: what cannot reach it is passed over
   * @param found called with the others
   */
  scan(
    query: Float32Array,
    accept: Uint8Array,
    threshold: () => number,
    found: (owner: number, lower: number, upper: number) => void,
  ): void {
    const accepted = this.#blocksOf(accept);
    if (accepted.length === 0) return;
    const tables = this.#prepare(query);
    for (let at = 0; at < accepted.length; at += 2 * CHUNK_BLOCKS) {
      this.blocks.scan(accepted.subarray(at, at + 2 * CHUNK_BLOCKS), tables, threshold(), found);
    }
  }

  #prepare(query: Float32Array): Tables {
    const q = this.blocks.rotated(query, this.#mean!);
    const mean = this.#rotatedMean;
    let squares = 0;
    let alongMean = 0;
    for (let i = 0; i < q.length; i++) {
      squares += q[i]! * q[i]!;
      alongMean += (q[i]! + mean[i]!) * mean[i]!;
    }
    const tables = this.blocks.writeTables(q);
    // The rounding of the tables is an error like the codes' own.
    const roundingVariance = (tables.scale * tables.scale * q.length) / 4 / 12;
    // 1 - 2/pi in the limit; in few dimensions the spread is wider.
    const varianceShare = (1 - 2 / Math.PI) * (1 + 8 / q.length) ** 2;
    const products = this.#centroids.dotProducts(q);
    const terms = this.blocks.terms(products.length);
    for (let i = 0; i < products.length; i++) {
      const product = products[i]!;
      const distance = Math.max(0, this.#centroids.squaredLength(i) + squares - 2 * product);
      terms[2 * i] = this.metric === 'l2' ? 2 * product - squares : product + alongMean;
      terms[2 * i + 1] = DEVIATIONS * Math.sqrt(varianceShare * distance + roundingVariance);
    }
    return tables;
  }

  /** What is saved with the blocks of so many rows, which do not change any more. Undefined without any. */
  get state(): CodesState | undefined {
    if (this.#rows === 0) return undefined;
    const { vectors, lesson } = this.#centroids;
    return { rows: this.#rows, mean: this.#mean!, centroids: vectors, lesson };
  }

  /** Takes over a saved state whose blocks are there. @returns false if a row names a centroid that there is not */
  restore({ rows, mean, centroids, lesson }: CodesState): boolean {
    this.#setMean(mean);
    this.#centroids.restore(centroids, lesson);
    for (let row = 0; row < rows; row++) {
      if (this.blocks.centroidOf(row) >= this.#centroids.count) return false;
    }
    this.#staged = rows;
    this.commit();
    return true;
  }
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The upper half of the value as f32, rounded. */
function toBfloat16(value: number): number {
  float[0] = value;
  return (word[0]! + 0x8000) >>> 16;
}

function fromBfloat16(half: number): number {
  word[0] = half << 16;
  return float[0]!;
}
