/** The time line: how much was written when and by whom, and a slider along it to any moment. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { ActivityAnswer } from '../domain/activity.js';
import { type Scale, TimeLineCanvas } from './canvas.js';
import { PAGE_STEPS, STEPS_OF_KEY } from './keys.js';
import { type Drawing, stepAt } from './series.js';
import { count, date, dateTime, duration, number } from './text.js';

export interface TimeLineProps {
  readonly activity: ActivityAnswer;
  readonly drawing: Drawing;
  /** Undefined: now. */
  readonly atMs: number | undefined;
  onMove(atMs: number | undefined): void;
  /** A drag begins or ends. */
  onDrag(isDragging: boolean): void;
}

/** As near to the right edge as this counts as now. */
const NOW_PX = 5;
/** Rows of the table that says the same as the picture. */
const TABLE_ROWS = 40;

export function TimeLine({ activity, drawing, atMs, onMove, onDrag }: TimeLineProps) {
  const scale = useMemo(() => scaleOf(activity), [activity]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<TimeLineCanvas>(null);
  const isDragging = useRef(false);
  const drag = (isOn: boolean) => {
    isDragging.current = isOn;
    onDrag(isOn);
  };
  useEffect(() => () => onDrag(false), []);

  useEffect(() => {
    const line = new TimeLineCanvas(canvas.current!);
    drawn.current = line;
    const draw = () => line.drawBars(drawing, scale);
    const resized = new ResizeObserver(draw);
    resized.observe(canvas.current!);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      line.close();
    };
  }, [drawing, scale]);
  useEffect(() => drawn.current?.moveTo(atMs, scale), [atMs, scale, drawing]);

  const move = (ms: number) => onMove(ms >= scale.lastMs ? undefined : Math.max(ms, scale.firstMs));
  const moveToX = (clientX: number) => {
    const { left, width } = canvas.current!.getBoundingClientRect();
    const x = clientX - left;
    move(
      x >= width - NOW_PX ? scale.toMs : Math.round(scale.fromMs + (x / width) * (scale.toMs - scale.fromMs)),
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const now = atMs ?? scale.lastMs;
    const steps = STEPS_OF_KEY[event.key];
    if (steps === undefined) return;
    event.preventDefault();
    move(now + steps * scale.stepMs);
  };
  const index = stepAt(drawing.steps, atMs ?? Number.POSITIVE_INFINITY);
  return (
    <div class="time-line">
      <div
        class="slider"
        role="slider"
        tabIndex={0}
        aria-label="Moment"
        aria-describedby="slider-help"
        aria-valuemin={0}
        aria-valuemax={Math.max(1, drawing.steps.length)}
        aria-valuenow={atMs === undefined ? Math.max(1, drawing.steps.length) : Math.max(0, index)}
        aria-valuetext={momentText(activity, drawing, atMs)}
        onKeyDown={onKeyDown}
        onPointerDown={event => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag(true);
          moveToX(event.clientX);
        }}
        onPointerMove={event => isDragging.current && moveToX(event.clientX)}
        onPointerUp={() => drag(false)}
        onPointerCancel={() => drag(false)}
      >
        <canvas ref={canvas} />
      </div>
      <p id="slider-help" class="spoken">
        Arrow keys move by {duration(scale.stepMs)}, Page Up and Page Down by {PAGE_STEPS} times that, Home to
        the first event, End to now.
      </p>
      <Legend drawing={drawing} />
      <AsTable drawing={drawing} activity={activity} />
    </div>
  );
}

/** What the moment is, in words. */
export function momentText(activity: ActivityAnswer, drawing: Drawing, atMs: number | undefined): string {
  const { seq } = activity.moment;
  if (atMs === undefined) return `now, after ${count(seq, 'event')}`;
  const step = drawing.steps[stepAt(drawing.steps, atMs)];
  const events = step === undefined ? '' : `, about event ${number(step.lastSeq)} of ${number(seq)}`;
  return `${dateTime(atMs)}${events}`;
}

interface LineScale extends Scale {
  /** Of the first event: no moment is before it. */
  readonly firstMs: number;
  /** Of the last event: what is asked at or after it is now. */
  readonly lastMs: number;
}

function scaleOf({ steps, step_ms, begin, moment }: ActivityAnswer): LineScale {
  const lastMs = Date.parse(moment.time);
  const fromMs = steps[0]?.at_ms ?? lastMs - step_ms;
  const toMs = Math.max((steps.at(-1)?.at_ms ?? lastMs) + step_ms, fromMs + step_ms);
  return {
    fromMs,
    toMs,
    stepMs: step_ms,
    firstMs: Math.max(begin === undefined ? fromMs : Date.parse(begin.time), fromMs),
    lastMs,
  };
}

function Legend({ drawing }: { drawing: Drawing }) {
  return (
    <ul class="legend" aria-label="Who wrote, by client and tool">
      {drawing.series.map(({ name, events, colour }) => (
        <li key={name}>
          <span class={`swatch series-${colour}`} aria-hidden="true" />
          <bdi>{name}</bdi> <span class="quiet">{number(events)}</span>
        </li>
      ))}
    </ul>
  );
}

function AsTable({ drawing, activity }: { drawing: Drawing; activity: ActivityAnswer }) {
  const rows = drawing.steps.slice(-TABLE_ROWS).reverse();
  const isDays = activity.step_ms >= 86_400_000;
  return (
    <details>
      <summary>The same as a table: events each {duration(activity.step_ms).replace(/^1 /, '')}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Events as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">from</th>
              <th scope="col">events</th>
              {drawing.series.map(({ name }) => (
                <th scope="col" key={name}>
                  <bdi>{name}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ atMs, total, events }) => (
              <tr key={atMs}>
                <th scope="row">{isDays ? date(atMs) : dateTime(atMs)}</th>
                <td>{number(total)}</td>
                {events.map((one, index) => (
                  <td key={drawing.series[index]!.name}>{one === 0 ? '' : number(one)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}
