/** What a soak of some length does when: the times of every job, how the server is configured, what is measured and what is left out. */
import type { JobName } from '#src/domain/schedule.js';

/** A job that runs so often, at this second of the minute (or of the span, where that is shorter). */
export interface JobTimes {
  readonly job: JobName;
  /** A divisor of 60, or a multiple of it. */
  readonly everySeconds: number;
  readonly atSecond: number;
}

export interface SoakPlan {
  readonly totalMs: number;
  /** What is measured before it is no part of a slope: caches fill, code is compiled, V8 finds its heap's size. */
  readonly warmupMs: number;
  /** When collections are forced before what is measured; undefined in a run too short to judge memory. */
  readonly collectAtMs: number | undefined;
  readonly sampleMs: number;
  readonly jobs: readonly JobTimes[];
  /** Whether a run that comes when its next time has passed counts as missed; else, as on a machine that may stall, one that never comes. */
  readonly isTimed: boolean;
  /** How far backups may be behind, in seconds. */
  readonly continuousSeconds: number;
  /** The command moves the horizon to so long ago; the past is asked of moments that are younger than a third of it. */
  readonly horizonMs: number;
  /** Items that lie there from days ago. As many as fill the cache of what was read (32 MiB): a cache that fills is no leak. */
  readonly oldItems: number;
  readonly rotateBytes: number;
  /** Of put aside log files. */
  readonly keepLogBytes: number;
  /** Between two beginnings of a client's calls. */
  readonly pauseMs: number;
  readonly scrapeMs: number;
  /** Between two commands of the terminal, two windows that come and go, and two reconnections of a client. */
  readonly commandMs: number;
  readonly visitMs: number;
  readonly reconnectMs: number;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
/** Less is a portion: it proves that nothing is lost and nothing fails, and says nothing of memory. */
export const LEAST_MINUTES = 6;

export function planOf(totalMs: number): SoakPlan {
  if (totalMs < LEAST_MINUTES * MINUTE_MS) return portion(totalMs);
  const warmupMs = Math.min(30 * MINUTE_MS, totalMs / 2);
  return {
    totalMs,
    warmupMs,
    // Long before: a forced collection makes the process smaller than it is by itself, for twenty minutes.
    collectAtMs: warmupMs / 4,
    sampleMs: 5 * SECOND_MS,
    jobs: [
      { job: 'backup', everySeconds: 60, atSecond: 5 },
      { job: 'backup-monthly', everySeconds: 120, atSecond: 13 },
      { job: 'horizon', everySeconds: 60, atSecond: 21 },
      { job: 'checkpoint', everySeconds: 60, atSecond: 29 },
      { job: 'reports', everySeconds: 120, atSecond: 37 },
      { job: 'optimize', everySeconds: 180, atSecond: 43 },
      { job: 'verify', everySeconds: 120, atSecond: 51 },
    ],
    isTimed: true,
    continuousSeconds: 20,
    horizonMs: 3 * MINUTE_MS,
    oldItems: 40_000,
    rotateBytes: 1_000_000,
    keepLogBytes: 1_000_000,
    pauseMs: 250,
    scrapeMs: 5 * SECOND_MS,
    commandMs: 20 * SECOND_MS,
    visitMs: 45 * SECOND_MS,
    reconnectMs: 2 * MINUTE_MS,
  };
}

/** Each job once or twice, everything else a few times. */
function portion(totalMs: number): SoakPlan {
  const jobs: readonly JobName[] = [
    'backup',
    'backup-monthly',
    'horizon',
    'checkpoint',
    'reports',
    'optimize',
    'verify',
  ];
  return {
    totalMs,
    warmupMs: 0,
    collectAtMs: undefined,
    sampleMs: SECOND_MS,
    jobs: jobs.map((job, at) => ({ job, everySeconds: 10, atSecond: at })),
    isTimed: false,
    continuousSeconds: 5,
    horizonMs: 3 * MINUTE_MS,
    oldItems: 100,
    rotateBytes: 30_000,
    keepLogBytes: 1_000_000,
    pauseMs: 150,
    scrapeMs: 2 * SECOND_MS,
    commandMs: 4 * SECOND_MS,
    visitMs: 20 * SECOND_MS,
    reconnectMs: 5 * SECOND_MS,
  };
}

/** With seconds, as node-cron reads it. */
export function cronOf({ everySeconds, atSecond }: JobTimes): string {
  if (everySeconds < 60) {
    const seconds = Array.from({ length: 60 / everySeconds }, (_, n) => n * everySeconds + atSecond);
    return `${seconds.join(',')} * * * * *`;
  }
  return `${atSecond} ${everySeconds === 60 ? '*' : `*/${everySeconds / 60}`} * * * *`;
}

/** When a job is to run from one moment to before another, in ms: reckoned here, not by what is tested. */
export function timesBetween({ everySeconds, atSecond }: JobTimes, fromMs: number, toMs: number): number[] {
  const found: number[] = [];
  for (let ms = Math.ceil(fromMs / SECOND_MS) * SECOND_MS; ms < toMs; ms += SECOND_MS) {
    const time = new Date(ms);
    const isDue =
      everySeconds < 60
        ? time.getSeconds() % everySeconds === atSecond
        : time.getSeconds() === atSecond && time.getMinutes() % (everySeconds / 60) === 0;
    if (isDue) found.push(ms);
  }
  return found;
}

export interface SoakPaths {
  readonly dir: string;
  readonly store: string;
  readonly runtime: string;
  readonly documents: string;
  /** Where the schedules back up, and where the command does. */
  readonly backups: string;
  readonly ownBackups: string;
  readonly logFile: string;
  readonly alerts: string;
}

/** The environment of the server and of every window and command beside it: all that can be on is on. */
export function environmentOf(plan: SoakPlan, paths: SoakPaths): Record<string, string> {
  const times = plan.jobs.map(job => `${job.job}=${cronOf(job)}`);
  const record =
    "process.stdin.pipe(require('node:fs').createWriteStream(process.argv[1], { flags: 'a', mode: 0o600 }))";
  return {
    HOME: paths.dir,
    XDG_RUNTIME_DIR: paths.runtime,
    VECTOR_DB_PATH: paths.store,
    VECTOR_ROOTS: paths.documents,
    VECTOR_BACKUP_DIR: paths.backups,
    VECTOR_BACKUP_KEEP: 'last=5, daily=1, weekly=1, monthly=1, updates=1',
    VECTOR_SCHEDULE: [`backup-continuous=${plan.continuousSeconds} s`, ...times].join(', '),
    VECTOR_KEEP_HISTORY: '1 day',
    VECTOR_SAMPLE_SECONDS: String(plan.sampleMs / SECOND_MS),
    // Half a log file is a warning, so that there is something to tell; of the machine's processors others take their share.
    VECTOR_HEALTH_LIMITS: `logfile=${plan.rotateBytes / 2e6},cpu=off`,
    VECTOR_ALERT_COMMAND: JSON.stringify([process.execPath, '-e', record, paths.alerts]),
    VECTOR_LOG_FILE: paths.logFile,
    VECTOR_LOG_LEVEL: 'info',
    // An error in the log is one of the program's: that the machine is busy is none.
    VECTOR_SLOW_QUERY_MS: '1000,60000',
    VECTOR_LOG_ROTATE: `${plan.rotateBytes / 1000} kB`,
    VECTOR_LOG_KEEP: `4 files, ${plan.keepLogBytes / 1000} kB`,
  };
}
