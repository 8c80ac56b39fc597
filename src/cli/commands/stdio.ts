import { homedir } from 'node:os';
import { readConfig } from '../../config.js';
import type { SharedStore } from '../../local/shared-store.js';
import { VERSION } from '../../version.js';
import type { Call } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import { endOnUnexpected } from '../last-words.js';
import { sayError } from '../printing.js';
import { reopenOnHangup } from '../reopen-log.js';
import { shareStore } from '../share-store.js';

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
    endOnUnexpected(logger);
    reopenOnHangup(config, logger);

    let sharing: Promise<SharedStore> | undefined;
    const engine = async () => {
      sharing ??= shareStore(config, logger);
      return (await sharing).engine;
    };
    const { roots, access, logTexts } = config;
    // What stderr says here is what the editor shows; and without a line, nobody waits for pino.
    const callLevel = config.logFile === undefined ? 'debug' : 'info';
    const log = { logger, callLevel, logTexts } as const;
    const server = serveStdioServer({ engine, version: VERSION, roots, access, ...log });
    const reason = await server.ended;
    logger.debug({ reason }, 'closing');
    await (await sharing)?.close();
    return EXIT.ok;
  } catch (error) {
    sayError(error, false);
    return exitCodeOf(error);
  }
}
