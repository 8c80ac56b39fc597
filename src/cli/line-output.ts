import type { Writable } from 'node:stream';

/** Lines are handed over in pieces of about this many characters: one write each would cost more than making them. */
const PIECE_CHARS = 64 * 1024;

/**
 * Lines on a stream, no faster than its reader takes them: memory stays bounded however many they are. Once the reader has gone
 * (EPIPE) nothing is written any more; that it is not an uncaught error is surviveClosedPipe's to see to.
 */
export class LineOutput {
  readonly #stream: Writable;
  #waiting = '';
  #isClosed = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.once('error', () => {
      this.#isClosed = true;
    });
  }

  /** Whether nobody reads any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes a line, without its newline; resolves when there is room for another. */
  async write(line: string): Promise<void> {
    this.#waiting += `${line}\n`;
    if (this.#waiting.length >= PIECE_CHARS) await this.flush();
  }

  /** Hands over what waits. */
  async flush(): Promise<void> {
    const text = this.#waiting;
    this.#waiting = '';
    if (text === '' || this.#isClosed || this.#stream.write(text)) return;
    await new Promise<void>(resolve => {
      const settle = () => {
        for (const event of ['drain', 'error', 'close']) this.#stream.removeListener(event, settle);
        resolve();
      };
      for (const event of ['drain', 'error', 'close']) this.#stream.once(event, settle);
    });
  }
}
