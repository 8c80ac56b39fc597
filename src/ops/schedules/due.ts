/** When a job is due, by what is noted of it. */
import { parseLag } from '../../schedule-settings.js';
import type { Job } from './job.js';
import type { JobState } from './state.js';
import type { NextTime } from './times.js';

/** Runs of a job with an age come at most so far apart while they fail. */
const MAX_BACK_OFF_MS = 3_600_000;

/**
 * When a job that is kept to runs next; in the past where it is due. A time that was reckoned before stands, unless the clock was set back beyond it: so
 * those that passed while nobody looked are made up for once, however many they were.
 * @returns undefined where it has no time to come
 */
export function dueMs(job: Job, state: JobState, nowMs: number, nextTime: NextTime): number | undefined {
  if (state.isPaused || job.unavailable !== undefined || job.times === 'off') return undefined;
  const noted = state.next?.times === job.times ? state.next.ms : undefined;
  const lagMs = parseLag(job.times);
  if (lagMs !== undefined)
    return noted === undefined ? lagDueMs(lagMs, state, nowMs) : Math.min(noted, nowMs);
  if (noted === undefined && job.isDueAtFirst && state.last === undefined) return nowMs;
  const fresh = nextTime(job.times, nowMs);
  return noted === undefined || fresh === undefined ? (fresh ?? noted) : Math.min(noted, fresh);
}

/** So long after the last run began; later and later while runs fail. A run in the future is one of a clock that was wrong. */
function lagDueMs(lagMs: number, { last, failing }: JobState, nowMs: number): number {
  const lastMs = last === undefined ? Number.NaN : Date.parse(last.started);
  if (!(lastMs <= nowMs)) return nowMs;
  const backedOffMs = lagMs * 2 ** Math.min(20, failing?.runs ?? 0);
  return lastMs + Math.min(backedOffMs, Math.max(lagMs, MAX_BACK_OFF_MS));
}
