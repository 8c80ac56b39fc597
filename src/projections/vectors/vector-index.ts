import type { Metric } from '../../domain/model.js';
import { encodeRows, indexPaths, readRowsAndVectors, writeSynced, writeVectors } from './index-files.js';
import { scoreOf } from './metric.js';
import { RowTable } from './row-table.js';
import { type OwnerHits, TopOwners } from './top-owners.js';
import { CHUNK_ROWS, VectorSlab } from './vector-slab.js';

export interface VectorIndexOptions {
  /** Components of each vector. */
  readonly dimension: number;
  readonly metric: Metric;
}

export interface VectorSearch {
  /** Distinct owners wanted. */
  readonly k: number;
  /** By owner, nonzero: may be returned. Owners beyond its end may not. Absent: all may. */
  readonly accept?: Uint8Array;
}

export interface VectorCounts {
  readonly rows: number;
  readonly live: number;
  readonly dead: number;
  readonly kind: 'scan' | 'hnsw';
  /** Rows that the graph answers for. */
  readonly indexed: number;
  /** Live rows that are scanned until the graph has them; 0 where there is no graph to come. */
  readonly pending: number;
}

/**
 * The vectors of one collection. A row is a passage's vector; its owner is the ordinal of the item version that it
 * belongs to. Rows are numbered from 0 and never reused.
 */
export class VectorIndex {
  readonly #table = new RowTable();
  readonly #slab: VectorSlab;

  private constructor(readonly options: VectorIndexOptions) {
    this.#slab = new VectorSlab(options.dimension, options.metric);
  }

  static create(options: VectorIndexOptions): VectorIndex {
    return new VectorIndex(options);
  }

  append(vectors: Float32Array, owner: number): number {
    this.#table.assertAscending(owner);
    const first = this.#slab.append(vectors);
    this.#table.append(owner, this.#slab.rows - first);
    return first;
  }

  remove(first: number, count: number): void {
    for (let row = first; row < first + count; row++) this.#table.kill(row);
  }

  rowsOf(owner: number): { first: number; count: number } {
    return this.#table.rowsOf(owner);
  }

  search(query: Float32Array, { k, accept }: VectorSearch): OwnerHits {
    this.#slab.setQuery(query);
    const top = new TopOwners(k);
    const { owners } = this.#table;
    for (let first = 0; first < owners.length; first += CHUNK_ROWS) {
      const similarities = this.#slab.scoreRange(first, Math.min(CHUNK_ROWS, owners.length - first));
      for (let i = 0; i < similarities.length; i++) {
        if (similarities[i]! < top.threshold || this.#table.isDead(first + i)) continue;
        const owner = owners[first + i]!;
        if (accept === undefined || accept[owner]) top.offer(first + i, owner, similarities[i]!);
      }
    }
    return top.hits(similarity => scoreOf(this.options.metric, similarity));
  }

  scoreRows(query: Float32Array, rows: Uint32Array): Float32Array {
    this.#slab.setQuery(query);
    const scores = new Float32Array(rows.length);
    for (let i = 0; i < rows.length; i += CHUNK_ROWS) {
      scores.set(this.#slab.scoreRows(rows.subarray(i, i + CHUNK_ROWS)), i);
    }
    return scores.map(similarity => scoreOf(this.options.metric, similarity));
  }

  vector(row: number): Float32Array {
    return this.#slab.vector(row);
  }

  get counts(): VectorCounts {
    const { rows, dead } = this.#table;
    return { rows, live: rows - dead, dead, kind: 'scan', indexed: 0, pending: 0 };
  }

  get sizeBytes(): number {
    return this.#slab.sizeBytes + this.#table.sizeBytes;
  }

  async idle(): Promise<void> {}

  async save(dir: string, name: string): Promise<string[]> {
    const paths = indexPaths(dir, name);
    const rows = encodeRows(this.#table, this.options.dimension, this.options.metric);
    await writeVectors(paths.vectors, this.#slab, this.#table.rows);
    await writeSynced(paths.rows, rows);
    return [`${name}.vectors`, `${name}.rows`];
  }

  static async load(dir: string, name: string, options: VectorIndexOptions): Promise<VectorIndex> {
    const index = new VectorIndex(options);
    await readRowsAndVectors(indexPaths(dir, name), index.#table, index.#slab);
    return index;
  }

  async close(): Promise<void> {}
}
