/** How a store grows, and when a machine will be too small for it. */

/** What came to a store in a span of time; where versions were erased bytes can be fewer. */
export interface Growth {
  /** ISO 8601 in UTC: the first day of it, and the day after its last; of the running span the end is now. */
  readonly from: string;
  readonly to: string;
  readonly events: number;
  readonly items: number;
  /** Estimated from a sample of the records. */
  readonly log_bytes: number;
}

/** A resource that fills up. */
export interface Forecast {
  readonly resource: 'disk' | 'memory';
  /** Bytes in use now and at most. */
  readonly used_bytes: number;
  readonly limit_bytes: number;
  /** Bytes a day; absent where it is not known. */
  readonly bytes_per_day?: number;
  /** When it will be full at that rate, ISO 8601 in UTC; absent where it will not within ten years, or nobody can say. */
  readonly full_at?: string;
  readonly full_in_days?: number;
  /** Days of history that it rests on, and where they come from. */
  readonly history_days: number;
  readonly basis: 'log' | 'samples' | 'none';
  /** In words: why there is no date, or what was taken for what. */
  readonly note: string;
}

export type AdviceCode =
  | 'HISTORY_SHORT'
  | 'DISK_FULL_SOON'
  | 'MEMORY_FULL_SOON'
  | 'MEMORY_HIGH'
  | 'DEAD_VERSIONS'
  | 'EMBEDDER_MEMORY'
  | 'LATENCY_GROWS'
  | 'NOTHING';

export interface Advice {
  readonly code: AdviceCode;
  readonly text: string;
}

/** Nothing is to be said: it is always of now. */
export type CapacityQuery = Readonly<Record<string, never>>;

export interface CapacityAnswer {
  readonly time: string;
  readonly store: string;
  /** When the first event was written; absent for a store without any. */
  readonly first?: string;
  readonly events: number;
  readonly items: number;
  readonly dead_versions: number;
  readonly store_bytes: number;
  /** Oldest first: the last 7 days, 8 weeks and 12 months that the log reaches back to. */
  readonly days: readonly Growth[];
  readonly weeks: readonly Growth[];
  readonly months: readonly Growth[];
  /** A month ago, or when samples begin if that is later, and now; absent without samples. */
  readonly latency?: {
    readonly since: string;
    readonly then_p95_ms?: number;
    readonly now_p95_ms?: number;
    readonly then_rss_bytes: number;
    readonly now_rss_bytes: number;
  };
  readonly forecasts: readonly Forecast[];
  readonly advice: readonly Advice[];
}
