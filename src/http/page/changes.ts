/**
 * News of the log for pages that are open: a long poll each, which is answered at the next event, or after a while as a sign of life. It
 * ends with its session, and with the server.
 */
import { CodedError } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import { Fields, given } from './fields.js';

/** One poll stands this long at most, in ms: less than proxies wait for an answer. */
const MAX_WAIT_MS = 25_000;
/** How soon one ends whose session is over, in ms. */
const LOOK_MS = 2_000;

export interface Changes {
  readonly head: number;
  /** Another one than before: the log was cut, and everything has to be read anew. */
  readonly epoch: number;
}

export class PageChanges {
  private readonly waiting = new Set<AbortController>();

  /**
   * @param engine with the caller's rights
   * @param isIn whether the session still counts
   * @throws CodedError INVALID_ARGUMENT; UNAUTHORIZED where the session ended meanwhile, ENGINE_CLOSED where the server does
   */
  async wait(body: unknown, engine: Engine, context: CallContext, isIn: () => boolean): Promise<Changes> {
    const fields = new Fields(body, ['after', 'wait_ms']);
    const query = given({
      after: fields.number('after', 0, Number.MAX_SAFE_INTEGER),
      wait_ms: fields.number('wait_ms', 0, MAX_WAIT_MS),
    });
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, ...(context.signal ? [context.signal] : [])]);
    const look = setInterval(() => !isIn() && ending.abort(sessionOver()), LOOK_MS).unref();
    this.waiting.add(ending);
    try {
      const found = await engine.watch(query, { ...context, signal });
      // Where much has changed one answer does not reach the head.
      const { head, epoch } = found.more ? await engine.watch({}, context) : found;
      return { head, epoch };
    } catch (error) {
      if (ending.signal.aborted) throw ending.signal.reason;
      throw error;
    } finally {
      this.waiting.delete(ending);
      clearInterval(look);
    }
  }

  /** Ends all that stand. @param why what they are refused with */
  end(why: CodedError): void {
    for (const one of [...this.waiting]) one.abort(why);
  }
}

export const sessionOver = () =>
  new CodedError(
    'UNAUTHORIZED',
    'nobody is logged in here, or no longer',
    'Make a link at a terminal of the server’s machine, and open it: mcp-vector-server page',
  );
