import { isCoded } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import type { WatchAnswer } from '../../domain/watch.js';
import type { Logger } from '../../log.js';

export interface LogPollOptions {
  engine(): Promise<Engine>;
  readonly actor: CallContext['actor'];
  readonly logger: Logger;
  /** Try again where even the first look fails: whoever listens has been told already that they do. Default: reject. */
  readonly insists?: boolean;
  /**
   * Called with what changed, in order; the next poll waits for it.
   * @param isCut the log was cut: whatever was read before may be different now
   */
  changed(answer: WatchAnswer, isCut: boolean): Promise<void>;
}

/** One poll stands this long, in ms. */
const WAIT_MS = 25_000;
/** Between two answers, in ms: what a bulk load writes meanwhile comes in one. */
const PAUSE_MS = 100;
/** After a failure, in ms, doubled each time: whoever owns the store now may just be starting. */
const RETRY_MS = { first: 100, most: 5_000 };

/**
 * Follows the log through `watch` while somebody listens: one poll at a time, and none otherwise. It remembers where it was, so
 * that nothing is missed when another process takes over the store.
 */
export class LogPoll {
  private running: { readonly abort: AbortController; readonly begun: Promise<number> } | undefined;

  constructor(private readonly options: LogPollOptions) {}

  /**
   * Begins, unless it is at it.
   * @returns the event behind which changes are told; rejects where the store cannot be opened
   */
  start(): Promise<number> {
    if (this.running !== undefined) return this.running.begun;
    const abort = new AbortController();
    const begun = this.begin(abort.signal);
    const running = { abort, begun };
    this.running = running;
    begun.then(
      () => undefined,
      () => {
        if (this.running === running) this.running = undefined;
      },
    );
    return begun;
  }

  stop(): void {
    this.running?.abort.abort();
    this.running = undefined;
  }

  private async begin(signal: AbortSignal): Promise<number> {
    let retryMs = RETRY_MS.first;
    for (;;) {
      try {
        const first = await this.watch({}, signal);
        void this.follow(first, signal);
        return first.head;
      } catch (error) {
        if (signal.aborted || this.options.insists !== true) throw error;
        retryMs = await this.pause(error, retryMs, signal);
      }
    }
  }

  /** @returns how long to wait the next time, in ms */
  private async pause(error: unknown, retryMs: number, signal: AbortSignal): Promise<number> {
    const code = isCoded(error) ? error.code : 'INTERNAL';
    this.options.logger.debug({ code }, 'changes could not be followed, trying again');
    await sleep(retryMs, signal);
    return Math.min(2 * retryMs, RETRY_MS.most);
  }

  private async watch(query: { after?: number; wait_ms?: number }, signal: AbortSignal) {
    const engine = await this.options.engine();
    return engine.watch(query, { actor: this.options.actor, signal });
  }

  private async follow(first: WatchAnswer, signal: AbortSignal): Promise<void> {
    let last = first;
    let retryMs = RETRY_MS.first;
    while (!signal.aborted) {
      try {
        const answer = await this.watch({ after: last.head, wait_ms: WAIT_MS }, signal);
        if (signal.aborted) return;
        const isCut = answer.epoch !== last.epoch || answer.head < last.head;
        if (isCut || answer.changed.length > 0) await this.options.changed(answer, isCut);
        retryMs = RETRY_MS.first;
        if (answer.head !== last.head && !answer.more) await sleep(PAUSE_MS, signal);
        last = answer;
      } catch (error) {
        if (signal.aborted) return;
        retryMs = await this.pause(error, retryMs, signal);
      }
    }
  }
}

/** Ends early where the signal does; holds no process open. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
  });
}
