/** Who wrote in the span that the time line shows, what each session wrote, and taking it back. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ActivityAnswer, SessionActivity } from '../domain/activity.js';
import type { RevertAnswer } from '../domain/travel.js';
import { type CallError, call, type Me } from './api.js';
import { asCallError, useAnswer } from './hooks.js';
import { ChangeEntry } from './items.js';
import { Failure, itemLink, Stored, Time } from './parts.js';
import { count, visible } from './text.js';

interface Props {
  readonly activity: ActivityAnswer | undefined;
  readonly me: Me;
  onChanged(): void;
}

export function SessionsView({ activity, me, onChanged }: Props) {
  const [undoing, setUndoing] = useState<string>();
  const sessions = activity?.sessions ?? [];
  return (
    <section aria-labelledby="sessions-title">
      <h2 id="sessions-title">Sessions</h2>
      <p class="quiet">
        Those of the span that the time line shows, the latest first.
        {!me.may_write &&
          ' This login only reads: mcp-vector-server page --write makes a link that can undo.'}
      </p>
      {activity !== undefined && sessions.length === 0 && <p>Nobody wrote anything.</p>}
      <ul class="sessions">
        {sessions.map(session => (
          <SessionEntry
            session={session}
            key={session.session}
            mayUndo={me.may_write}
            onUndo={() => setUndoing(session.session)}
          />
        ))}
      </ul>
      {activity?.more_sessions && <p class="quiet">There are more: choose a shorter span.</p>}
      {undoing !== undefined && (
        <UndoDialog session={undoing} onClose={() => setUndoing(undefined)} onChanged={onChanged} />
      )}
    </section>
  );
}

interface EntryProps {
  readonly session: SessionActivity;
  readonly mayUndo: boolean;
  onUndo(): void;
}

function SessionEntry({ session, mayUndo, onUndo }: EntryProps) {
  const [isOpen, setOpen] = useState(false);
  const written = useAnswer(
    isOpen ? signal => call('history', { session: session.session, limit: 25 }, signal) : undefined,
    `${isOpen}/${session.session}/${session.last.seq}`,
  );
  return (
    <li class="session">
      <h3>
        <Stored text={session.session} />
      </h3>
      <p>
        {count(session.events, 'event')} by <Stored text={session.clients.join(', ')} />
        <span class="quiet">
          {' '}
          with <Stored text={session.tools.join(', ')} />
          {session.collections.length > 0 && (
            <>
              {' '}
              in <Stored text={session.collections.join(', ')} />
            </>
          )}
          {session.project !== '' && (
            <>
              {' '}
              at <Stored text={session.project} />
            </>
          )}
        </span>
      </p>
      <p class="quiet small">
        <Time time={session.first.time} /> to <Time time={session.last.time} />
      </p>
      <div class="row">
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          What it wrote<span class="spoken"> in {visible(session.session)}</span>
        </button>
        {mayUndo && (
          <button type="button" onClick={onUndo}>
            Undo…<span class="spoken"> {visible(session.session)}</span>
          </button>
        )}
      </div>
      <Failure error={written.error} />
      {isOpen && (
        <ol class="changes" aria-busy={written.isLoading}>
          {written.value?.changes.map(change => (
            <ChangeEntry change={change} key={change.seq} isLinked />
          ))}
        </ol>
      )}
      {isOpen && written.value?.more && <p class="quiet">The newest 25 of them.</p>}
    </li>
  );
}

interface UndoProps {
  readonly session: string;
  onClose(): void;
  onChanged(): void;
}

/** First what would change; then, if that is wanted, exactly that. */
function UndoDialog({ session, onClose, onChanged }: UndoProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const preview = useAnswer(signal => call('revert', { session, dry_run: true }, signal), session);
  const [done, setDone] = useState<RevertAnswer>();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<CallError>();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const plan = preview.value;
  const changes = plan === undefined ? 0 : plan.counts.restored + plan.counts.deleted;
  const undo = async () => {
    setBusy(true);
    try {
      setDone(await call('revert', { session, dry_run: false, plan: plan!.plan }));
      onChanged();
    } catch (failure) {
      setError(asCallError(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="undo-title" onClose={onClose}>
      <h2 id="undo-title">
        Undo <Stored text={session} />
      </h2>
      <div role="status">
        {preview.isLoading && <p>Looking at what would change…</p>}
        {plan !== undefined && done === undefined && (
          <p>
            <strong>Nothing is changed yet.</strong> {count(plan.counts.restored, 'item')} would come back to
            an earlier version and {number(plan.counts.deleted)} would go.
            {plan.counts.conflicts > 0 &&
              ` ${number(plan.counts.conflicts)} would be left, since someone else changed them later.`}
          </p>
        )}
        {done !== undefined && (
          <p>
            <strong>Done.</strong> {count(done.counts.restored, 'item')} came back and{' '}
            {number(done.counts.deleted)} went, by event {done.seq}. This can be undone as well.
          </p>
        )}
      </div>
      <Failure error={preview.error ?? error} />
      {plan !== undefined && done === undefined && <Steps plan={plan} />}
      <div class="row end">
        <button type="button" onClick={() => dialog.current?.close()}>
          {done === undefined ? 'Leave it' : 'Close'}
        </button>
        {plan !== undefined && done === undefined && (
          <button type="button" class="danger" disabled={isBusy || changes === 0} onClick={undo}>
            Undo {count(changes, 'change')}
          </button>
        )}
      </div>
    </dialog>
  );
}

const number = (value: number) => count(value, 'item');

function Steps({ plan }: { plan: RevertAnswer }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="scroll" tabIndex={0} aria-label="What would change">
      <table class="fields">
        <thead>
          <tr>
            <th scope="col">item</th>
            <th scope="col">now</th>
            <th scope="col">then</th>
          </tr>
        </thead>
        <tbody>
          {plan.steps.map(({ collection, id, text, to_text, to_version, version }) => (
            <tr key={`${collection}\n${id}`}>
              <th scope="row">
                <a href={itemLink(collection, id)}>
                  <Stored text={id} />
                </a>
              </th>
              <td>{version === 0 ? <em>not there</em> : <del>{visible(text ?? '')}</del>}</td>
              <td>{to_version === 0 ? <em>not there</em> : <ins>{visible(to_text ?? '')}</ins>}</td>
            </tr>
          ))}
          {plan.conflicts.map(({ collection, id, seq }) => (
            <tr key={`conflict\n${collection}\n${id}`}>
              <th scope="row">
                <Stored text={id} />
              </th>
              <td colSpan={2}>left: changed later, by event {seq}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
