/** The series of a time line as it is drawn: the busiest by name, the others together. */
import type { ActivityAnswer } from '../domain/activity.js';
import { visible } from './text.js';

/** How many series have a colour of their own: --series-1 to --series-6 of page.css, and --series-0 for the others. */
export const COLOURS = 6;

export interface DrawnSeries {
  readonly name: string;
  readonly events: number;
  /** Of the colour: 1 to COLOURS, 0 for the others. */
  readonly colour: number;
}

export interface DrawnStep {
  readonly atMs: number;
  readonly lastSeq: number;
  /** Events by number in the list of series. */
  readonly events: readonly number[];
  readonly total: number;
}

export interface Drawing {
  readonly series: readonly DrawnSeries[];
  readonly steps: readonly DrawnStep[];
  /** Events of the highest step. */
  readonly highest: number;
}

export function drawingOf(activity: ActivityAnswer): Drawing {
  const totals = activity.series.map(() => 0);
  for (const { counts } of activity.steps) for (const [series, events] of counts) totals[series]! += events;
  const order = totals.map((_, index) => index).sort((a, b) => totals[b]! - totals[a]!);
  const named = order.slice(0, order.length > COLOURS ? COLOURS : order.length);
  const rest = order.slice(named.length);
  const series: DrawnSeries[] = named.map((index, at) => {
    const { client, tool } = activity.series[index]!;
    const name = client === '' ? 'unknown' : `${visible(client)} · ${visible(tool)}`;
    return { name, events: totals[index]!, colour: at + 1 };
  });
  if (rest.length > 0)
    series.push({ name: 'others', events: rest.reduce((sum, index) => sum + totals[index]!, 0), colour: 0 });
  const placeOf = new Map(named.map((index, at) => [index, at]));
  let highest = 0;
  const steps = activity.steps.map(({ at_ms, last_seq, counts }) => {
    const events = series.map(() => 0);
    let total = 0;
    for (const [index, count] of counts) {
      events[placeOf.get(index) ?? named.length]! += count;
      total += count;
    }
    highest = Math.max(highest, total);
    return { atMs: at_ms, lastSeq: last_seq, events, total };
  });
  return { series, steps, highest };
}

/** The last step that begins at or before a moment; -1 for none. */
export function stepAt(steps: readonly DrawnStep[], ms: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (steps[middle]!.atMs <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
