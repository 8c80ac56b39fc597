import { readFileSync } from 'node:fs';
import { CodedError } from '../../domain/errors.js';
import { MOST_CENTROIDS } from './centroids.js';

/** What assembly/codes.ts exports. */
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
 * A block of 16 rows, with d the dimension rounded up to 8:
 *
 *   0          2 d bytes: for every 8 dimensions 16 bytes, one a row, a bit a dimension, set for a positive difference
 *   2 d        16 a, bfloat16 · 16 numbers of centroids, u16
 *   2 d + 64   16 b, f32
 *   2 d + 128  16 owners, u32
 *
 * What a, b and the differences are: see binary-codes.ts.
 */
export const LANES = 16;
const CENTROIDS_AT = 2 * LANES;
const B_AT = 4 * LANES;
const OWNERS_AT = 8 * LANES;
const FACTOR_BYTES = 12 * LANES;

const ROUNDS = 4;
const WASM_PAGE_BYTES = 65_536;
const MAX_PAGES = 65_536;

/** Blocks that one scan takes at most. */
export const CHUNK_BLOCKS = 128;
const LIST_BYTES = 8 * CHUNK_BLOCKS;
const OUT_BYTES = 12 * LANES * CHUNK_BLOCKS;

let compiled: WebAssembly.Module | undefined;

/** What a row's code consists of besides its signs and owner. */
export interface Factors {
  /** bfloat16, as its 16 bits. */
  readonly a: number;
  readonly b: number;
  readonly centroid: number;
}

/** A query as the tables of a scan know it. */
export interface Tables {
  /** One step of the tables' bytes. */
  readonly scale: number;
  readonly bias: number;
}

/**
 * The memory of BinaryCodes and the kernels over it: scratch areas, then the blocks, which are only ever appended to. Shared, so
 * that growing it leaves views valid; 4 GiB of addresses are reserved, not used.
 */
export class CodeBlocks {
  /** The dimension rounded up to whole bytes of code. */
  readonly paddedDimension: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  readonly #memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  readonly #kernel: Kernel;
  // Byte offsets in the memory.
  readonly #signsAt: number;
  readonly #tablesAt: number;
  readonly #termsAt: number;
  readonly #listAt: number;
  readonly #outAt: number;
  readonly #blocksAt: number;
  #bytes!: Uint8Array;
  #words!: Uint32Array;
  #floats!: Float32Array;

  constructor(readonly dimension: number) {
    const padded = Math.ceil(dimension / 8) * 8;
    this.paddedDimension = padded;
    this.blockBytes = 2 * padded + FACTOR_BYTES;
    this.#signsAt = 4 * padded;
    this.#tablesAt = this.#signsAt + ROUNDS * 4 * padded;
    this.#termsAt = this.#tablesAt + 4 * padded;
    this.#listAt = this.#termsAt + 8 * MOST_CENTROIDS;
    this.#outAt = this.#listAt + LIST_BYTES;
    this.#blocksAt = this.#outAt + OUT_BYTES;
    this.#view();
    this.reserve(0);
    this.#floats.set(randomSigns(ROUNDS * padded), this.#signsAt / 4);
    compiled ??= new WebAssembly.Module(readFileSync(new URL('./codes.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, { env: { memory: this.#memory } });
    this.#kernel = instance.exports as unknown as Kernel;
  }

  /** Bytes in use with so many rows. */
  sizeBytes(rows: number): number {
    return this.#addressOf(Math.ceil(rows / LANES));
  }

  /** @throws CodedError TOO_LARGE beyond 4 GiB */
  reserve(rows: number): void {
    const neededBytes = this.sizeBytes(rows);
    if (neededBytes <= this.#bytes.length) return;
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
    this.#memory.grow(wantedPages - this.#bytes.length / WASM_PAGE_BYTES);
    this.#view();
  }

  #view(): void {
    const { buffer } = this.#memory;
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#floats = new Float32Array(buffer);
  }

  /** `vector - origin`, rotated, padded. A view of a scratch area, valid until the next call. */
  rotated(vector: Float32Array, origin: Float32Array): Float32Array {
    const { dimension, paddedDimension } = this;
    const x = this.#floats.subarray(0, paddedDimension);
    for (let i = 0; i < dimension; i++) x[i] = vector[i]! - origin[i]!;
    x.fill(0, dimension);
    const span = 2 ** Math.floor(Math.log2(paddedDimension));
    this.#kernel.rotate(0, paddedDimension, span, this.#signsAt);
    return x;
  }

  /** @param signs a bit a dimension; the row must be reserved */
  write(row: number, owner: number, signs: Uint8Array, { a, b, centroid }: Factors): void {
    const lane = row % LANES;
    const block = this.#addressOf(Math.floor(row / LANES));
    const bytes = this.#bytes;
    for (let i = 0; i < signs.length; i++) bytes[block + i * LANES + lane] = signs[i]!;
    const factors = block + 2 * this.paddedDimension;
    this.#setU16(factors + 2 * lane, a);
    this.#setU16(factors + CENTROIDS_AT + 2 * lane, centroid);
    this.#floats[(factors + B_AT) / 4 + lane] = b;
    this.#words[(factors + OWNERS_AT) / 4 + lane] = owner;
  }

  #setU16(at: number, value: number): void {
    this.#bytes[at] = value & 0xff;
    this.#bytes[at + 1] = value >>> 8;
  }

  ownerOf(row: number): number {
    return this.#words[this.#ownersAt(Math.floor(row / LANES)) + (row % LANES)]!;
  }

  centroidOf(row: number): number {
    const factors = this.#addressOf(Math.floor(row / LANES)) + 2 * this.paddedDimension;
    const at = factors + CENTROIDS_AT + 2 * (row % LANES);
    return this.#bytes[at]! + 256 * this.#bytes[at + 1]!;
  }

  /** A mask of those of the block's first `count` rows whose owner is accepted. */
  acceptedIn(block: number, count: number, accept: Uint8Array): number {
    const owners = this.#ownersAt(block);
    let mask = 0;
    for (let lane = 0; lane < count; lane++) if (accept[this.#words[owners + lane]!]) mask |= 1 << lane;
    return mask;
  }

  /** Makes the tables of the rotated query `q`, which must be what `rotated` gave last. */
  writeTables(q: Float32Array): Tables {
    let widest = 0;
    let absolutes = 0;
    for (let i = 0; i < q.length; i += 4) {
      const reach = Math.abs(q[i]!) + Math.abs(q[i + 1]!) + Math.abs(q[i + 2]!) + Math.abs(q[i + 3]!);
      absolutes += reach;
      if (reach > widest) widest = reach;
    }
    // Two entries must fit a byte, and all of them 16 bits.
    const most = this.paddedDimension <= 2048 ? 127 : 63;
    const scale = (2 * widest) / most;
    this.#kernel.writeTables(0, q.length, scale === 0 ? 0 : 1 / scale, this.#tablesAt);
    return { scale, bias: -absolutes };
  }

  /** {base, width} of each centroid for the query of the scans that follow: to be written to. */
  terms(centroids: number): Float32Array {
    return this.#floats.subarray(this.#termsAt / 4, this.#termsAt / 4 + 2 * centroids);
  }

  /**
   * Finds those of the rows in `blocks` whose upper bound is not below `threshold`.
   * @param blocks {number, mask of the rows wanted} each, at most CHUNK_BLOCKS
   * @param found called with each
   */
  scan(
    blocks: Uint32Array,
    { scale, bias }: Tables,
    threshold: number,
    found: (owner: number, lower: number, upper: number) => void,
  ): void {
    const list = this.#listAt / 4;
    for (let i = 0; i < blocks.length; i += 2) {
      this.#words[list + i] = this.#addressOf(blocks[i]!);
      this.#words[list + i + 1] = blocks[i + 1]!;
    }
    const count = this.#kernel.scan(
      this.#listAt,
      blocks.length / 2,
      2 * this.paddedDimension,
      this.#tablesAt,
      scale,
      bias,
      this.#termsAt,
      threshold,
      this.#outAt,
    );
    for (let i = 0, at = this.#outAt / 4; i < count; i++, at += 3) {
      const place = this.#words[at]!;
      const owner = this.#words[this.#ownersAt(blocks[2 * (place >>> 4)]!) + (place & 15)]!;
      found(owner, this.#floats[at + 1]!, this.#floats[at + 2]!);
    }
  }

  /** Copies bytes of the blocks from `offset` on. */
  copy(offset: number, target: Uint8Array): void {
    const start = this.#blocksAt + offset;
    target.set(this.#bytes.subarray(start, start + target.length));
  }

  /** Writes bytes of the blocks from `offset` on, the room being reserved. */
  restore(offset: number, source: Uint8Array): void {
    this.#bytes.set(source, this.#blocksAt + offset);
  }

  #addressOf(block: number): number {
    return this.#blocksAt + block * this.blockBytes;
  }

  /** Index into the words of a block's first owner. */
  #ownersAt(block: number): number {
    return (this.#addressOf(block) + 2 * this.paddedDimension + OWNERS_AT) / 4;
  }
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
