import type { IndexEngine, Metric } from '../../domain/model.js';
import type { SharedRows } from './vector-slab.js';

/** What a graph is built by; a graph file is refused under other ones. */
export interface GraphParams {
  readonly dimension: number;
  readonly metric: Metric;
  /** Links of a row on the upper levels; twice as many on the lowest. */
  readonly m: number;
  /** Candidates considered when a row is linked: more is slower to build and finds better. */
  readonly efConstruction: number;
}

/** An approximate nearest-neighbour graph over rows of a slab: the port behind which usearch and hnswlib-node stand. */
export interface GraphEngine {
  /** Rows added, marked ones included. */
  readonly rows: number;
  /** Estimate of its memory. */
  readonly sizeBytes: number;
  /** Adds rows of the slab; never again the same numbers. Not while a save is under way. */
  add(rows: ArrayLike<number>, slab: SharedRows): void;
  /** Keeps a row out of answers from now on; once for a row that was added. Not while a save is under way. */
  markDeleted(row: number): void;
  /**
   * About the k nearest unmarked rows, nearest first; some more where the engine measures roughly.
   * @param k rows wanted; fewer come back where the graph cannot reach more
   * @param ef candidates kept during the walk, at least k: more is slower and finds better
   */
  search(query: Float32Array, k: number, ef: number): Uint32Array;
  /** Writes and syncs a file. It proves nothing before `check` has read it back. */
  save(path: string): Promise<void>;
  /** Lets go of files. Nothing may be called afterwards, or be under way. */
  close(): Promise<void>;
}

/** How to come by an engine. */
export interface GraphEngineKind {
  readonly name: IndexEngine;
  /** Whether an engine that was opened can be added to. Otherwise that takes `load`, and so a worker thread. */
  readonly growsInPlace: boolean;
  /**
   * What a search that keeps `ef` candidates costs, in exact scans of as many rows as VectorIndexOptions.graphThresholdRows is by
   * default (bench/vectors.ts).
   */
  walkCost(ef: number): number;
  /**
   * An empty engine.
   * @param threads that `add` uses, where the engine can. Default 1
   * @throws CodedError NATIVE_MODULE_MISSING
   */
  create(params: GraphParams, threads?: number): GraphEngine;
  /**
   * Reads a file that `check` has passed, to be added to; deaths are not looked at. May be long and synchronous: for worker threads.
   * @throws CodedError NATIVE_MODULE_MISSING, INDEX_DAMAGED
   */
  load(path: string, params: GraphParams, threads?: number): Promise<GraphEngine>;
  /**
   * Takes over a file that `check` has passed, to be searched; without holding up the event loop. The file may be deleted then, but
   * not changed.
   * @param flags as check got them
   * @throws CodedError NATIVE_MODULE_MISSING, INDEX_DAMAGED
   */
  open(path: string, params: GraphParams, flags: Uint8Array): Promise<GraphEngine>;
  /**
   * Proves that a file holds exactly the rows that `flags` (by row: IN_GRAPH, DEAD) says, with the slab's vectors, and
   * nothing that could crash `load`, `open` or a search. Synchronous and long: for worker threads.
   * @returns rows, ascending, that its searches may not meet, whatever is asked: they are to be scanned
   * @throws CodedError INDEX_DAMAGED
   */
  check(path: string, params: GraphParams, flags: Uint8Array, slab: SharedRows): Uint32Array;
}
