import { afterEach, describe, expect, test } from 'vitest';
import type { Sample } from '#src/domain/health.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { capacityOf, spanStarts } from '#src/ops/capacity.js';
import { adviceOn } from '#src/ops/capacity-advice.js';
import { diskForecast, growthPerDay, memoryForecast, type Trend } from '#src/ops/forecast.js';
import { thisMachine } from '#src/ops/machine.js';
import { SampleHistory } from '#src/ops/sample-history.js';
import type { ReadableLog } from '#wal/log.js';
import { openTestEngine, TEST_CONFIG, temporaryDirectory, testContext } from '../helpers/engine.js';
import { DAY_MS, NOW_MS, sampleAt, wellStatus } from './readings.js';

const HOUR_MS = 3_600_000;
const engines: StoreEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** A store whose clock a test sets. */
async function store() {
  const dir = temporaryDirectory();
  const clock = { ms: NOW_MS - 40 * DAY_MS };
  const engine = await openTestEngine(dir, { clock: () => clock.ms });
  engines.push(engine);
  const upsert = (ids: readonly string[], text = 'a text of some words') =>
    engine.upsert(
      { collection: 'notes', items: ids.map(id => ({ id, text: `${text} ${id}` })) },
      testContext,
    );
  return { dir, clock, engine, upsert };
}

test('growth is what the store says as of each end, and bytes are those of the records', async () => {
  const { clock, engine, upsert } = await store();
  const firstMs = clock.ms;
  // Forty days: items come, change and go.
  for (let day = 0; day < 40; day++) {
    clock.ms = firstMs + day * DAY_MS;
    await upsert([`a${day}`, `b${day}`]);
    if (day % 3 === 0) await upsert([`a${day}`], 'another text');
    if (day % 5 === 4) await engine.delete({ collection: 'notes', ids: [`b${day - 1}`] }, testContext);
  }
  const times = [0, 1, 7, 20, 33, 39, 60].map(day => firstMs + day * DAY_MS + 1);
  const { first, points } = await engine.growth({ times_ms: times }, testContext);
  expect(first).toBe(new Date(firstMs).toISOString());
  for (const [n, point] of points.entries()) {
    // The end is exclusive.
    const as_of = new Date(Math.min(times[n]! - 1, clock.ms)).toISOString();
    const then = await engine.status({ as_of }, testContext);
    expect(point).toMatchObject({
      time: new Date(times[n]!).toISOString(),
      seq: then.head.seq,
      items: then.collections.reduce((sum, { items }) => sum + items, 0),
    });
  }
  expect(points.at(-1)!.versions).toBe(40 * 2 + 14);
  // The end is exclusive: what was written at that very moment comes after it.
  const [before, after] = (await engine.growth({ times_ms: [firstMs, firstMs + 1] }, testContext)).points;
  expect(before).toMatchObject({ seq: 0, items: 0, versions: 0, log_bytes: 0 });
  expect(after!.items).toBe(2);
  // So few records in each span are all read: the estimate is their very size.
  const daily = Array.from({ length: 41 }, (_, day) => firstMs + day * DAY_MS);
  const exact = (await engine.growth({ times_ms: daily }, testContext)).points.at(-1)!.log_bytes;
  let bytes = 0;
  for await (const records of (engine as unknown as { options: { log: ReadableLog } }).options.log.read())
    for (const record of records) bytes += record.sizeBytes;
  expect(exact).toBe(bytes);
  expect(points.at(-1)!.log_bytes / bytes).toBeCloseTo(1, 0);
});

test.each([
  [[3, 2]],
  [[1, 1]],
  [[Number.NaN]],
  [['1']],
  [[1e300]],
  ['1'],
  [new Array(401).fill(0).map((_, n) => n)],
])('growth refuses %j', async times_ms => {
  const { engine } = await store();
  await expect(engine.growth({ times_ms } as never, testContext)).rejects.toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
});

test('spans begin at midnight, on Mondays and on the first, in UTC', () => {
  const iso = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  // A leap year's 1 March, a Friday.
  const { days, weeks, months } = spanStarts(Date.parse('2024-03-01T23:59:59Z'));
  expect(days.map(iso)).toEqual([
    ...['2024-02-24', '2024-02-25', '2024-02-26', '2024-02-27', '2024-02-28', '2024-02-29', '2024-03-01'],
  ]);
  expect(weeks.map(iso).slice(-2)).toEqual(['2024-02-19', '2024-02-26']);
  expect(months.map(iso)).toEqual([
    ...['2023-04-01', '2023-05-01', '2023-06-01', '2023-07-01', '2023-08-01', '2023-09-01'],
    ...['2023-10-01', '2023-11-01', '2023-12-01', '2024-01-01', '2024-02-01', '2024-03-01'],
  ]);
  // A Sunday belongs to the week that ends.
  expect(iso(spanStarts(Date.parse('2024-03-03T12:00:00Z')).weeks.at(-1)!)).toBe('2024-02-26');
});

test('capacity adds up, and says when it has too little to say', async () => {
  const { dir, clock, engine, upsert } = await store();
  const ask = (nowMs: number) => {
    const config = { ...TEST_CONFIG, storePath: dir, keepHistory: undefined };
    const history = new SampleHistory({ storeDir: dir, clock: () => nowMs, warn: () => undefined });
    const machine = {
      ...thisMachine,
      memoryBytes: () => 1e12,
      disk: async () => ({ usedPercent: 10, freeBytes: 1e6, totalBytes: 1e9 }),
    };
    return capacityOf({ engine, config, machine, clock: () => nowMs, history }, {}, testContext);
  };
  expect(await ask(clock.ms)).toMatchObject({ events: 1, items: 0, advice: [{ code: 'HISTORY_SHORT' }] });
  for (let day = 0; day < 10; day++) {
    clock.ms += DAY_MS;
    await upsert(Array.from({ length: 5 }, (_, n) => `${day}-${n}`));
  }
  const answer = await ask(clock.ms);
  expect(answer).toMatchObject({ items: 50, dead_versions: 0 });
  const sum = (spans: readonly { items: number }[]) => spans.reduce((total, { items }) => total + items, 0);
  expect(sum(answer.months)).toBe(50);
  expect(sum(answer.weeks)).toBe(50);
  expect(answer.days.map(({ items }) => items)).toEqual(new Array(7).fill(5));
  const [disk, memory] = answer.forecasts;
  expect(disk).toMatchObject({ resource: 'disk', basis: 'log', history_days: 10 });
  const dueMs = clock.ms + (1e6 / disk!.bytes_per_day!) * DAY_MS;
  expect(Math.abs(Date.parse(disk!.full_at!) - dueMs)).toBeLessThan(0.01 * DAY_MS * disk!.full_in_days!);
  expect(disk!.full_in_days).toBeCloseTo(1e6 / disk!.bytes_per_day!, 0);
  expect(memory).toMatchObject({ resource: 'memory', basis: 'log' });
  // A day less than a week is not enough.
  const early = await ask(clock.ms - 4 * DAY_MS);
  expect(early.forecasts.map(({ basis, full_at }) => [basis, full_at])).toEqual([
    ['none', undefined],
    ['none', undefined],
  ]);
  expect(early.forecasts[0]!.note).toMatch(
    /no forecast: it takes 7 days of history, and there are 6 of the log/,
  );
});

describe('a forecast', () => {
  const trend: Trend = { historyDays: 30, itemsPerDay: 1_000, logBytesPerDay: 1e6, logBytes: 2.5e9 };
  const disk = { usedPercent: 50, freeBytes: 1e9, totalBytes: 2e9 };
  const status = wellStatus();
  /** An hour's mean for each hour of so many days, growing by bytes a day. */
  const hours = (days: number, perDay: number): Sample[] =>
    Array.from({ length: days * 24 + 1 }, (_, n) =>
      sampleAt(NOW_MS - days * DAY_MS + n * HOUR_MS, {
        store_bytes: 5e9 + (n / 24) * perDay,
        rss_bytes: 1e9 + (n / 24) * perDay + (n % 2 === 0 ? 5e6 : -5e6),
      }),
    );
  const asked = (more: object) => ({
    nowMs: NOW_MS,
    hours: [],
    trend,
    status,
    disk,
    memoryBytes: 4e9,
    ...more,
  });

  test('of the disk follows the log, and the files in proportion', () => {
    // The store is twice as large as its log: 2 MB a day, and a gigabyte is free.
    expect(diskForecast(asked({}))).toMatchObject({
      ...{ basis: 'log', bytes_per_day: 2e6, full_in_days: 500, history_days: 30 },
      full_at: new Date(NOW_MS + 500 * DAY_MS).toISOString(),
    });
  });

  test('follows the samples where they are of a week', () => {
    expect(diskForecast(asked({ hours: hours(10, 1e7) }))).toMatchObject({
      ...{ basis: 'samples', bytes_per_day: 1e7, full_in_days: 100, history_days: 10 },
    });
    expect(diskForecast(asked({ hours: hours(6, 1e7) }))).toMatchObject({ basis: 'log' });
    const memory = memoryForecast(asked({ hours: hours(20, 1e8) }));
    expect(memory.basis).toBe('samples');
    expect(memory.bytes_per_day! / 1e8).toBeCloseTo(1, 1);
    expect(memory.full_in_days).toBeCloseTo((4e9 - 3e9) / 1e8, 0);
  });

  test('is none of what does not grow, of what takes ages, and of too little', () => {
    expect(diskForecast(asked({ hours: hours(10, -5) }))).toMatchObject({
      note: expect.stringMatching(/^it does not grow/),
    });
    expect(diskForecast(asked({ hours: hours(10, 1) })).note).toMatch(/^not within ten years/);
    expect(diskForecast(asked({ hours: hours(10, 1) })).full_at).toBeUndefined();
    for (const short of [undefined, { ...trend, historyDays: 6.9 }]) {
      expect(diskForecast(asked({ trend: short }))).toMatchObject({ basis: 'none' });
      expect(memoryForecast(asked({ trend: short }))).toMatchObject({ basis: 'none' });
    }
  });

  test('does not rest on two evenings a week apart', () => {
    const evenings = [...hours(8, 1e7).slice(0, 3), ...hours(8, 1e7).slice(-3)];
    expect(growthPerDay(evenings, ({ store_bytes }) => store_bytes)).toBeUndefined();
    expect(growthPerDay(hours(8, 1e7), ({ store_bytes }) => store_bytes)!.perDay).toBeCloseTo(1e7, 0);
  });
});

test('advice is what the figures call for', () => {
  const facts = {
    ...{
      time: '',
      store: 'notes',
      events: 1,
      items: 10,
      dead_versions: 0,
      store_bytes: 1,
      days: [],
      weeks: [],
      months: [],
    },
    forecasts: [
      {
        resource: 'disk',
        used_bytes: 1,
        limit_bytes: 2,
        history_days: 30,
        basis: 'log',
        note: '',
        full_in_days: 400,
      },
      { resource: 'memory', used_bytes: 1, limit_bytes: 2, history_days: 30, basis: 'log', note: '' },
    ],
  } as const;
  const context = { memoryPercent: 20, keepsHistory: true, provider: 'embedded' } as const;
  const codes = (change: object, more: object = {}) =>
    adviceOn({ ...facts, ...change }, { ...context, ...more }).map(({ code }) => code);
  const soon = (resource: string) =>
    facts.forecasts.map(one => (one.resource === resource ? { ...one, full_in_days: 89 } : one));
  expect(codes({})).toEqual(['NOTHING']);
  expect(codes({ forecasts: soon('disk') })).toEqual(['DISK_FULL_SOON']);
  expect(codes({ forecasts: soon('memory') })).toEqual(['MEMORY_FULL_SOON']);
  // The guide's 70 %.
  expect(codes({}, { memoryPercent: 69.9 })).toEqual(['NOTHING']);
  expect(codes({}, { memoryPercent: 70 })).toEqual(['MEMORY_HIGH', 'EMBEDDER_MEMORY']);
  expect(codes({}, { memoryPercent: 70, provider: 'ollama' })).toEqual(['MEMORY_HIGH']);
  expect(codes({ dead_versions: 1_000 })).toEqual(['DEAD_VERSIONS']);
  expect(codes({ dead_versions: 1_000 }, { keepsHistory: false })).toEqual(['NOTHING']);
  expect(codes({ dead_versions: 1_000, items: 1_000 })).toEqual(['NOTHING']);
  const latency = { since: '', then_p95_ms: 30, now_p95_ms: 61, then_rss_bytes: 1, now_rss_bytes: 1 };
  expect(codes({ latency })).toEqual(['LATENCY_GROWS']);
  expect(codes({ latency: { ...latency, now_p95_ms: 59 } })).toEqual(['NOTHING']);
});
