import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '#src/domain/health.js';
import { CallMeter } from '#src/ops/call-meter.js';
import { Histogram } from '#src/ops/histogram.js';
import { meanOf } from '#src/ops/hours.js';
import { HISTORY_BOUNDS, SampleHistory } from '#src/ops/sample-history.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { sampleAt } from './readings.js';

const HOUR_MS = 3_600_000;
const START_MS = Date.parse('2026-01-01T00:00:00Z');

/** A history whose clock is that of the last sample. */
class Played {
  readonly dir = temporaryDirectory();
  readonly warned: string[] = [];
  nowMs = START_MS;
  history = this.open();

  constructor(private readonly bounds: Partial<Record<keyof typeof HISTORY_BOUNDS, number>> = {}) {
    this.history = this.open();
  }

  open(): SampleHistory {
    return new SampleHistory({
      storeDir: this.dir,
      clock: () => this.nowMs,
      warn: ({ code, message }) => this.warned.push(`${code}: ${message}`),
      bounds: this.bounds ?? {},
    });
  }

  async add(ms: number, change: Partial<Sample> = {}): Promise<void> {
    this.nowMs = ms;
    await this.history.add(sampleAt(ms, change));
  }

  file(name = 'samples.jsonl'): string {
    return join(this.dir, 'ops', name);
  }
}

const timesOf = (samples: readonly Sample[]) => samples.map(({ time }) => Date.parse(time));

describe('samples', () => {
  test('come back as they were, also by the next owner; the file is for the user alone', async () => {
    const played = new Played();
    for (let n = 0; n < 3; n++) await played.add(START_MS + n * 60_000, { events: n });
    for (const history of [played.history, played.open()]) {
      expect(history.read('sample', 0).map(({ events }) => events)).toEqual([0, 1, 2]);
      expect(history.read('sample', START_MS + 60_000)).toHaveLength(2);
      expect(history.oldestSampleMs).toBe(START_MS);
    }
    expect(statSync(played.file()).mode & 0o777).toBe(0o600);
    expect(statSync(join(played.dir, 'ops')).mode & 0o777).toBe(0o700);
  });

  test('of an hour become its mean, also where the owner changed in between', async () => {
    const played = new Played();
    await played.add(START_MS + 60_000, { rss_bytes: 100, calls: { search: 1 }, level: 'warn' });
    played.history = played.open();
    await played.add(START_MS + 120_000, { rss_bytes: 300, calls: { get: 2, search: 3 }, slow: 1 });
    // So far it is told, too.
    expect(played.history.read('hour', 0)).toMatchObject([{ rss_bytes: 200 }]);
    played.history = played.open();
    await played.add(START_MS + HOUR_MS, { rss_bytes: 7 });
    const [hour, running] = played.open().read('hour', 0);
    expect(hour).toMatchObject({
      ...{ time: new Date(START_MS).toISOString(), rss_bytes: 200, level: 'warn', slow: 1 },
      calls: { search: 4, get: 2 },
    });
    expect(running).toMatchObject({ rss_bytes: 7 });
    expect(readFileSync(played.file('hours.jsonl'), 'utf8').trim().split('\n')).toHaveLength(2);
  });

  test('older than two days go, and hours older than 13 months', async () => {
    const played = new Played();
    for (let hour = 0; hour < 100; hour++) await played.add(START_MS + hour * HOUR_MS);
    const oldest = played.history.oldestSampleMs;
    expect(played.nowMs - oldest).toBeGreaterThanOrEqual(HISTORY_BOUNDS.samplesMs);
    expect(played.nowMs - oldest).toBeLessThanOrEqual(HISTORY_BOUNDS.samplesMs * 1.25);
    expect(timesOf(played.history.read('hour', 0))[0]).toBe(START_MS);
    expect(HISTORY_BOUNDS.hoursMs / HOUR_MS / 24).toBe(396);
    const short = new Played({ hoursMs: 10 * HOUR_MS });
    for (let hour = 0; hour < 40; hour++) await short.add(START_MS + hour * HOUR_MS);
    const kept = timesOf(short.history.read('hour', 0));
    expect(kept.length).toBeGreaterThanOrEqual(10);
    expect(kept.length).toBeLessThanOrEqual(14);
    expect(kept.at(-1)).toBe(short.nowMs);
  });

  test('take no more than their bytes, however many there are; the newest are kept', async () => {
    const played = new Played({ maxBytes: 20_000 });
    for (let n = 0; n < 500; n++) {
      await played.add(START_MS + n * 1_000);
      expect(statSync(played.file()).size).toBeLessThanOrEqual(20_000);
    }
    const kept = timesOf(played.history.read('sample', 0));
    expect(kept.length).toBeGreaterThan(30);
    expect(kept).toEqual(kept.map((_, n) => kept[0]! + n * 1_000));
    expect(kept.at(-1)).toBe(played.nowMs);
    expect(readdirSync(join(played.dir, 'ops'))).toEqual(['samples.jsonl']);
  });

  test('a line that a crash cut off is passed over, at any byte, and the next follows', async () => {
    const whole = `${JSON.stringify(sampleAt(START_MS + 60_000))}\n`;
    for (const cut of [1, 40, whole.length - 1]) {
      const played = new Played();
      await played.add(START_MS);
      appendFileSync(played.file(), whole.slice(0, cut));
      played.history = played.open();
      await played.add(START_MS + 120_000);
      expect(timesOf(played.open().read('sample', 0))).toEqual([START_MS, START_MS + 120_000]);
      expect(played.warned).toEqual([]);
    }
  });

  test('half a line that a full disk took is not written behind', async () => {
    const played = new Played();
    await played.add(START_MS);
    const whole = readFileSync(played.file());
    rmSync(played.file());
    mkdirSync(played.file());
    await expect(played.add(START_MS + 1_000)).rejects.toThrow(/EISDIR/);
    rmSync(played.file(), { recursive: true });
    writeFileSync(played.file(), Buffer.concat([whole, whole.subarray(20, 90)]));
    await played.add(START_MS + 2_000);
    expect(timesOf(played.open().read('sample', 0))).toEqual([START_MS, START_MS + 2_000]);
    expect(played.warned).toEqual([]);
  });

  test.each([
    ['a line that is no JSON', '{"format":1}\n{"time":\n'],
    ['a sample without its figures', '{"format":1}\n{"time":"2026-01-01T00:00:00Z"}\n'],
    ['another format', '{"format":2}\n'],
    ['bytes of anything', '\u0000\u0001\n\n\n'],
    ['hostile text', `{"format":1}\n${JSON.stringify({ ...sampleAt(1), rss_bytes: '<script>' })}\n`],
  ])('%s: it begins anew, with a warning, and what was there is kept aside', async (_, text) => {
    const played = new Played();
    mkdirSync(join(played.dir, 'ops'));
    writeFileSync(played.file(), text);
    await played.add(START_MS);
    expect(played.warned).toEqual([expect.stringMatching(/^OPS_FILE_DAMAGED: .*samples\.jsonl\.damaged/)]);
    expect(readFileSync(`${played.file()}.damaged`, 'utf8')).toBe(text);
    expect(timesOf(played.open().read('sample', 0))).toEqual([START_MS]);
  });

  test('a directory in place of the file is put aside, too', async () => {
    const played = new Played();
    mkdirSync(played.file(), { recursive: true });
    await played.add(START_MS);
    expect(existsSync(played.file())).toBe(true);
    expect(played.history.read('sample', 0)).toHaveLength(1);
  });
});

test('a mean weighs percentiles by their calls, and keeps the worst', () => {
  const latency = (ms: number) => ({ p50: ms, p95: ms, p99: ms, max: ms });
  const mean = meanOf([
    sampleAt(START_MS + 5, { calls: { search: 1 }, search_ms: latency(100), latency_ms: latency(100) }),
    sampleAt(START_MS + 9, { calls: { search: 3, get: 6 }, search_ms: latency(20), latency_ms: latency(10) }),
    sampleAt(START_MS + 12, { calls: {} }),
  ]);
  expect(mean.search_ms).toEqual({ p50: 40, p95: 40, p99: 40, max: 100 });
  expect(mean.latency_ms).toEqual({ p50: 19, p95: 19, p99: 19, max: 100 });
  expect(meanOf([sampleAt(START_MS)]).latency_ms).toBeUndefined();
});

test('percentiles are those of all values, at most an eighth of an octave too high', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 250_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
      values => {
        const histogram = new Histogram();
        for (const value of values) histogram.add(value);
        const sorted = [...values].sort((a, b) => a - b);
        const { p50, p95, p99, max } = histogram.latency();
        for (const [percent, told] of [
          [50, p50],
          [95, p95],
          [99, p99],
        ] as const) {
          const exact = sorted[Math.ceil((percent / 100) * values.length) - 1]!;
          // Figures are told in hundredths, and 1/16 ms is the finest that is told apart.
          expect(told).toBeGreaterThanOrEqual(exact - 0.005);
          expect(told).toBeLessThanOrEqual(Math.max(1 / 16, exact * 2 ** (1 / 8)) + 0.005);
        }
        expect(max).toBeCloseTo(sorted.at(-1)!, 1);
      },
    ),
  );
});

test('slow calls are counted for an hour; figures are those since the last look', () => {
  let nowMs = START_MS;
  const meter = new CallMeter(() => nowMs);
  const ended = (method: 'search' | 'watch' | 'get', durationMs: number, code?: string) =>
    meter.observe({ method, durationMs, code: code ?? 'ok' });
  ended('search', 1_500);
  ended('search', 10);
  ended('get', 1, 'COLLECTION_NOT_FOUND');
  ended('get', 1, 'CANCELLED');
  // It waits for what may happen: neither slow nor part of any percentile.
  ended('watch', 60_000);
  const figures = meter.take();
  expect(figures).toMatchObject({ calls: { search: 2, get: 2, watch: 1 }, errors: 1, slow: 1 });
  expect(figures.latency_ms?.max).toBe(1_500);
  expect(figures.search_ms?.max).toBe(1_500);
  expect(meter.take()).toEqual({ calls: {}, errors: 0, slow: 0 });
  nowMs += 59 * 60_000;
  ended('search', 2_000);
  expect(meter.slowLately()).toBe(2);
  nowMs += 60_000;
  expect(meter.slowLately()).toBe(1);
  nowMs += HOUR_MS;
  expect(meter.slowLately()).toBe(0);
});
