import { readFileSync } from 'node:fs';
import { CodedError } from '../../domain/errors.js';
import type { Metric } from '../../domain/model.js';
import { Centroids, MOST_CENTROIDS } from './centroids.js';

interface Kernel {
  rotate(x: number, dimension: number, span: number, signs: number): void;
  writeTables(q: number, count: number, inverseScale: number, out: number): void;
  scan(
    list: number,
    count: number,
    codesBytes: number,
    lut: number,
    scale: number,
    bias: number,
    terms: number,
    threshold: number,
    out: number,
  ): number;
}

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
 * S is the sum of one table entry for every 4 dimensions, 16 rows at once (FastScan: Andre et al., arXiv 1704.07355), so rows lie
 * in blocks of 16: with d the dimension rounded up to 8,
 *
 *   0          2 d bytes: for every 8 dimensions 16 bytes, one a row, a bit a dimension, set for a positive difference
 *   2 d        16 a, bfloat16 · 16 numbers of centroids, u16
 *   2 d + 64   16 b, f32
 *   2 d + 128  16 owners, u32
 */
const LANES = 16;
const FACTOR_BYTES = 12 * LANES;
const ROUNDS = 4;
const WASM_PAGE_BYTES = 65_536;
const MAX_PAGES = 65_536;

/** Blocks that one kernel call takes at most. */
export const CHUNK_BLOCKS = 128;
const LIST_BYTES = 8 * CHUNK_BLOCKS;
const OUT_BYTES = 12 * LANES * CHUNK_BLOCKS;

/**
 * Standard deviations of the estimator within which a row is taken to lie. 1.9 leaves out one candidate in 30; of the k nearest
 * that is fewer, since most of them are nearer than they need to be: recall@10 .99 (bench/vectors.ts).
 */
const DEVIATIONS = 1.9;

let compiled: WebAssembly.Module | undefined;

/** Blocks with the rows in them that are wanted: for each block its number and a mask of 16 bits. */
export type BlockList = Uint32Array;

/** Rows that a scan found worth a look. Views, valid until the next scan. */
export interface Candidates {
  readonly count: number;
  readonly owners: Uint32Array;
  /** Bounds of the raw similarity: it lies between them with a probability of about .94. */
  readonly lower: Float32Array;
  readonly upper: Float32Array;
}

/**
 * One-bit codes of rows whose vectors are kept elsewhere: an eighth of a byte a dimension and 12 bytes a row. They say which rows
 * may be among the nearest, so that only few vectors have to be fetched and compared.
 */
export class BinaryCodes {
  /** The dimension rounded up to whole bytes of code. */
  readonly paddedDimension: number;
  readonly #memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  readonly #kernel: Kernel;
  readonly #centroids: Centroids;
  /** Subtracted from every vector before the rotation; what it is after the rotation. */
  #mean: Float32Array | undefined;
  #rotatedMean: Float32Array;
  #rows = 0;
  #staged = 0;
  #lastOwner = -1;

  // Byte offsets in the memory: scratch, then the blocks.
  readonly #signsAt: number;
  readonly #lutAt: number;
  readonly #termsAt: number;
  readonly #listAt: number;
  readonly #outAt: number;
  readonly #blocksAt: number;
  readonly #blockBytes: number;
  #bytes!: Uint8Array;
  #words!: Uint32Array;
  #floats!: Float32Array;

  // The query of the scans that follow.
  #scale = 0;
  #bias = 0;

  readonly #candidates = {
    owners: new Uint32Array(LANES * CHUNK_BLOCKS),
    lower: new Float32Array(LANES * CHUNK_BLOCKS),
    upper: new Float32Array(LANES * CHUNK_BLOCKS),
  };
  readonly #blockLists = new WeakMap<Uint8Array, { rows: number; blocks: BlockList }>();

  /** @param dimension components of each vector, 1..LIMITS.dimension */
  constructor(
    readonly dimension: number,
    readonly metric: Metric,
  ) {
    const padded = Math.ceil(dimension / 8) * 8;
    this.paddedDimension = padded;
    this.#signsAt = 4 * padded;
    this.#lutAt = this.#signsAt + ROUNDS * 4 * padded;
    this.#termsAt = this.#lutAt + 4 * padded;
    this.#listAt = this.#termsAt + 8 * MOST_CENTROIDS;
    this.#outAt = this.#listAt + LIST_BYTES;
    this.#blocksAt = this.#outAt + OUT_BYTES;
    this.#blockBytes = 2 * padded + FACTOR_BYTES;
    this.#reserve(0);
    this.#floats.set(randomSigns(ROUNDS * padded), this.#signsAt / 4);
    this.#centroids = new Centroids(padded);
    this.#rotatedMean = new Float32Array(padded);
    compiled ??= new WebAssembly.Module(readFileSync(new URL('./codes.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, { env: { memory: this.#memory } });
    this.#kernel = instance.exports as unknown as Kernel;
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
    return this.#blockAt(Math.ceil(this.#staged / LANES)) + this.#centroids.sizeBytes;
  }

  /**
   * Prepares for rows like these, where that is due; without it `stage` would have nothing to describe them by. Yields every 10 us
   * or so of work.
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
    const samples = new Float32Array(size * this.paddedDimension);
    for (let i = 0; i < size; i++) {
      samples.set(this.#rotated(vectorOf(rowOf(i)), this.#mean!), i * this.paddedDimension);
      yield;
    }
    yield* this.#centroids.learn(samples, count);
  }

  #setMean(mean: Float32Array): void {
    this.#mean = mean;
    this.#rotatedMean = this.#rotated(mean, new Float32Array(this.dimension)).slice();
  }

  /** A view of the scratch area, valid until the next call. */
  #rotated(vector: Float32Array, origin: Float32Array): Float32Array {
    const { dimension, paddedDimension } = this;
    const x = this.#floats.subarray(0, paddedDimension);
    for (let i = 0; i < dimension; i++) x[i] = vector[i]! - origin[i]!;
    x.fill(0, dimension);
    const span = 2 ** Math.floor(Math.log2(paddedDimension));
    this.#kernel.rotate(0, paddedDimension, span, this.#signsAt);
    return x;
  }

  /** Encodes a row. Scans find it after the next commit. @param vector as it is compared */
  stage(owner: number, vector: Float32Array): void {
    const { paddedDimension, metric } = this;
    this.#reserve(this.#staged + 1);
    const y = this.#rotated(vector, this.#mean!);
    const centroid = this.#centroids.describe(y);
    const z = this.#centroids.vector(centroid);
    const lane = this.#staged % LANES;
    const block = this.#blockAt(Math.floor(this.#staged / LANES));
    const bytes = this.#bytes;
    const mean = this.#rotatedMean;
    let squares = 0;
    let absolutes = 0;
    let alongCentroid = 0;
    let signedCentroid = 0;
    let alongMean = 0;
    let length = 0;
    for (let i = 0; i < paddedDimension; ) {
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
      bytes[block + (i / 8 - 1) * LANES + lane] = byte;
    }
    // As stored, so that b makes up for its rounding.
    const a = toBfloat16(absolutes === 0 ? 0 : squares / absolutes);
    const b = alongCentroid - fromBfloat16(a) * signedCentroid;
    const factors = block + 2 * paddedDimension;
    const isL2 = metric === 'l2';
    this.#setU16(factors + 2 * lane, isL2 ? toBfloat16(2 * fromBfloat16(a)) : a);
    this.#setU16(factors + 32 + 2 * lane, centroid);
    this.#floats[(factors + 64) / 4 + lane] = isL2 ? 2 * b - length : b + alongMean;
    this.#words[(factors + 128) / 4 + lane] = owner;
    this.#staged++;
  }

  #setU16(at: number, value: number): void {
    this.#bytes[at] = value & 0xff;
    this.#bytes[at + 1] = value >>> 8;
  }

  /** From now on scans find what was staged. */
  commit(): void {
    for (; this.#rows < this.#staged; this.#rows++)
      this.#lastOwner = Math.max(this.#lastOwner, this.#ownerOf(this.#rows));
  }

  /** Forgets what was staged. */
  rollback(): void {
    this.#staged = this.#rows;
  }

  /**
   * The blocks that hold rows of accepted owners.
   * @param accept see PastSearch.accept; the list is kept for as long as the array is
   */
  blocksOf(accept: Uint8Array): BlockList {
    const known = this.#blockLists.get(accept);
    if (known?.rows === this.#rows) return known.blocks;
    const blocks = new Uint32Array(2 * Math.ceil(this.#rows / LANES));
    let length = 0;
    for (let first = 0; first < this.#rows; first += LANES) {
      const owners = this.#ownersAt(first / LANES);
      const count = Math.min(LANES, this.#rows - first);
      let mask = 0;
      for (let lane = 0; lane < count; lane++) if (accept[this.#words[owners + lane]!]) mask |= 1 << lane;
      if (mask === 0) continue;
      blocks[length++] = first / LANES;
      blocks[length++] = mask;
    }
    const list = { rows: this.#rows, blocks: blocks.slice(0, length) };
    this.#blockLists.set(accept, list);
    return list.blocks;
  }

  /** Sets the query of the scans that follow. @param query as it is compared */
  setQuery(query: Float32Array): void {
    const { paddedDimension, metric } = this;
    const q = this.#rotated(query, this.#mean!);
    const groups = paddedDimension / 4;
    let widest = 0;
    let absolutes = 0;
    let squares = 0;
    let alongMean = 0;
    for (let i = 0; i < paddedDimension; i += 4) {
      const reach = Math.abs(q[i]!) + Math.abs(q[i + 1]!) + Math.abs(q[i + 2]!) + Math.abs(q[i + 3]!);
      absolutes += reach;
      if (reach > widest) widest = reach;
    }
    const mean = this.#rotatedMean;
    for (let i = 0; i < paddedDimension; i++) {
      squares += q[i]! * q[i]!;
      alongMean += (q[i]! + mean[i]!) * mean[i]!;
    }
    // Two entries must fit a byte, and all of them 16 bits.
    const most = paddedDimension <= 2048 ? 127 : 63;
    const scale = (2 * widest) / most;
    this.#kernel.writeTables(0, paddedDimension, scale === 0 ? 0 : 1 / scale, this.#lutAt);
    this.#scale = scale;
    this.#bias = -absolutes;

    // The rounding of the tables is an error like the codes' own.
    const roundingVariance = (scale * scale * groups) / 12;
    // 1 - 2/pi in the limit; in few dimensions the spread is wider.
    const varianceShare = (1 - 2 / Math.PI) * (1 + 8 / paddedDimension) ** 2;
    const products = this.#centroids.dotProducts(q);
    const terms = this.#floats;
    for (let centroid = 0, at = this.#termsAt / 4; centroid < products.length; centroid++, at += 2) {
      const product = products[centroid]!;
      const distance = Math.max(0, this.#centroids.squaredLength(centroid) + squares - 2 * product);
      terms[at] = metric === 'l2' ? 2 * product - squares : product + alongMean;
      terms[at + 1] = DEVIATIONS * Math.sqrt(varianceShare * distance + roundingVariance);
    }
  }

  /** Of the rows in `blocks`, at most CHUNK_BLOCKS of them, those whose upper bound is not below `threshold`. */
  scan(blocks: BlockList, threshold: number): Candidates {
    const list = this.#listAt / 4;
    for (let i = 0; i < blocks.length; i += 2) {
      this.#words[list + i] = this.#blockAt(blocks[i]!);
      this.#words[list + i + 1] = blocks[i + 1]!;
    }
    const count = this.#kernel.scan(
      this.#listAt,
      blocks.length / 2,
      2 * this.paddedDimension,
      this.#lutAt,
      this.#scale,
      this.#bias,
      this.#termsAt,
      threshold,
      this.#outAt,
    );
    const { owners, lower, upper } = this.#candidates;
    for (let i = 0, at = this.#outAt / 4; i < count; i++, at += 3) {
      const place = this.#words[at]!;
      owners[i] = this.#words[this.#ownersAt(blocks[2 * (place >>> 4)]!) + (place & 15)]!;
      lower[i] = this.#floats[at + 1]!;
      upper[i] = this.#floats[at + 2]!;
    }
    return { count, owners, lower, upper };
  }

  /** What is saved: all but the committed blocks, which `copyBlocks` gives. Undefined before the first commit. */
  get state(): CodesState | undefined {
    if (this.#rows === 0) return undefined;
    const { count, lesson } = this.#centroids;
    const centroids = new Float32Array(count * this.paddedDimension);
    for (let i = 0; i < count; i++) centroids.set(this.#centroids.vector(i), i * this.paddedDimension);
    return { rows: this.#rows, mean: this.#mean!, centroids, lesson };
  }

  /** Bytes of the blocks of `rows` rows. */
  blocksBytes(rows: number): number {
    return Math.ceil(rows / LANES) * this.#blockBytes;
  }

  /** Copies bytes of the blocks from `offset` on. Rows do not change once they are committed. */
  copyBlocks(offset: number, target: Uint8Array): void {
    target.set(this.#bytes.subarray(this.#blocksAt + offset, this.#blocksAt + offset + target.length));
  }

  /** The part of the memory that the blocks of a saved state are to be read into; `restore` follows. */
  writeBlocks(offset: number, source: Uint8Array): void {
    this.#reserve(Math.ceil((offset + source.length) / this.#blockBytes) * LANES);
    this.#bytes.set(source, this.#blocksAt + offset);
  }

  /** Takes over a saved state, its blocks being written. @returns false if a row names a centroid that there is not */
  restore({ rows, mean, centroids, lesson }: CodesState): boolean {
    this.#setMean(mean);
    this.#centroids.restore(centroids, lesson);
    this.#staged = rows;
    for (let row = 0; row < rows; row++) {
      const at = this.#blockAt(Math.floor(row / LANES)) + 2 * this.paddedDimension + 32 + 2 * (row % LANES);
      if (this.#bytes[at]! + 256 * this.#bytes[at + 1]! >= this.#centroids.count) return false;
    }
    this.commit();
    return true;
  }

  #blockAt(block: number): number {
    return this.#blocksAt + block * this.#blockBytes;
  }

  /** Index into the words of a block's first owner. */
  #ownersAt(block: number): number {
    return (this.#blockAt(block) + 2 * this.paddedDimension + 128) / 4;
  }

  #ownerOf(row: number): number {
    return this.#words[this.#ownersAt(Math.floor(row / LANES)) + (row % LANES)]!;
  }

  #reserve(rows: number): void {
    const neededBytes = this.#blockAt(Math.ceil(rows / LANES));
    const { buffer } = this.#memory;
    if (this.#bytes !== undefined && neededBytes <= buffer.byteLength) return;
    const neededPages = Math.ceil(neededBytes / WASM_PAGE_BYTES);
    if (neededPages > MAX_PAGES) {
      throw new CodedError(
        'TOO_LARGE',
        `the codes of ${rows} dead rows would take ${neededBytes} bytes; the most is 4 GiB`,
        'Put further items into another collection.',
      );
    }
    // An eighth more than needed: growing is a system call each time, and pages not written to stay unallocated.
    const wantedPages = Math.min(MAX_PAGES, Math.ceil(neededPages * 1.125));
    const havePages = buffer.byteLength / WASM_PAGE_BYTES;
    if (wantedPages > havePages) this.#memory.grow(wantedPages - havePages);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#floats = new Float32Array(this.#memory.buffer);
  }
}

/** See BinaryCodes.state. */
export interface CodesState {
  readonly rows: number;
  readonly mean: Float32Array;
  /** n x paddedDimension. */
  readonly centroids: Float32Array;
  readonly lesson: Centroids['lesson'];
}

/** The same for all stores and for ever, since saved codes depend on it: mulberry32 from a fixed seed. */
function randomSigns(count: number): Float32Array {
  let state = 0x5eed;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) & 1 ? 1 : -1;
  });
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
