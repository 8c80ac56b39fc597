import type { Metric } from '../../domain/model.js';
import { inSlices } from '../in-slices.js';
import { EqualVectors } from './equal-vectors.js';
import { GraphFollower, type GraphFollowerOptions, type SavedGraph } from './graph-follower.js';
import type { Graphs } from './graphs.js';
import { RowTable } from './row-table.js';
import { VectorSlab } from './vector-slab.js';

export interface VectorRowsOptions extends GraphFollowerOptions {
  readonly dimension: number;
  readonly metric: Metric;
}

/** Rows counted between two looks at the clock. */
const COUNT_ROWS = 256;

/**
 * Rows with their vectors, and the graph over them: what is searched for the living. Rows are numbered from 0 and never moved;
 * when too many of them are dead, the live ones go to a new VectorRows (see Compaction).
 */
export class VectorRows {
  readonly table = new RowTable();
  readonly slab: VectorSlab;
  readonly follower: GraphFollower;
  readonly #equalVectors: EqualVectors;
  #endCounting = () => {};

  constructor(readonly options: VectorRowsOptions) {
    this.slab = new VectorSlab(options.dimension, options.metric);
    this.#equalVectors = new EqualVectors(this.slab);
    this.follower = new GraphFollower(this.table, this.slab, options);
  }

  get graphs(): Graphs {
    return this.follower.graphs;
  }

  /** @param lastOwner of rows that are not here any more. @throws CodedError as VectorIndex.append */
  append(vectors: Float32Array, owner: number, lastOwner?: number): void {
    this.table.assertAscending(owner, lastOwner);
    const first = this.slab.append(vectors);
    this.#enter(owner, first);
    this.follower.follow();
  }

  /** Takes over an owner's rows as they are. The graph does not follow by itself: see GraphFollower.follow. */
  take(from: VectorRows, owner: number, first: number, count: number): void {
    const target = this.slab.rows;
    for (let row = first; row < first + count; row++) this.slab.appendStored(from.slab.vector(row));
    this.#enter(owner, target);
  }

  #enter(owner: number, first: number): void {
    this.#equalVectors.countUpTo(first);
    this.table.append(owner, this.slab.rows - first);
    for (let row = first; row < this.slab.rows; row++) {
      if (this.#equalVectors.isSurplus(row)) this.table.markSurplus(row);
    }
  }

  /** The owner's rows are dead from now on, those that are not already. */
  remove(owner: number): void {
    const { first, count } = this.table.rowsOf(owner);
    for (let row = first; row < first + count; row++) if (this.table.kill(row)) this.follower.rowDied(row);
  }

  /** All rows are dead from now on. */
  removeAll(): void {
    this.table.killAll();
    this.follower.allDied();
  }

  /**
   * To be called once table and slab were filled from files. What the next append needs to know of all the vectors, and the graph, come in the
   * background.
   * @param graphs see GraphFollower.attach
   */
  loaded(graphs: readonly SavedGraph[]): void {
    if (graphs.length > 0) this.follower.attach(graphs);
    else this.follower.follow();
    this.#endCounting = inSlices(untilMs => this.#count(untilMs));
  }

  /** @returns true when all are counted */
  #count(untilMs: number): boolean {
    const equal = this.#equalVectors;
    if (equal.counted < this.slab.rows) equal.reserve(this.slab.rows);
    while (equal.counted < this.slab.rows && performance.now() < untilMs)
      equal.countUpTo(Math.min(equal.counted + COUNT_ROWS, this.slab.rows));
    return equal.counted === this.slab.rows;
  }

  /** Ends the background work. Nothing may be called afterwards. */
  close(): Promise<void> {
    this.#endCounting();
    return this.follower.close();
  }

  /** Memory of vectors, rows and graph. */
  get sizeBytes(): number {
    return this.slab.sizeBytes + this.table.sizeBytes + this.#equalVectors.sizeBytes + this.graphs.sizeBytes;
  }
}
