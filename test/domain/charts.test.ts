/** What charts are told of samples: bounded, and without a peak lost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHART_SPANS, CHART_STEPS, type ChartSpan, chartOf } from '#src/domain/charts.js';
import type { Sample } from '#src/domain/health.js';

const NOW = Date.UTC(2026, 10, 28, 12, 34, 56);
const MINUTE = 60_000;

function sample(atMs: number, more: Partial<Sample> = {}): Sample {
  return {
    time: new Date(atMs).toISOString(),
    ...{ rss_bytes: 1e6, windows: 0, heap_bytes: 1e5, memory_percent: 1, cpu_percent: 5, own_cpu_percent: 1 },
    ...{
      disk_percent: 50,
      free_bytes: 5e9,
      store_bytes: 1e6,
      files: 9,
      events: 0,
      items: 0,
      pending_rows: 0,
    },
    ...{ level: 'ok', calls: {}, errors: 0, slow: 0 },
    ...more,
  } as Sample;
}

const taken = (samples: readonly Sample[], seconds = 60) =>
  ({ resolution: 'sample', every_seconds: seconds, samples }) as const;

describe('a chart', () => {
  test('has few steps, each with the least and the greatest of its samples, and none is counted twice', () => {
    const spans = fc.constantFrom(...(Object.keys(CHART_SPANS) as ChartSpan[]));
    const ages = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 1e9 })),
      {
        maxLength: 300,
      },
    );
    fc.assert(
      fc.property(spans, ages, fc.integer({ min: 1, max: 3600 }), (span, given, seconds) => {
        const samples = given
          .map(([age, rss]) => sample(NOW - Math.floor(age * CHART_SPANS[span]), { rss_bytes: rss }))
          .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
        const chart = chartOf(taken(samples, seconds), span, NOW);
        const { low, mean, high } = chart.figures.rss_bytes;
        expect(low.length).toBeLessThanOrEqual(CHART_STEPS + 2);
        expect(chart.samples).toBe(samples.length);
        expect(chart.from_ms % chart.step_ms).toBe(0);
        const inside = low.map((): number[] => []);
        for (const { time, rss_bytes } of samples)
          inside[Math.floor((Date.parse(time) - chart.from_ms) / chart.step_ms)]!.push(rss_bytes);
        const each = (of: (values: readonly number[]) => number) =>
          inside.map(values => (values.length === 0 ? null : of(values)));
        expect({ low, high }).toEqual({
          low: each(values => Math.min(...values)),
          high: each(values => Math.max(...values)),
        });
        expect(mean.map(value => value === null)).toEqual(low.map(value => value === null));
      }),
      { numRuns: 60 },
    );
  });

  test('keeps one slow call among thousands', () => {
    const samples = Array.from({ length: 1440 }, (_, n) =>
      sample(NOW - (1440 - n) * MINUTE, {
        latency_ms: { p50: 1, p95: 2, p99: n === 700 ? 9_000 : 3, max: 9_000 },
      }),
    );
    const { p99_ms } = chartOf(taken(samples), 'day', NOW).figures;
    expect(p99_ms.high.filter(value => value === 9_000)).toHaveLength(1);
  });

  test('tells rates of the time that samples stand for, and nothing of where there are none', () => {
    const at = (minutes: number, events: number) =>
      sample(NOW - minutes * MINUTE, { events, calls: { search: 30, get: 30 }, errors: 1 });
    // A log that was cut in between has fewer events: none were written.
    const chart = chartOf(taken([at(300, 100), at(299, 700), at(200, 400)]), 'day', NOW);
    const told = (steps: readonly (number | null)[]) => steps.filter(step => step !== null);
    expect(told(chart.calls_per_minute)).toEqual([60, 60]);
    expect(told(chart.events_per_minute)).toEqual([300, 0]);
    expect(told(chart.errors)).toEqual([2, 1]);
    expect(told(chart.figures.p50_ms.mean)).toEqual([]);
  });

  test('tells no rate of the hour that goes on', () => {
    const hour = Math.floor(NOW / 3_600_000) * 3_600_000;
    const samples = [2, 1, 0].map(ago => sample(hour - ago * 3_600_000, { calls: { get: 120 } }));
    const chart = chartOf({ resolution: 'hour', every_seconds: 60, samples }, 'week', NOW);
    expect(chart.calls_per_minute.filter(step => step !== null)).toEqual([2, 2]);
  });
});
