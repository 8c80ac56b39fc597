import type { Latency } from '../domain/health.js';

/** The bounds of buckets grow by this factor, so that a percentile read from them is at most 8 % too high. */
const FACTOR = 1.08;
const FIRST_MS = 0.05;
/** Up to some five minutes; what takes longer is in the last one. */
const BUCKETS = 204;

/** Durations in buckets: as much memory for a million of them as for one. */
export class Histogram {
  private readonly buckets = new Uint32Array(BUCKETS);
  private max = 0;
  count = 0;

  /** @param ms at least 0 */
  add(ms: number): void {
    const bucket = ms <= FIRST_MS ? 0 : Math.ceil(Math.log(ms / FIRST_MS) / Math.log(FACTOR));
    this.buckets[Math.min(BUCKETS - 1, bucket)]! += 1;
    this.max = Math.max(this.max, ms);
    this.count += 1;
  }

  latency(): Latency {
    return {
      p50: this.percentile(50),
      p95: this.percentile(95),
      p99: this.percentile(99),
      max: rounded(this.max),
    };
  }

  /** The upper bound of the bucket of the value at this rank (nearest rank); 0 where there is none. */
  private percentile(percent: number): number {
    const rank = Math.ceil((percent / 100) * this.count);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.buckets[bucket]!;
      if (seen >= rank && rank > 0) return rounded(Math.min(this.max, FIRST_MS * FACTOR ** bucket));
    }
    return 0;
  }
}

/** Hundredths are finer than what is measured. */
const rounded = (ms: number): number => Math.round(ms * 100) / 100;
