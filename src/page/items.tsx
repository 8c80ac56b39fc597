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
}

const QUIET_MS = 120;

export function ItemsView({ status, atMs, collection, id }: Props) {
  if (collection !== undefined && id !== undefined) return <ItemHistory collection={collection} id={id} />;
  return <ItemList status={status} atMs={atMs} chosen={collection} />;
}

function ItemList({
  status,
  atMs,
  chosen,
}: {
  status: StatusAnswer | undefined;
  atMs: number | undefined;
  chosen: string | undefined;
}) {
  const collection = chosen ?? status?.collections[0]?.name;
  const asOf = atMs === undefined ? undefined : new Date(atMs).toISOString();
  const { value, error, isLoading } = useAnswer(
    collection === undefined
      ? undefined
      : signal => call('list', { collection, limit: 50, ...(asOf && { as_of: asOf }) }, signal),
    `${collection}@${asOf}`,
    QUIET_MS,
  );
  return (
    <section aria-labelledby="items-title">
      <h2 id="items-title">Items {atMs === undefined ? 'now' : `as of ${dateTime(atMs)}`}</h2>
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

function ItemHistory({ collection, id }: { collection: string; id: string }) {
  const [changes, setChanges] = useState<readonly ShownChange[]>([]);
  const [cursor, setCursor] = useState<string>();
  const [error, setError] = useState<CallError>();
  const [isLoaded, setLoaded] = useState(false);
  const take = (page: HistoryPage, before: readonly ShownChange[]) => {
    setChanges([...before, ...page.changes]);
    setCursor(page.cursor);
    setLoaded(true);
  };
  useEffect(() => {
    const ending = new AbortController();
    setError(undefined);
    setLoaded(false);
    call('history', { collection, id, limit: 20 }, ending.signal).then(
      page => take(page, []),
      (failure: unknown) => !ending.signal.aborted && setError(asCallError(failure)),
    );
    return () => ending.abort();
  }, [collection, id]);
  const older = () =>
    call('history', { collection, id, limit: 20, cursor }).then(
      page => take(page, changes),
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
      <Failure error={error} />
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
