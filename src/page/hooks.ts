import { useEffect, useRef, useState } from 'preact/hooks';
import { CallError } from './api.js';

export interface Loaded<T> {
  /** Of the last question that was answered, also while the next one is asked. */
  readonly value: T | undefined;
  readonly error: CallError | undefined;
  /** Another question is asked; not while the same one is asked again. */
  readonly isLoading: boolean;
}

export interface Asking {
  /** How long nothing may change before it is asked, in ms. Default 0. */
  readonly quietMs?: number;
  /** The same question is asked again where this changes: what was answered stays until then, also where the server is away. */
  readonly round?: unknown;
}

/**
 * What a question answers. A new one, told by `key`, waits for quiet and ends the one before it; an answer is never shown for a
 * question that is no longer the last.
 */
export function useAnswer<T>(
  ask: ((signal: AbortSignal) => Promise<T>) | undefined,
  key: unknown,
  { quietMs = 0, round }: Asking = {},
): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ value: undefined, error: undefined, isLoading: false });
  const latest = useRef(ask);
  latest.current = ask;
  const again = useRef<(() => void) | undefined>(undefined);
  useEffect(() => {
    if (ask === undefined) {
      setLoaded({ value: undefined, error: undefined, isLoading: false });
      return undefined;
    }
    const ending = new AbortController();
    let isAnswered = false;
    let state: 'waiting' | 'asking' | 'stale' | 'idle' = 'waiting';
    const settle = (next: Loaded<T> | undefined) => {
      if (ending.signal.aborted) return;
      if (next !== undefined) {
        isAnswered = next.error === undefined;
        setLoaded(next);
      }
      const isStale = state === 'stale';
      state = 'idle';
      if (isStale) go();
    };
    const go = () => {
      state = 'asking';
      latest.current!(ending.signal).then(
        value => settle({ value, error: undefined, isLoading: false }),
        (failure: unknown) => {
          const error = asCallError(failure);
          settle(isAnswered && error.isAway ? undefined : { value: undefined, error, isLoading: false });
        },
      );
    };
    // One that is under way is not given up: where much is written, none would ever come to its end.
    again.current = () => {
      if (state === 'idle') go();
      else if (state === 'asking') state = 'stale';
    };
    setLoaded(before => ({ ...before, isLoading: true }));
    const timer = setTimeout(go, quietMs);
    return () => {
      clearTimeout(timer);
      ending.abort();
      again.current = undefined;
    };
  }, [key]);
  const asked = useRef(round);
  useEffect(() => {
    if (asked.current === round) return;
    asked.current = round;
    again.current?.();
  }, [round]);
  return loaded;
}

export const asCallError = (error: unknown): CallError =>
  error instanceof CallError ? error : new CallError('INTERNAL', String(error), '');

/** A number that grows every so many ms while somebody looks. */
export function useTick(everyMs: number): number {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(
      () => document.visibilityState === 'visible' && setTick(one => one + 1),
      everyMs,
    );
    return () => clearInterval(timer);
  }, [everyMs]);
  return tick;
}

/** A value as it was when something began to hold it. */
export function useHeld<T>(value: T, isHeld: boolean): T {
  const held = useRef(value);
  if (!isHeld) held.current = value;
  return held.current;
}
