import type { JobView } from '../../domain/schedule.js';
import type { Job } from './job.js';
import type { JobState } from './state.js';
import { timesInWords } from './times.js';

export interface Now {
  readonly nextMs: number | undefined;
  readonly isQueued: boolean;
  readonly running: JobView['running'];
}

/** A job as it is shown. */
export function viewOf(job: Job, { isPaused, last, lastOk, failing }: JobState, now: Now): JobView {
  const { name, times, unavailable } = job;
  const { running, nextMs } = now;
  return {
    name,
    state: stateOf(job, isPaused),
    times,
    times_in_words: timesInWords(times),
    ...(unavailable !== undefined && { note: unavailable }),
    ...(nextMs !== undefined && { next: new Date(nextMs).toISOString() }),
    is_queued: now.isQueued,
    ...(running && {
      running: {
        started: running.started,
        reason: running.reason,
        ...(running.progress && { progress: running.progress }),
      },
    }),
    ...(last && { last }),
    ...(lastOk !== undefined && { last_ok: lastOk }),
    ...(failing && { failing }),
  };
}

function stateOf({ unavailable, times }: Job, isPaused = false): JobView['state'] {
  if (unavailable !== undefined) return 'unavailable';
  if (times === 'off') return 'off';
  return isPaused ? 'paused' : 'on';
}
