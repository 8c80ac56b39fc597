/** The health of a store and its server, as its owner sees it, or whoever opened a store that no server has. */
import type { HealthAnswer, HealthQuery } from '../domain/health.js';
import { DEFAULT_AVERAGE_MINUTES, type HealthLimits } from '../domain/health-limits.js';
import { judge } from './checks.js';
import { CpuMeans } from './cpu-mean.js';
import { type CpuTimes, cpuShare } from './machine.js';
import { type Readings, type ReadingsSource, takeReadings } from './readings.js';

export interface HealthOptions extends ReadingsSource {
  readonly limits: HealthLimits;
  /** Over how long the mean of the processors is that a server is judged by. Default: 5 minutes. */
  readonly averageMs?: number;
}

export interface Look {
  readonly readings: Readings;
  readonly answer: HealthAnswer;
}

/** A shorter time says little of how busy processors are. */
const CPU_MIN_MS = 5_000;

export class Health {
  private mark: { readonly timeMs: number; readonly times: CpuTimes };
  private readonly means: CpuMeans;
  private share: { readonly all: number; readonly own: number } | undefined;
  private looking: Promise<Look> | undefined;
  private last: Look | undefined;

  constructor(private readonly options: HealthOptions) {
    this.mark = this.markNow();
    const { averageMs = DEFAULT_AVERAGE_MINUTES * 60_000 } = options;
    this.means = new CpuMeans(averageMs, this.mark);
  }

  /** Looks at everything anew, or answers with what was seen a moment ago where the query is content with that. */
  async report({ max_age_ms: maxAgeMs = 0 }: HealthQuery = {}): Promise<HealthAnswer> {
    const { last } = this;
    if (maxAgeMs > 0 && last !== undefined && this.options.clock() - last.readings.timeMs <= maxAgeMs)
      return last.answer;
    return (await this.look()).answer;
  }

  /** One look for all who ask at the same time. */
  look(): Promise<Look> {
    this.looking ??= this.begin().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async begin(): Promise<Look> {
    const { isServed } = this.options;
    const taken = await takeReadings(this.options);
    const cpuMean = isServed ? this.means.take(this.markNow()) : undefined;
    const readings = { ...taken, cpu: this.cpu(), cpuMean };
    this.last = { readings, answer: judge(readings, this.options.limits) };
    return this.last;
  }

  /** The share since the last look that was long enough ago; soon after it, that look's. */
  private cpu(): Readings['cpu'] {
    const now = this.markNow();
    if (this.share !== undefined && now.timeMs - this.mark.timeMs < CPU_MIN_MS) return this.share;
    this.share = cpuShare(this.mark.times, now.times) ?? this.share;
    this.mark = now;
    return this.share;
  }

  private markNow() {
    return { timeMs: this.options.clock(), times: this.options.machine.cpuTimes() };
  }
}
