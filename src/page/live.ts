/** News of the log while the page is looked at: one long poll at a time, which stands until something was written or for a while as a sign of life. */
import { useEffect, useState } from 'preact/hooks';
import { CallError, type Changes, call } from './api.js';
import { asCallError } from './hooks.js';

/** One poll stands this long, in ms; where nothing is heard for so long and a bit more, the server is away. */
const WAIT_MS = 25_000;
const LATE_MS = 10_000;
/** From one refresh to the next, in ms: what a bulk load writes meanwhile comes in one. */
const PAUSE_MS = 1_000;
/** After a failure, in ms, doubled each time, and each a little shorter by chance: many pages do not come back at once. */
const RETRY_MS = { first: 500, most: 10_000 };

/**
 * Follows the log from an event on.
 * @param head the last event that the page knows; undefined while it knows none
 * @param onChange something was written, or the page was not looked at for a while: called once a second at most
 * @returns why nothing is heard of the server; undefined while it answers
 */
export function useLive(head: number | undefined, onChange: () => void): CallError | undefined {
  const [away, setAway] = useState<CallError>();
  const isKnown = head !== undefined;
  useEffect(() => {
    if (!isKnown) return undefined;
    const ending = new AbortController();
    void follow(head, ending.signal, onChange, setAway);
    return () => ending.abort();
  }, [isKnown, onChange]);
  return away;
}

async function follow(
  head: number,
  signal: AbortSignal,
  onChange: () => void,
  setAway: (error: CallError | undefined) => void,
): Promise<void> {
  let last: Pick<Changes, 'head'> & Partial<Changes> = { head };
  let retryMs = 0;
  while (!signal.aborted) {
    if (document.visibilityState !== 'visible') {
      await untilSeen(signal);
      if (signal.aborted) return;
      onChange();
    }
    try {
      // The first sign of life is not waited for.
      const answer = await poll(retryMs > 0 ? {} : { after: last.head, wait_ms: WAIT_MS }, signal);
      retryMs = 0;
      setAway(undefined);
      const isCut = last.epoch !== undefined && last.epoch !== answer.epoch;
      const isNew = isCut || answer.head !== last.head;
      last = answer;
      if (!isNew) continue;
      onChange();
      await sleep(PAUSE_MS, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      // Ended since nobody looks.
      if (thrown instanceof DOMException) continue;
      const error = asCallError(thrown);
      if (error.code === 'UNAUTHORIZED') return;
      setAway(error);
      retryMs = Math.min(Math.max(RETRY_MS.first, 2 * retryMs), RETRY_MS.most);
      await sleep(retryMs * (0.75 + Math.random() / 4), signal);
    }
  }
}

/** @throws CallError; DOMException where the page is no longer looked at */
async function poll(query: object, signal: AbortSignal): Promise<Changes> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const hidden = () => document.visibilityState !== 'visible' && end();
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    end();
  }, WAIT_MS + LATE_MS);
  signal.addEventListener('abort', end);
  document.addEventListener('visibilitychange', hidden);
  try {
    return await call('changes', query, ending.signal);
  } catch (error) {
    if (isLate) throw new CallError('UNREACHABLE', 'the server does not answer', '');
    throw error;
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', end);
    document.removeEventListener('visibilitychange', hidden);
  }
}

function untilSeen(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      if (document.visibilityState !== 'visible' && !signal.aborted) return;
      document.removeEventListener('visibilitychange', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    document.addEventListener('visibilitychange', done);
    signal.addEventListener('abort', done);
  });
}

/** Ends early where the network is back, or the signal says so. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}
