/** The hour that is left out in the night in which clocks are set forward, in the machine's zone. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Of a yearly expression: beyond it nobody looks. */
const MAX_DAYS = 400;

/** A change of the clock: from one wall time to a later one, in an instant. */
export interface ClockChange {
  /** The instant, ms. */
  readonly atMs: number;
  /** Wall times that are left out, as if they were UTC, ms. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Wall time minus UTC. */
const offsetMs = (timeMs: number): number => -new Date(timeMs).getTimezoneOffset() * MINUTE_MS;

/** Changes of the clock forward after one time and until another. */
export function* clockChanges(afterMs: number, untilMs: number): Generator<ClockChange> {
  const endMs = Math.min(untilMs, afterMs + MAX_DAYS * DAY_MS);
  for (let fromMs = afterMs; fromMs < endMs; fromMs += DAY_MS) {
    let [low, high] = [fromMs, Math.min(fromMs + DAY_MS, endMs)];
    const before = offsetMs(low);
    if (offsetMs(high) <= before) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetMs(middle) > before) high = middle;
      else low = middle;
    }
    yield { atMs: high, fromMs: high + before, toMs: high + offsetMs(high) };
  }
}

/** Minutes of the wall that a change leaves out, as if they were UTC, in ms. */
export function* minutesLeftOut({ fromMs, toMs }: ClockChange): Generator<number> {
  for (let wallMs = fromMs; wallMs < toMs; wallMs += MINUTE_MS) yield wallMs;
}
