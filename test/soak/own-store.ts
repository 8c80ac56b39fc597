/** A store of the soak that is opened without a server: before it, to be filled, and before and after, to see what it takes in memory. */
import { readConfig } from '#src/config.js';
import type { CallContext } from '#src/domain/face.js';
import { openEngine } from '#src/engine/open.js';
import { createLogger } from '#src/log.js';

/** @param clock default: the machine's */
export function openStore(path: string, clock?: () => number) {
  const machine = { platform: process.platform, home: path, cwd: path };
  const config = readConfig({ VECTOR_DB_PATH: path, VECTOR_LOG_LEVEL: 'error' }, machine);
  return openEngine({ path, config, logger: createLogger(config), ...(clock && { clock }) });
}

/** Calls of the soak itself. */
export const contextOf = (session: string): CallContext => ({
  actor: {
    clientName: 'soak',
    clientVersion: '1.0.0',
    session,
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'soak',
  },
});
