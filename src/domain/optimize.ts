/** Making a store smaller and its searches faster: duplicates, dead vectors, graphs, small tables, leftovers. Part of the engine's face. */
import type { Metadata } from './model.js';

export interface OptimizeCommand {
  /** Only tell what would be done. Default true. */
  readonly dry_run?: boolean;
  /** Look for items that say the same: `equal` texts, or also texts that are `near` by meaning. Default: no look. */
  readonly duplicates?: 'equal' | 'near';
  /** From which cosine similarity on texts are near, 0.8 to 1. Default 0.97. */
  readonly min_similarity?: number;
  /** Only duplicates of this collection. Default: all. */
  readonly collection?: string;
  /** Merge what was found: the kept item gets the metadata of all, the others are deleted. Default false. */
  readonly merge?: boolean;
  /** Files kept as evidence of damaged openings go once they are so many days old. Default: they stay. */
  readonly evidence_days?: number;
}

export interface DuplicateItem {
  readonly id: string;
  readonly version: number;
  readonly updated_at: string;
  /** The beginning of its text. */
  readonly preview: string;
  /** To the kept item's text; 1 where the texts are equal. */
  readonly similarity: number;
}

/** Items of one collection that say the same. */
export interface DuplicateGroup {
  readonly collection: string;
  readonly kind: 'equal' | 'near';
  /** The one that was written last: what it says counts. */
  readonly kept: DuplicateItem;
  readonly others: readonly DuplicateItem[];
  /** What the kept item's metadata is after a merge: its own, and what others have besides, newer before older. */
  readonly metadata: Metadata;
  /** Keys that it gets from others. */
  readonly added: readonly string[];
  /** Keys of which others have another value, which goes with them. */
  readonly lost: readonly string[];
  /**
   * `found`: nothing was done. `merged`. `changed`: somebody wrote one of them since it was looked at, so it was left.
   * `left`: the metadata of all together is too large for one item.
   */
  readonly outcome: 'found' | 'merged' | 'changed' | 'left';
}

export interface DuplicatesAnswer {
  /** The first 5 000; what is behind them is found once those are merged. */
  readonly groups: readonly DuplicateGroup[];
  readonly more: boolean;
  /** Equal texts of files, which stay: the next ingest would bring them back. */
  readonly of_files: number;
  readonly merged: number;
  readonly deleted: number;
  /** Of the first transaction of the merge; 0 where nothing was written. */
  readonly first_seq: number;
}

/** Figures of a store at one moment. */
export interface StoreFigures {
  readonly seq: number;
  /** Vectors that are kept in memory, of live and dead passages. */
  readonly rows: number;
  readonly dead_rows: number;
  /** dead_rows of rows, 0 to 1. */
  readonly dead_share: number;
  /** Of dead passages of which only codes of one bit a dimension are kept. */
  readonly coded_rows: number;
  /** Graphs that a search of everything walks. */
  readonly graphs: number;
  /** Memory of vectors, graphs and codes. */
  readonly index_bytes: number;
  readonly store_bytes: number;
  readonly log_bytes: number;
  readonly files: number;
  /** Table files of the log. */
  readonly tables: number;
  /** Of searches of the vector indexes for vectors close to stored ones, ten nearest each. Absent where nothing is stored. */
  readonly search?: {
    readonly queries: number;
    readonly p50_ms: number;
    readonly p95_ms: number;
    /** Share of the ten nearest by an exact scan that a graph found too, 0 to 1. Absent where no graph is. */
    readonly recall_at_10?: number;
  };
}

export type OptimizeStepName = 'duplicates' | 'history' | 'vectors' | 'log' | 'leftovers' | 'checkpoint';

export interface OptimizeStep {
  readonly step: OptimizeStepName;
  /** `none`: there was nothing to do. `planned`: only of a dry run. */
  readonly outcome: 'done' | 'planned' | 'none' | 'failed';
  readonly message: string;
}

export interface OptimizeAnswer {
  readonly dry_run: boolean;
  readonly steps: readonly OptimizeStep[];
  readonly duplicates?: DuplicatesAnswer;
  readonly before: StoreFigures;
  /** Absent on a dry run. */
  readonly after?: StoreFigures;
}
