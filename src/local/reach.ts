/** Coming to an engine for a store: that of the process which has it, or one of our own. */
import { isCoded } from '../domain/errors.js';
import { type ConnectOptions, connectToOwner, type RemoteEngine } from './client.js';

export interface ReachOptions extends ConnectOptions {
  /**
   * How long a store may be in use by a process that does not listen: one that starts or ends, or a command that has it for a
   * moment. Default 3000.
   */
  readonly waitMs?: number;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal;
}

const WAIT_MS = 3_000;
/** Asking whether somebody listens costs the reading of a small file; trying to open the store costs LevelDB's attempt at its lock. */
const ASK_EVERY_MS = 20;
const TRIES = 5;

/**
 * The engine of the process that has the store, or what a process does that has it for itself. The owner is asked first: a running server answers
 * before the code that opens a store would be loaded. What stands in its way counts only once the store cannot be opened either; a killed
 * owner leaves such things behind.
 * @param alone throws STORE_IN_USE where another process has the store
 * @throws what `alone` throws; STORE_IN_USE after `waitMs`; of an owner that refuses us, the errors of connectToOwner
 */
export async function reachStore<T>(
  storePath: string,
  alone: () => Promise<T>,
  { waitMs = WAIT_MS, signal, ...options }: ReachOptions = {},
): Promise<{ readonly engine: RemoteEngine } | { readonly own: T }> {
  const untilMs = performance.now() + waitMs;
  for (let asked = 0; ; asked++) {
    signal?.throwIfAborted();
    const owner = await askOwner(storePath, options);
    if (owner.engine !== undefined) return { engine: owner.engine };
    if (owner.refusal !== undefined || asked % TRIES === 0) {
      try {
        return { own: await alone() };
      } catch (error) {
        if (!isCoded(error) || error.code !== 'STORE_IN_USE') throw error;
        if (owner.refusal !== undefined) throw owner.refusal;
        if (performance.now() >= untilMs) throw error;
      }
    }
    await new Promise(resolve => setTimeout(resolve, ASK_EVERY_MS));
  }
}

async function askOwner(
  storePath: string,
  options: ConnectOptions,
): Promise<{ engine?: RemoteEngine | undefined; refusal?: Error }> {
  try {
    return { engine: await connectToOwner(storePath, options) };
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { refusal: error };
  }
}
