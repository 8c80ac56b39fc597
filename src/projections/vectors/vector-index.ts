import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Metric } from '../../domain/model.js';
import { EqualVectors } from './equal-vectors.js';
import { GraphIndex } from './graph-index.js';
import { encodeRows, indexPaths, readRowsAndVectors, writeSynced, writeVectors } from './index-files.js';
import { scoreOf } from './metric.js';
import { RowTable } from './row-table.js';
import { bestOfRows, bestOfVectors, scanDead, searchOwners } from './search.js';
import type { OwnerHits, TopOwners } from './top-owners.js';
import { VectorSlab } from './vector-slab.js';

export interface VectorIndexOptions {
  /** Components of each vector, 1..LIMITS.dimension. */
  readonly dimension: number;
  readonly metric: Metric;
  /**
   * Live rows up to which there is no graph: as many as are scanned in the time of one walk of a graph. It is also the
   * unit in which a filtered search weighs the graph against a scan. Default 2500, measured at 384 and 612 dimensions.
   */
  readonly graphThresholdRows?: number;
  /** Links of a row in the graph. Default 16. */
  readonly m?: number;
  /** Candidates considered when a row is linked. Default 200. */
  readonly efConstruction?: number;
  /** Candidates that a search of the graph keeps. Default 64. */
  readonly efSearch?: number;
  /** More rows than this waiting for the graph are added in a worker thread, not between turns. Default 2000. */
  readonly workerBacklogRows?: number;
  /** The graph is rebuilt when more than this share of its rows is dead. Default 0.3. */
  readonly rebuildDeadShare?: number;
  /** Where a worker's graph passes through a file, as large as the vectors and a tenth. Default: the system's folder for temporary files. */
  readonly scratchDir?: string;
  /**
   * Called when background work fails (a CodedError: NATIVE_MODULE_MISSING, INDEX_DAMAGED, INTERNAL). Answers stay
   * right, since rows that the graph lacks are scanned; a write after a minute tries again.
   */
  readonly onFailure?: (error: Error) => void;
}

export interface VectorSearch {
  /** Distinct owners wanted. */
  readonly k: number;
  /** By owner, nonzero: may be returned. Owners beyond its end may not. Absent: all may. */
  readonly accept?: Uint8Array;
  /** Overrides efSearch. */
  readonly ef?: number;
}

/**
 * The vectors of an owner, passages x dimension as they were appended, read from where they are kept for good.
 * Undefined if they are not there any more: then the owner is not found any more.
 */
export type FetchVectors = (owner: number) => Float32Array | undefined;

export interface PastSearch extends VectorSearch {
  /** Must not be changed once it was given: what follows from it is kept for the next search with the same array. */
  readonly accept: Uint8Array;
  readonly fetch: FetchVectors;
}

export interface VectorCounts {
  /** Ever appended: the number of the next row. */
  readonly rows: number;
  readonly live: number;
  readonly dead: number;
  readonly kind: 'scan' | 'hnsw';
  /** Rows that the graph answers for. */
  readonly indexed: number;
  /** Rows that will be in the graph and are scanned until then. */
  readonly pending: number;
}

const DEFAULTS = {
  graphThresholdRows: 2500,
  m: 16,
  efConstruction: 200,
  efSearch: 64,
  workerBacklogRows: 2000,
  rebuildDeadShare: 0.3,
};

const NO_VECTORS = new Float32Array(0);

/**
 * The vectors of one collection. A row is one passage's vector; its owner is the ordinal of the item version that the
 * passage belongs to. Rows are numbered from 0 and never reused.
 *
 * Every live row is found from the moment it is appended and no removed one ever is, whatever the background is doing:
 * the older rows by a graph once there are enough of them, the rest by an exact scan. Scores are always computed from
 * the stored vectors, so the graph can miss a row but never misjudge or misplace one.
 */
export class VectorIndex {
  readonly #table = new RowTable();
  readonly #slab: VectorSlab;
  readonly #graph: GraphIndex;
  readonly #equalVectors = new EqualVectors(row => this.#slab.vector(row));
  readonly #efSearch: number;

  private constructor(readonly options: VectorIndexOptions) {
    const { dimension, metric } = options;
    this.#slab = new VectorSlab(dimension, metric);
    this.#efSearch = options.efSearch ?? DEFAULTS.efSearch;
    this.#graph = new GraphIndex(this.#table, this.#slab, {
      dimension,
      metric,
      m: options.m ?? DEFAULTS.m,
      efConstruction: options.efConstruction ?? DEFAULTS.efConstruction,
      graphThresholdRows: options.graphThresholdRows ?? DEFAULTS.graphThresholdRows,
      workerBacklogRows: options.workerBacklogRows ?? DEFAULTS.workerBacklogRows,
      rebuildDeadShare: options.rebuildDeadShare ?? DEFAULTS.rebuildDeadShare,
      scratchDir: options.scratchDir ?? tmpdir(),
      onFailure: options.onFailure ?? (() => {}),
    });
  }

  /** An empty index. @throws CodedError INVALID_ARGUMENT for an impossible dimension */
  static create(options: VectorIndexOptions): VectorIndex {
    return new VectorIndex(options);
  }

  /**
   * Appends one owner's rows, all or none.
   * @param vectors n x dimension; copied, and normalised under cosine
   * @param owner above every owner before it, a u32
   * @returns the first row's number; the others follow it
   * @throws CodedError INVALID_ARGUMENT (owner out of order; a vector not finite, or zero under cosine),
   *   DIMENSION_MISMATCH, TOO_LARGE (4 GiB of vectors)
   */
  append(vectors: Float32Array, owner: number): number {
    this.#table.assertAscending(owner);
    const first = this.#slab.append(vectors);
    this.#table.append(owner, this.#slab.rows - first);
    for (let row = first; row < this.#slab.rows; row++) {
      if (this.#equalVectors.isSurplus(row)) this.#table.markSurplus(row);
    }
    this.#graph.follow();
    return first;
  }

  /** The owner's rows are dead from now on; an owner without rows, or whose rows are dead already, is passed over. */
  remove(owner: number): void {
    const { first, count } = this.#table.rowsOf(owner);
    for (let row = first; row < first + count; row++) if (this.#table.kill(row)) this.#graph.rowDied(row);
  }

  /**
   * The k nearest distinct owners with a live row, best first; fewer if there are no more. Equal scores: the lower owner
   * first. Exact where the rows are scanned; of what the graph answers, recall@10 is at least .99.
   * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT (not finite, zero under cosine)
   */
  search(query: Float32Array, options: VectorSearch): OwnerHits {
    return this.#hits(this.#searchLive(query, options));
  }

  /**
   * Like search, among all owners, dead or alive, that `accept` admits: those that lived at a moment.
   * @throws CodedError as search, and whatever `fetch` throws
   */
  searchPast(query: Float32Array, options: PastSearch): OwnerHits {
    const top = this.#searchLive(query, options);
    if (options.k > 0)
      scanDead({ table: this.#table, slab: this.#slab, graph: this.#graph }, options.accept, top);
    return this.#hits(top);
  }

  /**
   * The best passage of an owner, dead or alive.
   * @param fetch asked for the vectors of an owner that is not kept here any more; without it, such an owner has none
   * @returns undefined for an owner without vectors
   * @throws CodedError as search, and whatever `fetch` throws
   */
  scoreOwner(
    query: Float32Array,
    owner: number,
    fetch?: FetchVectors,
  ): { passage: number; score: number } | undefined {
    this.#slab.setQuery(query);
    const { first, count } = this.#table.rowsOf(owner);
    const best =
      count > 0
        ? bestOfRows(this.#slab, first, count)
        : bestOfVectors(this.#slab, fetch?.(owner) ?? NO_VECTORS);
    // Rounded as search rounds it.
    return (
      best && { passage: best.passage, score: Math.fround(scoreOf(this.options.metric, best.similarity)) }
    );
  }

  #searchLive(query: Float32Array, { k, accept, ef }: VectorSearch): TopOwners {
    return searchOwners(
      { table: this.#table, slab: this.#slab, graph: this.#graph },
      { query, k, accept, ef: ef ?? this.#efSearch },
    );
  }

  #hits(top: TopOwners): OwnerHits {
    return top.hits(similarity => scoreOf(this.options.metric, similarity));
  }

  /** From here on all owners are dead. */
  retire(): void {
    for (const owner of new Set(this.#table.owners)) this.remove(owner);
  }

  /** A row's vector as stored (of unit length under cosine), dead or alive: a view, not to be written to. */
  vector(row: number): Float32Array {
    return this.#slab.vector(row);
  }

  get counts(): VectorCounts {
    const { rows, live, dead } = this.#table;
    const { exists, wanted, end } = this.#graph;
    return {
      rows,
      live,
      dead,
      kind: exists ? 'hnsw' : 'scan',
      indexed: end,
      pending: wanted ? rows - end : 0,
    };
  }

  /** Why the graph does not follow the writes at present; undefined if it does. See onFailure. */
  get failure(): Error | undefined {
    return this.#graph.failure;
  }

  /** Memory of vectors, rows and graph. */
  get sizeBytes(): number {
    return (
      this.#slab.sizeBytes + this.#table.sizeBytes + this.#equalVectors.sizeBytes + this.#graph.sizeBytes
    );
  }

  /** Resolves when no background work is left; rejects with `failure`. */
  idle(): Promise<void> {
    return this.#graph.idle();
  }

  /**
   * Writes the index as of this call's turn, synced and the graph read back and proven; appends, removes and searches may
   * go on meanwhile.
   * @returns the names of the files in `dir`. They have no checksums: keep digests of them, and compare before load.
   * @throws CodedError INDEX_DAMAGED if the graph's file does not read back (a full disk), or what the file system throws
   */
  async save(dir: string, name: string): Promise<string[]> {
    const { dimension, metric } = this.options;
    const paths = indexPaths(dir, name);
    let rowsFile!: Buffer;
    let flags!: Uint8Array;
    const hasGraph = await this.#graph.save(paths.graph, () => {
      rowsFile = encodeRows(this.#table, dimension, metric);
      flags = this.#table.flags.slice();
    });
    await writeVectors(paths.vectors, this.#slab, flags.length);
    await writeSynced(paths.rows, rowsFile);
    if (hasGraph) await this.#graph.check(paths.graph, flags);
    return [paths.vectors, paths.rows, ...(hasGraph ? [paths.graph] : [])].map(path =>
      path.slice(join(dir, '/').length),
    );
  }

  /**
   * Reads what save wrote. The graph's file is checked for all that could crash, and against the vectors; whether vectors
   * and owners are those that were saved is for the caller's digests to say.
   * @throws CodedError INDEX_DAMAGED if a file is missing, of the wrong size, inconsistent, or for other options
   */
  static async load(dir: string, name: string, options: VectorIndexOptions): Promise<VectorIndex> {
    const index = new VectorIndex(options);
    const paths = indexPaths(dir, name);
    await readRowsAndVectors(paths, index.#table, index.#slab);
    for (let row = 0; row < index.#slab.rows; row++) index.#equalVectors.isSurplus(row);
    if (index.#table.hasGraph) await index.#graph.load(paths.graph);
    index.#graph.follow();
    return index;
  }

  /** Ends the background work. The index must not be used afterwards. */
  close(): Promise<void> {
    return this.#graph.close();
  }
}
