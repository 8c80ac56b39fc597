import { readFileSync } from 'node:fs';
import { CodedError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Metric } from '../../domain/model.js';
import { finished, firstLanes, STRIPE_BYTES } from './xxh64.js';

interface Kernel {
  dotRange(query: number, first: number, rowBytes: number, count: number, out: number): void;
  dotRows(query: number, base: number, rowBytes: number, list: number, count: number, out: number): void;
  l2Range(query: number, first: number, rowBytes: number, count: number, out: number): void;
  l2Rows(query: number, base: number, rowBytes: number, list: number, count: number, out: number): void;
  sumOfSquares(at: number, bytes: number): number;
  scale(at: number, bytes: number, factor: number): void;
  hashOf(at: number, bytes: number): number;
  digestStripes(lanes: number, at: number, bytes: number): void;
}

/** Rows to come. */
export interface Room {
  /** Theirs, in the slab's memory. */
  readonly bytes: Uint8Array;
  /** The bytes before `end` are there: they are digested, in place. */
  digestUpTo(end: number): void;
  /** The digest of all bytes, xxh64 in 16 hex digits. */
  digest(): string;
}

const WASM_PAGE_BYTES = 65_536;
const MAX_PAGES = 65_536;

/** Rows that one kernel call takes at most: the size of the scratch areas. */
export const CHUNK_ROWS = 4096;

// The first page is scratch: the query, a list of rows, their similarities, a vector of no row. The rows follow.
const QUERY_AT = 0;
const LIST_AT = LIMITS.dimension * 4;
const OUT_AT = LIST_AT + CHUNK_ROWS * 4;
const OTHER_AT = OUT_AT + CHUNK_ROWS * 4;
/** Lanes of a digest, while rows are read and nothing is searched. */
const DIGEST_AT = OTHER_AT;
/** Byte offset of row 0 in the memory. */
const ROWS_AT = WASM_PAGE_BYTES;

let compiled: WebAssembly.Module | undefined;

/**
 * Vectors row after row in one WebAssembly.Memory, never moved and never changed: what a kernel call reads in place.
 * The memory is shared, so that a worker thread reads the same rows without a copy, and so that growing it leaves the
 * views that others hold valid. 4 GiB of addresses are reserved, not used: about 2.8 million rows of 384 dimensions.
 */
export class VectorSlab {
  /** Bytes from one row to the next: the dimension in f32, rounded up to whole 16-byte SIMD lanes. */
  readonly rowBytes: number;
  readonly #memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  readonly #kernel: Kernel;
  #floats: Float32Array;
  #words: Int32Array;
  #rows = 0;

  /** @param dimension components of each vector, 1..LIMITS.dimension */
  constructor(
    readonly dimension: number,
    readonly metric: Metric,
  ) {
    if (!Number.isInteger(dimension) || dimension < 1 || dimension > LIMITS.dimension) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `dimension: ${dimension} is not a whole number from 1 to ${LIMITS.dimension}`,
        `Use vectors of at most ${LIMITS.dimension} components.`,
      );
    }
    this.rowBytes = Math.ceil(dimension / 4) * 16;
    compiled ??= new WebAssembly.Module(readFileSync(new URL('./similarity.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, { env: { memory: this.#memory } });
    this.#kernel = instance.exports as unknown as Kernel;
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#words = new Int32Array(this.#memory.buffer);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes in use; what the memory has reserved beyond them is not resident. */
  get sizeBytes(): number {
    return ROWS_AT + this.#rows * this.rowBytes;
  }

  /** The memory for a worker thread, with where to find a row in it: see rowView. */
  get shared(): SharedRows {
    const { dimension, rowBytes } = this;
    return { buffer: this.#memory.buffer as unknown as SharedArrayBuffer, dimension, rowBytes };
  }

  /**
   * Appends the rows of `vectors` (n x dimension), normalised under cosine; all or none.
   * @returns the first row's number
   * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT (not finite, zero under cosine), TOO_LARGE beyond 4 GiB
   */
  append(vectors: Float32Array): number {
    const { dimension } = this;
    const count = vectors.length / dimension;
    if (!Number.isInteger(count)) throw dimensionMismatch(vectors.length, dimension);
    this.#reserve(count);
    for (let i = 0; i < count; i++) {
      const vector = count === 1 ? vectors : vectors.subarray(i * dimension, (i + 1) * dimension);
      // Not counted before all of them are in, so a refused vector leaves nothing behind.
      this.#write(vector, ROWS_AT + (this.#rows + i) * this.rowBytes);
    }
    const first = this.#rows;
    this.#rows += count;
    return first;
  }

  /**
   * Writes a vector as it is compared: of unit length for cosine, unchanged otherwise.
   * @param at in bytes; what pads the vector there is zero
   * @throws CodedError INVALID_ARGUMENT for components that are not finite, and for a zero vector under cosine
   */
  #write(vector: Float32Array, at: number): void {
    this.#floats.set(vector, at / 4);
    const squares = this.#kernel.sumOfSquares(at, this.rowBytes);
    if (!Number.isFinite(squares)) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        'vector: a component is not a finite number',
        'Send finite numbers only.',
      );
    }
    if (this.metric !== 'cosine') return;
    if (squares === 0) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        'vector: all components are zero, and the cosine of a zero vector is undefined',
        'Send a vector with a direction, or use a collection with the metric l2 or ip.',
      );
    }
    this.#kernel.scale(at, this.rowBytes, 1 / Math.sqrt(squares));
  }

  /** A copy of a vector as it is compared. @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT */
  prepare(vector: Float32Array): Float32Array {
    if (vector.length !== this.dimension) throw dimensionMismatch(vector.length, this.dimension);
    this.#write(vector, OTHER_AT);
    return this.#floats.slice(OTHER_AT / 4, OTHER_AT / 4 + this.dimension);
  }

  /** Appends rows that come from another slab's vector(): as they are, unchecked. */
  appendStored(vectors: Float32Array): void {
    const count = vectors.length / this.dimension;
    this.#reserve(count);
    for (let i = 0; i < count; i++) {
      this.#view(this.#rows + i).set(vectors.subarray(i * this.dimension, (i + 1) * this.dimension));
    }
    this.#rows += count;
  }

  /** All of the memory as 32-bit words. A view: invalid after the next append. */
  get words(): Int32Array {
    return this.#words;
  }

  /** Where a row begins in the memory, in 32-bit words. */
  offsetOf(row: number): number {
    return (ROWS_AT + row * this.rowBytes) / 4;
  }

  /** A hash of a row's bits. */
  hashOf(row: number): number {
    return this.#kernel.hashOf(ROWS_AT + row * this.rowBytes, this.rowBytes);
  }

  /** True if a row takes more bytes than its vector. */
  get hasPadding(): boolean {
    return this.rowBytes !== this.dimension * 4;
  }

  /**
   * Where the next `count` rows go, if rows have no padding: to be filled with rows of another slab, and then made count by `taken`. No search
   * may come between.
   * @throws CodedError TOO_LARGE beyond 4 GiB
   */
  room(count: number): Room {
    this.#reserve(count);
    const at = ROWS_AT + this.#rows * this.rowBytes;
    const bytes = new Uint8Array(this.#floats.buffer, at, count * this.rowBytes);
    const lanes = new BigUint64Array(this.#floats.buffer, DIGEST_AT, 4);
    lanes.set(firstLanes());
    let digested = 0;
    return {
      bytes,
      digestUpTo: end => {
        const stripes = Math.floor((end - digested) / STRIPE_BYTES) * STRIPE_BYTES;
        this.#kernel.digestStripes(DIGEST_AT, at + digested, stripes);
        digested += stripes;
      },
      digest: () => finished(lanes, bytes.subarray(digested), bytes.length),
    };
  }

  /** The rows that `room` was asked for are there. */
  taken(count: number): void {
    this.#rows += count;
  }

  /** The stored vector: a view, not to be written to. */
  vector(row: number): Float32Array {
    if (!(row < this.#rows)) throw new RangeError(`row ${row} of ${this.#rows}`);
    return this.#view(row);
  }

  /**
   * Sets the query of the score calls that follow.
   * @returns the query as it is compared (normalised under cosine), valid until the next call
   * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT
   */
  setQuery(query: Float32Array): Float32Array {
    if (query.length !== this.dimension) throw dimensionMismatch(query.length, this.dimension);
    this.#write(query, QUERY_AT);
    return this.query;
  }

  /** The query of the score calls, as it is compared: a view, valid until the next setQuery. */
  get query(): Float32Array {
    return this.#floats.subarray(QUERY_AT / 4, QUERY_AT / 4 + this.dimension);
  }

  /**
   * Raw similarities of rows [first, first + count), count <= CHUNK_ROWS.
   * @returns a view of the scratch area, valid until the next score call
   */
  scoreRange(first: number, count: number): Float32Array {
    const at = ROWS_AT + first * this.rowBytes;
    if (this.metric === 'l2') this.#kernel.l2Range(QUERY_AT, at, this.rowBytes, count, OUT_AT);
    else this.#kernel.dotRange(QUERY_AT, at, this.rowBytes, count, OUT_AT);
    return this.#floats.subarray(OUT_AT / 4, OUT_AT / 4 + count);
  }

  /**
   * Raw similarities of the rows in `list`, at most CHUNK_ROWS of them, each below `rows`.
   * @returns a view of the scratch area, valid until the next score call
   */
  scoreRows(list: Uint32Array): Float32Array {
    const { rowBytes } = this;
    new Uint32Array(this.#floats.buffer, LIST_AT, list.length).set(list);
    if (this.metric === 'l2') this.#kernel.l2Rows(QUERY_AT, ROWS_AT, rowBytes, LIST_AT, list.length, OUT_AT);
    else this.#kernel.dotRows(QUERY_AT, ROWS_AT, rowBytes, LIST_AT, list.length, OUT_AT);
    return this.#floats.subarray(OUT_AT / 4, OUT_AT / 4 + list.length);
  }

  /**
   * Raw similarity of a vector that is no row here, with the bits that it would have as one.
   * @param vector as `prepare` gives it
   * @throws CodedError DIMENSION_MISMATCH
   */
  scoreOther(vector: Float32Array): number {
    const { dimension, rowBytes } = this;
    if (vector.length !== dimension) throw dimensionMismatch(vector.length, dimension);
    this.#floats.set(vector, OTHER_AT / 4);
    if (this.metric === 'l2') this.#kernel.l2Range(QUERY_AT, OTHER_AT, rowBytes, 1, OUT_AT);
    else this.#kernel.dotRange(QUERY_AT, OTHER_AT, rowBytes, 1, OUT_AT);
    return this.#floats[OUT_AT / 4]!;
  }

  #view(row: number): Float32Array {
    return rowView(this.#floats.buffer as unknown as SharedArrayBuffer, this.rowBytes, this.dimension, row);
  }

  #reserve(count: number): void {
    const neededBytes = ROWS_AT + (this.#rows + count) * this.rowBytes;
    if (neededBytes > MAX_PAGES * WASM_PAGE_BYTES) {
      throw new CodedError(
        'TOO_LARGE',
        `the vectors of one collection would take ${neededBytes} bytes; the most is 4 GiB`,
        'Put further items into another collection.',
      );
    }
    const havePages = this.#memory.buffer.byteLength / WASM_PAGE_BYTES;
    if (neededBytes <= havePages * WASM_PAGE_BYTES) return;
    // An eighth more than needed: growing is a system call each time, and pages not written to stay unallocated.
    const wantedPages = Math.ceil((neededBytes * 1.125) / WASM_PAGE_BYTES);
    this.#memory.grow(Math.min(wantedPages, MAX_PAGES) - havePages);
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#words = new Int32Array(this.#memory.buffer);
  }
}

/** What a worker thread needs to read rows of a slab. */
export interface SharedRows {
  readonly buffer: SharedArrayBuffer;
  readonly dimension: number;
  readonly rowBytes: number;
}

/** The view of one row in a slab's memory. */
export function rowView(
  buffer: SharedArrayBuffer,
  rowBytes: number,
  dimension: number,
  row: number,
): Float32Array {
  return new Float32Array(buffer, ROWS_AT + row * rowBytes, dimension);
}

function dimensionMismatch(components: number, dimension: number): CodedError {
  return new CodedError(
    'DIMENSION_MISMATCH',
    `vector: ${components} components, but this collection's vectors have ${dimension}`,
    `Send vectors of ${dimension} components.`,
  );
}
