import { homedir } from 'node:os';
import { type Config, termsOf } from '../config.js';
import { isCoded } from '../domain/errors.js';
import type { Engine } from '../domain/face.js';
import type { LocalServer } from '../local/server.js';
import type { OpenedStore, SharedStore } from '../local/shared-store.js';
import type { Logger } from '../log.js';
import type { Operations, OperationsContext } from '../ops/operations.js';

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
    prepare: () =>
      Promise.all([
        import('../engine/open.js'),
        import('../local/server.js'),
        import('../ops/call-meter.js'),
      ]),
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
  const opened = await openEngine({ path: storePath, config, logger, verify, keepHistory });
  const engine = calls.observe(opened);
  // The first call does not wait for it.
  const listening = listen(engine, config, logger);
  let local: LocalServer | undefined;
  void listening.then(server => {
    local = server;
  });
  const operating = operateSoon({
    ...{ engine: opened, config, logger, calls },
    windows: () => local?.windows() ?? [],
    savedConfig: () => savedConfig(config, logger),
  });
  opened.operate(async () => (await operating.started())?.face);
  return {
    engine,
    async close() {
      await (await listening)?.close();
      await operating.close();
      await engine.close();
    },
  };
}

/** When the first answers have been given. */
const OPERATE_AFTER_MS = 1_000;

/** Operations, begun in a quiet moment, or when somebody asks for what they know. */
function operateSoon(context: OperationsContext): {
  started(): Promise<Operations | undefined>;
  close(): Promise<void>;
} {
  let operations: Promise<Operations | undefined> | undefined;
  let isClosed = false;
  const started = async () => {
    if (isClosed) return undefined;
    operations ??= operate(context);
    return operations;
  };
  const timer = setTimeout(() => void started(), OPERATE_AFTER_MS).unref();
  return {
    started,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      if (operations === undefined) await noteEarlyCalls(context);
      await (await operations)?.close();
    },
  };
}

/** What was asked of a server that ended before its operations began. */
async function noteEarlyCalls(context: OperationsContext): Promise<void> {
  if (!context.calls.hasEarly) return;
  const { noteActivity } = await import('../ops/note-activity.js');
  await (await noteActivity(context)).close();
}

/** Serving goes on without: what could not be started is in the log. */
async function operate(context: OperationsContext): Promise<Operations | undefined> {
  const { logger } = context;
  try {
    const { startOperations } = await import('../ops/operations.js');
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
