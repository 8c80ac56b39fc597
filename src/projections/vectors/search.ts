import type { Metric } from '../../domain/model.js';
import { lowerBound } from '../lower-bound.js';
import type { RowTable } from './row-table.js';
import { TopOwners } from './top-owners.js';
import type { VectorRows } from './vector-rows.js';
import { CHUNK_ROWS, type VectorSlab } from './vector-slab.js';

interface OwnerSearch {
  readonly query: Float32Array;
  readonly k: number;
  readonly accept: Uint8Array | undefined;
  readonly ef: number;
  readonly trace?: VectorTrace | undefined;
}

/** What a search did, added up for whoever asks how it was done. */
export interface VectorTrace {
  /** Graphs that were walked. */
  graphs: number;
  /** Rows that were compared by a scan; those that a graph brought are not among them. */
  scannedRows: number;
}

/**
 * Candidates that a walk of the graph keeps. Vectors of any length are found worse by their inner product, worst where the accepted
 * ones lie deep among the nearest: of ten under a filter .95 keeping as many as wanted, .99 keeping three times as many.
 */
const candidatesToKeep = (metric: Metric, ef: number, wanted: number) =>
  metric === 'ip' ? Math.max(4 * ef, 3 * wanted) : Math.max(ef, wanted);

/**
 * The k nearest owners: of the graph's rows by the graph, or by an exact scan where that is cheaper (few rows accepted) or
 * the graph brings too few; of the rows after the graph's end by an exact scan.
 */
export function searchOwners(
  { table, slab, graphs }: VectorRows,
  { query, k, accept, ef, trace }: OwnerSearch,
): TopOwners {
  const list = accept && table.acceptedRows(accept);
  const comparable = slab.setQuery(query);
  const top = new TopOwners(k);
  if (k === 0) return top;
  const { end } = graphs;
  // Where the list passes from the graph's rows to the rest.
  const listEnd = list === undefined ? 0 : lowerBound(list, list.length, end);
  const candidates = list === undefined ? end : listEnd;

  if (graphs.exist) {
    // What it leaves out comes last: searchGraph tells by what it brought whether it brought enough.
    if (searchGraph()) {
      const { surplus } = table;
      if (trace) trace.graphs += graphs.list.length;
      scanLeftOut(surplus.subarray(0, lowerBound(surplus, surplus.length, end)));
      scanLeftOut(graphs.unreached);
    } else if (list === undefined) scanAll(0, end);
    else scanRows(list.subarray(0, listEnd));
  }
  if (list !== undefined) scanRows(list.subarray(listEnd));
  // In place where few of them are dead: to tell which rows to scan costs something as well.
  else if (graphs.exist || table.dead <= table.rows / 8) scanAll(end, table.rows);
  else {
    const { liveRows } = table;
    scanRows(liveRows.subarray(lowerBound(liveRows, liveRows.length, end)));
  }
  return top;

  function scanAll(from: number, to: number): void {
    if (trace) trace.scannedRows += to - from;
    offerRange(table, slab, from, to, top);
  }

  function scanRows(rows: Uint32Array): void {
    if (trace) trace.scannedRows += rows.length;
    scanList(rows);
  }

  /** @returns false if the rows are to be scanned instead */
  function searchGraph(): boolean {
    const share = list === undefined ? 1 : candidates / graphs.liveRows;
    const even = (k * table.rowsPerOwner) / share;
    // Half as many again where not each row counts: accepted rows and rows of one owner do not lie evenly. But not more
    // than that: a row brought out of the graph costs as much as several that are scanned.
    let wanted = even > k ? Math.ceil(1.5 * even) : k;
    for (;;) {
      // Of what is kept, only that share counts.
      const candidatesKept = candidatesToKeep(slab.metric, Math.ceil(ef * Math.min(2, 1 / share)), wanted);
      if (graphs.walkCostRows(candidatesKept) >= candidates) return false;
      const rows = graphs.search(comparable, wanted, candidatesKept);
      scanList(accept === undefined ? rows : rows.filter(row => accept[table.owners[row]!]));
      if (top.size === k) return true;
      if (rows.length < wanted) return false;
      wanted *= 2;
    }
  }

  /** Rows that the graph leaves out, as surplus ones (see EqualVectors). */
  function scanLeftOut(rows: Uint32Array): void {
    scanRows(accept === undefined ? rows : rows.filter(row => accept[table.owners[row]!]));
  }

  function scanList(rows: Uint32Array): void {
    for (let first = 0; first < rows.length; first += CHUNK_ROWS) {
      offerRows(rows.subarray(first, first + CHUNK_ROWS));
    }
  }

  /** At most CHUNK_ROWS of them. Dead ones are passed over: the graph may not know yet. */
  function offerRows(rows: Uint32Array): void {
    const { owners } = table;
    const similarities = slab.scoreRows(rows);
    for (let i = 0; i < rows.length; i++) {
      if (similarities[i]! >= top.threshold && !table.isDead(rows[i]!)) {
        top.offer(owners[rows[i]!]!, table.passageOf(rows[i]!), similarities[i]!);
      }
    }
  }
}

/** Offers the live ones of consecutive rows, scored exactly. The query is the one that the slab has. */
function offerRange(table: RowTable, slab: VectorSlab, from: number, to: number, top: TopOwners): void {
  const { owners } = table;
  for (let first = from; first < to; first += CHUNK_ROWS) {
    const similarities = slab.scoreRange(first, Math.min(CHUNK_ROWS, to - first));
    for (let i = 0; i < similarities.length; i++) {
      const row = first + i;
      if (similarities[i]! >= top.threshold && !table.isDead(row)) {
        top.offer(owners[row]!, table.passageOf(row), similarities[i]!);
      }
    }
  }
}

/** Rows that one turn of an exact search compares: a few milliseconds. */
const EXACT_ROWS = 8 * CHUNK_ROWS;

/**
 * The k nearest owners by an exact scan, whatever graphs there are: what their recall is told by.
 * @param pause called between two turns, in which others search; rows that are replaced meanwhile stay whole while this has them
 */
export async function searchExactly(
  { table, slab }: VectorRows,
  query: Float32Array,
  k: number,
  pause: () => Promise<void>,
): Promise<TopOwners> {
  const top = new TopOwners(k);
  for (let from = 0; from < table.rows; from += EXACT_ROWS) {
    // Whoever searched meanwhile left another query.
    slab.setQuery(query);
    offerRange(table, slab, from, Math.min(table.rows, from + EXACT_ROWS), top);
    await pause();
  }
  return top;
}

/** Offers dead rows, scored exactly. The query is the one that the slab has. */
export function scanDead({ table, slab }: VectorRows, rows: Uint32Array, top: TopOwners): void {
  const { owners } = table;
  for (let first = 0; first < rows.length; first += CHUNK_ROWS) {
    const chunk = rows.subarray(first, first + CHUNK_ROWS);
    const similarities = slab.scoreRows(chunk);
    for (let i = 0; i < chunk.length; i++) {
      if (similarities[i]! >= top.threshold) {
        top.offer(owners[chunk[i]!]!, table.passageOf(chunk[i]!), similarities[i]!);
      }
    }
  }
}

export interface BestPassage {
  readonly passage: number;
  /** Raw: see scoreOf. */
  readonly similarity: number;
}

/** The best of consecutive rows, the first one among equals. The query is the one that the slab has. */
export function bestOfRows(slab: VectorSlab, first: number, count: number): BestPassage | undefined {
  let best: BestPassage | undefined;
  for (let from = 0; from < count; from += CHUNK_ROWS) {
    const similarities = slab.scoreRange(first + from, Math.min(CHUNK_ROWS, count - from));
    for (const [i, similarity] of similarities.entries()) {
      if (best === undefined || similarity > best.similarity) best = { passage: from + i, similarity };
    }
  }
  return best;
}

/** Like bestOfRows, of vectors (n x dimension) that are no rows of the slab. */
export function bestOfVectors(slab: VectorSlab, vectors: Float32Array): BestPassage | undefined {
  const { dimension } = slab;
  let best: BestPassage | undefined;
  for (let passage = 0; passage * dimension < vectors.length; passage++) {
    const similarity = slab.scoreOther(vectors.subarray(passage * dimension, (passage + 1) * dimension));
    if (best === undefined || similarity > best.similarity) best = { passage, similarity };
  }
  return best;
}
