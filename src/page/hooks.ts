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
  const answered = useRef<unknown>(NOTHING);
  useEffect(() => {
    if (ask === undefined) {
      answered.current = NOTHING;
      setLoaded({ value: undefined, error: undefined, isLoading: false });
      return undefined;
    }
    const isAgain = answered.current === key;
    const ending = new AbortController();
    if (!isAgain) setLoaded(before => ({ ...before, isLoading: true }));
    const timer = setTimeout(
      () => {
        ask(ending.signal).then(
          value => {
            if (ending.signal.aborted) return;
            answered.current = key;
            setLoaded({ value, error: undefined, isLoading: false });
          },
          (failure: unknown) => {
            if (ending.signal.aborted) return;
            const error = asCallError(failure);
            if (isAgain && error.isAway) return;
            answered.current = NOTHING;
            setLoaded({ value: undefined, error, isLoading: false });
          },
        );
      },
      isAgain ? 0 : quietMs,
    );
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [key, round]);
  return loaded;
}

/** No question that could be asked. */
const NOTHING = Symbol('nothing');

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
