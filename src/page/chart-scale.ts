/** Where values stand in a chart, and which of them are named beside it. */

export interface Scale {
  /** Values that have a line and a name, ascending. */
  readonly ticks: readonly number[];
  /** From 0, at the bottom, to 1. */
  place(value: number): number;
}

/** How values are divided: evenly from 0, or by powers of ten. */
export type Division = 'even' | 'log';

const TICKS = 4;

/** A scale that has room for values from 0 (of `log` from the least) to the greatest. @param values all that is drawn */
export function scaleFor(division: Division, values: readonly number[], least = 0): Scale {
  const top = Math.max(least, ...values);
  if (division === 'log') return logScale(values.filter(value => value > 0));
  const step = niceStep(top / TICKS);
  const count = Math.max(1, Math.ceil(top / step));
  const highest = step * count;
  return {
    ticks: Array.from({ length: count + 1 }, (_, n) => n * step),
    place: value => Math.min(1, Math.max(0, value / highest)),
  };
}

/** 1, 2 or 5 of a power of ten. */
function niceStep(rough: number): number {
  if (!(rough > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find(one => one * power >= rough) ?? 10) * power;
}

function logScale(values: readonly number[]): Scale {
  const from = Math.floor(Math.log10(values.length === 0 ? 0.1 : Math.min(...values)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(values.length === 0 ? 10 : Math.max(...values))));
  return {
    ticks: Array.from({ length: to - from + 1 }, (_, n) => 10 ** (from + n)),
    place: value => (value <= 0 ? 0 : Math.min(1, Math.max(0, (Math.log10(value) - from) / (to - from)))),
  };
}
