/** Where everything of a chart stands: its scale, its time, and how far ahead it goes. */
import type { ChartSeries, Steps } from '../domain/charts.js';
import { type Division, type Scale, scaleFor } from './chart-scale.js';

export interface ChartLine {
  readonly name: string;
  /** Of --series-1 to --series-6; the second line of a chart is dashed as well. */
  readonly colour: number;
  readonly series: ChartSeries;
}

export interface ChartTime {
  readonly from_ms: number;
  readonly step_ms: number;
  readonly to_ms: number;
}

/** How the first line is thought to go on. */
export interface ChartForecast {
  readonly perDay: number;
  readonly fullMs: number | undefined;
}

export interface ChartProps {
  readonly id: string;
  readonly title: string;
  readonly time: ChartTime;
  readonly lines: readonly ChartLine[];
  readonly division: Division;
  /** The least that the scale has room for. Default 0. */
  readonly least?: number;
  format(value: number): string;
  readonly limit?: { readonly name: string; readonly value: number } | undefined;
  readonly forecast?: ChartForecast | undefined;
  /** Further columns of the table. */
  readonly counts?: readonly { readonly name: string; readonly steps: Steps }[];
}

export const HEIGHT = 180;
export const PAD = { left: 68, right: 8, top: 12, bottom: 22 } as const;
const DAY_MS = 86_400_000;
/** How much of the span is drawn ahead. */
const AHEAD = 1 / 3;
/** A limit so far above everything else is named and not drawn: beside it nothing could be told apart. */
const LIMIT_SHARE = 0.2;

export interface Plot {
  readonly scale: Scale;
  readonly toMs: number;
  readonly hasLimit: boolean;
  /** The end of the forecast that is drawn. */
  readonly ahead: { readonly atMs: number; readonly value: number } | undefined;
  x(ms: number): number;
  y(value: number): number;
  timeAt(x: number): number;
}

export function plotOf({ time, lines, division, least, limit, forecast }: ChartProps, width: number): Plot {
  const aheadMs = forecast === undefined ? 0 : (time.to_ms - time.from_ms) * AHEAD;
  const toMs = time.to_ms + aheadMs;
  const ahead = forecast && aheadOf(lines[0]!, forecast, time.to_ms, toMs, limit?.value);
  const values = lines.flatMap(({ series }) => series.high.filter(value => value !== null));
  const all = ahead === undefined ? values : [...values, ahead.value];
  const hasLimit = limit !== undefined && Math.max(0, ...all) >= limit.value * LIMIT_SHARE;
  const scale = scaleFor(division, hasLimit ? [...all, limit.value] : all, least);
  const [innerWidth, innerHeight] = [
    Math.max(1, width - PAD.left - PAD.right),
    HEIGHT - PAD.top - PAD.bottom,
  ];
  return {
    ...{ scale, toMs, hasLimit, ahead },
    x: ms => PAD.left + ((ms - time.from_ms) / (toMs - time.from_ms)) * innerWidth,
    y: value => PAD.top + (1 - scale.place(value)) * innerHeight,
    timeAt: x => time.from_ms + ((x - PAD.left) / innerWidth) * (toMs - time.from_ms),
  };
}

/** On from the last value at the rate, until the end of the chart or the limit. */
function aheadOf(
  { series }: ChartLine,
  { perDay, fullMs }: ChartForecast,
  nowMs: number,
  toMs: number,
  limit: number | undefined,
): Plot['ahead'] {
  const value = series.mean.findLast(one => one !== null);
  if (value === undefined || value === null) return undefined;
  if (fullMs !== undefined && fullMs <= toMs && limit !== undefined) return { atMs: fullMs, value: limit };
  return { atMs: toMs, value: Math.max(0, value + (perDay * (toMs - nowMs)) / DAY_MS) };
}

/** `12 ms`, or with the least and the greatest where they differ. */
export function valueText(
  { low, mean, high }: ChartSeries,
  step: number,
  format: (value: number) => string,
): string {
  const value = mean[step] ?? null;
  if (value === null) return 'no sample';
  const [least, most] = [format(low[step]!), format(high[step]!)];
  return least === most ? format(value) : `${format(value)} (${least} to ${most})`;
}
