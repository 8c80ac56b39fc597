import type { Progress } from '../domain/face.js';
import { oneLine } from './printing.js';

const REDRAW_MS = 80;
/** Into a file or a CI log: a line now and then, not one per event. */
const SPARSE_MS = 5000;

/** Progress on stderr: on a terminal one line that is drawn over, elsewhere sparse lines. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  readonly #startedMs = performance.now();
  #drawnMs = 0;
  #isDrawn = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#drawnMs = stream.isTTY ? 0 : this.#startedMs;
  }

  /** Draws the progress, or leaves it out if the last one is too recent. */
  show({ done, total, message }: Progress): void {
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < (this.#stream.isTTY ? REDRAW_MS : SPARSE_MS)) return;
    this.#drawnMs = nowMs;
    const seconds = ((nowMs - this.#startedMs) / 1000).toFixed(0);
    const parts = total === undefined ? `${done}` : `${done}/${total}`;
    const line = oneLine(`${parts}  ${seconds} s  ${message}`, (this.#stream.columns ?? 100) - 1);
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#stream.write(`\r\u001b[2K${line}`);
    this.#isDrawn = true;
  }

  /** Takes the line away. May be called again. */
  end(): void {
    if (this.#isDrawn) this.#stream.write('\r\u001b[2K');
    this.#isDrawn = false;
  }
}
