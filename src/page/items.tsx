/** What was there at the moment, and the history of an item with what each change did. */
import { useEffect, useState } from 'preact/hooks';
import type { StatusAnswer } from '../domain/face.js';
import { type CallError, call, type HistoryPage, type ShownChange } from './api.js';
import { asCallError, useAnswer } from './hooks.js';
import { Failure, itemLink, MetadataChange, Stored, Time, Who, Words } from './parts.js';
import { count, dateTime, visible } from './text.js';

interface Props {
  readonly status: StatusAnswer | undefined;
  readonly atMs: number | undefined;
  readonly collection: string | undefined;
  readonly id: string | undefined;
  /** Another number: something was written. */
  readonly round: number;
}

const QUIET_MS = 120;

export function ItemsView({ status, atMs, collection, id, round }: Props) {
  if (collection !== undefined && id !== undefined)
    return <ItemHistory key={`${collection}\n${id}`} collection={collection} id={id} round={round} />;
  return <ItemList status={status} atMs={atMs} chosen={collection} round={round} />;
}

function ItemList({
  status,
  atMs,
  chosen,
  round,
}: {
  status: StatusAnswer | undefined;
  atMs: number | undefined;
  chosen: string | undefined;
  round: number;
}) {
  const collection = chosen ?? status?.collections[0]?.name;
  const asOf = atMs === undefined ? undefined : new Date(atMs).toISOString();
  const { value, error, isLoading } = useAnswer(
    collection === undefined
      ? undefined
      : async signal => ({
          ...(await call('list', { collection, limit: 50, ...(asOf && { as_of: asOf }) }, signal)),
          atMs,
        }),
    `${collection}@${asOf}`,
    // What was there at a moment does not change.
    { quietMs: QUIET_MS, round: atMs === undefined ? round : undefined },
  );
  const shownMs = value === undefined ? atMs : value.atMs;
  return (
    <section aria-labelledby="items-title">
      <h2 id="items-title">
        Items {momentOf(shownMs)}
        {shownMs !== atMs && (
          <span class="badge coming">still these; those {momentOf(atMs)} are being looked up</span>
        )}
      </h2>
      <div class="row">
        <label>
          Collection
          <select
            value={collection ?? ''}
            onChange={event => {
              location.hash = `#/items/${encodeURIComponent(event.currentTarget.value)}`;
            }}
          >
            {status?.collections.map(({ name }) => (
              <option value={name} key={name}>
                {visible(name)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Failure error={error} />
      <p role="status" class="quiet">
        {value !== undefined && `${value.more ? 'The newest ' : ''}${count(value.items.length, 'item')}`}
      </p>
      <ol class="hits" aria-busy={isLoading}>
        {value?.items.map(item => (
          <li class="hit" key={item.id}>
            <p class="hit-head">
              <a href={itemLink(item.collection, item.id)}>
                <Stored text={item.id} />
              </a>
            </p>
            <p class="text">
              {item.erased === undefined ? visible(item.text) : `erased (${item.erased})`}
              {item.is_cut && ' …'}
            </p>
            <p class="quiet small">
              {dateTime(item.updated_at)} · <Who actor={item.actor} />
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

const momentOf = (atMs: number | undefined) => (atMs === undefined ? 'now' : `as of ${dateTime(atMs)}`);

function ItemHistory({ collection, id, round }: { collection: string; id: string; round: number }) {
  const [{ changes, cursor }, setShown] = useState<Shown>({ changes: [] });
  const [error, setError] = useState<CallError>();
  const newest = useAnswer(signal => call('history', { collection, id, limit: 20 }, signal), '', { round });
  const isLoaded = newest.value !== undefined;
  useEffect(() => {
    const { value } = newest;
    if (value !== undefined) setShown(before => withNewest(before, value));
  }, [newest.value]);
  const older = () =>
    call('history', { collection, id, limit: 20, cursor }).then(
      page => setShown({ changes: [...changes, ...page.changes], cursor: page.cursor }),
      (failure: unknown) => setError(asCallError(failure)),
    );
  return (
    <section aria-labelledby="history-title">
      <p>
        <a href={`#/items/${encodeURIComponent(collection)}`}>All of this collection</a>
      </p>
      <h2 id="history-title">
        History of <Stored text={id} /> <span class="quiet">in {visible(collection)}</span>
      </h2>
      <Failure error={newest.error ?? error} />
      <p role="status" class="quiet">
        {isLoaded &&
          (changes.length === 0 ? 'It never was there.' : `${count(changes.length, 'change')}, newest first`)}
      </p>
      <ol class="changes">
        {changes.map(change => (
          <ChangeEntry change={change} key={change.seq} />
        ))}
      </ol>
      {cursor !== undefined && (
        <button type="button" onClick={older}>
          Older changes
        </button>
      )}
    </section>
  );
}

interface Shown {
  readonly changes: readonly ShownChange[];
  readonly cursor?: string | undefined;
}

/** What came since stands above what is shown; where that does not reach down to it, what is shown begins anew. */
function withNewest({ changes, cursor }: Shown, page: HistoryPage): Shown {
  const known = changes[0]?.seq ?? 0;
  const fresh = page.changes.filter(({ seq }) => seq > known);
  const isWhole = changes.length > 0 && (fresh.length < page.changes.length || !page.more);
  return isWhole ? { changes: [...fresh, ...changes], cursor } : page;
}

/** One change, with what it did to the text and the metadata. */
export function ChangeEntry({ change, isLinked = false }: { change: ShownChange; isLinked?: boolean }) {
  const { type, before, after, words, metadata_keys: keys } = change;
  const whole = after ?? before;
  return (
    <li class="change">
      <p class="change-head">
        <span class={`badge ${type}`}>{type.replaceAll('_', ' ')}</span>
        {isLinked && change.id !== undefined && change.collection !== undefined && (
          <a href={itemLink(change.collection, change.id)}>
            <Stored text={change.id} />
          </a>
        )}
        {change.mark !== undefined && <Stored text={change.mark.name} />}
        <Time time={change.time} />
        <span class="quiet">
          event {change.seq} · <Who actor={change.actor} />
        </span>
      </p>
      {change.restored_from !== undefined && (
        <p class="quiet">the content of event {change.restored_from} came back</p>
      )}
      {whole?.erased !== undefined && <p class="quiet">its content is erased ({whole.erased})</p>}
      {words !== undefined && <Words runs={words} />}
      {words === undefined && after !== undefined && before === undefined && (
        <p class="text">{visible(after.text)}</p>
      )}
      {after === undefined && before !== undefined && (
        <p class="text">
          <del>{visible(before.text)}</del>
        </p>
      )}
      <MetadataChange older={before?.metadata} newer={after?.metadata} keys={keys} />
    </li>
  );
}
