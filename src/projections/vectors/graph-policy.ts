/**
 * When rows that wait get a graph, and which graphs become one: a log-structured merge of HNSW graphs. (O'Neil et al., The Log-Structured
 * Merge-Tree, 1996.) A file of a graph cannot be extended but by reading and writing all of it, so rows that come in get small graphs of
 * their own first. Each graph that is searched costs a walk, so they become one once there is time for it.
 */

/** As many rows waiting are no longer scanned a little longer: some 4 ms a search. */
const MOST_WAITING_ROWS = 25_000;
/** Scanning fewer takes less than walking their graph. */
const FOLD_ROWS = 256;
/** And scanning this share of the graph's rows takes less than walking the graph; but scanning more than FOLD_ROWS_AT_MOST is felt. */
const FOLD_SHARE = 1 / 64;
const FOLD_ROWS_AT_MOST = 2048;
/**
 * A new graph takes in those before it that have less than so many times its rows. So there are few, and in however long a stream of rows each row
 * is written anew only as often as the logarithm of their number.
 */
const MERGE_FACTOR = 4;

/** Work waits until nothing was written for this long: a stream of writes is not held up, only scanned a little longer. */
const QUIET_MS = 100;
/** And merging what is searched well enough for longer. */
const SETTLED_MS = 5000;

/** What a policy needs to know of graphs, in the order of their rows. */
type Sizes = readonly { readonly rows: number }[];

/** For how long nothing must have been written before rows get a graph. */
export const quietMs = (waitingRows: number): number => (waitingRows > MOST_WAITING_ROWS ? 0 : QUIET_MS);

/** Whether so many waiting rows should get a graph that takes a worker thread; they are scanned until then. */
export function areEnough(waitingRows: number, graphs: Sizes): boolean {
  const enough = Math.max(FOLD_ROWS, Math.min(FOLD_ROWS_AT_MOST, sum(graphs) * FOLD_SHARE));
  return waitingRows > (graphs.length === 0 ? 0 : enough);
}

/** How many of the graphs stay when the rows that wait get one; the others become part of it. */
export function graphsToKeep(waitingRows: number, graphs: Sizes): number {
  let kept = graphs.length;
  for (let rows = waitingRows; kept > 0 && graphs[kept - 1]!.rows < MERGE_FACTOR * rows; kept--)
    rows += graphs[kept - 1]!.rows;
  return kept;
}

/** For how long nothing must have been written before all graphs become one; undefined if they need not. */
export function mergeAfterMs(graphs: Sizes): number | undefined {
  return sum(graphs.slice(1)) > (graphs[0]?.rows ?? 0) * FOLD_SHARE ? SETTLED_MS : undefined;
}

const sum = (graphs: Sizes): number => graphs.reduce((rows, graph) => rows + graph.rows, 0);
