/** The figures by which an optimization is judged. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../../wal/paths.js';
import type { CallContext } from '../domain/face.js';
import type { StoreFigures } from '../domain/optimize.js';
import type { VectorIndex } from '../projections/vectors/vector-index.js';
import { directoryBytes } from './disk-space.js';
import type { Projections } from './projections.js';
import { Slices } from './slices.js';

const NEAREST = 10;
/** Queries are as many as compare about so many rows exactly, within these bounds: a second or two. */
const EXACT_ROWS = 2_000_000;
const MIN_QUERIES = 4;
const MAX_QUERIES = 64;
/** Scores that differ by less are one: the exact scan may have summed in another order. */
const SAME_SCORE = 1e-6;

/** @throws CodedError CANCELLED; what the file system throws */
export async function storeFigures(
  storeDir: string,
  projections: Projections,
  context: CallContext,
): Promise<StoreFigures> {
  const indexes = [...projections.vectors.values()];
  const counts = indexes.map(index => index.counts);
  const sum = (of: (at: number) => number) => indexes.reduce((total, _, at) => total + of(at), 0);
  const rows = sum(at => counts[at]!.rows - counts[at]!.coded);
  const deadRows = sum(at => counts[at]!.dead - counts[at]!.coded);
  const logDir = join(storeDir, PATHS.log);
  const search = await searchFigures(indexes, context);
  return {
    seq: projections.through.seq,
    rows,
    dead_rows: deadRows,
    dead_share: rows === 0 ? 0 : deadRows / rows,
    coded_rows: sum(at => counts[at]!.coded),
    graphs: sum(at => indexes[at]!.graphs),
    index_bytes: sum(at => indexes[at]!.sizeBytes),
    store_bytes: directoryBytes(storeDir),
    log_bytes: directoryBytes(logDir),
    files: countFiles(storeDir),
    tables: readdirSync(logDir).filter(name => name.endsWith('.ldb')).length,
    ...(search && { search }),
  };
}

async function searchFigures(
  indexes: readonly VectorIndex[],
  context: CallContext,
): Promise<StoreFigures['search'] | undefined> {
  const slices = new Slices(context);
  const times: number[] = [];
  let found = 0;
  let wanted = 0;
  for (const index of indexes) {
    const { live, kind } = index.counts;
    if (live === 0) continue;
    const most = Math.min(MAX_QUERIES, Math.max(MIN_QUERIES, Math.floor(EXACT_ROWS / live)));
    for (const query of queriesOf(index, most)) {
      const startedMs = performance.now();
      const { scores } = index.search(query, { k: NEAREST });
      times.push(performance.now() - startedMs);
      await slices.next();
      if (kind === 'scan') continue;
      const exact = await index.searchExactly(query, NEAREST, () => slices.next());
      // By scores: of equally near ones either is right.
      const least = (exact.scores.at(-1) ?? 0) - SAME_SCORE;
      wanted += exact.scores.length;
      found += Math.min(exact.scores.length, scores.filter(score => score >= least).length);
    }
  }
  if (times.length === 0) return undefined;
  times.sort((a, b) => a - b);
  return {
    queries: times.length,
    p50_ms: quantile(times, 0.5),
    p95_ms: quantile(times, 0.95),
    ...(wanted > 0 && { recall_at_10: found / wanted }),
  };
}

/**
 * Vectors that lean from a stored one a little towards another: near what is stored, as what people ask for is, and not stored themselves. Far from all
 * (half way between two) graphs find less, and nobody asks there.
 */
function queriesOf(index: VectorIndex, count: number): Float32Array[] {
  const sampled = index.sample(count);
  return sampled.map(({ vector }, at) => {
    const other = sampled[(at + 1) % sampled.length]!.vector;
    const between = vector.map((value, i) => 0.9 * value + 0.1 * other[i]!);
    return between.some(value => value !== 0) ? between : vector;
  });
}

/** @param sorted ascending, not empty. Nearest rank: the smallest value that at least the share of all does not exceed */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;

function countFiles(dir: string): number {
  // What goes meanwhile may or may not count.
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile()).length;
}
