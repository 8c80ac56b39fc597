import type { CallContext } from '../domain/face.js';
import { throwIfCancelled } from './cancelled.js';

/** Short enough that nobody waits for it, long enough that handing over costs next to nothing. */
const SLICE_MS = 8;

/** A long read in slices: between them other calls get their turn, and a call that was cancelled ends. */
export class Slices {
  private startedMs = performance.now();

  /** @throws CodedError CANCELLED */
  constructor(private readonly context: CallContext) {
    throwIfCancelled(context);
  }

  /** Whether it is time for the next one: `if (slices.isOver) await slices.next()`. */
  get isOver(): boolean {
    return performance.now() - this.startedMs > SLICE_MS;
  }

  /** @throws CodedError CANCELLED */
  async next(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
    throwIfCancelled(this.context);
    this.startedMs = performance.now();
  }
}
