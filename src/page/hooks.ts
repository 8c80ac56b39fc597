import { useEffect, useState } from 'preact/hooks';
import { CallError } from './api.js';

export interface Loaded<T> {
  /** Of the last question that was answered, also while the next one is asked. */
  readonly value: T | undefined;
  readonly error: CallError | undefined;
  readonly isLoading: boolean;
}

/**
 * What a question answers. A new one, told by `key`, waits for quiet and ends the one before it; an answer is never shown for a
 * question that is no longer the last.
 * @param quietMs how long nothing may change before it is asked
 */
export function useAnswer<T>(
  ask: ((signal: AbortSignal) => Promise<T>) | undefined,
  key: unknown,
  quietMs = 0,
): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ value: undefined, error: undefined, isLoading: false });
  useEffect(() => {
    if (ask === undefined) {
      setLoaded({ value: undefined, error: undefined, isLoading: false });
      return undefined;
    }
    const ending = new AbortController();
    setLoaded(before => ({ ...before, isLoading: true }));
    const timer = setTimeout(() => {
      ask(ending.signal).then(
        value => {
          if (!ending.signal.aborted) setLoaded({ value, error: undefined, isLoading: false });
        },
        (error: unknown) => {
          if (!ending.signal.aborted)
            setLoaded({ value: undefined, error: asCallError(error), isLoading: false });
        },
      );
    }, quietMs);
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [key]);
  return loaded;
}

export const asCallError = (error: unknown): CallError =>
  error instanceof CallError ? error : new CallError('INTERNAL', String(error), '');
