import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { IndexEngine, Metric } from '../../domain/model.js';
import { readCodes, writeCodes } from './codes-file.js';
import { CompactingRows } from './compacting-rows.js';
import { flagsWithin } from './graph-parts.js';
import {
  encodeRows,
  type FileProofs,
  indexPaths,
  readRowsAndVectors,
  UNPROVEN,
  writeSynced,
  writeVectors,
} from './index-files.js';
import { scoreOf } from './metric.js';
import { type FetchVectors, searchCodes } from './past-search.js';
import { RowTable } from './row-table.js';
import {
  bestOfRows,
  bestOfVectors,
  scanDead,
  searchExactly,
  searchOwners,
  type VectorTrace,
} from './search.js';
import type { OwnerHits, TopOwners } from './top-owners.js';
import { VectorSlab } from './vector-slab.js';

export interface VectorIndexOptions {
  /** Components of each vector, 1..LIMITS.dimension. */
  readonly dimension: number;
  readonly metric: Metric;
  /** What builds the graph. A saved graph of the other one is left, and another one built. Default usearch. */
  readonly engine?: IndexEngine | undefined;
  /**
   * Live rows up to which there is no graph: as many as are scanned in the time of one walk of a graph of hnswlib. It is also the
   * unit in which a filtered search weighs the graph against a scan. Default 2500, measured at 384 and 612 dimensions.
   */
  readonly graphThresholdRows?: number | undefined;
  /** Links of a row in the graph. Default 16. */
  readonly m?: number;
  /** Candidates considered when a row is linked. Default 200. */
  readonly efConstruction?: number;
  /**
   * Candidates that a search of the graph keeps. Default: 32 for up to 20 000 live rows, beyond that with the square root of their number, 128 at
   * most: for recall@10 of .99 and more among clustered vectors of 384 dimensions (bench/vectors.ts). Of more than ten wanted, two for each and 12.
   */
  readonly efSearch?: number;
  /** More rows than this waiting for the graph are added in a worker thread, not between turns. Default 2000. */
  readonly workerBacklogRows?: number;
  /** Vectors of dead rows that are kept, since they are searched faster than codes. Default: as many as are 12 MiB. */
  readonly keepDeadRows?: number | undefined;
  /**
   * Beyond that all are given up for codes once they are more than this share of the vectors kept, or a fiftieth and deaths have
   * paused. And the graph is built anew when more than this share of its rows is dead. Default 0.3.
   */
  readonly compactDeadShare?: number;
  /** But not fewer at a time than this. Default 500, at most keepDeadRows. */
  readonly compactMinDeadRows?: number;
  /** The pause that is meant. Default 60 000. */
  readonly compactQuietMs?: number;
  /** This many more dead rows than live ones are not left to the background: it may not get a turn. Default 4096. */
  readonly compactNowDeadRows?: number;
  /**
   * Where graphs pass through files, each at most as large as the vectors and a tenth, two at a time; usearch's stays in use, deleted but mapped.
   * Default: the system's folder for temporary files.
   */
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
  /**
   * By owner, nonzero: may be returned. Owners beyond its end may not. Absent: all may. It must not be changed once it was given:
   * what follows from it is kept for the next search with the same array.
   */
  readonly accept?: Uint8Array;
  /** In place of efSearch. */
  readonly ef?: number;
  /** Told how it was done. Default: nobody asks. */
  readonly trace?: VectorTrace | undefined;
}

export interface PastSearch extends VectorSearch {
  readonly accept: Uint8Array;
  readonly fetch: FetchVectors;
}

export interface VectorCounts {
  /** Ever appended. */
  readonly rows: number;
  readonly live: number;
  readonly dead: number;
  /** Of the dead ones, those of which only codes are kept. */
  readonly coded: number;
  readonly kind: 'scan' | 'hnsw';
  /** Rows that the graph answers for, dead ones among them included. */
  readonly indexed: number;
  /** Rows that will be in the graph and are scanned until then. */
  readonly pending: number;
}

const DEFAULTS = {
  engine: 'usearch' as const,
  graphThresholdRows: 2500,
  m: 16,
  efConstruction: 200,
  efSearch: { least: 32, atRows: 20_000, most: 128, fixed: 12 },
  workerBacklogRows: 2000,
  compactDeadShare: 0.3,
  keepDeadBytes: 12 * 1024 * 1024,
  compactMinDeadRows: 500,
  compactQuietMs: 60_000,
  compactNowDeadRows: 4096,
};

const NO_VECTORS = new Float32Array(0);

/**
 * The vectors of one collection. A row is one passage's vector; its owner is the ordinal of the item version that the
 * passage belongs to.
 *
 * Every live row is found from the moment it is appended and no removed one ever is, whatever the background is doing:
 * the older rows by a graph once there are enough of them, the rest by an exact scan. Removed ones go on being found by
 * searchPast: first by an exact scan, later by codes of one bit a dimension. Scores are always computed from vectors, kept
 * here or fetched, so graph and codes can miss a row but never misjudge or misplace one.
 */
export class VectorIndex {
  readonly #kept: CompactingRows;
  /** What graphs are made by and their files do not all say. */
  readonly #made: { readonly engine: IndexEngine; readonly efConstruction: number };

  private constructor(readonly options: VectorIndexOptions) {
    const keepDeadRows = options.keepDeadRows ?? Math.floor(DEFAULTS.keepDeadBytes / (4 * options.dimension));
    this.#made = {
      engine: options.engine ?? DEFAULTS.engine,
      efConstruction: options.efConstruction ?? DEFAULTS.efConstruction,
    };
    this.#kept = new CompactingRows({
      ...this.#made,
      dimension: options.dimension,
      metric: options.metric,
      m: options.m ?? DEFAULTS.m,
      graphThresholdRows: options.graphThresholdRows ?? DEFAULTS.graphThresholdRows,
      workerBacklogRows: options.workerBacklogRows ?? DEFAULTS.workerBacklogRows,
      compactDeadShare: options.compactDeadShare ?? DEFAULTS.compactDeadShare,
      keepDeadRows,
      compactMinDeadRows: options.compactMinDeadRows ?? Math.min(keepDeadRows, DEFAULTS.compactMinDeadRows),
      compactQuietMs: options.compactQuietMs ?? DEFAULTS.compactQuietMs,
      compactNowDeadRows: options.compactNowDeadRows ?? DEFAULTS.compactNowDeadRows,
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
   * @throws CodedError INVALID_ARGUMENT (owner out of order; a vector not finite, or zero under cosine),
   *   DIMENSION_MISMATCH, TOO_LARGE (4 GiB of vectors)
   */
  append(vectors: Float32Array, owner: number): void {
    this.#kept.append(vectors, owner);
  }

  /** The owner's rows are dead from now on; an owner without rows, or whose rows are dead already, is passed over. */
  remove(owner: number): void {
    this.#kept.remove(owner);
  }

  /**
   * All rows are dead from now on, and soon codes will be all that is kept of them: for vectors of a space in which nothing is
   * written any more, but whose past is still searched.
   */
  retire(): void {
    this.#kept.retire();
  }

  /**
   * The k nearest distinct owners with a live row, best first; fewer if there are no more. Equal scores: the lower owner
   * first. Exact where the rows are scanned; of what the graph answers, recall@10 is at least .99.
   * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT (not finite, zero under cosine)
   */
  search(query: Float32Array, { k, accept, trace, ef = this.#ef(k) }: VectorSearch): OwnerHits {
    return this.#hits(searchOwners(this.#kept.rows, { query, k, accept, ef, trace }));
  }

  /**
   * What search would answer if it scanned every row: the measure of a graph's recall.
   * @param pause called every few milliseconds; what is written meanwhile may be missed
   * @throws CodedError as search, and what `pause` throws
   */
  async searchExactly(query: Float32Array, k: number, pause: () => Promise<void>): Promise<OwnerHits> {
    return this.#hits(await searchExactly(this.#kept.rows, query, k, pause));
  }

  /** Up to `count` live rows, evenly spread from the oldest to the newest: the owner, and a copy of the vector as it is compared here. */
  sample(count: number): { owner: number; vector: Float32Array }[] {
    const { table, slab } = this.#kept.rows;
    const { liveRows, owners } = table;
    const step = Math.max(1, liveRows.length / count);
    const sampled: { owner: number; vector: Float32Array }[] = [];
    for (let at = 0; at < liveRows.length && sampled.length < count; at += step) {
      const row = liveRows[Math.floor(at)]!;
      sampled.push({ owner: owners[row]!, vector: slab.vector(row).slice() });
    }
    return sampled;
  }

  /** A copy of the vector of a live owner's first passage; undefined where it has none here. */
  firstVector(owner: number): { vector: Float32Array; passages: number } | undefined {
    const { slab, table } = this.#kept.rows;
    const { first, count } = table.rowsOf(owner);
    return count === 0 ? undefined : { vector: slab.vector(first).slice(), passages: count };
  }

  /**
   * Does now what the background would do in time or not for so little: vectors of dead rows are given up for codes, graphs become one without
   * dead rows, and rows that wait get into it. Searches and writes go on meanwhile.
   * @param rebuild also where few rows are dead
   * @throws CodedError `failure`
   */
  renew(rebuild = false): Promise<void> {
    return this.#kept.renew(rebuild);
  }

  /** Whether `renew` would do anything that is worth its time. */
  get isWorthRenewing(): boolean {
    return this.#kept.isWorthRenewing;
  }

  /** Graphs that a search walks one after the other. */
  get graphs(): number {
    return this.#kept.rows.graphs.list.length;
  }

  /**
   * Like search, among all owners, dead or alive, that `accept` admits: those that lived at a moment. Exact where the rows are
   * scanned; of those that are coded, recall@10 is about .99.
   * @throws CodedError as search, and whatever `fetch` throws
   */
  searchPast(query: Float32Array, { k, accept, fetch, trace, ef = this.#ef(k) }: PastSearch): OwnerHits {
    const { codes, rows } = this.#kept;
    const top = searchOwners(rows, { query, k, accept, ef, trace });
    if (k > 0) {
      const dead = rows.table.acceptedDeadRows(accept);
      if (trace) trace.scannedRows += dead.length + (codes?.rows ?? 0);
      scanDead(rows, dead, top);
      if (codes !== undefined)
        searchCodes({ codes, slab: rows.slab, query: rows.slab.query, accept, fetch }, top);
    }
    return this.#hits(top);
  }

  /**
   * A copy of vectors (n x dimension) as they are compared here: of unit length under cosine. What `fetch` answers with is prepared once
   * and compared often.
   * @throws CodedError as append
   */
  prepare(vectors: Float32Array): Float32Array {
    const { slab } = this.#kept.rows;
    const { dimension } = slab;
    if (vectors.length === dimension) return slab.prepare(vectors);
    const prepared = new Float32Array(vectors.length);
    for (let at = 0; at < vectors.length; at += dimension)
      prepared.set(slab.prepare(vectors.subarray(at, at + dimension)), at);
    return prepared;
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
    const { slab, table } = this.#kept.rows;
    slab.setQuery(query);
    const { first, count } = table.rowsOf(owner);
    const best =
      count > 0 ? bestOfRows(slab, first, count) : bestOfVectors(slab, fetch?.(owner) ?? NO_VECTORS);
    // Rounded as search rounds it.
    return (
      best && { passage: best.passage, score: Math.fround(scoreOf(this.options.metric, best.similarity)) }
    );
  }

  #ef(k: number): number {
    const { least, atRows, most, fixed } = DEFAULTS.efSearch;
    const grown = Math.round(least * Math.sqrt(this.#kept.rows.table.live / atRows));
    return this.options.efSearch ?? Math.max(least, 2 * k + fixed, Math.min(most, grown));
  }

  #hits(top: TopOwners): OwnerHits {
    return top.hits(similarity => scoreOf(this.options.metric, similarity));
  }

  get counts(): VectorCounts {
    const { codes } = this.#kept;
    const { table, graphs } = this.#kept.rows;
    const coded = codes?.rows ?? 0;
    return {
      rows: table.rows + coded,
      live: table.live,
      dead: table.dead + coded,
      coded,
      kind: graphs.exist ? 'hnsw' : 'scan',
      indexed: graphs.end,
      pending: graphs.wanted ? table.rows - graphs.end : 0,
    };
  }

  /** Why background work does not go on at present; undefined if it does. See onFailure. */
  get failure(): Error | undefined {
    return this.#kept.failure ?? this.#kept.rows.follower.failure;
  }

  /** Memory of vectors, rows, graph and codes; while rows are moved, of both the old and the new ones. */
  get sizeBytes(): number {
    return this.#kept.sizeBytes;
  }

  /** Of that, the codes of dead rows. */
  get codesBytes(): number {
    return this.#kept.codes?.sizeBytes ?? 0;
  }

  /** Resolves when no background work is left; rejects with `failure`. */
  idle(): Promise<void> {
    return this.#kept.idle();
  }

  /**
   * Set while a file of the graph is written, or a saved graph is taken over. A save that begins meanwhile takes the state when it is done, not that
   * of its call; and one that does not wait for the graph would be without it.
   */
  get unsettled(): Promise<void> | undefined {
    const { graphs, follower } = this.#kept.rows;
    return graphs.writing ?? follower.attachNow();
  }

  /** What the background did without an event: another text means that saving would save something else. See GraphFollower.progress. */
  get progress(): string {
    return `${this.#kept.rows.follower.progress} ${this.#kept.codes?.rows ?? 0}`;
  }

  /**
   * Writes the index as of this call's turn, synced and the graph read back and proven; appends, removes and searches may
   * go on meanwhile. See `unsettled`.
   * @returns the names of the files in `dir`. They have no checksums: keep digests of them, and compare before load.
   * @throws CodedError INDEX_DAMAGED if the graph's file does not read back (a full disk), or what the file system throws
   */
  save(dir: string, name: string): Promise<string[]> {
    const saved = this.#save(dir, name);
    this.#kept.keepFor(saved);
    return saved;
  }

  async #save(dir: string, name: string): Promise<string[]> {
    const { dimension, metric } = this.options;
    const { rows, codes } = this.#kept;
    const { table, slab, graphs, follower } = rows;
    const coded = codes?.state;
    const paths = indexPaths(dir, name, this.#made.engine);
    let rowsFile!: Buffer;
    let flags!: Uint8Array;
    let graphEnds!: readonly number[];
    await graphs.save(paths.graph, ends => {
      graphEnds = ends;
      rowsFile = encodeRows(table, { dimension, metric, coded: coded?.rows ?? 0, ...this.#made, graphEnds });
      flags = table.flags.slice();
    });
    await writeVectors(paths.vectors, slab, flags.length);
    await writeSynced(paths.rows, rowsFile);
    if (codes !== undefined && coded !== undefined) await writeCodes(paths.codes, codes, coded);
    for (const [part, end] of graphEnds.entries())
      await follower.check(paths.graph(part), flagsWithin(flags, graphEnds[part - 1] ?? 0, end));
    const written = [paths.vectors, paths.rows];
    if (coded !== undefined) written.push(paths.codes);
    written.push(...graphEnds.map((_, part) => paths.graph(part)));
    return written.map(path => path.slice(join(dir, '/').length));
  }

  /**
   * Reads what save wrote. The graph follows in the background, and is scanned for until then: its file is checked for all that could crash, and against
   * the vectors; one that is no good is told of by onFailure and built anew. Whether vectors, owners and codes are those that were saved is for
   * `proofs` to say.
   * @param proofs of the files; without any they are taken as they are
   * @throws CodedError INDEX_DAMAGED if a file but the graph's is missing, of the wrong size, inconsistent, or for other options; what the proofs throw
   */
  static async load(
    dir: string,
    name: string,
    options: VectorIndexOptions,
    proofs?: FileProofs,
  ): Promise<VectorIndex> {
    const index = new VectorIndex(options);
    const paths = indexPaths(dir, name, index.#made.engine);
    const kept = index.#kept;
    const { rows } = kept;
    const check = (path: string) => proofs?.begin(basename(path)) ?? UNPROVEN;
    const { coded, graphEnds } = await readRowsAndVectors(paths, rows.table, rows.slab, index.#made, check);
    if (coded > 0) await readCodes(paths.codes, kept.newCodes(), coded, check(paths.codes));
    const graphs = graphEnds.map((end, part) => {
      const path = paths.graph(part);
      return { path, digest: proofs?.digest(basename(path)), end };
    });
    rows.loaded(graphs);
    kept.compactIfDue(true);
    rows.follower.attached?.then(() => kept.compactIfDue(true));
    return index;
  }

  /**
   * Whether a saved index has the live rows of this one, and no others: owners and vectors, bit for bit.
   * @throws CodedError as load, of files that are no index of this dimension and metric
   */
  async holdsLiveRowsOf(dir: string, name: string): Promise<boolean> {
    const { dimension, metric } = this.options;
    const [table, slab] = [new RowTable(), new VectorSlab(dimension, metric)];
    const paths = indexPaths(dir, name, this.#made.engine);
    await readRowsAndVectors(paths, table, slab, this.#made, () => UNPROVEN);
    const own = this.#kept.rows;
    if (own.table.live !== table.live) return false;
    let row = 0;
    for (let saved = 0; saved < table.rows; saved++) {
      if (table.isDead(saved)) continue;
      while (own.table.isDead(row)) row++;
      if (own.table.owners[row] !== table.owners[saved]) return false;
      const [one, other] = [own.slab.vector(row), slab.vector(saved)];
      if (one.some((value, i) => value !== other[i])) return false;
      row++;
    }
    return true;
  }

  /** Many rows follow one another: the graph waits for `release`, and is then built of all of them at once. */
  hold(): void {
    this.#kept.hold();
  }

  /** The rows that were waited for are there. */
  release(): void {
    this.#kept.release();
  }

  /** Ends the background work. The index must not be used afterwards. */
  close(): Promise<void> {
    return this.#kept.close();
  }
}
