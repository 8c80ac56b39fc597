import { CompactingRows } from './compacting-rows.js';
import type { FileProofs } from './index-files.js';
import { efOf, rowsOptions, type VectorIndexOptions } from './index-options.js';
import { scoreOf } from './metric.js';
import { type FetchVectors, searchCodes } from './past-search.js';
import { hasLiveRows, loadIndex, saveIndex } from './saved-index.js';
import {
  bestOfRows,
  bestOfVectors,
  scanDead,
  searchExactly,
  searchOwners,
  type VectorTrace,
} from './search.js';
import type { OwnerHits, TopOwners } from './top-owners.js';

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

  private constructor(readonly options: VectorIndexOptions) {
    this.#kept = new CompactingRows(rowsOptions(options));
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
    return efOf(this.options, k, this.#kept.rows.table.live);
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
    const saved = saveIndex(this.#kept, this.options, dir, name);
    this.#kept.keepFor(saved);
    return saved;
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
    await loadIndex(index.#kept, options, dir, name, proofs);
    return index;
  }

  /**
   * Whether a saved index has the live rows of this one, and no others: owners and vectors, bit for bit.
   * @throws CodedError as load, of files that are no index of this dimension and metric
   */
  holdsLiveRowsOf(dir: string, name: string): Promise<boolean> {
    return hasLiveRows(this.#kept, this.options, dir, name);
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
