/** The recurring work: when each job runs next, how its last run ended, and running it now. */
import { useState } from 'preact/hooks';
import type { JobName, JobRun, JobView, ScheduleAnswer } from '../domain/schedule.js';
import { type CallError, call, type Me } from './api.js';
import { asCallError, type Loaded } from './hooks.js';
import { Failure, Section, Time } from './parts.js';
import { age, count, shortDuration, visible } from './text.js';

/** What is asked before it runs: there is no way back from it. */
const ASKED_FIRST: Partial<Record<JobName, string>> = {
  horizon: 'It erases for good what died before the horizon.',
};

interface Props {
  readonly schedule: Loaded<ScheduleAnswer>;
  readonly me: Me;
  /** A job was asked for, and has begun or was refused. */
  onAsked(): void;
}

export function JobsSection({ schedule: { value, error }, me, onAsked }: Props) {
  return (
    <Section title="Schedules" id="schedules-title">
      {!me.may_run && <p class="quiet">To run a job now, open the page by mcp-vector-server page --admin.</p>}
      {value?.is_kept === false && <p class="warning">No server keeps to these times.</p>}
      <Failure error={error} />
      <ul class="jobs">
        {value?.jobs.map(job => (
          <Job
            job={job}
            key={job.name}
            mayRun={me.may_run && job.state !== 'unavailable'}
            onAsked={onAsked}
          />
        ))}
      </ul>
    </Section>
  );
}

interface JobProps {
  readonly job: JobView;
  readonly mayRun: boolean;
  onAsked(): void;
}

function Job({ job, mayRun, onAsked }: JobProps) {
  const { name, state, times_in_words, note, next, is_queued, running, last, failing } = job;
  const [error, setError] = useState<CallError>();
  const [isAsking, setAsking] = useState(false);
  const [isSent, setSent] = useState(false);
  const question = ASKED_FIRST[name];
  const run = async () => {
    setAsking(false);
    setError(undefined);
    setSent(true);
    try {
      await call('run', { job: name });
    } catch (failure) {
      setError(asCallError(failure));
    } finally {
      setSent(false);
      onAsked();
    }
  };
  const isBusy = running !== undefined || is_queued || isSent;
  return (
    <li class="job">
      <p class="check-head">
        <strong>{name}</strong> <span class={`badge ${state}`}>{state}</span>
        <span class="quiet">{times_in_words}</span>
      </p>
      {note !== undefined && <p class="quiet">{visible(note)}</p>}
      {next !== undefined && (
        <p>
          Next: <Time time={next} />
        </p>
      )}
      {last !== undefined && <LastRun run={last} />}
      {failing !== undefined && failing.runs > 1 && (
        <p class="warning">
          {count(failing.runs, 'run')} failed since <Time time={failing.since} />.
        </p>
      )}
      <div role="status">
        {is_queued && <p>Waits until another job is done.</p>}
        {running !== undefined && <Running running={running} />}
      </div>
      <Failure error={error} />
      {mayRun && !isAsking && (
        // Not disabled: it would lose the focus of whoever pressed it.
        <button
          type="button"
          aria-disabled={isBusy}
          onClick={() => !isBusy && (question === undefined ? run() : setAsking(true))}
        >
          Run now<span class="spoken">: {name}</span>
        </button>
      )}
      {isAsking && (
        <div class="row">
          <p>{question}</p>
          <button type="button" class="danger" onClick={run}>
            Run {name}
          </button>
          <button type="button" onClick={() => setAsking(false)}>
            Leave it
          </button>
        </div>
      )}
    </li>
  );
}

const BADGES = { ok: 'ok', failed: 'critical', interrupted: 'warn', skipped: 'warn' } as const;
const REASONS = {
  time: 'at its time',
  missed: 'since its time was missed',
  resumed: 'going on',
  asked: 'since somebody asked',
} as const;

function LastRun({ run: { ended, duration_ms, outcome, reason, message, code, way_out } }: { run: JobRun }) {
  return (
    <p>
      Last: <span class={`badge ${BADGES[outcome]}`}>{outcome}</span> {age(ended)},{' '}
      <span class="quiet">
        <Time time={ended} />, {REASONS[reason]}, for {shortDuration(duration_ms)}:
      </span>{' '}
      <span class="stored">{visible(message)}</span>
      {code !== undefined && (
        <>
          {' '}
          <code>{code}</code>
        </>
      )}
      {way_out !== undefined && ` ${visible(way_out)}`}
    </p>
  );
}

function Running({ running: { started, progress } }: { running: NonNullable<JobView['running']> }) {
  const { done, total, unit, message } = progress ?? { done: 0, message: 'at work' };
  return (
    <p>
      Running since <Time time={started} />: {visible(message)}
      {total !== undefined && total > 0 && (
        <>
          {' '}
          <progress value={Math.min(done, total)} max={total} aria-label="How far it is" />{' '}
          {`${Math.floor((100 * Math.min(done, total)) / total)} %`}
        </>
      )}
      {total === undefined && done > 0 && ` (${count(done, '', unit ?? '').trim()})`}
    </p>
  );
}
