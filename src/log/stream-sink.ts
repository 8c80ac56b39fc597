import { writeSync } from 'node:fs';

/** Waiting for a pipe whose reader is behind, in all and at a time. */
const PATIENCE_MS = 2_000;
const NAP_MS = 5;

/**
 * Lines onto a descriptor that is open already, such as stderr: synchronous, and they end or block nothing. Whoever does not read, or is gone, misses
 * lines; a line that fits only in part is broken off.
 */
export class StreamSink {
  /** Waited in vain: not again before a line went through. */
  private isStuck = false;

  constructor(private readonly fd: number) {}

  write(line: string): void {
    const bytes = Buffer.from(line);
    const deadlineMs = performance.now() + (this.isStuck ? 0 : PATIENCE_MS);
    for (let written = 0; written < bytes.length; ) {
      try {
        written += writeSync(this.fd, bytes, written);
        this.isStuck = false;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
        if (performance.now() >= deadlineMs) {
          this.isStuck = true;
          return;
        }
        nap();
      }
    }
  }
}

function nap(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP_MS);
}
