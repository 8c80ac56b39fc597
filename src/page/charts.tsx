/** Charts of what the server measures of itself. */
import { useState } from 'preact/hooks';
import type { Forecast } from '../domain/capacity.js';
import type { ChartAnswer, ChartSeries, ChartSpan, Steps } from '../domain/charts.js';
import { type Capacity, call } from './api.js';
import { Chart } from './chart.js';
import type { ChartForecast } from './chart-plot.js';
import { useAnswer } from './hooks.js';
import { Failure, Section } from './parts.js';
import { bytes, count, decimal, duration } from './text.js';

const SPANS: readonly (readonly [ChartSpan, string])[] = [
  ['hour', 'the last hour'],
  ['day', 'the last day'],
  ['week', 'the last 7 days'],
  ['month', 'the last 30 days'],
  ['year', 'the last 13 months'],
];

interface Props {
  /** Another one: look again. */
  readonly round: string;
  readonly capacity: Capacity | undefined;
}

export function ChartsSection({ round, capacity }: Props) {
  const [span, setSpan] = useState<ChartSpan>('day');
  const { value, error, isLoading } = useAnswer(signal => call('charts', { span }, signal), span, { round });
  return (
    <Section title="Charts" id="charts-title">
      <div class="row">
        <label>
          Show
          <select value={span} onChange={event => setSpan(event.currentTarget.value as ChartSpan)}>
            {SPANS.map(([name, title]) => (
              <option value={name} key={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <p class="quiet grow">{value !== undefined && basisOf(value)}</p>
      </div>
      <Failure error={error} />
      <p id="chart-help" class="spoken">
        Arrow keys read a chart step by step, Page Up and Page Down ten steps at once, Home and End its ends.
      </p>
      <div class="charts" aria-busy={isLoading}>
        {value !== undefined && value.samples > 0 && <Charts answer={value} capacity={capacity} />}
      </div>
    </Section>
  );
}

function basisOf({ samples, step_ms, resolution, every_seconds }: ChartAnswer): string {
  if (samples === 0)
    return every_seconds === 0
      ? 'No samples are taken: VECTOR_SAMPLE_SECONDS is off.'
      : `There are no samples yet. The first comes ${count(every_seconds, 'second')} after the start.`;
  const what = resolution === 'hour' ? count(samples, 'hourly mean') : count(samples, 'sample');
  return `${what}. Lines are means of ${duration(step_ms)}, the shade around them reaches from the least to the greatest.`;
}

function Charts({ answer, capacity }: { answer: ChartAnswer; capacity: Capacity | undefined }) {
  const { figures } = answer;
  const of = (resource: Forecast['resource']) => capacity?.forecasts.find(one => one.resource === resource);
  const [disk, memory] = [of('disk'), of('memory')];
  return (
    <>
      <Chart
        id="latency"
        title="Response times of reads and writes, logarithmic"
        time={answer}
        division="log"
        format={milliseconds}
        lines={[
          { name: 'half are within (p50)', colour: 1, series: figures.p50_ms },
          { name: '99 of 100 are within (p99)', colour: 2, series: figures.p99_ms },
        ]}
      />
      <Chart
        id="memory"
        title="Memory"
        time={answer}
        division="even"
        format={bytes}
        lines={[
          { name: 'server and windows', colour: 4, series: figures.rss_bytes },
          { name: 'JavaScript heap', colour: 5, series: figures.heap_bytes },
        ]}
        limit={memory && { name: 'limit', value: memory.limit_bytes }}
        forecast={memory && forecastOf(memory)}
      />
      <Chart
        id="disk"
        title="Disk"
        time={answer}
        division="even"
        format={bytes}
        lines={[
          disk === undefined
            ? { name: 'free', colour: 3, series: figures.free_bytes }
            : { name: 'in use', colour: 3, series: usedOf(figures.free_bytes, disk.limit_bytes) },
          { name: 'of that this store', colour: 6, series: figures.store_bytes },
        ]}
        limit={disk && { name: 'size', value: disk.limit_bytes }}
        forecast={disk && forecastOf(disk)}
      />
      <Chart
        id="cpu"
        title="Processors"
        time={answer}
        division="even"
        least={100}
        format={percent}
        lines={[
          { name: 'everything', colour: 1, series: figures.cpu_percent },
          { name: 'this server', colour: 2, series: figures.own_cpu_percent },
        ]}
      />
      <Chart
        id="work"
        title="Calls and events a minute"
        time={answer}
        division="even"
        format={decimal}
        lines={[
          { name: 'calls', colour: 1, series: plain(answer.calls_per_minute) },
          { name: 'events written', colour: 3, series: plain(answer.events_per_minute) },
        ]}
        counts={[
          { name: 'errors', steps: answer.errors },
          { name: 'calls of over a second', steps: answer.slow },
        ]}
      />
    </>
  );
}

const milliseconds = (value: number) =>
  value >= 1000 ? `${decimal(value / 1000)} s` : `${decimal(value)} ms`;
const percent = (value: number) => `${decimal(value)} %`;

const plain = (steps: Steps): ChartSeries => ({ low: steps, mean: steps, high: steps });

/** Where most is free, least is used. */
function usedOf({ low, mean, high }: ChartSeries, sizeBytes: number): ChartSeries {
  const used = (free: Steps): Steps =>
    free.map(value => (value === null ? null : Math.max(0, sizeBytes - value)));
  return { low: used(high), mean: used(mean), high: used(low) };
}

function forecastOf({ bytes_per_day: perDay, full_at }: Forecast): ChartForecast | undefined {
  if (perDay === undefined) return undefined;
  return { perDay, fullMs: full_at === undefined ? undefined : Date.parse(full_at) };
}
