/** Search as of the moment beside search now. */
import { useMemo, useState } from 'preact/hooks';
import type { StatusAnswer } from '../domain/face.js';
import { call, type FoundHit, type SearchPage } from './api.js';
import { type Loaded, useAnswer } from './hooks.js';
import { Failure, itemLink, Stored, Who } from './parts.js';
import { count, dateTime, visible } from './text.js';

export interface Asked {
  readonly query: string;
  readonly mode: 'hybrid' | 'semantic' | 'keyword';
  /** Empty for all. */
  readonly collection: string;
}

export const NOTHING_ASKED: Asked = { query: '', mode: 'hybrid', collection: '' };

/** A drag comes to rest before the server is asked. */
const QUIET_MS = 120;

interface Props {
  readonly status: StatusAnswer | undefined;
  readonly atMs: number | undefined;
  readonly asked: Asked;
  /** Another number: something was written. */
  readonly round: number;
  onAsk(asked: Asked): void;
}

export function SearchView({ status, atMs, asked, round, onAsk }: Props) {
  const [draft, setDraft] = useState(asked);
  const isAsked = asked.query.trim() !== '';
  const asOf = atMs === undefined ? undefined : new Date(atMs).toISOString();
  const key = JSON.stringify(asked);
  const now = useAnswer(isAsked ? signal => call('search', question(asked), signal) : undefined, key, {
    round,
  });
  const then = useAnswer(
    isAsked && asOf !== undefined
      ? async signal => ({ ...(await call('search', { ...question(asked), as_of: asOf }, signal)), atMs })
      : undefined,
    `${key}@${asOf}`,
    { quietMs: QUIET_MS },
  );
  return (
    <section aria-labelledby="search-title">
      <h2 id="search-title">Search then and now</h2>
      <form
        class="row"
        onSubmit={event => {
          event.preventDefault();
          onAsk(draft);
        }}
      >
        <label class="grow">
          Look for
          <input
            type="search"
            value={draft.query}
            maxLength={8000}
            onInput={event => setDraft({ ...draft, query: event.currentTarget.value })}
          />
        </label>
        <label>
          In
          <select
            value={draft.collection}
            onChange={event => setDraft({ ...draft, collection: event.currentTarget.value })}
          >
            <option value="">every collection</option>
            {status?.collections.map(({ name }) => (
              <option value={name} key={name}>
                {visible(name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          By
          <select
            value={draft.mode}
            onChange={event => setDraft({ ...draft, mode: event.currentTarget.value as Asked['mode'] })}
          >
            <option value="hybrid">meaning and words</option>
            <option value="semantic">meaning</option>
            <option value="keyword">words</option>
          </select>
        </label>
        <button type="submit">Search</button>
      </form>
      <p class="spoken" role="status">
        {said(then.value, now.value)}
      </p>
      {!isAsked && (
        <p class="quiet">
          Search, then drag the time line: what was found at that moment stands beside what is found now.
        </p>
      )}
      {isAsked && (
        <div class={asOf === undefined ? 'sides one' : 'sides'}>
          {asOf !== undefined && (
            <Side
              // Of what is shown, not of what is being asked.
              title={dateTime(then.value?.atMs ?? atMs!)}
              answer={then}
              coming={then.value !== undefined && then.value.atMs !== atMs ? dateTime(atMs!) : undefined}
              other={now.value?.results}
              where="not among those of now"
            />
          )}
          <Side
            title="Now"
            answer={now}
            other={asOf === undefined ? undefined : then.value?.results}
            where="not among those of then"
          />
        </div>
      )}
    </section>
  );
}

const question = ({ query, mode, collection }: Asked) => ({
  query,
  mode,
  ...(collection !== '' && { collection }),
});

function said(then: SearchPage | undefined, now: SearchPage | undefined): string {
  const parts = [
    ...(then === undefined ? [] : [`${count(then.results.length, 'result')} then`]),
    ...(now === undefined ? [] : [`${count(now.results.length, 'result')} now`]),
  ];
  return parts.join(', ');
}

interface SideProps {
  readonly title: string;
  readonly answer: Loaded<SearchPage>;
  /** The moment that is asked for, where what is shown is of another. */
  readonly coming?: string | undefined;
  /** What the other side found, to tell what differs. */
  readonly other: readonly FoundHit[] | undefined;
  readonly where: string;
}

function Side({ title, answer: { value, error, isLoading }, coming, other, where }: SideProps) {
  // A drag draws the title anew at each frame, and not what was found.
  const hits = useMemo(
    () => (
      <ol class="hits">
        {value?.results.map(hit => (
          <Hit hit={hit} key={`${hit.collection}\n${hit.id}`} difference={differenceOf(hit, other, where)} />
        ))}
      </ol>
    ),
    [value, other, where],
  );
  return (
    <div class="side" aria-busy={isLoading}>
      <h3>
        {title}
        {coming !== undefined && <span class="badge coming">still this; {coming} is being looked up</span>}
      </h3>
      <Failure error={error} />
      {value?.warning !== undefined && <p class="warning">{visible(value.warning)}</p>}
      {value?.hint !== undefined && <p class="quiet">{visible(value.hint)}</p>}
      {value?.results.length === 0 && <p class="quiet">Nothing was found.</p>}
      {hits}
    </div>
  );
}

function differenceOf(
  hit: FoundHit,
  other: readonly FoundHit[] | undefined,
  where: string,
): string | undefined {
  if (other === undefined) return undefined;
  const same = other.find(({ collection, id }) => collection === hit.collection && id === hit.id);
  if (same === undefined) return where;
  return same.version === hit.version ? undefined : 'another version';
}

function Hit({ hit, difference }: { hit: FoundHit; difference: string | undefined }) {
  const { text, passage } = hit;
  const isPart = passage.end - passage.start < text.trimEnd().length;
  const found = visible(text.slice(passage.start, passage.end));
  return (
    <li class={difference === undefined ? 'hit' : 'hit differs'}>
      <p class="hit-head">
        <a href={itemLink(hit.collection, hit.id)}>
          <Stored text={hit.id} />
        </a>
        <span class="quiet">
          in <Stored text={hit.collection} />
        </span>
        {difference !== undefined && <span class="badge">{difference}</span>}
      </p>
      <p class="text">
        {visible(text.slice(0, passage.start))}
        {/* Where all of it was found there is nothing to point at. */}
        {isPart ? <mark>{found}</mark> : found}
        {visible(text.slice(passage.end))}
        {hit.is_cut && ' …'}
      </p>
      <p class="quiet small">
        {dateTime(hit.updated_at)} · <Who actor={hit.actor} />
      </p>
    </li>
  );
}
