/** Samples over a span as charts show them: a bounded number of steps, and of each figure in each step its least, its mean and its greatest. */
import type { Latency, Resolution, Sample, SamplesAnswer } from './health.js';

const HOUR_MS = 3_600_000;

/** Spans that charts show, in ms; the longest is how far samples reach back. */
export const CHART_SPANS = {
  hour: HOUR_MS,
  day: 24 * HOUR_MS,
  week: 7 * 24 * HOUR_MS,
  month: 30 * 24 * HOUR_MS,
  year: 396 * 24 * HOUR_MS,
} as const;
export type ChartSpan = keyof typeof CHART_SPANS;

/** Steps of a chart at most, but for the one that has just begun. */
export const CHART_STEPS = 240;

/** Figures that a chart shows, by how they are read out of a sample. */
const FIGURES = {
  p50_ms: ({ latency_ms }: Sample) => latency(latency_ms, 'p50'),
  p99_ms: ({ latency_ms }: Sample) => latency(latency_ms, 'p99'),
  rss_bytes: ({ rss_bytes }: Sample) => rss_bytes,
  heap_bytes: ({ heap_bytes }: Sample) => heap_bytes,
  free_bytes: ({ free_bytes }: Sample) => free_bytes,
  store_bytes: ({ store_bytes }: Sample) => store_bytes,
  cpu_percent: ({ cpu_percent }: Sample) => cpu_percent,
  own_cpu_percent: ({ own_cpu_percent }: Sample) => own_cpu_percent,
} as const;
export type ChartFigure = keyof typeof FIGURES;

/** Of each step one value, or null where no sample of it has the figure. */
export type Steps = readonly (number | null)[];

export interface ChartSeries {
  readonly low: Steps;
  readonly mean: Steps;
  readonly high: Steps;
}

export interface ChartAnswer {
  readonly resolution: Resolution;
  /** How often samples are taken, in seconds; 0: no more are. */
  readonly every_seconds: number;
  /** The beginning of the first step, in ms since the epoch; each lasts `step_ms`. */
  readonly from_ms: number;
  readonly step_ms: number;
  /** The end of the span: now. */
  readonly to_ms: number;
  /** Samples in it. */
  readonly samples: number;
  readonly figures: Readonly<Record<ChartFigure, ChartSeries>>;
  /** A minute, of the time that the samples of a step stand for. */
  readonly events_per_minute: Steps;
  readonly calls_per_minute: Steps;
  /** In the step. */
  readonly errors: Steps;
  readonly slow: Steps;
}

/**
 * Summed up on the side of the server: whatever the samples, an answer has at most CHART_STEPS + 1 steps, and no peak is lost, since each step keeps its least
 * and its greatest value. Steps begin at multiples of their length, so that the same sample is in the same one at the next look.
 * @param samples oldest first
 */
export function chartOf(
  { resolution, every_seconds, samples }: SamplesAnswer,
  span: ChartSpan,
  nowMs: number,
): ChartAnswer {
  const periodMs = resolution === 'hour' ? HOUR_MS : Math.max(1, every_seconds) * 1000;
  const stepMs = Math.max(Math.ceil(CHART_SPANS[span] / CHART_STEPS), periodMs);
  const fromMs = Math.floor((nowMs - CHART_SPANS[span]) / stepMs) * stepMs;
  const length = Math.floor((nowMs - fromMs) / stepMs) + 1;
  const steps: Sample[][] = Array.from({ length }, () => []);
  const written: (number | null)[] = Array.from({ length }, () => null);
  let before: Sample | undefined;
  let used = 0;
  for (const sample of samples) {
    const step = Math.floor((Date.parse(sample.time) - fromMs) / stepMs);
    if (step < 0 || step >= length) continue;
    steps[step]!.push(sample);
    used++;
    // A log that was cut has fewer.
    if (before !== undefined)
      written[step] = (written[step] ?? 0) + Math.max(0, sample.events - before.events);
    before = sample;
  }
  const sums = (of: (sample: Sample) => number): Steps => steps.map(one => sumOf(one, of));
  // The hour that goes on is not told how much of it has passed.
  const current = resolution === 'hour' ? samples.at(-1) : undefined;
  const perMinute = (total: number | null, step: number): number | null => {
    const covered = steps[step]!;
    if (total === null || (current !== undefined && covered.includes(current))) return null;
    return tidy(total / ((covered.length * periodMs) / 60_000));
  };
  const calls = sums(sample => Object.values(sample.calls).reduce((total, one) => total + one, 0));
  return {
    ...{ resolution, every_seconds, from_ms: fromMs, step_ms: stepMs, to_ms: nowMs, samples: used },
    figures: Object.fromEntries(
      Object.entries(FIGURES).map(([name, read]) => [name, seriesOf(steps, read)]),
    ) as Record<ChartFigure, ChartSeries>,
    events_per_minute: written.map(perMinute),
    calls_per_minute: calls.map(perMinute),
    errors: sums(({ errors }) => errors),
    slow: sums(({ slow }) => slow),
  };
}

function seriesOf(
  steps: readonly (readonly Sample[])[],
  read: (sample: Sample) => number | undefined,
): ChartSeries {
  const found = steps.map(step => step.map(read).filter(value => value !== undefined));
  const each = (of: (values: readonly number[]) => number): Steps =>
    found.map(values => (values.length === 0 ? null : tidy(of(values))));
  return {
    low: each(values => Math.min(...values)),
    mean: each(values => values.reduce((sum, value) => sum + value, 0) / values.length),
    high: each(values => Math.max(...values)),
  };
}

const sumOf = (step: readonly Sample[], of: (sample: Sample) => number): number | null =>
  step.length === 0 ? null : step.reduce((sum, sample) => sum + of(sample), 0);

const latency = (found: Latency | undefined, of: 'p50' | 'p99') => found?.[of];

/** Bytes are whole; of what is small, hundredths count. */
const tidy = (value: number): number => (value >= 1000 ? Math.round(value) : Math.round(value * 100) / 100);
