import type { JSONRPCMessage } from '../sdk.js';
import { MAX_SUBSCRIBED, type ResourceWatch } from './resource-watch.js';

/**
 * Follows the `subscriptions/listen` requests of a 2026-07-28 connection, which the SDK answers without asking the server: what is
 * listened to is what has to be watched. The SDK then passes on to each what it asked for.
 */
export class Listens {
  /** @param watch one that insists */
  constructor(private readonly watch: ResourceWatch) {}

  observe(message: JSONRPCMessage): void {
    if (!('method' in message)) return;
    const params = (message.params ?? {}) as Record<string, unknown>;
    if (message.method === 'subscriptions/listen' && 'id' in message) {
      const uris = urisOf(params);
      // What it rejects with is that it was stopped before it had begun.
      if (uris.length > 0) this.watch.subscribe(message.id, uris).catch(() => undefined);
    } else if (message.method === 'notifications/cancelled') this.watch.unsubscribe(params.requestId);
  }
}

function urisOf(params: Record<string, unknown>): string[] {
  const filter = params.notifications as { readonly resourceSubscriptions?: unknown } | undefined;
  const given = filter?.resourceSubscriptions;
  if (!Array.isArray(given) || given.length > MAX_SUBSCRIBED) return [];
  return given.filter(uri => typeof uri === 'string');
}
