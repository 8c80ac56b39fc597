/**
 * Latencies in buckets that grow by an eighth of a power of two (9 %), from 1/16 ms on: counts that can be added up, and percentiles that are at most so
 * much too high. As JSON an object from the bucket's number to its count.
 */
export type Latencies = Record<string, number>;

const PER_OCTAVE = 8;
const OCTAVES_BELOW_1_MS = 4;
const MOST_BUCKET = 8 * 30;

/** @param ms of one call */
export function addLatency(latencies: Latencies, ms: number): void {
  const exact = Math.ceil(
    PER_OCTAVE * (Math.log2(Math.max(ms, 2 ** -OCTAVES_BELOW_1_MS)) + OCTAVES_BELOW_1_MS),
  );
  const bucket = Math.min(exact, MOST_BUCKET);
  latencies[bucket] = (latencies[bucket] ?? 0) + 1;
}

/** Adds the counts of `more` to `latencies`. */
export function addLatencies(latencies: Latencies, more: Latencies): void {
  for (const [bucket, count] of Object.entries(more)) latencies[bucket] = (latencies[bucket] ?? 0) + count;
}

/** Percentiles in ms; all 0 where nothing was counted. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export function percentilesOf(latencies: Latencies): Percentiles {
  const [p50, p95, p99, max] = percentiles(latencies, [0.5, 0.95, 0.99, 1]).map(ms =>
    Number(ms.toPrecision(3)),
  );
  return { p50: p50!, p95: p95!, p99: p99!, max: max! };
}

/** The upper bounds in ms of the buckets in which the values of these ranks lie (nearest rank, shares in (0, 1]); 0 where nothing was counted. */
export function percentiles(latencies: Latencies, shares: readonly number[]): number[] {
  const buckets = Object.entries(latencies)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  return shares.map(share => {
    let rank = Math.max(1, Math.ceil(total * share));
    for (const [bucket, count] of buckets) {
      rank -= count;
      if (rank <= 0) return 2 ** (bucket / PER_OCTAVE - OCTAVES_BELOW_1_MS);
    }
    return 0;
  });
}
