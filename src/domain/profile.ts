/** Where the time of a search goes, and CPU profiles of a running owner. Part of the engine's face. */

/** The stages of a search, in their order. Those that it had no use for are absent. */
export const SEARCH_STAGES = ['embed', 'words', 'filter', 'vectors', 'keywords', 'fusion', 'fetch'] as const;
export type SearchStage = (typeof SEARCH_STAGES)[number];

/**
 * Milliseconds. embed: the query's vector, the wait for a worker included; words: waiting until the words of the last writes are indexed; filter: where,
 * since and until; vectors: graphs or scans; keywords: BM25; fusion: scores of both sides together, and order; fetch: texts from the log, each checked
 * against its hash, or from the cache of those that were read last.
 */
export type StageMs = Readonly<Partial<Record<SearchStage, number>>>;

/** How the vectors of one collection were searched. */
export interface CollectionPlan {
  readonly collection: string;
  /** `graph`: graphs were walked, and what they lack was scanned; `scan`: every row that may be a hit was compared. */
  readonly by: 'graph' | 'scan';
  /** Graphs that were walked. */
  readonly graphs: number;
  /** Rows (vectors of passages) that were compared one by one. */
  readonly scanned_rows: number;
}

/** Only of a search that asked for it. Milliseconds. */
export interface SearchTimings {
  readonly total_ms: number;
  readonly stages: StageMs;
  readonly plan: {
    readonly mode: string;
    /** A moment before the head was asked for. */
    readonly past: boolean;
    readonly vectors: readonly CollectionPlan[];
    /** Absent without a filter: how many versions it let through. */
    readonly filtered_to?: number;
    /** Candidates that were ordered. */
    readonly candidates: number;
  };
}

export interface CpuProfileCommand {
  /** How long the process is watched, 0.1 to 60. */
  readonly seconds: number;
}

export interface CpuProfileAnswer {
  readonly pid: number;
  /** As V8 writes it: the contents of a .cpuprofile file, as JSON text. */
  readonly profile: string;
}
