/** What judges a soak finds what is planted, and nothing where nothing is. */
import { describe, expect, test } from 'vitest';
import type { JobName, JobRun, JobView } from '#src/domain/schedule.js';
import { cronTimes } from '#src/ops/schedules/times.js';
import { seeded } from '../helpers/damage.js';
import type { SoakReport } from './campaign.js';
import { JobWatch } from './jobs.js';
import { judge } from './judgement.js';
import { cronOf, type JobTimes, planOf, timesBetween } from './plan.js';
import type { Sample } from './samples.js';
import { type Point, studentsT, trendOf } from './trend.js';

const MINUTE_MS = 60_000;

describe('a slope', () => {
  /** Noise that remembers so much of the sample before. */
  function wandering(random: () => number, memory: number, perHour: number): Point[] {
    let noise = 0;
    const next = () => {
      noise = memory * noise + (random() + random() + random() - 1.5);
      return noise;
    };
    for (let n = 0; n < 100; n++) next();
    return Array.from({ length: 264 }, (_, n) => {
      const ms = n * 5_000;
      return { ms, value: 100 + (perHour * ms) / 3_600_000 + next() };
    });
  }

  test.each([0, 0.5, 0.9, 0.95])(
    'of noise that remembers %d of itself lies within its interval 19 times of 20',
    memory => {
      const random = seeded(11);
      const RUNS = 600;
      let within = 0;
      for (let n = 0; n < RUNS; n++) {
        const { low, high } = trendOf(wandering(random, memory, 10));
        if (low <= 10 && 10 <= high) within++;
      }
      expect(within / RUNS).toBeGreaterThan(0.92);
      expect(within / RUNS).toBeLessThan(0.98);
    },
  );

  test("has Student's t of its table and beyond", () => {
    expect([1, 10, 11, 30, 120].map(studentsT)).toEqual([
      12.706,
      2.228,
      expect.closeTo(2.201, 2),
      expect.closeTo(2.042, 2),
      expect.closeTo(1.98, 2),
    ]);
  });

  test('of a straight line is that of the line', () => {
    const points = Array.from({ length: 50 }, (_, n) => ({ ms: n * MINUTE_MS, value: 3 + n / 60 }));
    expect(trendOf(points).perHour).toBeCloseTo(1, 9);
    expect(trendOf(points).standardError).toBeCloseTo(0, 9);
  });
});

const TIMES: JobTimes[] = [
  { job: 'backup', everySeconds: 60, atSecond: 5 },
  { job: 'optimize', everySeconds: 180, atSecond: 43 },
  { job: 'verify', everySeconds: 10, atSecond: 6 },
];

test.each(TIMES)('the times of $job are those that node-cron reads', async times => {
  const nextTime = await cronTimes();
  const nowMs = Date.now();
  const next = nextTime(cronOf(times), nowMs)!;
  expect(timesBetween(times, nowMs + 1000, nowMs + 600_000)).toContain(
    next > nowMs + 1000 ? next : next + times.everySeconds * 1000,
  );
  expect(timesBetween(times, nowMs + 1000, next)).toEqual([]);
});

describe('jobs', () => {
  const fromMs = new Date(2026, 10, 28, 12).getTime();
  const [backup] = TIMES as [JobTimes];
  const run = (startedMs: number, more: Partial<JobRun> = {}): JobRun => ({
    started: new Date(startedMs).toISOString(),
    ended: new Date(startedMs + 1000).toISOString(),
    ...{ duration_ms: 1000, reason: 'time', outcome: 'ok', message: '' },
    ...more,
  });
  function watchOf(...told: readonly (readonly [JobName, JobRun])[]): JobWatch {
    const watch = new JobWatch();
    for (const [name, last] of told) watch.take([{ name, last, state: 'on' } as JobView]);
    return watch;
  }
  const minute = (n: number) => fromMs + n * MINUTE_MS + 5_000;

  test('that ran at each time, and were told of twice', () => {
    const runs = [0, 1, 2].map(n => ['backup', run(minute(n) + 3_000)] as const);
    const watch = watchOf(...runs, ...runs);
    expect(watch.judge(backup, fromMs, minute(3))).toMatchObject({
      ...{ planned: 3, runs: 3, missed: [], failed: [], latestMs: 3_000, longestMs: 1_000 },
    });
    expect(watch.overlaps()).toEqual([]);
    expect(watch.isUpToDate([backup], fromMs, minute(3))).toBe(true);
    expect(watch.isUpToDate([backup], fromMs, minute(3) + 1)).toBe(false);
  });

  test('that were missed, failed, or ran at once', () => {
    const failed = run(minute(2), { outcome: 'failed', code: 'WAL_IO', message: 'gone' });
    const watch = watchOf(['backup', run(minute(0))], ['backup', failed], ['verify', run(minute(2) + 500)]);
    const report = watch.judge(backup, fromMs, minute(3));
    expect(report.missed).toEqual([new Date(minute(1)).toISOString()]);
    expect(report.failed).toEqual([expect.stringContaining('WAL_IO: gone')]);
    expect(watch.overlaps()).toEqual([expect.stringMatching(/^verify began at .*, and backup ended/)]);
    // One that may come late did, and one that never came is missed.
    expect(watch.judge(backup, fromMs, minute(3), Number.POSITIVE_INFINITY).missed).toEqual([]);
    expect(watch.judge(backup, fromMs, minute(4), Number.POSITIVE_INFINITY).missed).toHaveLength(1);
  });

  test('that may be behind by so much', () => {
    const told = [0, 1, 2, 5].map(n => ['backup-continuous', run(fromMs + n * 20_000)] as const);
    const judged = (seconds: number, watch = watchOf(...told), isTimed = true) =>
      watch.judgeContinuous(seconds, fromMs, fromMs + 100_000, isTimed).missed;
    expect(judged(20)).toHaveLength(1);
    expect(judged(20, watchOf(...told), false)).toEqual([]);
    expect(judged(30)).toEqual([]);
    // Another job was at work meanwhile.
    const long = run(fromMs + 45_000, { duration_ms: 30_000 });
    expect(judged(20, watchOf(...told, ['optimize', long]))).toEqual([]);
    expect(judged(30, watchOf())).toContain('all');
  });
});

describe('a run of half an hour', () => {
  const plan = planOf(30 * MINUTE_MS);
  const random = seeded(5);
  /** A saw-toothed heap, and what a leak adds to it. */
  const reportOf = (leakPerHour: number, more: Partial<SoakReport> = {}): SoakReport => {
    const samples = Array.from({ length: 360 }, (_, n): Sample => {
      const ms = n * 5_000;
      const leak = (leakPerHour * ms) / 3_600_000;
      // Once in twenty minutes it is full.
      const buffered = ((ms % (20 * MINUTE_MS)) / (20 * MINUTE_MS)) * 16e6;
      const tooth = (n % 7) * 3e6 + random() * 1e6;
      return {
        ...{
          ms,
          rss: 250e6 + leak + tooth / 4 + buffered,
          heap: 50e6 + tooth,
          heapPages: 100e6,
          external: 30e6,
          tables: 8e6,
          caches: 40e6,
          buffered,
          fds: 60,
          windows: 0,
        },
        ...{ events: n * 30, items: 200 },
        disk: { storeBytes: 0, storeFiles: 0, opsBytes: 0, logBytes: 0, logFiles: 0, backupBytes: 0 },
      };
    });
    return {
      ...{
        plan,
        samples,
        collected: [],
        opened: [],
        jobs: [],
        loggedRuns: new Map(),
        overlaps: [],
        counts: new Map(),
      },
      ...{ warnings: new Map(), logLines: 0, alerts: [], failures: [] },
      ...more,
    };
  };

  test('is sound where nothing grows', () => {
    const { growth, wrong } = judge(reportOf(0));
    expect(growth.map(({ what }) => what)).toEqual([
      ...['resident', 'anonymous', "V8's pages", 'heap', 'external', 'beside V8', 'tables', 'caches'],
      ...['windows', 'descriptors', 'store files'],
    ]);
    expect(wrong).toEqual([]);
  });

  test('is not where memory does that V8 has no part in', () => {
    expect(judge(reportOf(30e6)).wrong).toEqual(['beside V8 grows']);
    const { samples, ...leaking } = reportOf(30e6);
    const split = (of: (rss: number) => number) =>
      judge({ ...leaking, samples: samples.map(one => ({ ...one, anonymous: of(one.rss) })) }).wrong;
    // Where it is known what is no file, that is judged.
    expect(split(rss => rss - 60e6)).toEqual(['beside V8 grows']);
    expect(split(() => 200e6)).toEqual([]);
  });

  test('nor where more outlives collections than what the events take by design', () => {
    const afterwards = (heapUsed: number, external: number, code = 10e6, accounted = 48e6) =>
      [0, 1, 2, 3, 4].map(n => ({
        ...{ rss: 300e6, heapTotal: 100e6, arrayBuffers: 0, code, accounted },
        ...{ heapUsed: heapUsed + n * 1e4, external: external - n * 1e4 },
      }));
    const judged = (last: ReturnType<typeof afterwards>, bytesAnEvent = 200) => {
      const collected = [
        { ms: 5 * MINUTE_MS, memory: afterwards(50e6, 20e6), snapshot: undefined },
        { ms: 30 * MINUTE_MS, memory: last, snapshot: undefined },
      ];
      // 30 events in 5 s are 9 000 in those 25 minutes.
      const opened = [
        { bytes: 60e6, tablesBytes: 7e6, events: 0 },
        { bytes: 60e6 + 10_000 * bytesAnEvent, tablesBytes: 7e6, events: 10_000 },
      ];
      return judge(reportOf(0, { collected, opened })).wrong;
    };
    expect(judged(afterwards(50e6, 20e6))).toEqual([]);
    expect(judged(afterwards(52e6, 21e6))).toEqual([]);
    expect(judged(afterwards(55e6, 20e6))).toEqual(['what collections leave grows']);
    expect(judged(afterwards(50e6, 25e6))).toEqual(['what collections leave grows']);
    // By so much the program is compiled.
    expect(judged(afterwards(55e6, 20e6, 15e6))).toEqual([]);
    // By so much a cache has filled.
    expect(judged(afterwards(50e6, 25e6, 10e6, 53e6))).toEqual([]);
    expect(judged(afterwards(53e6, 22e6), 600)).toEqual([]);
  });

  test('nor where logs or ops/ go beyond their bounds', () => {
    const report = reportOf(0);
    const [sample] = report.samples as [Sample];
    const full = { ...sample, disk: { ...sample.disk, logBytes: 4_000_001, opsBytes: 21_000_000 } };
    expect(judge({ ...report, samples: [full, ...report.samples] }).wrong).toEqual([
      expect.stringContaining('logs: 4000001 bytes'),
      expect.stringContaining('ops/: 21000000 bytes'),
    ]);
  });

  test('nor where an answer was wrong, or jobs ran at once', () => {
    expect(judge(reportOf(0, { failures: ['a'], overlaps: ['b'] })).wrong).toEqual(['a', 'b']);
  });
});
