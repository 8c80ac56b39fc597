import type { Sample } from '../domain/health.js';

/** Figures of a sample that are means over an hour; counts of calls are sums, and the level the worst. */
export const FIGURES = [
  'rss_bytes',
  'windows',
  'heap_bytes',
  'memory_percent',
  'cpu_percent',
  'own_cpu_percent',
  'disk_percent',
  'free_bytes',
  'store_bytes',
  'files',
  'events',
  'items',
  'pending_rows',
] as const satisfies readonly (keyof Sample)[];

/** Whether what was read from a file is a sample: whoever reads on relies on every field. */
export function isSample(value: unknown): value is Sample {
  if (typeof value !== 'object' || value === null) return false;
  const sample = value as Record<string, unknown>;
  const isFigure = (field: string) => Number.isFinite(sample[field]);
  return (
    typeof sample.time === 'string' &&
    Number.isFinite(Date.parse(sample.time)) &&
    [...FIGURES, 'errors', 'slow'].every(isFigure) &&
    ['ok', 'warn', 'critical'].includes(sample.level as string) &&
    isCounts(sample.calls) &&
    isLatency(sample.latency_ms) &&
    isLatency(sample.search_ms)
  );
}

const isCounts = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.values(value).every(Number.isFinite);

const isLatency = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' &&
    value !== null &&
    ['p50', 'p95', 'p99', 'max'].every(field => Number.isFinite((value as Record<string, unknown>)[field])));
