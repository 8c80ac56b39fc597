import { setMaxListeners } from 'node:events';

/** What `work` is told about its place among the others. */
export interface Place {
  /** Resolves when everything before it is done; rejects if that never comes to be. */
  readonly turn: Promise<void>;
  /** Aborts with the caller's signal, and when the rest is given up. */
  readonly signal: AbortSignal;
}

/**
 * Works on all items at once and hands out the outcomes in their order. What `work` does before its turn overlaps with the
 * items before it; an item's turn comes when its outcome is handed out. The consumer awaits each outcome before it asks
 * for the next; when it stops early, the rest is aborted, and has ended before the loop is left.
 */
export async function* inOrder<T, R>(
  items: readonly T[],
  work: (item: T, place: Place) => Promise<R>,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly item: T; readonly outcome: Promise<R> }> {
  const stop = new AbortController();
  // Each item listens to it until its turn has come: that is no leak that Node should warn of.
  setMaxListeners(0, stop.signal);
  const abort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const begin = (item: T) => {
    let takeTurn = (): void => {};
    const turn = new Promise<void>((resolve, reject) => {
      takeTurn = resolve;
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
    });
    const outcome = work(item, { turn, signal: stop.signal });
    // Failures are for whoever awaits them; until then they must not end the process as unhandled.
    turn.catch(() => {});
    outcome.catch(() => {});
    return { item, outcome, takeTurn };
  };

  const begun = items.map(begin);
  try {
    for (const one of begun) {
      one.takeTurn();
      yield one;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort();
    await Promise.allSettled(begun.map(({ outcome }) => outcome));
  }
}
