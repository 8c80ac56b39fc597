import type { Latency } from '../domain/health.js';
import { addLatency, type Latencies, percentiles } from './latencies.js';

/** Durations in buckets, and the longest as it was: as much memory for a million of them as for one. */
export class Histogram {
  private readonly latencies: Latencies = {};
  private max = 0;
  count = 0;

  /** @param ms at least 0 */
  add(ms: number): void {
    addLatency(this.latencies, ms);
    this.max = Math.max(this.max, ms);
    this.count += 1;
  }

  /** Percentiles by nearest rank, at most as much too high as buckets are wide, and never above the longest. */
  latency(): Latency {
    const [p50, p95, p99, max] = [...percentiles(this.latencies, [0.5, 0.95, 0.99]), this.max].map(
      ms => Math.round(Math.min(this.max, ms) * 100) / 100,
    );
    return { p50: p50!, p95: p95!, p99: p99!, max: max! };
  }
}
