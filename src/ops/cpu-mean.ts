/** How busy the processors were over the last minutes: the times they worked, as they were at looks since then. */
import { type CpuTimes, cpuShare } from './machine.js';

/** Shares of all cores in percent, and over which time. */
export interface CpuMean {
  readonly all: number;
  readonly own: number;
  readonly spanMs: number;
}

interface Mark {
  readonly timeMs: number;
  readonly times: CpuTimes;
}

/** So many marks at most divide the time: whoever asks every second is given the same mean. */
const MARKS = 60;

export class CpuMeans {
  private marks: readonly Mark[];

  /** @param overMs how long the time is that a mean is over; where there were no looks that long ago, since the first */
  constructor(
    private readonly overMs: number,
    first: Mark,
  ) {
    this.marks = [first];
  }

  /** @returns the mean until now; undefined where no time has passed */
  take(now: Mark): CpuMean | undefined {
    // The last one from before that time is where the mean begins.
    const begun = this.marks.findLastIndex(({ timeMs }) => now.timeMs - timeMs >= this.overMs);
    this.marks = this.marks.slice(Math.max(0, begun));
    const [from] = this.marks;
    const share = cpuShare(from!.times, now.times);
    if (now.timeMs - this.marks.at(-1)!.timeMs >= this.overMs / MARKS) this.marks = [...this.marks, now];
    return share && { ...share, spanMs: now.timeMs - from!.timeMs };
  }
}
