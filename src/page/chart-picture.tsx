/** What of a chart is drawn, as SVG. */
import type { ChartSeries, Steps } from '../domain/charts.js';
import { type ChartProps, HEIGHT, PAD, type Plot } from './chart-plot.js';
import { date } from './text.js';
import { timeLabels } from './time-axis.js';

/** Steps without samples that a line goes on over: one comes a little late at times. */
const BRIDGED = 2;

export const lineClass = (colour: number, index: number) =>
  `line stroke-${colour}${index > 0 ? ' dashed' : ''}`;

export function Picture({
  time,
  lines,
  format,
  limit,
  forecast,
  plot,
  width,
  cursor,
}: ChartProps & { plot: Plot; width: number; cursor: number | undefined }) {
  const { scale, x, y, ahead } = plot;
  const floor = HEIGHT - PAD.bottom;
  const middle = (step: number) => x(Math.min(time.from_ms + (step + 0.5) * time.step_ms, time.to_ms));
  const now = x(time.to_ms);
  return (
    <svg width={width} height={HEIGHT} aria-hidden="true">
      {forecast !== undefined && (
        <rect
          class="future"
          x={now}
          y={PAD.top}
          width={Math.max(0, width - PAD.right - now)}
          height={floor - PAD.top}
        />
      )}
      {scale.ticks.map(tick => (
        <g key={tick}>
          <line class="grid" x1={PAD.left} x2={width - PAD.right} y1={y(tick)} y2={y(tick)} />
          <text x={PAD.left - 6} y={y(tick)} dy="0.32em" text-anchor="end">
            {format(tick)}
          </text>
        </g>
      ))}
      {timeLabels(time.from_ms, plot.toMs, width - PAD.left).map(({ atMs, text }) => (
        <text key={atMs} x={x(atMs)} y={HEIGHT - 6}>
          {text}
        </text>
      ))}
      {plot.hasLimit && (
        <line class="limit" x1={PAD.left} x2={width - PAD.right} y1={y(limit!.value)} y2={y(limit!.value)} />
      )}
      {lines.map(({ series, colour, name }, n) => (
        <g key={name}>
          {runsOf(series.mean).map(([from, to]) => (
            <g key={from}>
              <path class={`band fill-${colour}`} d={bandPath(series, from, to, middle, y)} />
              <path class={lineClass(colour, n)} d={linePath(series.mean, from, to, middle, y)} />
            </g>
          ))}
        </g>
      ))}
      {ahead !== undefined && (
        <>
          <line
            class={`forecast stroke-${lines[0]!.colour}`}
            x1={now}
            y1={y(lines[0]!.series.mean.findLast(one => one !== null)!)}
            x2={x(ahead.atMs)}
            y2={y(ahead.value)}
          />
          {forecast?.fullMs === ahead.atMs && (
            <text
              class="full"
              x={Math.min(x(ahead.atMs), width - PAD.right)}
              y={y(ahead.value)}
              dy="1.3em"
              text-anchor="end"
            >
              full {date(ahead.atMs)}
            </text>
          )}
        </>
      )}
      {cursor !== undefined && (
        <>
          <line class="cursor" x1={middle(cursor)} x2={middle(cursor)} y1={PAD.top} y2={floor} />
          {lines.map(({ series, colour, name }) =>
            (series.mean[cursor] ?? null) === null ? null : (
              <circle
                key={name}
                class={`fill-${colour}`}
                cx={middle(cursor)}
                cy={y(series.mean[cursor]!)}
                r="3.5"
              />
            ),
          )}
        </>
      )}
    </svg>
  );
}

/** Stretches that are drawn in one: first and last step of each. */
function runsOf(mean: Steps): readonly (readonly [number, number])[] {
  const runs: [number, number][] = [];
  mean.forEach((value, step) => {
    if (value === null) return;
    const run = runs.at(-1);
    if (run !== undefined && step - run[1] <= BRIDGED) run[1] = step;
    else runs.push([step, step]);
  });
  return runs;
}

type Place = (value: number) => number;

function points(steps: Steps, from: number, to: number, x: Place, y: Place): string[] {
  const found: string[] = [];
  for (let step = from; step <= to; step++) {
    const value = steps[step];
    if (value !== null && value !== undefined) found.push(`${x(step).toFixed(1)},${y(value).toFixed(1)}`);
  }
  return found;
}

/** One step alone is a dot. */
function linePath(mean: Steps, from: number, to: number, x: Place, y: Place): string {
  return `M${points(mean, from, to, x, y).join('L')}${from === to ? 'h0.1' : ''}`;
}

function bandPath({ low, high }: ChartSeries, from: number, to: number, x: Place, y: Place): string {
  const back = points(low, from, to, x, y).reverse();
  return `M${[...points(high, from, to, x, y), ...back].join('L')}Z`;
}
