/** The recurring work of the process that has a store: what is asked of it, and what it answers. */
import type { Progress } from './face.js';

/**
 * Every job, by priority: of several whose time has come the first one runs first.
 */
export const JOB_NAMES = [
  'backup-continuous',
  'backup',
  'backup-monthly',
  'horizon',
  'checkpoint',
  'reports',
  'optimize',
  'verify',
] as const;
export type JobName = (typeof JOB_NAMES)[number];

/** `list` changes nothing; `run` answers when the run has ended; `pause` and `resume` hold across restarts. */
export type ScheduleCommand =
  | { readonly action: 'list' }
  | { readonly action: 'run' | 'pause' | 'resume'; readonly job: string };

/** What made a job run: its time; a time that had passed while nothing ran; a run that was interrupted; a person. */
export type RunReason = 'time' | 'missed' | 'resumed' | 'asked';

export interface JobRun {
  /** ISO 8601 in UTC. */
  readonly started: string;
  readonly ended: string;
  readonly duration_ms: number;
  readonly reason: RunReason;
  /** `interrupted`: the server ended in the middle, and the next one takes it up. `skipped`: somebody else is at the same work. */
  readonly outcome: 'ok' | 'failed' | 'interrupted' | 'skipped';
  /** What was done, in a few words; of a failure, what was wrong. Holds no stored text. */
  readonly message: string;
  /** Of a failure. */
  readonly code?: string;
  readonly way_out?: string;
}

export interface JobView {
  readonly name: JobName;
  /** `off`: not scheduled, but it can be asked for. `unavailable`: it cannot, and `note` says why. */
  readonly state: 'on' | 'off' | 'paused' | 'unavailable';
  /** A cron expression in the machine's zone, or an age such as "60 s"; `off` where it has no times. */
  readonly times: string;
  /** The same in words. */
  readonly times_in_words: string;
  readonly note?: string;
  /** ISO 8601 in UTC; absent where it has no time to come, or no server runs that would keep to it. */
  readonly next?: string;
  /** Its time has come, and another job runs before it. */
  readonly is_queued: boolean;
  readonly running?: {
    readonly started: string;
    readonly reason: RunReason;
    readonly progress?: Progress;
  };
  readonly last?: JobRun;
  /** When it last ended well. */
  readonly last_ok?: string;
  /** Since when each run failed: when the first of them started, and how many there were. */
  readonly failing?: { readonly since: string; readonly runs: number };
}

export interface ScheduleAnswer {
  /** Whether a server runs that keeps to the times. */
  readonly is_kept: boolean;
  readonly store: string;
  /** Of a server that runs: whose settings count, and digests of them by the variable that sets them. */
  readonly settings?: { readonly pid: number; readonly digests: Readonly<Record<string, string>> };
  readonly jobs: readonly JobView[];
  /** Of `run`: how it ended. */
  readonly run?: JobRun;
}
