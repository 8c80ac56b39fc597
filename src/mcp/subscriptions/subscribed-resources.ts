import { CodedError } from '../../domain/errors.js';
import { engineOf, type ServerContext } from '../request.js';
import { parseUri } from '../resources/uri.js';
import type { Server } from '../sdk.js';
import { actorOf } from '../session.js';
import { MAX_SUBSCRIBED, ResourceWatch, SEQ_META_KEY } from './resource-watch.js';

/**
 * What follows the resources of a server's connection, and ends with it.
 * @param insists see LogPollOptions
 */
export function resourceWatch(server: Server, context: ServerContext, insists = false): ResourceWatch {
  const { logger, window, transport } = context;
  const watch = new ResourceWatch({
    engine: () => engineOf(context),
    actor: actorOf(window, {}, transport, 'resources/subscribe'),
    logger,
    insists,
    updated: update => server.sendResourceUpdated(update),
  });
  const closed = server.onclose;
  server.onclose = () => {
    closed?.();
    watch.close();
  };
  return watch;
}

/** resources/subscribe and resources/unsubscribe, as the eras up to 2025-11-25 have them. */
export class SubscribedResources {
  private readonly watch: ResourceWatch;

  constructor(server: Server, context: ServerContext) {
    this.watch = resourceWatch(server, context);
  }

  /**
   * @returns with the event behind which updates are sent
   * @throws CodedError RESOURCE_NOT_FOUND, INVALID_ARGUMENT, TOO_LARGE, and what opening the store throws
   */
  async subscribe(uri: string) {
    if ('as_of' in parseUri(uri))
      throw new CodedError(
        'INVALID_ARGUMENT',
        'as_of: what was at a moment does not change',
        'Subscribe to the same URI without as_of.',
      );
    if (this.watch.size >= MAX_SUBSCRIBED)
      throw new CodedError(
        'TOO_LARGE',
        `${MAX_SUBSCRIBED} resources are subscribed to already`,
        'Unsubscribe from some, or subscribe to their collection.',
      );
    return { _meta: { [SEQ_META_KEY]: await this.watch.subscribe(uri, [uri]) } };
  }

  /** What is not subscribed to is no error: so the specification has it. */
  unsubscribe(uri: string) {
    this.watch.unsubscribe(uri);
    return {};
  }
}
