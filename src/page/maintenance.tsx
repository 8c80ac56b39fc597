/** What is done to keep the store sound: verification, backups, and the jobs that do it by themselves. */

import { useEffect, useState } from 'preact/hooks';
import type { StatusAnswer } from '../domain/face.js';
import type { JobView } from '../domain/schedule.js';
import { call, type Me } from './api.js';
import { useAnswer, useTick } from './hooks.js';
import { JobsSection } from './jobs.js';
import { Fact, Failure, Section, Stored, Time } from './parts.js';
import { age, count, number, visible } from './text.js';

/** While a job runs, and otherwise, in ms. */
const LOOK_MS = { running: 1_000, idle: 30_000 };

interface Props {
  readonly status: StatusAnswer | undefined;
  readonly me: Me;
  /** Another number: something was written. */
  readonly round: number;
  /** Something that `status` tells of has changed. */
  onChanged(): void;
}

export function MaintenanceView({ status, me, round, onChanged }: Props) {
  const [isAtWork, setAtWork] = useState(false);
  const [asked, setAsked] = useState(0);
  const again = `${round}/${asked}/${useTick(isAtWork ? LOOK_MS.running : LOOK_MS.idle)}`;
  const schedule = useAnswer(signal => call('schedule', {}, signal), 'schedule', { round: again });
  const jobs = schedule.value?.jobs ?? [];
  const isSeenAtWork = jobs.some(({ running, is_queued }) => running !== undefined || is_queued);
  useEffect(() => {
    // What a job did shows in what is verified and backed up.
    if (isAtWork && !isSeenAtWork) onChanged();
    setAtWork(isSeenAtWork);
  }, [isSeenAtWork]);
  return (
    <>
      {status === undefined ? (
        <p role="status">Loading…</p>
      ) : (
        <Verification status={status} job={jobs.find(({ name }) => name === 'verify')} />
      )}
      <Backups round={again} jobs={jobs.filter(({ name }) => name.startsWith('backup'))} />
      <JobsSection schedule={schedule} me={me} onAsked={() => setAsked(one => one + 1)} />
    </>
  );
}

interface VerificationProps {
  readonly status: StatusAnswer;
  /** Absent until it is told. */
  readonly job: JobView | undefined;
}

function Verification({ status: { verification, head }, job }: VerificationProps) {
  const { completed, verified, findings, schedule, is_running } = verification;
  return (
    <Section title="Verification" id="verification-title">
      <dl class="facts">
        <Fact name="Findings">
          {findings.length === 0 ? (
            <span class="badge ok">none</span>
          ) : (
            <span class="badge critical">{count(findings.length, 'finding')}</span>
          )}
        </Fact>
        <Fact name="Last whole round">
          {completed === undefined ? (
            'none yet'
          ) : (
            <>
              {age(completed.time)}, <Time time={completed.time} />
            </>
          )}
        </Fact>
        <Fact name="Coverage">
          {completed === undefined
            ? 'nothing was verified wholly'
            : `up to event ${number(completed.seq)} of ${number(head.seq)}: ${count(
                Math.max(0, head.seq - completed.seq),
                'event',
              )} since`}
        </Fact>
        {verified !== undefined && verified.seq !== completed?.seq && (
          <Fact name="This round">up to event {number(verified.seq)}</Fact>
        )}
        <Fact name="By itself">{schedule === 'off' ? 'off' : (job?.times_in_words ?? schedule)}</Fact>
        <Fact name="At work">{is_running ? 'yes' : 'no'}</Fact>
      </dl>
      <ul>
        {findings.map(({ code, message, seq }) => (
          <li key={`${code}${seq}${message}`}>
            <code>{code}</code> {visible(message)}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Backups({ round, jobs }: { round: string; jobs: readonly JobView[] }) {
  const { value, error } = useAnswer(signal => call('backup', {}, signal), 'backup', { round });
  const newest = value?.newest;
  return (
    <Section title="Backups" id="backups-title">
      <Failure error={error} />
      {value !== undefined && (
        <dl class="facts">
          <Fact name="Newest">
            {newest === undefined ? (
              'none is known. This program makes them: mcp-vector-server backup --to DIR'
            ) : (
              <>
                {age(newest.time)}, <Time time={newest.time} />
              </>
            )}
          </Fact>
          {newest !== undefined && (
            <>
              <Fact name="Where">
                <Stored text={newest.to} />
              </Fact>
              <Fact name="Coverage">
                up to event {number(newest.seq)}:{' '}
                {newest.missing === 0
                  ? 'all there is'
                  : `${count(newest.missing, 'event')} since are in none`}
              </Fact>
            </>
          )}
          {jobs.length > 0 && <Fact name="By itself">{timesOf(jobs)}</Fact>}
        </dl>
      )}
    </Section>
  );
}

function timesOf(jobs: readonly JobView[]): string {
  const on = jobs.filter(({ state }) => state === 'on');
  return on.length === 0
    ? 'no: VECTOR_BACKUP_DIR says where to, see docs/schedules.md'
    : on.map(({ name, times_in_words }) => `${name}: ${times_in_words}`).join('; ');
}
