/** Named moments. */
import { useState } from 'preact/hooks';
import type { StatusAnswer } from '../domain/face.js';
import { type CallError, call, type Me } from './api.js';
import { asCallError } from './hooks.js';
import { Failure, Stored, Time } from './parts.js';
import { visible } from './text.js';

interface Props {
  readonly status: StatusAnswer | undefined;
  readonly me: Me;
  onMove(atMs: number): void;
  onChanged(): void;
}

export function MarksView({ status, me, onMove, onChanged }: Props) {
  const [name, setName] = useState('');
  const [note, setNote] = useState('');
  const [error, setError] = useState<CallError>();
  const [told, setTold] = useState('');
  const set = async (event: Event) => {
    event.preventDefault();
    setError(undefined);
    try {
      const mark = await call('mark', { name, ...(note !== '' && { note }) });
      setTold(`${mark.name} is event ${mark.seq}.`);
      setName('');
      setNote('');
      onChanged();
    } catch (failure) {
      setError(asCallError(failure));
    }
  };
  return (
    <section aria-labelledby="marks-title">
      <h2 id="marks-title">Marks</h2>
      {me.may_write ? (
        <form class="row" onSubmit={set}>
          <label>
            Name this moment
            <input
              value={name}
              required
              maxLength={128}
              onInput={event => setName(event.currentTarget.value)}
            />
          </label>
          <label class="grow">
            Note
            <input value={note} maxLength={4000} onInput={event => setNote(event.currentTarget.value)} />
          </label>
          <button type="submit">Set the mark</button>
        </form>
      ) : (
        <p class="quiet">
          This login only reads: mcp-vector-server page --write makes a link that can set marks.
        </p>
      )}
      <Failure error={error} />
      <p role="status">{told}</p>
      {status?.marks.length === 0 && <p>There are none yet.</p>}
      <ul class="marks">
        {status?.marks.map(mark => (
          <li key={mark.name}>
            <button type="button" onClick={() => onMove(Date.parse(mark.time))}>
              <span class="spoken">Go to </span>
              {visible(mark.name)}
            </button>
            <span class="quiet">
              <Time time={mark.time} /> · event {mark.seq}
            </span>
            {mark.note !== '' && (
              <p>
                <Stored text={mark.note} />
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
