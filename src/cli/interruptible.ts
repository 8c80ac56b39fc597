import type { CallContext } from '../domain/face.js';
import { ProgressLine } from './progress-line.js';

/** Does long work with its progress on stderr; Ctrl-C cancels it, and what it answers then is its own to say. @param unit what is counted, in the plural */
export async function interruptible<T>(
  unit: string,
  work: (context: Required<Pick<CallContext, 'signal' | 'onProgress'>>) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const onInterrupt = () => abort.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  const progress = new ProgressLine(process.stderr, { unit });
  try {
    return await work({ signal: abort.signal, onProgress: step => progress.show(step) });
  } finally {
    progress.end();
    process.removeListener('SIGINT', onInterrupt);
    process.removeListener('SIGTERM', onInterrupt);
  }
}
