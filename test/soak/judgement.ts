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
}

export interface Judgement {
  /** Empty for a run too short to judge memory. */
  readonly growth: readonly Growth[];
  readonly collected: readonly CollectedGrowth[];
  readonly versionsAnHour: number;
  readonly wrong: readonly string[];
}

/** A dead version stays in memory for ever (npm run bench:time): so many bytes resident. */
const BYTES_OF_VERSION = 182;
const MOST_OPS_BYTES = 20 * 1024 * 1024;
const UNJUDGED = Number.POSITIVE_INFINITY;
/** What is not told from nothing, an hour: see docs/soak.md. */
const ALLOWED = { memory: 8, fds: 6, threads: 3, files: 30 } as const;

export function judge(report: SoakReport): Judgement {
  const { plan, samples, jobs, overlaps, failures, loggedRuns } = report;
  const judged = samples.filter(({ ms }) => ms >= plan.warmupMs);
  const versionsAnHour = perHour(judged, ({ events }) => events);
  const byDesign = (versionsAnHour * BYTES_OF_VERSION) / MEGABYTE;
  const growth = plan.collectAtMs === undefined ? [] : growthOf(judged, byDesign);
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
    ...growth.filter(({ grows }) => grows).map(({ what }) => `${what} grows`),
  ];
  return { growth, collected: collectedOf(report, versionsAnHour), versionsAnHour, wrong };
}

/** What lies on the disk and has a bound. */
function beyondBounds({ plan, samples }: SoakReport): string[] {
  const most = (of: (sample: Sample) => number) => Math.max(0, ...samples.map(of));
  const bounds = [
    // What is put aside, the file that is written, and one that is not compressed yet.
    ['logs', most(({ disk }) => disk.logBytes), plan.keepLogBytes + 3 * plan.rotateBytes],
    // docs/health.md and docs/logs.md.
    ['ops/', most(({ disk }) => disk.opsBytes), MOST_OPS_BYTES],
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
  const isSplit = judged.some(({ anonymous }) => anonymous !== undefined);
  return [
    // Without LevelDB's write buffer, of which so much is known. The other part of it is files, the log's tables above all, which are mapped.
    ...one(
      'resident',
      'MB',
      ({ rss, buffered }) => mb(rss - buffered),
      isSplit ? UNJUDGED : memory,
      byDesign,
    ),
    ...one(
      'anonymous',
      'MB',
      ({ anonymous, buffered }) => (anonymous === undefined ? undefined : mb(anonymous - buffered)),
      memory,
      byDesign,
    ),
    ...one('heap', 'MB', ({ heap }) => mb(heap), memory, byDesign),
    ...one('external', 'MB', ({ external }) => mb(external), memory, byDesign),
    ...one('windows', 'MB', ({ windows }) => mb(windows), memory),
    ...one('descriptors', '', sample => sample.fds, fds),
    ...one('threads', '', sample => sample.threads, threads),
    ...one('store files', '', ({ disk }) => disk.storeFiles, files),
  ];
}

function collectedOf({ collected }: SoakReport, versionsAnHour: number): CollectedGrowth[] {
  const [first, last] = collected;
  if (first === undefined || last === undefined) return [];
  const byDesign = (((last.ms - first.ms) / 3_600_000) * versionsAnHour * BYTES_OF_VERSION) / MEGABYTE;
  const fields = [
    ['heap', 'heapUsed'],
    ['code within it', 'code'],
    ['external', 'external'],
    ['array buffers', 'arrayBuffers'],
    ['resident', 'rss'],
  ] as const;
  return fields.map(([what, field]) => {
    const [before, after] = [first, last].map(({ memory }) => memory.map(one => one[field] / MEGABYTE));
    const { by, standardError } = differenceOf(before!, after!);
    return {
      what,
      before: before!.reduce((sum, mb) => sum + mb, 0) / before!.length,
      by,
      standardError,
      byDesign,
    };
  });
}

function perHour(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return ((of(last) - of(first)) / (last.ms - first.ms)) * 3_600_000;
}
