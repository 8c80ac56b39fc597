import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that never run backwards, and waiting. */
export interface PaceClock {
  nowMs(): number;
  /** @throws if the signal is aborted meanwhile */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

const REAL: PaceClock = {
  nowMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal && { signal }),
};

/** Holds work to so many bytes in a second: whoever has read some waits until they were due. */
export class Pace {
  private dueMs = 0;

  /** @param bytesPerSecond Infinity for no bound: the event loop gets its turn all the same */
  constructor(
    private readonly bytesPerSecond: number,
    private readonly clock: PaceClock = REAL,
  ) {}

  /** To be called after every piece. @throws what the signal was aborted with */
  async spend(bytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.clock.nowMs();
    this.dueMs = Math.max(this.dueMs, nowMs) + (bytes / this.bytesPerSecond) * 1000;
    const waitMs = this.dueMs - nowMs;
    if (waitMs > 0) await this.clock.sleep(waitMs, signal).catch(() => {});
    else await new Promise(resolve => setImmediate(resolve));
    signal?.throwIfAborted();
  }
}
