/** A chart of figures over time: lines of means with bands from the least to the greatest, read off by pointer or arrow keys, and as a table. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { lineClass, Picture } from './chart-picture.js';
import { type ChartLine, type ChartProps, plotOf, valueText } from './chart-plot.js';
import { ChartTable } from './chart-table.js';
import { STEPS_OF_KEY } from './keys.js';
import { dateTime } from './text.js';

export function Chart(props: ChartProps) {
  const { id, title, time, lines, format, limit, forecast, counts = [] } = props;
  const [width, setWidth] = useState(0);
  const [cursor, setCursor] = useState<number>();
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    resized.observe(frame.current!);
    return () => resized.disconnect();
  }, []);
  const length = lines[0]!.series.mean.length;
  const last = useMemo(() => lastStep(lines), [lines]);
  const at = Math.min(cursor ?? last, length - 1);
  const plot = plotOf(props, width);
  const move = (to: number) => setCursor(Math.min(length - 1, Math.max(0, to)));
  const onKeyDown = (event: KeyboardEvent) => {
    const steps = STEPS_OF_KEY[event.key];
    if (steps === undefined) return;
    event.preventDefault();
    move(at + steps);
  };
  const values = lines.map(({ name, series }) => ({ name, text: valueText(series, at, format) }));
  const when = dateTime(time.from_ms + at * time.step_ms);
  return (
    <div class="chart">
      <h3 id={`${id}-title`}>{title}</h3>
      <div
        ref={frame}
        class="plot"
        role="slider"
        tabIndex={0}
        aria-labelledby={`${id}-title`}
        aria-describedby="chart-help"
        aria-valuemin={0}
        aria-valuemax={Math.max(1, length - 1)}
        aria-valuenow={at}
        aria-valuetext={`${when}: ${values.map(({ name, text }) => `${name} ${text}`).join(', ')}`}
        onKeyDown={onKeyDown}
        onBlur={() => setCursor(undefined)}
        onPointerMove={event => {
          const { left } = event.currentTarget.getBoundingClientRect();
          move(Math.floor((plot.timeAt(event.clientX - left) - time.from_ms) / time.step_ms));
        }}
        onPointerLeave={() => setCursor(undefined)}
      >
        {width > 0 && <Picture {...props} plot={plot} width={width} cursor={cursor} />}
      </div>
      <ul class="legend">
        {values.map(({ name, text }, n) => (
          <li key={name}>
            <svg class="key" width="26" height="10" aria-hidden="true">
              <line class={lineClass(lines[n]!.colour, n)} x1="1" y1="5" x2="25" y2="5" />
            </svg>
            {name} <strong>{text}</strong>
          </li>
        ))}
        {limit !== undefined && (
          <li>
            <svg class="key" width="26" height="10" aria-hidden="true">
              <line class="limit" x1="1" y1="5" x2="25" y2="5" />
            </svg>
            {limit.name} <strong>{format(limit.value)}</strong>
            {!plot.hasLimit && <span class="quiet">, above this chart</span>}
          </li>
        )}
        {forecast !== undefined && (
          <li>
            <svg class="key" width="26" height="10" aria-hidden="true">
              <line class={`forecast stroke-${lines[0]!.colour}`} x1="1" y1="5" x2="25" y2="5" />
            </svg>
            forecast
          </li>
        )}
      </ul>
      <p class="quiet small">
        {cursor === undefined ? 'The newest' : 'Those'}: {when}
      </p>
      <ChartTable title={title} time={time} lines={lines} counts={counts} format={format} />
    </div>
  );
}

/** The last step that has a value. */
function lastStep(lines: readonly ChartLine[]): number {
  const ends = lines.map(({ series }) => series.mean.findLastIndex(value => value !== null));
  return Math.max(0, ...ends);
}
