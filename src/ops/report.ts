/** The report of a day, a week or a month: what was written and read, how it grew, what is wrong, what is advised. Plain JSON; printing is others' work. */
import type { StatusAnswer } from '../domain/face.js';
import type { NamedCounts, TallyAnswer, TallyStretch } from '../domain/tally.js';
import type { Finding } from '../domain/verify.js';
import type { BackupOverview } from '../engine/backup-list.js';
import type { ActivityHour, SearchPattern } from './activity.js';
import { addLatencies, type Latencies, type Percentiles, percentilesOf } from './latencies.js';
import type { Period } from './periods.js';
import { adviceOf } from './report-advice.js';
import type { SlowQuery } from './slow-queries.js';

/** What a sampler may have measured: the seam to whoever samples. Newest last. */
export interface ReportSample {
  /** ISO 8601 in UTC. */
  readonly time: string;
  readonly rss_bytes?: number;
  readonly store_bytes?: number;
}

export interface ReportSources {
  readonly period: Period;
  readonly nowMs: number;
  readonly tally: TallyAnswer;
  readonly status: StatusAnswer;
  readonly activity: readonly ActivityHour[];
  readonly slow: readonly SlowQuery[];
  readonly samples: readonly ReportSample[];
  /** Of the directory that was named; undefined where none was. */
  readonly backups: BackupOverview | undefined;
  /** Files of the store. */
  readonly files: number;
  readonly diskBytes: number;
  readonly systemMemoryBytes: number;
  /** Whether a server has the store: the memory of this command says nothing. */
  readonly isServed: boolean;
}

export interface MethodReport extends Percentiles {
  readonly method: string;
  readonly calls: number;
  readonly errors: number;
}

/** Latencies in ms. */
export interface PatternReport extends Omit<SearchPattern, 'latencies'>, Percentiles {}

export interface Report {
  readonly period: Period;
  /** ISO 8601 in UTC; the end is where the report ends. */
  readonly from: string;
  readonly to: string;
  readonly generated: string;
  readonly version: string;
  readonly store: { readonly path: string; readonly id: string; readonly state: string };
  readonly writes: {
    readonly total: number;
    readonly by_time: readonly TallyStretch[];
    readonly by_client: readonly NamedCounts[];
    readonly by_tool: readonly NamedCounts[];
    readonly by_collection: readonly NamedCounts[];
  };
  readonly growth: {
    readonly items: Change;
    readonly events: Change;
    /** Where samples say it. */
    readonly store_bytes?: Change;
  };
  readonly reads: {
    /** Since when calls are noted, where that is later than the report begins; undefined where none were noted. */
    readonly noted_from?: string;
    readonly methods: readonly MethodReport[];
    /** The most frequent ones, at most 20. */
    readonly patterns: readonly PatternReport[];
  };
  readonly slow: {
    readonly warn: number;
    readonly error: number;
    readonly gave_up: number;
    /** At most 10. */
    readonly slowest: readonly SlowQuery[];
  };
  readonly errors: readonly { readonly code: string; readonly count: number }[];
  /** Of the server that has the store; undefined where there is none. */
  readonly memory?: {
    readonly rss_bytes: number;
    readonly vectors_bytes: number;
    readonly system_bytes: number;
    /** Of the machine's memory, also at its highest where samples say it. */
    readonly percent: number;
    readonly highest_percent?: number;
  };
  readonly disk: {
    readonly store_bytes: number;
    readonly files: number;
    readonly free_bytes: number;
    /** Of the disk, by whatever lies on it. */
    readonly used_percent: number;
  };
  readonly verification: {
    /** Of the server that has the store. */
    readonly schedule?: string;
    /** When a round reached the head last; undefined: never beside the work. */
    readonly completed?: string;
    readonly findings: readonly Finding[];
  };
  readonly backup?: {
    readonly path: string;
    readonly count: number;
    readonly damaged: number;
    readonly newest?: { readonly id: string; readonly time: string; readonly missing_events: number };
  };
  readonly warnings: readonly string[];
  readonly advice: readonly string[];
}

export interface Change {
  readonly from: number;
  readonly to: number;
}

const MAX_PATTERNS = 20;
const MAX_SLOWEST = 10;

export function reportOf(sources: ReportSources): Report {
  const { period, nowMs, tally, status, samples, backups, files, diskBytes } = sources;
  const { stretches, before, clients, tools, collections } = tally;
  const [first, last] = [stretches[0]!, stretches.at(-1)!];
  const isWithin = (time: string) => time >= first.from && time < last.to;
  const events = stretches.reduce((sum, stretch) => sum + stretch.events, 0);
  const inPeriod = samples.filter(({ time }) => isWithin(time));
  const sizes = inPeriod.flatMap(({ store_bytes }) => store_bytes ?? []);
  const { verification } = status;
  const facts = {
    period,
    from: first.from,
    to: last.to,
    generated: new Date(nowMs).toISOString(),
    version: status.version,
    store: { path: status.store.path, id: status.store.id, state: status.store.state },
    writes: {
      total: stretches.reduce((sum, stretch) => sum + totalOf(stretch), 0),
      by_time: stretches,
      by_client: clients,
      by_tool: tools,
      by_collection: collections,
    },
    growth: {
      items: { from: before.items, to: last.items },
      events: { from: before.events, to: before.events + events },
      ...(sizes.length > 1 && { store_bytes: { from: sizes[0]!, to: sizes.at(-1)! } }),
    },
    ...noted(sources.activity, isWithin, first.from),
    slow: slowOf(sources.slow.filter(({ time }) => isWithin(time))),
    ...memoryOf(sources, inPeriod),
    disk: {
      store_bytes: status.disk.store_bytes,
      files,
      free_bytes: status.disk.free_bytes,
      used_percent: percent(diskBytes - status.disk.free_bytes, diskBytes),
    },
    verification: {
      ...(sources.isServed && { schedule: verification.schedule }),
      ...(verification.completed && { completed: verification.completed.time }),
      findings: verification.findings,
    },
    ...(backups && { backup: backupOf(backups, status) }),
    warnings: status.checkpoint.warnings,
  };
  return { ...facts, advice: adviceOf(facts, nowMs) };
}

/** Changes of items in all. */
export const totalOf = ({ created, updated, restored, deleted }: Omit<NamedCounts, 'name'>): number =>
  created + updated + restored + deleted;

const percent = (part: number, whole: number): number =>
  whole <= 0 ? 0 : Math.round((1000 * part) / whole) / 10;

function noted(
  activity: readonly ActivityHour[],
  isWithin: (time: string) => boolean,
  from: string,
): Pick<Report, 'reads' | 'errors'> {
  const hours = activity.filter(({ hour }) => isWithin(hour));
  const methods = new Map<string, { calls: number; errors: number; latencies: Latencies }>();
  const codes = new Map<string, number>();
  const patterns = new Map<string, Omit<SearchPattern, 'count'> & { count: number }>();
  for (const row of hours) {
    for (const [method, { count, errors, latencies }] of Object.entries(row.methods)) {
      const sum = methods.get(method) ?? { calls: 0, errors: 0, latencies: {} };
      sum.calls += count;
      addLatencies(sum.latencies, latencies);
      for (const [code, n] of Object.entries(errors)) {
        sum.errors += n;
        codes.set(code, (codes.get(code) ?? 0) + n);
      }
      methods.set(method, sum);
    }
    for (const { count, latencies, ...shape } of row.searches) {
      const key = JSON.stringify(shape);
      const sum = patterns.get(key) ?? { ...shape, count: 0, latencies: {} };
      sum.count += count;
      addLatencies(sum.latencies, latencies);
      patterns.set(key, sum);
    }
  }
  const [earliest] = activity;
  return {
    reads: {
      ...(earliest !== undefined && earliest.hour > from && { noted_from: earliest.hour }),
      methods: [...methods]
        .map(([method, { latencies, ...counts }]) => ({ method, ...counts, ...percentilesOf(latencies) }))
        .sort((a, b) => b.calls - a.calls),
      patterns: [...patterns.values()]
        .sort((a, b) => b.count - a.count)
        .slice(0, MAX_PATTERNS)
        .map(({ latencies, ...pattern }) => ({ ...pattern, ...percentilesOf(latencies) })),
    },
    errors: [...codes].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count),
  };
}

function slowOf(slow: readonly SlowQuery[]): Report['slow'] {
  const counts = { warn: 0, error: 0, gave_up: 0 };
  for (const { level } of slow) counts[level]++;
  return { ...counts, slowest: slow.toSorted((a, b) => b.ms - a.ms).slice(0, MAX_SLOWEST) };
}

function memoryOf(
  { status, systemMemoryBytes, isServed }: ReportSources,
  samples: readonly ReportSample[],
): Pick<Report, 'memory'> {
  const { rss_bytes, vectors_bytes } = status.memory;
  const highest = Math.max(...samples.map(sample => sample.rss_bytes ?? 0));
  if (!isServed) return {};
  return {
    memory: {
      rss_bytes,
      vectors_bytes,
      system_bytes: systemMemoryBytes,
      percent: percent(rss_bytes, systemMemoryBytes),
      ...(highest > 0 && { highest_percent: percent(highest, systemMemoryBytes) }),
    },
  };
}

function backupOf({ path, backups, damaged }: BackupOverview, { head }: StatusAnswer): Report['backup'] {
  const newest = backups.at(-1);
  return {
    path,
    count: backups.length,
    damaged: damaged.length,
    ...(newest && {
      newest: {
        id: newest.id,
        time: newest.time,
        missing_events: Math.max(0, head.seq - newest.last.seq),
      },
    }),
  };
}
