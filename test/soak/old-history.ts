/** A store that was used some days ago, so that there is history for the horizon to erase. */
import { contextOf, openStore } from './own-store.js';

const DAY_MS = 86_400_000;
export const OLD = 'old';
const DIMENSION = 16;
/** Of a call. */
const ITEMS = 1000;
/** Those that were overwritten. */
const OVERWRITTEN = 500;

const CONTEXT = contextOf('days-ago');

export const oldId = (n: number): string => `old-${n}`;

/** So many items, some of which were overwritten, three days ago; of the size of those that the clients write. */
export async function writeOldHistory(storeDir: string, count: number, random: () => number): Promise<void> {
  const engine = await openStore(storeDir, () => Date.now() - 3 * DAY_MS);
  const write = async (from: number, to: number, said: string) => {
    const items = Array.from({ length: to - from }, (_, n) => ({
      id: oldId(from + n),
      text: `${said} of ${from + n}: copper lantern meadow signal harbour ledger violet engine quarry willow, and so on`,
      metadata: { owner: 'nobody', rev: n, color: 'grey' },
      vector: Array.from({ length: DIMENSION }, () => random() * 2 - 1),
    }));
    await engine.upsert({ collection: OLD, items }, CONTEXT);
  };
  for (let from = 0; from < count; from += ITEMS)
    await write(from, Math.min(count, from + ITEMS), 'said first');
  await write(0, Math.min(count, OVERWRITTEN), 'said then');
  await engine.close();
}
