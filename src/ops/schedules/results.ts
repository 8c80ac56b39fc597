/** What became of a run, and what is noted of its job from then on. */
import { isCoded } from '../../domain/errors.js';
import type { JobRun } from '../../domain/schedule.js';
import { type Job, Passed } from './job.js';
import type { JobState } from './state.js';

/** Who interrupts every run might be the run itself: then it waits for its next time. */
const MAX_INTERRUPTIONS = 3;
const MAX_MESSAGE = 500;

export type Outcome = Pick<JobRun, 'outcome' | 'message' | 'code' | 'way_out'>;

/** @param isEnding it was aborted, since the server ends */
export function outcomeOf(message: string, error: unknown, isEnding: boolean): Outcome {
  if (error === undefined) return { outcome: 'ok', message: message.slice(0, MAX_MESSAGE) };
  if (error instanceof Passed) return { outcome: 'skipped', message: error.message };
  if (isEnding)
    return {
      outcome: 'interrupted',
      code: 'RUN_INTERRUPTED',
      message: 'the server was ended in the middle of it',
      way_out: 'It is taken up again by itself.',
    };
  const { code, wayOut } = isCoded(error)
    ? error
    : {
        code: 'INTERNAL',
        wayOut: 'This is a bug: please report it together with the log of the server.',
      };
  const what = error instanceof Error ? error.message : String(error);
  return {
    outcome: 'failed',
    code,
    message: what.slice(0, MAX_MESSAGE),
    way_out: wayOut.slice(0, MAX_MESSAGE),
  };
}

/** After a run of this process. One that was interrupted is due at once, for whoever has the store next. */
export function stateAfter(before: JobState, { times }: Job, run: JobRun, nowMs: number): JobState {
  const { running: _running, ...state } = before;
  if (run.outcome === 'interrupted') return { ...state, last: run, next: { ms: nowMs, times } };
  const { failing, interruptions: _interruptions, ...rest } = state;
  return {
    ...rest,
    last: run,
    ...(run.outcome === 'ok' && { lastOk: run.ended }),
    ...(run.outcome === 'failed' && { failing: failingSince(state, run) }),
    ...(run.outcome === 'skipped' && failing && { failing }),
  };
}

/** After a run that an earlier process began and did not end; undefined where there is none. */
export function stateAfterKill(before: JobState, { times }: Job, nowMs: number): JobState | undefined {
  const { running, ...state } = before;
  if (running === undefined) return undefined;
  const interruptions = (state.interruptions ?? 0) + 1;
  const isGivenUp = interruptions >= MAX_INTERRUPTIONS;
  const last: JobRun = {
    ...running,
    ended: running.started,
    duration_ms: 0,
    outcome: 'interrupted',
    code: 'RUN_INTERRUPTED',
    message: isGivenUp
      ? `the server ended in the middle of it, ${interruptions} times in a row`
      : 'the server ended in the middle of it',
    way_out: isGivenUp
      ? 'It waits for its next time. See the log of the server for why it ends.'
      : 'It is taken up again by itself.',
  };
  if (isGivenUp) return { ...state, last, interruptions: 0, failing: failingSince(state, last) };
  return { ...state, last, interruptions, next: { ms: nowMs, times } };
}

const failingSince = ({ failing }: JobState, run: JobRun): NonNullable<JobState['failing']> => ({
  since: failing?.since ?? run.started,
  runs: (failing?.runs ?? 0) + 1,
});
