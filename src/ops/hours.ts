/** Many samples as one. */
import { type Latency, type Sample, worst } from '../domain/health.js';
import { FIGURES } from './sample-form.js';

/**
 * The mean of the samples of an hour, with the time of its beginning: of calls, errors and slow ones the sum, of levels the worst. Percentiles are means
 * weighed by the calls that they are of, which is not the percentile of the hour, and never beyond it and the worst sample; `max` is the hour's.
 * @param samples at least one
 */
export function meanOf(samples: readonly Sample[]): Sample {
  const mean = (field: (typeof FIGURES)[number]) =>
    rounded(samples.reduce((sum, sample) => sum + sample[field], 0) / samples.length);
  const sum = (field: 'errors' | 'slow') => samples.reduce((total, sample) => total + sample[field], 0);
  const calls: Record<string, number> = {};
  for (const sample of samples)
    for (const [method, count] of Object.entries(sample.calls)) calls[method] = (calls[method] ?? 0) + count;
  const weigh = (sample: Sample) => Object.values(sample.calls).reduce((total, count) => total + count, 0);
  const latency = meanLatency(samples.map(sample => [sample.latency_ms, weigh(sample)]));
  const search = meanLatency(samples.map(sample => [sample.search_ms, sample.calls.search ?? 0]));
  return {
    time: new Date(Math.floor(Date.parse(samples[0]!.time) / 3_600_000) * 3_600_000).toISOString(),
    ...(Object.fromEntries(FIGURES.map(field => [field, mean(field)])) as Pick<
      Sample,
      (typeof FIGURES)[number]
    >),
    level: worst(samples.map(({ level }) => level)),
    calls,
    errors: sum('errors'),
    slow: sum('slow'),
    ...(latency && { latency_ms: latency }),
    ...(search && { search_ms: search }),
  };
}

function meanLatency(parts: readonly (readonly [Latency | undefined, number])[]): Latency | undefined {
  const told = parts.filter((part): part is readonly [Latency, number] => part[0] !== undefined);
  const weight = told.reduce((sum, [, calls]) => sum + calls, 0);
  if (weight === 0) return undefined;
  const mean = (field: keyof Latency) =>
    rounded(told.reduce((sum, [latency, calls]) => sum + latency[field] * calls, 0) / weight);
  return {
    p50: mean('p50'),
    p95: mean('p95'),
    p99: mean('p99'),
    max: Math.max(...told.map(([latency]) => latency.max)),
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
