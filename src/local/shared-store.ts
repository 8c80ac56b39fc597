/** A store that any number of processes share: one of them has it, the others call its engine, and when it ends one of them takes over. */
import type { Terms } from '../config.js';
import { CodedError, isCoded } from '../domain/errors.js';
import { type CallContext, ENGINE_METHODS, type Engine, type EngineMethod } from '../domain/face.js';
import type { Logger } from '../log.js';
import type { ConnectOptions } from './client.js';
import { reachStore } from './reach.js';

export interface SharedStoreOptions {
  readonly storePath: string;
  /** What this process was configured with: an owner that differs refuses it. */
  readonly terms: Terms;
  /**
   * Opens the store in this process and serves the others.
   * @throws STORE_IN_USE where another process has it, and what stands in the way of opening it
   */
  open(): Promise<OpenedStore>;
  /** Loads what `open` will need, in a quiet moment: a window that takes over is then waited for as little as can be. */
  prepare(): Promise<unknown>;
  readonly logger: Logger;
  /** How long a store may be in use by a process that does not listen, because it starts or ends. Default 20 000. */
  readonly waitMs?: number;
  /** For tests. */
  readonly connect?: Pick<ConnectOptions, 'handshakeMs' | 'silenceMs'>;
}

export interface OpenedStore {
  readonly engine: Engine;
  /** Lets go of the store; the other processes are told first. */
  close(): Promise<void>;
}

/** Where the calls of this process go to. */
interface Seat {
  readonly engine: Engine;
  readonly isOwner: boolean;
  /** Resolves when the engine of another process is gone; never for one of our own. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

const WAIT_MS = 20_000;
/** When the first answers have been given. */
const PREPARE_AFTER_MS = 1_000;
/** A call that ends its owner must not end one after the other. */
const REPEATS = 2;

type Method = (command: object, context: CallContext) => Promise<unknown>;

export class SharedStore {
  /**
   * The engine, wherever it runs. A call whose owner ended is repeated at the next one if it changes nothing or was not begun; of a
   * write that was on its way, nothing is known (OUTCOME_UNKNOWN).
   */
  readonly engine: Engine;
  private seat: Promise<Seat> | undefined;
  private closing: Promise<void> | undefined;
  private readonly ending = new AbortController();

  constructor(private readonly options: SharedStoreOptions) {
    const methods = Object.keys(ENGINE_METHODS) as EngineMethod[];
    const forwarded = methods.map(method => [
      method,
      (command: object, context: CallContext) => this.call(method, command, context),
    ]);
    this.engine = { ...Object.fromEntries(forwarded), close: () => this.close() };
  }

  /**
   * Comes to an engine, if there is none yet. Every call does so by itself.
   * @throws as reachStore does; the next call tries again, since the reason may pass
   */
  async reach(): Promise<void> {
    await this.sit();
  }

  /** Lets go of the store, or of its owner. What is asked afterwards is refused with ENGINE_CLOSED. */
  close(): Promise<void> {
    this.closing ??= this.leave();
    return this.closing;
  }

  private async leave(): Promise<void> {
    this.ending.abort(closed());
    // One that was never reached was reported to the call that wanted it.
    const seat = await this.seat?.catch(() => undefined);
    await seat?.close();
  }

  private sit(): Promise<Seat> {
    if (this.closing !== undefined) throw closed();
    if (this.seat !== undefined) return this.seat;
    const seat = this.take();
    this.seat = seat;
    seat.then(
      ({ ended }) => ended.then(() => this.stand(seat)),
      () => {
        if (this.seat === seat) this.seat = undefined;
      },
    );
    return seat;
  }

  private async take(): Promise<Seat> {
    const { storePath, terms, open, logger, waitMs = WAIT_MS, connect } = this.options;
    const reached = await reachStore(storePath, () => open(), {
      ...connect,
      terms,
      tellsMemory: true,
      waitMs,
      signal: this.ending.signal,
    });
    if ('own' in reached) {
      const { own } = reached;
      return {
        engine: own.engine,
        isOwner: true,
        ended: new Promise(() => undefined),
        close: () => own.close(),
      };
    }
    const { engine } = reached;
    logger.debug('another process has the store: its engine is called');
    this.prepareSoon();
    return { engine, isOwner: false, ended: engine.ended, close: () => engine.close() };
  }

  private prepareSoon(): void {
    const { prepare, logger } = this.options;
    setTimeout(() => {
      if (this.closing !== undefined) return;
      // Taking over would meet the same, and answer with it.
      prepare().catch(error => logger.debug({ err: error }, 'code was not loaded ahead'));
    }, PREPARE_AFTER_MS).unref();
  }

  /** The owner is gone. Somebody must have the store, also while nobody asks: schedules run there, and clients follow changes. */
  private async stand(seat: Promise<Seat>): Promise<void> {
    if (this.seat !== seat) return;
    this.seat = undefined;
    if (this.closing !== undefined) return;
    this.options.logger.info('the process that had the store is gone');
    try {
      await this.sit();
    } catch (error) {
      // The next call tries again, and answers with what is in the way then.
      const { logger } = this.options;
      if (isCoded(error))
        logger.warn({ code: error.code }, `the store is not reached again: ${error.message}`);
      else logger.error({ err: error }, 'the store is not reached again, without a code');
    }
  }

  private async call(method: EngineMethod, command: object, context: CallContext): Promise<unknown> {
    for (let repeats = 0; ; repeats++) {
      const { engine, isOwner, ended } = await this.sit();
      try {
        return await (engine[method] as Method).call(engine, command, context);
      } catch (error) {
        const mayRepeat = !isOwner && repeats < REPEATS && !context.signal?.aborted && isUndone(error);
        if (!mayRepeat || this.closing !== undefined) throw error;
        await ended;
      }
    }
  }
}

/** The owner ended, or was ending, and nothing was done. */
const isUndone = (error: unknown): boolean =>
  isCoded(error) && (error.code === 'OWNER_LOST' || error.code === 'ENGINE_CLOSED');

const closed = () => new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');
