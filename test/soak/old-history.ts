/** A store that was used some days ago, so that there is history for the horizon to erase. */
import { readConfig } from '#src/config.js';
import type { CallContext } from '#src/domain/face.js';
import { openEngine } from '#src/engine/open.js';
import { createLogger } from '#src/log.js';

const DAY_MS = 86_400_000;
const COLLECTION = 'old';
const ITEMS = 20;

const CONTEXT: CallContext = {
  actor: {
    clientName: 'soak',
    clientVersion: '1.0.0',
    session: 'days-ago',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'soak',
  },
};

/** Items that were all overwritten three days ago. */
export async function writeOldHistory(storeDir: string): Promise<void> {
  const machine = { platform: process.platform, home: storeDir, cwd: storeDir };
  const config = readConfig({ VECTOR_DB_PATH: storeDir, VECTOR_LOG_LEVEL: 'error' }, machine);
  const clock = () => Date.now() - 3 * DAY_MS;
  const engine = await openEngine({ path: storeDir, config, logger: createLogger(config), clock });
  for (const text of ['what was said first', 'what was said then']) {
    const items = Array.from({ length: ITEMS }, (_, n) => ({
      ...{ id: `old-${n}`, text: `${text} of ${n}`, vector: [1, n, 2] },
    }));
    await engine.upsert({ collection: COLLECTION, items }, CONTEXT);
  }
  await engine.close();
}
