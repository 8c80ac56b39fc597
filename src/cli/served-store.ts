import type { Config } from '../config.js';
import { isCoded } from '../domain/errors.js';
import type { Engine } from '../domain/face.js';
import type { LocalServer } from '../local/server.js';
import type { Logger } from '../log.js';
import { ownerOr } from './engine.js';

/** A store for as long as a server runs. */
export interface ServedStore {
  /** The engine, opened or reached at the first call. @throws what stands in the way; the next call tries again */
  engine(): Promise<Engine>;
  /** Lets go of the store, or of its owner. */
  close(): Promise<void>;
}

interface Opened {
  readonly engine: Engine;
  readonly local?: LocalServer | undefined;
}

/** The store of this configuration: by the process that has it, else opened here and served to others over the local socket. */
export function servedStore(config: Config, logger: Logger): ServedStore {
  let opening: Promise<Opened> | undefined;
  const open = async (): Promise<Opened> => {
    const reached = await ownerOr(config.storePath, () => openHere(config, logger));
    if ('own' in reached) return reached.own;
    logger.info('another process has the store: its engine is called');
    return { engine: reached.engine };
  };
  return {
    async engine() {
      opening ??= open().catch((error: unknown) => {
        // The reason may pass (a store in use, a full disk): the next call tries again.
        opening = undefined;
        throw error;
      });
      return (await opening).engine;
    },
    async close() {
      // An engine that never opened was reported to the call that wanted it.
      const opened = await opening?.catch(() => undefined);
      await opened?.local?.close();
      await opened?.engine.close();
    },
  };
}

async function openHere(config: Config, logger: Logger): Promise<Opened> {
  const { openEngine } = await import('../engine/open.js');
  const { storePath, verify, keepHistory } = config;
  const engine = await openEngine({ path: storePath, config, logger, verify, keepHistory });
  return { engine, local: await listen(engine, storePath, logger) };
}

/** A server that cannot listen still serves its clients: commands beside it are then told that the store is in use. */
async function listen(engine: Engine, storeDir: string, logger: Logger): Promise<LocalServer | undefined> {
  try {
    const { serveLocal } = await import('../local/server.js');
    return await serveLocal({ storeDir, engine, logger });
  } catch (error) {
    if (!isCoded(error)) throw error;
    logger.error({ code: error.code }, `${error.message} ${error.wayOut}`);
    return undefined;
  }
}
