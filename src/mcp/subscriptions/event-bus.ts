import { formatUri } from '../resources/uri.js';
import type { ServerEvent, ServerEventBus } from '../sdk.js';
import { LogPoll, type LogPollOptions } from './log-poll.js';
import { addressesOf, SEQ_META_KEY } from './resource-watch.js';

type Listener = (event: ServerEvent) => void;

/**
 * What the SDK's HTTP handler passes on to open `subscriptions/listen` streams: every resource that changes, by its URI as
 * formatUri writes it. It follows the log while a stream is open, with one poll for all of them.
 */
export class LogEventBus implements ServerEventBus {
  private readonly listeners = new Set<Listener>();
  private readonly poll: LogPoll;

  constructor(options: Pick<LogPollOptions, 'engine' | 'actor' | 'logger'>) {
    this.poll = new LogPoll({
      ...options,
      engine: () => options.engine(),
      insists: true,
      changed: async ({ changed }) => {
        const seqs = new Map<string, number>();
        for (const change of changed)
          for (const address of addressesOf(change)) seqs.set(formatUri(address), change.seq);
        for (const [uri, seq] of seqs)
          this.publish({ kind: 'resource_updated', uri, params: { _meta: { [SEQ_META_KEY]: seq } } });
      },
    });
  }

  publish(event: ServerEvent): void {
    for (const listener of [...this.listeners]) listener(event);
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    // It insists: what it rejects with is that it was stopped before it had begun.
    this.poll.start().catch(() => undefined);
    return () => {
      if (this.listeners.delete(listener) && this.listeners.size === 0) this.poll.stop();
    };
  }
}
