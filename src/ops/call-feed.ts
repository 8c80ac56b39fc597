/** Every call of the owner's engine, whoever made it, told to whoever wants to know. */
import { isCoded } from '../domain/errors.js';
import { type CallContext, ENGINE_METHODS, type Engine, type EngineMethod } from '../domain/face.js';
import type { Actor } from '../domain/model.js';
import type { SearchTrace } from '../domain/search-trace.js';
import type { Logger } from '../log.js';

/** One call when it is over. */
export interface CallRecord {
  readonly method: EngineMethod;
  /** As it was asked: it may hold texts. */
  readonly command: object;
  readonly actor: Actor;
  /** When it ended, wall clock in ms. */
  readonly endedMs: number;
  readonly durationMs: number;
  /** `ok`, or the error's. */
  readonly code: string;
  /** Whoever asked gave up before it was answered. */
  readonly isAborted: boolean;
  /** Of a search that got so far. */
  readonly trace?: SearchTrace | undefined;
}

type Method = (command: object, context: CallContext) => Promise<unknown>;

/** Calls that are kept for listeners that begin late. */
const MAX_EARLY = 1_000;

export class CallFeed {
  private readonly listeners = new Set<(call: CallRecord) => void>();
  /** The first calls, until everybody listens who will. */
  private early: CallRecord[] | undefined = [];

  /**
   * @param logger told of a listener that failed: the call is answered all the same
   * @param clock wall clock in ms
   */
  constructor(
    private readonly logger: Pick<Logger, 'error'>,
    private readonly clock: () => number = Date.now,
  ) {}

  /** A listener is told of the calls before it too, until `begun`. @returns what ends it */
  subscribe(listener: (call: CallRecord) => void): () => void {
    for (const record of this.early ?? []) this.tellOne(listener, record);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Whether there were calls of which nobody has been told who comes to listen yet. */
  get hasEarly(): boolean {
    return this.early !== undefined && this.early.length > 0;
  }

  /** Everybody listens: no call is kept any more. */
  begun(): void {
    this.early = undefined;
  }

  /** The engine, whose calls are told of from now on. `watch`, which waits for what may never happen, is left out. */
  observe(engine: Engine): Engine {
    const methods = Object.keys(ENGINE_METHODS) as EngineMethod[];
    const observed = methods.map(method => {
      const call: Method = (command, context) => (engine[method] as Method).call(engine, command, context);
      return [method, method === 'watch' ? call : this.told(method, call)];
    });
    return { ...Object.fromEntries(observed), close: () => engine.close() };
  }

  private told(method: EngineMethod, call: Method): Method {
    return async (command, context) => {
      const startedMs = performance.now();
      let trace: SearchTrace | undefined;
      let code = 'ok';
      const onTrace = (told: SearchTrace) => {
        trace = told;
        context.onTrace?.(told);
      };
      try {
        return await call(command, method === 'search' ? { ...context, onTrace } : context);
      } catch (error) {
        code = isCoded(error) ? error.code : 'INTERNAL';
        throw error;
      } finally {
        const durationMs = performance.now() - startedMs;
        const { actor, signal } = context;
        const isAborted = signal?.aborted === true;
        const record = { method, command, actor, endedMs: this.clock(), durationMs, code, isAborted, trace };
        this.tell(record);
      }
    };
  }

  private tell(record: CallRecord): void {
    if (this.early !== undefined && this.early.length < MAX_EARLY) this.early.push(record);
    for (const listener of this.listeners) this.tellOne(listener, record);
  }

  private tellOne(listener: (call: CallRecord) => void, record: CallRecord): void {
    try {
      listener(record);
    } catch (error) {
      this.logger.error({ err: error, method: record.method }, 'a call could not be noted');
    }
  }
}
