/** When something is full, at the rate of the last month: pure. */

import type { Forecast } from '../domain/capacity.js';
import type { StatusAnswer } from '../domain/face.js';
import type { GrowthPoint, Sample } from '../domain/health.js';
import type { DiskUse } from './machine.js';
import { slopeOf } from './slope.js';
import { amount } from './wording.js';

const DAY_MS = 86_400_000;
/** Less history than a week says nothing of a month: weekends alone would mislead. */
export const MIN_HISTORY_DAYS = 7;
/** Beyond ten years a date is no help to anybody. */
const MAX_DAYS = 3650;

/** What the log says of the last month, a day. */
export interface Trend {
  /** How much of the month there is. */
  readonly historyDays: number;
  readonly itemsPerDay: number;
  readonly logBytesPerDay: number;
  /** Of the whole log, by the same estimate. */
  readonly logBytes: number;
}

/** @param historyDays how long before the end the log begins, at most a month */
export function trendOf(start: GrowthPoint, end: GrowthPoint, historyDays: number): Trend {
  const days = Math.max(historyDays, 1e-6);
  return {
    historyDays,
    itemsPerDay: (end.items - start.items) / days,
    logBytesPerDay: (end.log_bytes - start.log_bytes) / days,
    logBytes: end.log_bytes,
  };
}

interface Asked {
  readonly nowMs: number;
  /** Hourly means of the last month, oldest first. */
  readonly hours: readonly Sample[];
  readonly trend: Trend | undefined;
  readonly status: StatusAnswer;
}

export function diskForecast({ nowMs, hours, trend, status, disk }: Asked & { disk: DiskUse }): Forecast {
  const base = {
    resource: 'disk',
    used_bytes: disk.totalBytes - disk.freeBytes,
    limit_bytes: disk.totalBytes,
  } as const;
  const sampled = growthPerDay(hours, ({ store_bytes }) => store_bytes);
  if (sampled !== undefined)
    return full(base, disk.freeBytes, nowMs, {
      ...sampled,
      basis: 'samples',
      note: 'by what this store grew in the samples; what else fills the disk is not foreseen',
    });
  if (trend === undefined || trend.historyDays < MIN_HISTORY_DAYS) return tooShort(base, trend, hours);
  // Indexes and checkpoints grow with the log.
  const share = trend.logBytes > 0 ? Math.max(1, status.disk.store_bytes / trend.logBytes) : 1;
  return full(base, disk.freeBytes, nowMs, {
    perDay: trend.logBytesPerDay * share,
    days: trend.historyDays,
    basis: 'log',
    note: 'by what was written to the log, and the store’s files in proportion; what else fills the disk is not foreseen',
  });
}

export function memoryForecast({
  nowMs,
  hours,
  trend,
  status,
  memoryBytes,
}: Asked & { memoryBytes: number }): Forecast {
  const used = hours.at(-1)?.rss_bytes ?? status.memory.rss_bytes;
  const base = { resource: 'memory', used_bytes: used, limit_bytes: memoryBytes } as const;
  const free = Math.max(0, memoryBytes - used);
  const sampled = growthPerDay(hours, ({ rss_bytes }) => rss_bytes);
  if (sampled !== undefined)
    return full(base, free, nowMs, {
      ...sampled,
      basis: 'samples',
      note: 'by the memory of all windows in the samples',
    });
  if (trend === undefined || trend.historyDays < MIN_HISTORY_DAYS) return tooShort(base, trend, hours);
  const items = status.collections.reduce((sum, collection) => sum + collection.items, 0);
  const bytesPerItem = items === 0 ? 0 : status.memory.vectors_bytes / items;
  return full(base, free, nowMs, {
    perDay: trend.itemsPerDay * bytesPerItem,
    days: trend.historyDays,
    basis: 'log',
    note: `by the items of the log, and ${amount(bytesPerItem)} of vectors an item: a lower bound, until there are samples of a week`,
  });
}

type Base = Pick<Forecast, 'resource' | 'used_bytes' | 'limit_bytes'>;

function tooShort(base: Base, trend: Trend | undefined, hours: readonly Sample[]): Forecast {
  const days = Math.round((trend?.historyDays ?? 0) * 10) / 10;
  const sampled = Math.round((spanDays(hours) ?? 0) * 10) / 10;
  return {
    ...base,
    history_days: days,
    basis: 'none',
    note: `no forecast: it takes ${MIN_HISTORY_DAYS} days of history, and there are ${days} of the log and ${sampled} of samples`,
  };
}

function full(
  base: Base,
  freeBytes: number,
  nowMs: number,
  { perDay, days, basis, note }: { perDay: number; days: number; basis: 'log' | 'samples'; note: string },
): Forecast {
  const inDays = perDay > 0 ? freeBytes / perDay : Number.POSITIVE_INFINITY;
  const history = Math.round(days * 10) / 10;
  const told = { ...base, bytes_per_day: Math.round(perDay), history_days: history, basis };
  if (perDay <= 0) return { ...told, note: `it does not grow; ${note}` };
  if (inDays > MAX_DAYS) return { ...told, note: `not within ten years; ${note}` };
  return {
    ...told,
    full_at: new Date(nowMs + inDays * DAY_MS).toISOString(),
    full_in_days: Math.round(inDays * 10) / 10,
    note,
  };
}

const spanDays = (hours: readonly Sample[]): number | undefined =>
  hours.length < 2 ? undefined : (Date.parse(hours.at(-1)!.time) - Date.parse(hours[0]!.time)) / DAY_MS;

/** A day that has samples counts, a day without them does not: a server that ran on two days of a week has two days of history. */
const MIN_SAMPLED_DAYS = 5;

/** Bytes a day by ordinary least squares; undefined of less than a week, or of less than five days with samples in it. */
export function growthPerDay(
  hours: readonly Sample[],
  figure: (sample: Sample) => number,
): { readonly perDay: number; readonly days: number } | undefined {
  const days = spanDays(hours);
  if (days === undefined || days < MIN_HISTORY_DAYS) return undefined;
  const xs = hours.map(({ time }) => Date.parse(time) / DAY_MS);
  if (new Set(xs.map(Math.floor)).size < MIN_SAMPLED_DAYS) return undefined;
  return { perDay: slopeOf(hours.map(figure), xs).per_step, days };
}
