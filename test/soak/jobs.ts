/** What became of every run that was planned: times are reckoned from the plan, runs are those that `schedule` told of while it was asked again and again. */
import type { JobName, JobRun, JobView } from '#src/domain/schedule.js';
import { type JobTimes, timesBetween } from './plan.js';

export interface JobReport {
  readonly job: JobName;
  readonly planned: number;
  readonly runs: number;
  /** Planned times after which it did not run before the next one. */
  readonly missed: readonly string[];
  readonly failed: readonly string[];
  /** Somebody else was at the same work. */
  readonly skipped: number;
  /** From the planned time to the beginning, at worst; of what may be behind, what it was beyond that. */
  readonly latestMs: number;
  readonly longestMs: number;
}

export class JobWatch {
  private readonly runs = new Map<JobName, Map<string, JobRun>>();
  /** Jobs that were told of as anything but `on`. */
  readonly off = new Set<JobName>();

  take(views: readonly JobView[]): void {
    for (const { name, last, state } of views) {
      if (state !== 'on') this.off.add(name);
      if (last === undefined) continue;
      const runs = this.runs.get(name) ?? new Map<string, JobRun>();
      runs.set(last.started, last);
      this.runs.set(name, runs);
    }
  }

  of(job: JobName): JobRun[] {
    return [...(this.runs.get(job)?.values() ?? [])].sort(byStart);
  }

  /** Whether each job has begun since its last time before `toMs`. */
  isUpToDate(jobs: readonly JobTimes[], fromMs: number, toMs: number): boolean {
    return jobs.every(times => {
      const last = timesBetween(times, fromMs, toMs).at(-1);
      const run = this.of(times.job).at(-1);
      return last === undefined || (run !== undefined && Date.parse(run.started) >= last);
    });
  }

  /**
   * @param fromMs when times began to be kept
   * @param toMs until when, each run having had its time to begin
   * @param mostLateMs a run that begins so late is none of that time. Default: when the next is due
   */
  judge(
    times: JobTimes,
    fromMs: number,
    toMs: number,
    mostLateMs: number = times.everySeconds * 1000,
  ): JobReport {
    const runs = this.of(times.job);
    const planned = timesBetween(times, fromMs, toMs);
    const missed: string[] = [];
    let latestMs = 0;
    for (const plannedMs of planned) {
      // What gives way tells the beginning of its last part.
      const run = runs.find(({ started }) => Date.parse(started) >= plannedMs);
      const lateMs = (run === undefined ? Number.POSITIVE_INFINITY : Date.parse(run.started)) - plannedMs;
      if (lateMs >= mostLateMs) missed.push(new Date(plannedMs).toISOString());
      else latestMs = Math.max(latestMs, lateMs);
    }
    return { ...report(times.job, runs), planned: planned.length, missed, latestMs };
  }

  /**
   * Of backups that may be behind by so much: from one beginning to the next it may be that, the time of other jobs between, and as much again.
   * @param isTimed false: missed is only one that never came
   */
  judgeContinuous(seconds: number, fromMs: number, toMs: number, isTimed: boolean): JobReport {
    const runs = this.of('backup-continuous');
    const missed: string[] = [];
    let latestMs = 0;
    let beforeMs = fromMs;
    for (const ms of [...runs.map(({ started }) => Date.parse(started)), toMs].filter(one => one >= fromMs)) {
      const lateMs = ms - beforeMs - seconds * 1000;
      latestMs = Math.max(latestMs, lateMs);
      if (isTimed && lateMs - this.busyMs(beforeMs, ms) > seconds * 1000)
        missed.push(`none from ${new Date(beforeMs).toISOString()} to ${new Date(ms).toISOString()}`);
      beforeMs = ms;
    }
    if (runs.length === 0) missed.push('all');
    return { ...report('backup-continuous', runs), planned: runs.length + missed.length, missed, latestMs };
  }

  /** How long jobs were at work that began between two moments. */
  private busyMs(fromMs: number, toMs: number): number {
    const all = [...this.runs.values()].flatMap(runs => [...runs.values()]);
    return all
      .filter(({ started }) => Date.parse(started) >= fromMs && Date.parse(started) < toMs)
      .reduce((sum, { duration_ms }) => sum + duration_ms, 0);
  }

  /** Runs of any jobs that were at work at once. */
  overlaps(): string[] {
    const all = [...this.runs].flatMap(([job, runs]) => [...runs.values()].map(run => ({ job, ...run })));
    all.sort(byStart);
    return all.slice(1).flatMap((run, at) => {
      const before = all[at]!;
      return run.started < before.ended
        ? [`${run.job} began at ${run.started}, and ${before.job} ended at ${before.ended}`]
        : [];
    });
  }
}

const byStart = (a: JobRun, b: JobRun): number => (a.started < b.started ? -1 : 1);

function report(
  job: JobName,
  runs: readonly JobRun[],
): Pick<JobReport, 'job' | 'runs' | 'failed' | 'skipped' | 'longestMs'> {
  const failed = runs.filter(({ outcome }) => outcome === 'failed' || outcome === 'interrupted');
  return {
    job,
    runs: runs.length,
    failed: failed.map(({ started, code, message }) => `${started} ${code}: ${message}`),
    skipped: runs.filter(({ outcome }) => outcome === 'skipped').length,
    longestMs: Math.max(0, ...runs.map(({ duration_ms }) => duration_ms)),
  };
}
