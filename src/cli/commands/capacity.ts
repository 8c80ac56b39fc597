import type { CapacityAnswer, Forecast, Growth } from '../../domain/capacity.js';
import { thisMachine } from '../../ops/machine.js';
import type { Call } from '../command.js';
import { configOf, contextOf, reachConfigured } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { ownHistory } from '../own-history.js';
import { columns, count, grouped, oneLine, say, sayJson, size } from '../printing.js';

/** `capacity`: growth, forecast and advice. */
export default async function capacity(call: Call): Promise<number> {
  const config = configOf(call);
  const context = contextOf('capacity');
  const reached = await reachConfigured(config, false);
  let answer: CapacityAnswer;
  if ('engine' in reached)
    try {
      answer = await reached.engine.capacity({}, context);
    } finally {
      await reached.engine.close();
    }
  else
    try {
      const { capacityOf } = await import('../../ops/capacity.js');
      const history = ownHistory(config);
      const source = { engine: reached.own, config, machine: thisMachine, clock: Date.now, history };
      answer = await capacityOf(source, {}, context);
    } finally {
      await reached.own.close();
    }
  if (call.has('json')) sayJson(answer);
  else for (const line of capacityLines(answer)) say(line);
  return EXIT.ok;
}

function capacityLines(answer: CapacityAnswer): string[] {
  const { first, events, items, dead_versions: dead, store_bytes: bytes, latency } = answer;
  const since = first === undefined ? '' : `, since ${first.slice(0, 10)}`;
  return [
    `store ${oneLine(answer.store, 100)}: ${count(events, 'event')}, ${count(items, 'item')}, ${count(dead, 'dead version')}, ${size(bytes)}${since}`,
    '',
    ...growthLines(answer),
    ...(latency === undefined
      ? []
      : [
          '',
          `memory ${size(latency.then_rss_bytes)} then, ${size(latency.now_rss_bytes)} now; calls p95 ${milliseconds(latency.then_p95_ms)} then, ${milliseconds(latency.now_p95_ms)} now (then: ${latency.since.slice(0, 10)})`,
        ]),
    '',
    ...answer.forecasts.flatMap(forecastLines),
    '',
    ...answer.advice.map(({ text }) => `→ ${text}`),
  ];
}

const milliseconds = (ms: number | undefined) => (ms === undefined ? 'not known' : `${ms} ms`);

function growthLines({ days, weeks, months }: CapacityAnswer): string[] {
  const rows = (name: string, spans: readonly Growth[]) =>
    spans.map(({ from, events, items, log_bytes: bytes }, n) => [
      `${name} ${from.slice(0, name === 'month' ? 7 : 10)}${n === spans.length - 1 ? ' (so far)' : ''}`,
      grouped(events),
      signed(items, grouped),
      signed(bytes, size),
    ]);
  return columns([
    ['', 'events', 'items', 'log, about'],
    ...rows('month', months),
    ...rows('week', weeks),
    ...rows('day', days),
  ]);
}

const signed = (value: number, written: (value: number) => string) =>
  value < 0 ? `-${written(-value)}` : written(value);

function forecastLines(forecast: Forecast): string[] {
  const { resource, used_bytes: used, limit_bytes: limit, bytes_per_day: perDay, full_at: at } = forecast;
  const rate = perDay === undefined ? '' : `, ${signed(perDay, size)} a day`;
  const when = at === undefined ? '' : `; full on ${at.slice(0, 10)}, in ${forecast.full_in_days} days`;
  const rests = forecast.basis === 'none' ? '' : ` (rests on ${forecast.history_days} days)`;
  return [
    `${resource}: ${size(used)} of ${size(limit)} used${rate}${when}${rests}`,
    `  ${oneLine(forecast.note, 300)}`,
  ];
}
