import { open, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { HierarchicalNSW } from 'hnswlib-node';
import { CodedError } from '../../domain/errors.js';
import type { GraphEngine, GraphEngineKind, GraphParams } from './graph-engine.js';
import { checkHnswlibFile } from './hnswlib-file.js';
import { indexDamaged } from './index-files.js';
import { rowView, type SharedRows } from './vector-slab.js';

const FIRST_CAPACITY_ROWS = 1024;

/**
 * Loads hnswlib-node, on first use: a store of small collections never needs it.
 * @throws CodedError NATIVE_MODULE_MISSING
 */
export function loadHnswlib(): typeof import('hnswlib-node') {
  try {
    return createRequire(import.meta.url)('hnswlib-node');
  } catch (cause) {
    throw new CodedError(
      'NATIVE_MODULE_MISSING',
      `hnswlib-node cannot be loaded: ${(cause as Error).message.split('\n')[0]}`,
      'Install it beside this package: `npm install hnswlib-node` compiles it (python3, make, a C++ compiler). Where npm skipped its install ' +
        'script: `npm install-scripts approve hnswlib-node`, then `npm rebuild hnswlib-node`. Or remove VECTOR_INDEX. Until then search ' +
        'scans every vector.',
      { cause },
    );
  }
}

/** HNSW by hnswlib-node: one thread, labels are rows. */
class HnswlibEngine implements GraphEngine {
  // hnswlib-node takes plain arrays only; one is reused, since it copies what it reads.
  readonly #point: number[];
  #ef = 0;

  constructor(
    readonly graph: HierarchicalNSW,
    readonly params: GraphParams,
  ) {
    this.#point = new Array<number>(params.dimension).fill(0);
  }

  get rows(): number {
    return this.graph.getCurrentCount();
  }

  get sizeBytes(): number {
    // Vector, links of the lowest level, label; about 50 bytes of label map, mutex and level.
    return this.rows * (this.params.dimension * 4 + this.params.m * 8 + 62);
  }

  add(rows: ArrayLike<number>, { buffer, rowBytes, dimension }: SharedRows): void {
    for (let i = 0; i < rows.length; i++) {
      const capacity = this.graph.getMaxElements();
      if (this.rows === capacity) this.graph.resizeIndex(Math.ceil(capacity * 1.5));
      this.graph.addPoint(this.#toArray(rowView(buffer, rowBytes, dimension, rows[i]!)), rows[i]!);
    }
  }

  markDeleted(row: number): void {
    this.graph.markDelete(row);
  }

  search(query: Float32Array, k: number, ef: number): Uint32Array {
    if (ef !== this.#ef) {
      this.graph.setEf(ef);
      this.#ef = ef;
    }
    // It refuses a k above its capacity.
    const wanted = Math.min(k, this.graph.getMaxElements());
    const { neighbors } = this.graph.searchKnn(this.#toArray(query), wanted);
    const rows = new Uint32Array(neighbors.length);
    for (let i = 0; i < rows.length; i++) rows[i] = neighbors[i]!;
    return rows;
  }

  async save(path: string): Promise<void> {
    const { graph } = this;
    const rows = graph.getCurrentCount();
    // hnswlib would create it readable by all; an existing file keeps its mode.
    await writeFile(path, '', { mode: 0o600 });
    await graph.writeIndex(path);
    // Two purposes: it was frozen, and the native writer must not lose the graph to the garbage collector.
    if (graph.getCurrentCount() !== rows) throw new Error('a row was added while the graph was written');
    const file = await open(path, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {}

  #toArray(vector: Float32Array): number[] {
    const point = this.#point;
    for (let i = 0; i < point.length; i++) point[i] = vector[i]!;
    return point;
  }
}

// The slab's vectors are normalised for cosine, so the inner product is the cosine.
function emptyGraph(params: GraphParams): HierarchicalNSW {
  const { HierarchicalNSW } = loadHnswlib();
  return new HierarchicalNSW(params.metric === 'l2' ? 'l2' : 'ip', params.dimension);
}

async function load(path: string, params: GraphParams): Promise<GraphEngine> {
  const graph = emptyGraph(params);
  await graph.readIndex(path).catch(error => {
    throw indexDamaged(path, 'hnswlib refuses it', error);
  });
  return new HnswlibEngine(graph, params);
}

export const hnswlib: GraphEngineKind = {
  name: 'hnswlib',
  growsInPlace: true,
  // 35 % is getting near, whatever ef.
  walkCost: ef => 0.35 + (0.65 * ef) / 64,

  create(params) {
    const graph = emptyGraph(params);
    graph.initIndex(FIRST_CAPACITY_ROWS, params.m, params.efConstruction);
    return new HnswlibEngine(graph, params);
  },

  load,

  // The file is read in a thread, and says itself which rows are marked.
  open: load,

  check: checkHnswlibFile,
};
