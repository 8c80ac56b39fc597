/** What is told of how a store and its server do: plain answers, computed apart from what prints them. */
import type { Within } from './face.js';

/** From the best to the worst; of several the worst counts. */
export const LEVELS = ['ok', 'warn', 'critical'] as const;
export type Level = (typeof LEVELS)[number];

export const worst = (levels: Iterable<Level>): Level =>
  LEVELS[Math.max(0, ...[...levels].map(level => LEVELS.indexOf(level)))]!;

/** Every check, in the order in which it is printed. The names are labels of metrics and keys of alerts: they do not change. */
export const CHECKS = [
  'process',
  'store',
  'head',
  'lag',
  'checkpoint',
  'verify',
  'backup',
  'embedder',
  'memory',
  'disk',
  'cpu',
  'size',
  'files',
  'logfile',
  'response',
  'slow',
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface HealthCheck {
  readonly name: CheckName;
  readonly level: Level;
  /** What the limits compare, in the unit of the limit of that name; absent where there is no figure, or it is not known. */
  readonly value?: number;
  /** Fixed words and figures: nothing that was stored, and no path. */
  readonly message: string;
  /** What to do; where the level is not ok. */
  readonly advice?: string;
  /** What only the machine's user should see: paths, and texts of errors. Never sent anywhere. */
  readonly detail?: string;
}

export interface HealthAnswer {
  /** ISO 8601 in UTC. */
  readonly time: string;
  readonly version: string;
  readonly level: Level;
  /** The name of the store's directory, without what lies above it. */
  readonly store: string;
  /** Whether a server answered; else the store was read by whoever asked. */
  readonly is_served: boolean;
  readonly checks: readonly HealthCheck[];
}

export interface HealthQuery {
  /** An answer of at most this age in ms is as good as a new one. Default: 0. */
  readonly max_age_ms?: number;
}

/** A process that uses a store through its owner, as it says itself. */
export interface WindowUse {
  readonly pid: number;
  readonly rss_bytes: number;
}

/** What calls took, in ms: the middle, and what 95 and 99 of a hundred stayed below, within 8 %. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** One look at everything, by the owner of a store. Of calls: those since the look before. */
export interface Sample {
  readonly time: string;
  /** Of the owner and all windows. */
  readonly rss_bytes: number;
  readonly windows: number;
  readonly heap_bytes: number;
  /** Of what this machine, or its cgroup, has. */
  readonly memory_percent: number;
  /** Of all cores, by everybody; and by the owner alone. */
  readonly cpu_percent: number;
  readonly own_cpu_percent: number;
  readonly disk_percent: number;
  readonly free_bytes: number;
  readonly store_bytes: number;
  readonly files: number;
  readonly events: number;
  readonly items: number;
  /** Rows that are scanned since no graph holds them yet. */
  readonly pending_rows: number;
  readonly level: Level;
  /** Calls by the method of the engine. */
  readonly calls: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly slow: number;
  /** Of reads and writes; absent where there were none. */
  readonly latency_ms?: Latency;
  readonly search_ms?: Latency;
}

/** How finely samples are told: as they were taken, or the mean of each hour (of calls, errors and slow ones the sum). */
export type Resolution = 'sample' | 'hour';

export interface SamplesQuery {
  /** A moment. Default: a day ago. */
  readonly since?: string;
  /** Default: samples as far as they reach back, else hours. */
  readonly resolution?: Resolution;
}

export interface SamplesAnswer {
  readonly resolution: Resolution;
  /** How often they are taken, in seconds; 0: no more are. */
  readonly every_seconds: number;
  /** Oldest first. */
  readonly samples: readonly Sample[];
}

/** What one channel made of an alert. */
export interface AlertDelivery {
  readonly channel: 'command' | 'webhook';
  readonly sent: boolean;
  readonly code?: string;
  readonly message?: string;
}

export interface AlertTestAnswer {
  /** One for each channel that is configured. */
  readonly deliveries: readonly AlertDelivery[];
}

/** The state of a log at the end of a span of time. */
export interface GrowthPoint {
  /** ISO 8601 in UTC; the end of the span, exclusive. */
  readonly time: string;
  /** The last event before it; 0 before the first. */
  readonly seq: number;
  readonly items: number;
  readonly versions: number;
  /** Of the records, estimated from a sample of them. */
  readonly log_bytes: number;
}

export interface GrowthQuery extends Within {
  /** Ends of spans in ms since the epoch, ascending; at most 400. */
  readonly times_ms: readonly number[];
}

export interface GrowthAnswer {
  /** When the first event was written; absent where there is none. */
  readonly first?: string;
  readonly points: readonly GrowthPoint[];
}
