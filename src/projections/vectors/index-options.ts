/** What a vector index can be made with, and what stands where it is made without. */
import { tmpdir } from 'node:os';
import type { IndexEngine, Metric } from '../../domain/model.js';
import type { CompactingRowsOptions } from './compacting-rows.js';

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

/** What graphs are made by and their files do not all say. */
export interface GraphOrigin {
  readonly engine: IndexEngine;
  readonly efConstruction: number;
}

export const originOf = ({ engine, efConstruction }: VectorIndexOptions): GraphOrigin => ({
  engine: engine ?? DEFAULTS.engine,
  efConstruction: efConstruction ?? DEFAULTS.efConstruction,
});

/** The options of the rows of an index. */
export function rowsOptions(options: VectorIndexOptions): CompactingRowsOptions {
  const keepDeadRows = options.keepDeadRows ?? Math.floor(DEFAULTS.keepDeadBytes / (4 * options.dimension));
  return {
    ...originOf(options),
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
  };
}

/** How many candidates a search for the k nearest of so many live rows keeps: see VectorIndexOptions.efSearch. */
export function efOf({ efSearch }: VectorIndexOptions, k: number, live: number): number {
  const { least, atRows, most, fixed } = DEFAULTS.efSearch;
  const grown = Math.round(least * Math.sqrt(live / atRows));
  return efSearch ?? Math.max(least, 2 * k + fixed, Math.min(most, grown));
}
