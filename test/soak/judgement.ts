/** What a soak came to: whether anything grows, and everything that is wrong. */
import type { SoakReport } from './campaign.js';
import type { Sample } from './samples.js';
import { differenceOf, type Trend, trendOf } from './trend.js';

const MEGABYTE = 1e6;

export interface Growth {
  readonly what: string;
  readonly unit: string;
  readonly trend: Trend;
  /** What it may grow by an hour, by design: see docs/soak.md. */
  readonly byDesign: number;
  /** Slopes up to here are not told from none. */
  readonly allowed: number;
  readonly grows: boolean;
}

export interface CollectedGrowth {
  readonly what: string;
  /** In MB. */
  readonly before: number;
  readonly by: number;
  readonly standardError: number;
  readonly byDesign: number;
  readonly grows: boolean;
}

export interface Judgement {
  /** Empty for a run too short to judge memory. */
  readonly growth: readonly Growth[];
  readonly collected: readonly CollectedGrowth[];
  readonly eventsAnHour: number;
  /** What the store takes in memory for each, by design. */
  readonly bytesAnEvent: number;
  readonly wrong: readonly string[];
}

const MOST_OPS_BYTES = 20 * 1024 * 1024;
const UNJUDGED = Number.POSITIVE_INFINITY;
/** What is not told from nothing, an hour; of what collections leave, from the first to the last: see docs/soak.md. */
const ALLOWED = { memory: 8, fds: 6, threads: 3, files: 30, collected: 2 } as const;

export function judge(report: SoakReport): Judgement {
  const { plan, samples, jobs, overlaps, failures, loggedRuns } = report;
  const judged = samples.filter(({ ms }) => ms >= plan.warmupMs);
  const eventsAnHour = perHour(judged, ({ events }) => events);
  const bytesAnEvent = bytesOf(report);
  const growth =
    plan.collectAtMs === undefined ? [] : growthOf(judged, (eventsAnHour * bytesAnEvent) / MEGABYTE);
  const collected = collectedOf(report, eventsAnHour * bytesAnEvent);
  const wrong = [
    ...failures,
    ...jobs.flatMap(({ job, missed, failed, runs, skipped }) => [
      ...missed.map(time => `${job} missed ${time}`),
      ...failed.map(what => `${job} failed: ${what}`),
      ...(runs === 0 ? [`${job} never ran`] : []),
      ...((loggedRuns.get(job) ?? 0) < runs
        ? [`${job}: ${runs} runs were told, and ${loggedRuns.get(job) ?? 0} logged (${skipped} skipped)`]
        : []),
    ]),
    ...overlaps,
    ...beyondBounds(report),
    ...[...growth, ...collected].filter(({ grows }) => grows).map(({ what }) => `${what} grows`),
  ];
  return { growth, collected, eventsAnHour, bytesAnEvent, wrong };
}

/** By how much the memory of a process that has only opened the store grows with each event of the log, besides what is accounted for. */
function bytesOf({ opened }: SoakReport): number {
  const [before, after] = opened;
  if (before === undefined || after === undefined || after.events <= before.events) return 0;
  return Math.max(0, (after.bytes - before.bytes) / (after.events - before.events));
}

/** What has a bound. */
function beyondBounds({ plan, samples, opened }: SoakReport): string[] {
  const most = (of: (sample: Sample) => number) => Math.max(0, ...samples.map(of));
  const bounds = [
    // What is put aside, the file that is written, and one that is not compressed yet.
    ['logs', most(({ disk }) => disk.logBytes), plan.keepLogBytes + 3 * plan.rotateBytes],
    // docs/health.md and docs/logs.md.
    ['ops/', most(({ disk }) => disk.opsBytes), MOST_OPS_BYTES],
    // They grow by a quarter at once, from what a process has that has only opened the store.
    ...(opened[1] === undefined
      ? []
      : ([['tables', samples.at(-1)!.tables, 1.25 * opened[1].tablesBytes + MEGABYTE]] as const)),
  ] as const;
  return bounds.flatMap(([what, bytes, bound]) =>
    bytes > bound ? [`${what}: ${bytes} bytes, where ${bound} are the bound`] : [],
  );
}

function growthOf(judged: readonly Sample[], byDesign: number): Growth[] {
  const one = (
    what: string,
    unit: string,
    of: (sample: Sample) => number | undefined,
    allowed: number,
    design = 0,
  ): Growth[] => {
    const points = judged.flatMap(sample => {
      const value = of(sample);
      return value === undefined ? [] : [{ ms: sample.ms, value }];
    });
    if (points.length < 3) return [];
    const trend = trendOf(points);
    // Beyond what is by design, beyond chance, and beyond a little.
    const grows = trend.low > design && trend.high > design + allowed;
    return [{ what, unit, trend, byDesign: design, allowed, grows }];
  };
  const mb = (bytes: number) => bytes / MEGABYTE;
  const { memory, fds, threads, files } = ALLOWED;
  /** Without LevelDB's write buffer, of which so much is known. */
  const own = ({ rss, anonymous = rss, buffered }: Sample) => anonymous - buffered;
  return [
    // These swing with V8's collections, which come the later the more room it has: what they leave is judged.
    ...one('resident', 'MB', ({ rss, buffered }) => mb(rss - buffered), UNJUDGED, byDesign),
    ...one('anonymous', 'MB', sample => mb(own(sample)), UNJUDGED, byDesign),
    ...one("V8's pages", 'MB', ({ heapPages }) => mb(heapPages), UNJUDGED, byDesign),
    ...one('heap', 'MB', ({ heap }) => mb(heap), UNJUDGED, byDesign),
    ...one('external', 'MB', ({ external }) => mb(external), UNJUDGED, byDesign),
    ...one(
      'beside V8',
      'MB',
      sample => mb(own(sample) - sample.heapPages - sample.tables - sample.caches),
      memory,
      byDesign,
    ),
    ...one('tables', 'MB', ({ tables }) => mb(tables), UNJUDGED),
    ...one('caches', 'MB', ({ caches }) => mb(caches), UNJUDGED),
    ...one('windows', 'MB', ({ windows }) => mb(windows), memory),
    ...one('descriptors', '', sample => sample.fds, fds),
    ...one('threads', '', sample => sample.threads, threads),
    ...one('store files', '', ({ disk }) => disk.storeFiles, files),
  ];
}

type OneCollected = SoakReport['collected'][number]['memory'][number];

const COLLECTED: readonly (readonly [what: string, of: (memory: OneCollected) => number])[] = [
  ['heap', ({ heapUsed }) => heapUsed],
  ['code within it', ({ code }) => code],
  ['external', ({ external }) => external],
  ['tables and caches', ({ accounted }) => accounted],
  ['resident', ({ rss }) => rss],
];
/** Code is bounded by the program's length, tables and caches have bounds of their own, and nothing that is kept for good can be elsewhere. */
const JUDGED: (typeof COLLECTED)[number] = [
  'what collections leave',
  ({ heapUsed, code, external, accounted }) => heapUsed - code + external - accounted,
];

function collectedOf({ collected }: SoakReport, bytesAnHour: number): CollectedGrowth[] {
  const [first, last] = collected;
  if (first === undefined || last === undefined) return [];
  const byDesign = (((last.ms - first.ms) / 3_600_000) * bytesAnHour) / MEGABYTE;
  return [...COLLECTED, JUDGED].map(figure => {
    const [what, of] = figure;
    const [before, after] = [first, last].map(({ memory }) => memory.map(one => of(one) / MEGABYTE));
    const { by, standardError } = differenceOf(before!, after!);
    const [low, high] = [by - 2 * standardError, by + 2 * standardError];
    return {
      ...{ what, by, standardError, byDesign },
      before: before!.reduce((sum, mb) => sum + mb, 0) / before!.length,
      grows: figure === JUDGED && low > byDesign && high > byDesign + ALLOWED.collected,
    };
  });
}

function perHour(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return ((of(last) - of(first)) / (last.ms - first.ms)) * 3_600_000;
}
