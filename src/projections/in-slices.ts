/** What was asked for when a store was opened comes first: work that can wait begins after this long. */
const AFTER_MS = 250;
/** It goes on for this long, then the event loop gets its turn. */
const SLICE_MS = 3;
const PAUSE_MS = 1;

/**
 * Does in the background what an opening left for later, without keeping the process alive.
 * @param step works until a time as performance.now tells it; true when all is done
 * @returns ends it
 */
export function inSlices(step: (untilMs: number) => boolean): () => void {
  let timer: NodeJS.Timeout;
  const goOnIn = (ms: number) => {
    timer = setTimeout(() => {
      if (!step(performance.now() + SLICE_MS)) goOnIn(PAUSE_MS);
    }, ms).unref();
  };
  goOnIn(AFTER_MS);
  return () => clearTimeout(timer);
}
