import { homedir } from 'node:os';
import { type Config, readConfig } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import type { Engine } from '../../domain/face.js';
import type { LocalServer } from '../../local/server.js';
import type { Logger } from '../../log.js';
import { VERSION } from '../../version.js';
import type { Call } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import { sayError } from '../printing.js';

/** `stdio [--store DIR] [--read-only]`. */
export default function stdio(call: Call): Promise<number> {
  return serveStdio(call.text('store'), call.has('read-only'));
}

/**
 * Serves MCP until the client goes or a signal comes, then closes the store with its checkpoint. The store is opened, and
 * the engine's code loaded, by the first call that needs them: discovery must be answered before.
 * @param store in place of VECTOR_DB_PATH
 * @param readOnly as VECTOR_READ_ONLY=1
 * @returns the exit code; the caller ends the process with it, since an idle stdin would keep it alive
 */
export async function serveStdio(store?: string, readOnly = false): Promise<number> {
  // LevelDB makes its files by the umask alone, and a store is for the user alone.
  process.umask(0o077);
  try {
    const env = {
      ...process.env,
      ...(store !== undefined && { VECTOR_DB_PATH: store }),
      ...(readOnly && { VECTOR_READ_ONLY: '1' }),
    };
    const config = readConfig(env, {
      platform: process.platform,
      home: homedir(),
      cwd: process.cwd(),
    });
    const [{ createLogger }, { serveStdioServer }] = await Promise.all([
      import('../../log.js'),
      import('../../mcp/stdio.js'),
    ]);
    const logger = createLogger(config);
    const lastWords = (error: unknown) => {
      logger.fatal({ err: error, code: 'INTERNAL' }, 'unexpected error: the server ends');
      process.exit(EXIT.couldNotRun);
    };
    process.on('uncaughtException', lastWords);
    process.on('unhandledRejection', lastWords);

    let opening: Promise<OpenedStore> | undefined;
    const engine = async () => {
      opening ??= openStore(config, logger).catch((error: unknown) => {
        // The reason may pass (a store in use, a full disk): the next call tries again.
        opening = undefined;
        throw error;
      });
      return (await opening).engine;
    };
    const { roots, access } = config;
    const server = serveStdioServer({ engine, version: VERSION, roots, access, logger });
    const reason = await server.ended;
    logger.debug({ reason }, 'closing');
    if (opening !== undefined) await closeOpened(opening);
    return EXIT.ok;
  } catch (error) {
    sayError(error, false);
    return exitCodeOf(error);
  }
}

interface OpenedStore {
  readonly engine: Engine;
  /** Settles once other processes are served, or cannot be; the first call does not wait for it. */
  readonly local: Promise<LocalServer | undefined>;
}

async function openStore(config: Config, logger: Logger): Promise<OpenedStore> {
  const { openEngine } = await import('../../engine/open.js');
  const { storePath, verify, keepHistory } = config;
  const engine = await openEngine({ path: storePath, config, logger, verify, keepHistory });
  return { engine, local: listen(engine, storePath, logger) };
}

/** A server that cannot listen still serves its client: commands beside it are then told that the store is in use. */
async function listen(engine: Engine, storeDir: string, logger: Logger): Promise<LocalServer | undefined> {
  try {
    const { serveLocal } = await import('../../local/server.js');
    return await serveLocal({ storeDir, engine, logger });
  } catch (error) {
    if (!isCoded(error)) throw error;
    logger.error({ code: error.code }, `${error.message} ${error.wayOut}`);
    return undefined;
  }
}

async function closeOpened(opening: Promise<OpenedStore>): Promise<void> {
  const opened = await opening.catch(() => undefined);
  // An engine that never opened was reported to the call that wanted it.
  if (opened === undefined) return;
  await (await opened.local)?.close();
  await opened.engine.close();
}
