/** The page: login, the time line over everything, and below it one view at a time. */
import { render } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { call, type Me, session } from './api.js';
import { HealthView } from './health.js';
import { asCallError, useAnswer, useHeld } from './hooks.js';
import { ItemsView } from './items.js';
import { useLive } from './live.js';
import { MaintenanceView } from './maintenance.js';
import { MarksView } from './marks.js';
import { Failure } from './parts.js';
import { type Asked, NOTHING_ASKED, SearchView } from './search.js';
import { drawingOf } from './series.js';
import { SessionsView } from './sessions.js';
import { StateView } from './state.js';
import { count, visible } from './text.js';
import { momentText, TimeLine } from './timeline.js';

const VIEWS = [
  ['search', 'Search'],
  ['items', 'Items'],
  ['sessions', 'Sessions'],
  ['marks', 'Marks'],
  ['health', 'Health'],
  ['maintenance', 'Maintenance'],
  ['state', 'State'],
] as const;

/** Spans that the time line can show, in days; 0 for all. */
const SPANS = [
  [0, 'everything'],
  [90, 'the last 90 days'],
  [30, 'the last 30 days'],
  [7, 'the last 7 days'],
  [1, 'the last day'],
] as const;
const DAY_MS = 86_400_000;
const STEPS = 400;
const SESSIONS = 100;

function useRoute(): readonly string[] {
  const read = () => location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function App({ me }: { me: Me }) {
  const [view = '', collection, id] = useRoute();
  const [atMs, setAtMs] = useState<number>();
  const [days, setDays] = useState(0);
  const [asked, setAsked] = useState<Asked>(NOTHING_ASKED);
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound(one => one + 1), []);
  const [isDragging, setDragging] = useState(false);
  const status = useAnswer(signal => call('status', {}, signal), 'status', { round });
  const activity = useAnswer(
    signal =>
      call(
        'activity',
        {
          steps: STEPS,
          sessions: SESSIONS,
          ...(days > 0 && { since: new Date(Date.now() - days * DAY_MS).toISOString() }),
        },
        signal,
      ),
    days,
    { round },
  );
  const away = useLive(status.value?.head.seq, again);
  const returns = useReturns(away !== undefined, me, again);
  const shown = VIEWS.find(([name]) => name === view)?.[0] ?? 'search';
  useEffect(() => {
    document.title = `${VIEWS.find(([name]) => name === shown)![1]} · mcp-vector-server`;
  }, [shown]);
  // The time line does not move under the pointer that drags along it.
  const line = useHeld(activity.value, isDragging);
  const drawing = useMemo(() => line && drawingOf(line), [line]);
  return (
    <>
      <button type="button" class="skip" onClick={focusContent}>
        Skip to the content
      </button>
      <header>
        <h1>mcp-vector-server</h1>
        <p class="quiet">
          {status.value !== undefined &&
            `${count(status.value.head.seq, 'event')}, ${count(
              status.value.collections.reduce((sum, { items }) => sum + items, 0),
              'item',
            )}`}
        </p>
        <button type="button" onClick={() => void logOut()}>
          Log out
        </button>
      </header>
      <p class={away === undefined ? 'away none' : 'away'} role="status">
        {away !== undefined &&
          `${sentence(away.message)} What is shown is as it was then; the page goes on by itself when the server is back.`}
      </p>
      <section class="past" aria-labelledby="time-title">
        <div class="row">
          <h2 id="time-title">Time line</h2>
          <label>
            Show
            <select value={days} onChange={event => setDays(Number(event.currentTarget.value))}>
              {SPANS.map(([value, name]) => (
                <option value={value} key={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <p class="moment">
            {/* Not spoken: it changes with what others write, and the slider says it of itself. */}
            {line !== undefined && momentText(line, drawing!, atMs)}
          </p>
          <button type="button" disabled={atMs === undefined} onClick={() => setAtMs(undefined)}>
            Back to now
          </button>
        </div>
        <Failure error={activity.error ?? status.error} />
        {line === undefined ? (
          <div class="time-line">
            <div class="slider empty" />
          </div>
        ) : (
          <TimeLine activity={line} drawing={drawing!} atMs={atMs} onMove={setAtMs} onDrag={setDragging} />
        )}
      </section>
      <nav aria-label="Views">
        {VIEWS.map(([name, title]) => (
          <a href={`#/${name}`} key={name} aria-current={name === shown ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <main id="content" tabIndex={-1}>
        {shown === 'search' && (
          <SearchView status={status.value} atMs={atMs} asked={asked} round={round} onAsk={setAsked} />
        )}
        {shown === 'items' && (
          <ItemsView
            status={status.value}
            atMs={atMs}
            collection={collection === '' ? undefined : collection}
            id={id === '' ? undefined : id}
            round={round}
          />
        )}
        {shown === 'sessions' && <SessionsView activity={line} me={me} onChanged={again} />}
        {shown === 'marks' && <MarksView status={status.value} me={me} onMove={setAtMs} onChanged={again} />}
        {shown === 'health' && <HealthView returns={returns} />}
        {shown === 'maintenance' && (
          <MaintenanceView status={status.value} me={me} round={round} onChanged={again} />
        )}
        {shown === 'state' && <StateView status={status.value} />}
      </main>
    </>
  );
}

/**
 * When the server is back everything is asked anew; and where it is another version, the page itself is.
 * @returns how often it came back
 */
function useReturns(isAway: boolean, { version }: Me, again: () => void): number {
  const wasAway = useRef(false);
  const [returns, setReturns] = useState(0);
  useEffect(() => {
    if (wasAway.current && !isAway) {
      again();
      setReturns(one => one + 1);
      // What it rejects with is told of by the next that is asked.
      call('me').then(
        me => me.version !== version && location.reload(),
        () => undefined,
      );
    }
    wasAway.current = isAway;
  }, [isAway]);
  return returns;
}

const sentence = (text: string) => `${text[0]!.toUpperCase()}${visible(text.slice(1))}.`;

/** A link to it would change the view that the address names. */
function focusContent(): void {
  document.getElementById('content')!.focus();
}

async function logOut(): Promise<void> {
  await call('logout').catch(() => undefined);
  notice('You are logged out.');
}

function notice(text: string, wayOut = 'A new link: mcp-vector-server page'): void {
  render(
    <main class="notice">
      <h1>mcp-vector-server</h1>
      <p role="alert">{text}</p>
      <p class="quiet">{wayOut}</p>
    </main>,
    root,
  );
}

const root = document.getElementById('page')!;
root.textContent = '';
session.ended = () => notice('Nobody is logged in here, or no longer.');

async function start(): Promise<void> {
  try {
    const code = location.pathname === '/login' ? location.hash.slice(1) : '';
    // Before anything else: a code has no business in the history.
    if (location.pathname === '/login') history.replaceState(null, '', '/');
    const me = code === '' ? await call('me') : await call('login', { code });
    render(<App me={me} />, root);
  } catch (error) {
    const { message, wayOut, code } = asCallError(error);
    if (code !== 'UNAUTHORIZED') notice(sentence(message), wayOut);
  }
}

void start();
