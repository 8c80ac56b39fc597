/** How a store grew by its own log, and, by that and by samples, when the machine will be too small for it. */
import { basename } from 'node:path';
import type { Config } from '../config.js';
import type { Advice, CapacityAnswer, CapacityQuery, Forecast, Growth } from '../domain/capacity.js';
import type { CallContext, Engine, StatusAnswer } from '../domain/face.js';
import type { GrowthPoint, Sample } from '../domain/health.js';
import { adviceOn } from './capacity-advice.js';
import { diskForecast, memoryForecast, type Trend, trendOf } from './forecast.js';
import type { Machine } from './machine.js';
import type { SampleHistory } from './sample-history.js';

export interface CapacitySource {
  readonly engine: Engine;
  readonly config: Pick<Config, 'storePath' | 'keepHistory' | 'embedder'>;
  readonly machine: Machine;
  readonly clock: () => number;
  readonly history: SampleHistory;
}

const DAY_MS = 86_400_000;
const DAYS = 7;
const WEEKS = 8;
const MONTHS = 12;
/** What rates and forecasts rest on at most. */
export const RATE_DAYS = 30;

export async function capacityOf(
  source: CapacitySource,
  _query: CapacityQuery,
  context: CallContext,
): Promise<CapacityAnswer> {
  const { engine, config, machine, clock, history } = source;
  const nowMs = clock();
  const status = await engine.status({}, context);
  // A clock that was set back does not hide what was written before.
  const endMs = Math.max(nowMs, Date.parse(status.head.time)) + 1;
  const starts = spanStarts(nowMs);
  const rateMs = nowMs - RATE_DAYS * DAY_MS;
  const times = [...new Set([...starts.days, ...starts.weeks, ...starts.months, rateMs, endMs])].sort(
    (a, b) => a - b,
  );
  const { first, points } = await engine.growth({ times_ms: times }, context);
  const at = new Map(points.map((point, n) => [times[n]!, point]));
  const firstMs = first === undefined ? undefined : Date.parse(first);
  const spans = (from: readonly number[]) => growthsOf(from, endMs, firstMs, at);
  const hours = history.read('hour', rateMs);
  const disk = await machine.disk(config.storePath);
  const end = at.get(endMs);
  const trend: Trend | undefined =
    firstMs === undefined || end === undefined
      ? undefined
      : trendOf(at.get(rateMs) ?? NOTHING, end, Math.min(RATE_DAYS, (nowMs - firstMs) / DAY_MS));
  const forecasts: Forecast[] = [
    diskForecast({ nowMs, hours, trend, status, disk }),
    memoryForecast({ nowMs, hours, trend, status, memoryBytes: machine.memoryBytes() }),
  ];
  const items = itemsOf(status);
  const latency = latencyOf(hours);
  const facts = {
    time: new Date(nowMs).toISOString(),
    store: basename(config.storePath),
    ...(first !== undefined && { first }),
    events: status.head.seq,
    items,
    dead_versions: Math.max(0, (end?.versions ?? items) - items),
    store_bytes: status.disk.store_bytes,
    days: spans(starts.days),
    weeks: spans(starts.weeks),
    months: spans(starts.months),
    ...(latency && { latency }),
    forecasts,
  };
  const advice: Advice[] = adviceOn(facts, {
    memoryPercent: hours.at(-1)?.memory_percent,
    keepsHistory: config.keepHistory === undefined,
    provider: config.embedder.provider,
  });
  return { ...facts, advice };
}

const NOTHING: GrowthPoint = { time: '', seq: 0, items: 0, versions: 0, log_bytes: 0 };

const itemsOf = ({ collections }: StatusAnswer) => collections.reduce((sum, { items }) => sum + items, 0);

/** Starts of spans in UTC, ascending; the last one of each goes on now. Weeks begin on Monday (ISO 8601). */
export function spanStarts(nowMs: number): { days: number[]; weeks: number[]; months: number[] } {
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  const monday = day - ((now.getUTCDay() + 6) % 7);
  const back = (length: number, start: (n: number) => number) =>
    Array.from({ length }, (_, n) => start(length - 1 - n));
  return {
    days: back(DAYS, n => Date.UTC(year, month, day - n)),
    weeks: back(WEEKS, n => Date.UTC(year, month, monday - 7 * n)),
    months: back(MONTHS, n => Date.UTC(year, month - n, 1)),
  };
}

function growthsOf(
  starts: readonly number[],
  endMs: number,
  firstMs: number | undefined,
  at: ReadonlyMap<number, GrowthPoint>,
): Growth[] {
  if (firstMs === undefined) return [];
  return starts.flatMap((start, n) => {
    const end = starts[n + 1] ?? endMs;
    const [before, after] = [at.get(start), at.get(end)];
    if (before === undefined || after === undefined || end <= firstMs) return [];
    return [
      {
        from: new Date(start).toISOString(),
        to: new Date(end === endMs ? endMs - 1 : end).toISOString(),
        events: after.seq - before.seq,
        items: after.items - before.items,
        log_bytes: after.log_bytes - before.log_bytes,
      },
    ];
  });
}

/** The first day of the last month that there are samples of, beside the last one. */
function latencyOf(hours: readonly Sample[]): CapacityAnswer['latency'] {
  const [oldest] = hours;
  const newest = hours.at(-1);
  if (oldest === undefined || newest === undefined) return undefined;
  const within = (fromMs: number) =>
    hours.filter(({ time }) => Date.parse(time) >= fromMs && Date.parse(time) < fromMs + DAY_MS);
  const then = within(Date.parse(oldest.time));
  const now = within(Date.parse(newest.time) - DAY_MS + 1);
  const mean = (values: readonly number[]) =>
    values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
  const p95 = (samples: readonly Sample[]) =>
    mean(samples.flatMap(({ latency_ms }) => (latency_ms === undefined ? [] : [latency_ms.p95])));
  const rss = (samples: readonly Sample[]) =>
    Math.round(mean(samples.map(({ rss_bytes }) => rss_bytes)) ?? 0);
  const [thenP95, nowP95] = [p95(then), p95(now)];
  return {
    since: oldest.time,
    ...(thenP95 !== undefined && { then_p95_ms: Math.round(thenP95 * 100) / 100 }),
    ...(nowP95 !== undefined && { now_p95_ms: Math.round(nowP95 * 100) / 100 }),
    then_rss_bytes: rss(then),
    now_rss_bytes: rss(now),
  };
}
