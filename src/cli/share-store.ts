import { homedir } from 'node:os';
import { type Config, termsOf } from '../config.js';
import { isCoded } from '../domain/errors.js';
import type { Engine } from '../domain/face.js';
import type { StoreEngine } from '../engine/engine.js';
import type { LocalServer } from '../local/server.js';
import type { OpenedStore, SharedStore } from '../local/shared-store.js';
import type { Logger } from '../log.js';
import type { CallFeed } from '../ops/call-feed.js';
import type { Operations } from '../ops/operations.js';

/**
 * The store as a server uses it, together with any other process: nothing of it is touched before the first call. Code that only
 * the owner needs is loaded once this process becomes the owner.
 */
export async function shareStore(config: Config, logger: Logger): Promise<SharedStore> {
  const { SharedStore } = await import('../local/shared-store.js');
  const { storePath } = config;
  return new SharedStore({
    storePath,
    terms: termsOf(config),
    open: () => openStore(config, logger),
    prepare: () => Promise.all([import('../engine/open.js'), import('../local/server.js')]),
    logger,
  });
}

async function openStore(config: Config, logger: Logger): Promise<OpenedStore> {
  const [{ openEngine }, { CallFeed }] = await Promise.all([
    import('../engine/open.js'),
    import('../ops/call-feed.js'),
  ]);
  const { storePath, verify, keepHistory } = config;
  const calls = new CallFeed(logger);
  const own = await openEngine({ path: storePath, config, logger, verify, keepHistory });
  const engine = calls.observe(own);
  // The first call does not wait for it.
  const listening = listen(engine, config, logger);
  const operating = operate(own, config, logger, calls);
  own.operateBy(operating);
  return {
    engine,
    async close() {
      await (await listening)?.close();
      await (await operating)?.close();
      await engine.close();
    },
  };
}

/** Serving goes on without: what could not be started is in the log. */
async function operate(
  engine: StoreEngine,
  config: Config,
  logger: Logger,
  calls: CallFeed,
): Promise<Operations | undefined> {
  try {
    const { startOperations } = await import('../ops/operations.js');
    const context = { engine, config, logger, calls, savedConfig: () => savedConfig(config, logger) };
    return await startOperations(context);
  } catch (error) {
    if (!isCoded(error)) throw error;
    logger.error({ code: error.code }, `${error.message} ${error.wayOut}`);
    return undefined;
  }
}

/** The configuration as scheduled backups take it along: this process' environment, and the clients' files. */
export async function savedConfig({ storePath }: Config, logger: Logger): Promise<string> {
  const { collectConfig } = await import('./config/collect.js');
  const machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  const { config, problems } = collectConfig(machine, process.env, storePath);
  for (const problem of problems) logger.warn(`not taken along into the backup: ${problem}`);
  return JSON.stringify(config);
}

/** A server that cannot listen still serves its client: others are then told that the store is in use. */
async function listen(engine: Engine, config: Config, logger: Logger): Promise<LocalServer | undefined> {
  try {
    const { serveLocal } = await import('../local/server.js');
    return await serveLocal({ storeDir: config.storePath, engine, terms: termsOf(config), logger });
  } catch (error) {
    if (!isCoded(error)) throw error;
    logger.error({ code: error.code }, `${error.message} ${error.wayOut}`);
    return undefined;
  }
}
