import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Index, IndexConfig } from 'usearch';
import { CodedError } from '../../domain/errors.js';
import type { GraphEngine, GraphEngineKind, GraphParams } from './graph-engine.js';
import { COPY_BYTES, indexDamaged, readFully } from './index-files.js';
import { DEAD, IN_GRAPH } from './row-table.js';
import { checkUsearchFile } from './usearch-file.js';
import { rowView, type SharedRows } from './vector-slab.js';

/** Candidates beyond k that are handed out: bf16 may have put a row of the first k behind k. Of 200 queries the first 8 held them all. */
const ROUGH_ROWS = 8;
/** A search whose candidates are nearly all marked asks for more, up to here: then the caller's scan is quicker. */
const MOST_CANDIDATES = 4096;

/**
 * Loads usearch, on first use: a store of small collections never needs it.
 * @throws CodedError NATIVE_MODULE_MISSING
 */
export function loadUsearch(): typeof import('usearch') {
  try {
    return createRequire(import.meta.url)('usearch');
  } catch (cause) {
    throw new CodedError(
      'NATIVE_MODULE_MISSING',
      `usearch cannot be loaded: ${(cause as Error).message.split('\n')[0]}`,
      'It has binaries for Linux (x64, arm64; glibc 2.34) and macOS: install it with `npm install usearch`. Elsewhere set ' +
        'VECTOR_INDEX=hnswlib and install hnswlib-node. Until then search scans every vector.',
      { cause },
    );
  }
}

/** HNSW by usearch over bf16 vectors; keys are rows. `remove` is not used: removed, saved and loaded, it writes beyond its memory. */
abstract class UsearchEngine implements GraphEngine {
  // By row: 1 if marked.
  #marked: Uint8Array = new Uint8Array(1024);
  #markedCount = 0;
  readonly #query: Float32Array;

  constructor(
    readonly index: Index,
    readonly params: GraphParams,
  ) {
    this.#query = new Float32Array(params.dimension);
  }

  get rows(): number {
    return this.index.size();
  }

  get sizeBytes(): number {
    // Vector, links of the lowest level, key and level; about 50 bytes of tables of keys and addresses.
    return this.rows * (this.params.dimension * 2 + this.params.m * 8 + 64);
  }

  markDeleted(row: number): void {
    if (row >= this.#marked.length) {
      const marked = new Uint8Array(Math.max(row + 1, this.#marked.length * 2));
      marked.set(this.#marked);
      this.#marked = marked;
    }
    this.#marked[row] = 1;
    this.#markedCount++;
  }

  search(query: Float32Array, k: number, ef: number): Uint32Array {
    // A copy: the caller's may lie in shared memory, which the binding is not made for.
    this.#query.set(query);
    const { rows } = this;
    if (rows === this.#markedCount) return new Uint32Array(0);
    const most = Math.min(rows, Math.max(MOST_CANDIDATES, k));
    // The index is made with an expansion of 1, so it keeps as many candidates as it is asked for.
    let wanted = Math.min(most, Math.ceil((ef * rows) / (rows - this.#markedCount)));
    for (;;) {
      const { keys } = this.index.search(this.#query, Math.max(wanted, 1), 1);
      const found = this.#unmarked(keys, k + ROUGH_ROWS);
      if (found.length >= k || wanted === most) return found;
      // The graph reaches no more rows.
      if (keys.length < wanted) return found;
      wanted = Math.min(most, wanted * 4);
    }
  }

  #unmarked(keys: BigUint64Array, most: number): Uint32Array {
    // Rows are below 2^32: the low half of each key, little-endian.
    const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
    const found = new Uint32Array(Math.min(keys.length, most));
    let count = 0;
    for (let i = 0; i < halves.length && count < most; i += 2) {
      const row = halves[i]!;
      if (!this.#marked[row]) found[count++] = row;
    }
    return found.subarray(0, count);
  }

  abstract add(rows: ArrayLike<number>, slab: SharedRows): void;
  abstract save(path: string): Promise<void>;
  abstract close(): Promise<void>;
}

/** A graph in memory, to be added to. Saving and loading it take the whole time synchronously. */
class GrowingEngine extends UsearchEngine {
  constructor(
    index: Index,
    params: GraphParams,
    readonly threads: number,
  ) {
    super(index, params);
  }

  add(rows: ArrayLike<number>, { buffer, rowBytes, dimension }: SharedRows): void {
    const keys = new BigUint64Array(rows.length);
    const vectors = new Float32Array(rows.length * dimension);
    for (let i = 0; i < rows.length; i++) {
      keys[i] = BigInt(rows[i]!);
      vectors.set(rowView(buffer, rowBytes, dimension, rows[i]!), i * dimension);
    }
    // Always as many threads: it has reserved contexts for these, and fails in the middle of a batch for more.
    this.index.add(keys, vectors, this.threads);
  }

  async save(path: string): Promise<void> {
    await rm(path, { force: true });
    // usearch would create it readable by all; an existing file keeps its mode.
    await writeFile(path, '', { mode: 0o600, flag: 'wx' });
    this.index.save(path);
    await sync(path);
  }

  async close(): Promise<void> {}
}

/** A graph in a file that is mapped into memory, which takes a twentieth of the time of reading it. It stays as it is. */
class OpenedEngine extends UsearchEngine {
  constructor(
    index: Index,
    params: GraphParams,
    /** Of the mapped file, which may have been deleted meanwhile. */
    readonly file: FileHandle,
  ) {
    super(index, params);
  }

  add(): never {
    throw new Error('a graph that was opened does not grow');
  }

  async save(path: string): Promise<void> {
    // Made anew: what lies there may be the mapped file, and a mapped file that becomes shorter ends the process.
    await rm(path, { force: true });
    const target = await open(path, 'wx', 0o600);
    try {
      const { size } = await this.file.stat();
      const buffer = Buffer.allocUnsafe(Math.min(size, COPY_BYTES));
      for (let at = 0; at < size; at += buffer.length) {
        const part = buffer.subarray(0, Math.min(buffer.length, size - at));
        await readFully(this.file, path, part, at);
        await target.writeFile(part);
      }
      await target.sync();
    } finally {
      await target.close();
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

// The slab's vectors are normalised for cosine, so the inner product is the cosine.
function emptyIndex({ dimension, metric, m, efConstruction }: GraphParams): Index {
  const { Index, MetricKind, ScalarKind } = loadUsearch();
  const config: IndexConfig = {
    dimensions: dimension,
    metric: metric === 'l2' ? MetricKind.L2sq : MetricKind.IP,
    quantization: ScalarKind.BF16,
    connectivity: m,
    expansion_add: efConstruction,
    expansion_search: 1,
    multi: false,
  };
  return new Index(config);
}

function read(path: string, params: GraphParams, how: 'load' | 'view'): Index {
  const index = emptyIndex(params);
  try {
    index[how](path);
  } catch (error) {
    throw indexDamaged(path, 'usearch refuses it', error);
  }
  return index;
}

export const usearch: GraphEngineKind = {
  name: 'usearch',
  growsInPlace: false,
  // Six tenths of what hnswlib's takes.
  walkCost: ef => 0.2 + (0.4 * ef) / 64,

  create(params, threads = 1) {
    return new GrowingEngine(emptyIndex(params), params, threads);
  },

  async load(path, params, threads = 1) {
    return new GrowingEngine(read(path, params, 'load'), params, threads);
  },

  async open(path, params, flags) {
    const file = await open(path, 'r').catch(error => {
      throw indexDamaged(path, 'it cannot be read', error);
    });
    try {
      const engine = new OpenedEngine(read(path, params, 'view'), params, file);
      for (let row = flags.length - 1; row >= 0; row--) {
        if (flags[row]! & IN_GRAPH && flags[row]! & DEAD) engine.markDeleted(row);
      }
      return engine;
    } catch (error) {
      await file.close();
      throw error;
    }
  },

  check: checkUsearchFile,
};
