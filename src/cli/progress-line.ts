import type { Progress } from '../domain/face.js';
import { duration, grouped, oneLine } from './printing.js';
import { RateEstimate } from './rate.js';

const REDRAW_MS = 80;
/** Into a file or a CI log: a line now and then, not one per event. */
const SPARSE_MS = 10_000;

export interface ProgressLineOptions {
  /** What is counted, in the plural, unless a step says otherwise. Default `events`. */
  readonly unit?: string;
  /** Milliseconds of a clock that never runs backwards. Default performance.now. */
  readonly nowMs?: () => number;
}

/** Progress on stderr with rate and time left: on a terminal one line that is drawn over, elsewhere at most one line in ten seconds. */
export class ProgressLine {
  readonly #stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;
  readonly #unit: string;
  readonly #nowMs: () => number;
  #rate = new RateEstimate();
  /** What the rate is of. */
  #counted: string | undefined;
  #drawnMs: number;
  #isDrawn = false;

  constructor(
    stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>,
    { unit = 'events', nowMs = () => performance.now() }: ProgressLineOptions = {},
  ) {
    this.#stream = stream;
    this.#unit = unit;
    this.#nowMs = nowMs;
    this.#drawnMs = stream.isTTY ? Number.NEGATIVE_INFINITY : nowMs();
  }

  /** Draws the progress, or leaves it out if the last one is too recent. */
  show(progress: Progress): void {
    const nowMs = this.#nowMs();
    if (progress.unit !== this.#counted) this.#rate = new RateEstimate();
    this.#counted = progress.unit;
    this.#rate.observe(progress.done, nowMs);
    if (nowMs - this.#drawnMs < (this.#stream.isTTY ? REDRAW_MS : SPARSE_MS)) return;
    this.#drawnMs = nowMs;
    const line = oneLine(this.#describe(progress), (this.#stream.columns ?? 100) - 1);
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#stream.write(`\r\u001b[2K${line}`);
    this.#isDrawn = true;
  }

  /** `12 345 of 100 000 records, 4 200/s, 21 s left: copying` */
  #describe({ done, total, unit = this.#unit, message }: Progress): string {
    const parts = [`${grouped(done)}${total === undefined ? '' : ` of ${grouped(total)}`} ${unit}`];
    const { perSecond } = this.#rate;
    // A worker that reports only when it is through has no speed to show.
    if (perSecond !== undefined && perSecond > 0)
      parts.push(`${perSecond < 9.95 ? perSecond.toFixed(1) : grouped(Math.round(perSecond))}/s`);
    const seconds = total === undefined ? undefined : this.#rate.secondsLeft(total);
    if (seconds !== undefined) parts.push(`${duration(seconds)} left`);
    return `${parts.join(', ')}: ${message}`;
  }

  /** Takes the line away. May be called again. */
  end(): void {
    if (this.#isDrawn) this.#stream.write('\r\u001b[2K');
    this.#isDrawn = false;
  }
}
