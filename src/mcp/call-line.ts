/** What the log has of each call: names, figures and codes, never contents. */
import type { CallContext } from '../domain/face.js';
import type { Actor } from '../domain/model.js';
import { printable } from '../domain/printable.js';
import { loggable, loggableNames } from '../domain/search-shape.js';
import type { SearchTrace } from '../domain/search-trace.js';
import type { Logger } from '../log.js';

const MAX_QUERY_CHARS = 1000;

export interface CallLineOptions {
  readonly logger: Logger;
  readonly level: 'info' | 'debug';
  /** Whether texts of searches may be logged. */
  readonly withTexts: boolean;
}

/** One call on its way to its line. */
export class CallLine {
  private readonly fields: object;
  private shape: object | undefined;
  private trace: SearchTrace | undefined;

  /** @param requestId as the client chose it */
  constructor(
    private readonly options: CallLineOptions,
    name: string,
    actor: Actor,
    requestId: unknown,
  ) {
    this.fields = {
      tool: name,
      requestId: typeof requestId === 'string' ? loggable(requestId) : requestId,
      client: loggable(actor.clientName),
      clientVersion: loggable(actor.clientVersion),
      transport: actor.transport,
    };
  }

  /** The context by which the engine tells how a search was done. */
  traced(call: CallContext): CallContext {
    return { ...call, onTrace: trace => (this.trace = trace) };
  }

  /** @param shape what may be logged of the arguments */
  asked(shape: object | undefined, args: Record<string, unknown>): void {
    const { query } = args;
    this.shape =
      this.options.withTexts && typeof query === 'string'
        ? { ...shape, query: printable(query.slice(0, MAX_QUERY_CHARS)) }
        : shape;
  }

  ended(code: string, durationMs: number): void {
    const { logger, level } = this.options;
    const trace = this.trace && {
      ...this.trace,
      collections: loggableNames(this.trace.collections, 16),
    };
    logger[level]({ ...this.fields, code, durationMs, ...this.shape, ...trace }, 'called');
  }
}
