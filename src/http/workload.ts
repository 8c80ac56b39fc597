import { Budget, Gate } from './limits.js';

/** Bodies of all requests together. */
const MAX_BODIES_BYTES = 64 * 1024 * 1024;

export interface WorkloadLimits {
  /** Requests of one token at work at once; four times as many of all. */
  readonly concurrency: number;
  /** Event streams of one token open at once; four times as many of all. */
  readonly streams: number;
}

/** What a server has taken on and not ended: requests at work, streams that wait for what may happen, and the bytes of bodies. */
export class Workload {
  readonly bodies = new Budget(MAX_BODIES_BYTES);
  private readonly requestGate: Gate;
  private readonly streamGate: Gate;
  private draining = false;
  private onIdle: () => void = () => undefined;

  constructor({ concurrency, streams }: WorkloadLimits) {
    this.requestGate = new Gate(concurrency * 4, concurrency);
    this.streamGate = new Gate(streams * 4, streams);
  }

  /** Requests at work. */
  get requests(): number {
    return this.requestGate.size;
  }

  /** Streams that are open. */
  get streams(): number {
    return this.streamGate.size;
  }

  /** @returns what lets go of the place; undefined where there is none */
  enter(caller: string, isStream = false): (() => void) | undefined {
    const leave = (isStream ? this.streamGate : this.requestGate).enter(caller);
    if (leave === undefined) return undefined;
    return () => {
      leave();
      if (this.draining && this.requestGate.size === 0) this.onIdle();
    };
  }

  /** Whether the server is about to end, and takes no new work. */
  get isDraining(): boolean {
    return this.draining;
  }

  drain(): void {
    this.draining = true;
  }

  /** Resolves when no request is at work any more, or the time is up. Only while draining. */
  async idle(graceMs: number): Promise<void> {
    if (this.requestGate.size === 0) return;
    const idle = new Promise<void>(resolve => {
      this.onIdle = resolve;
    });
    const patience = new Promise<void>(resolve => setTimeout(resolve, graceMs).unref());
    await Promise.race([idle, patience]);
  }
}
