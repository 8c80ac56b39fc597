import { openLog } from '../../wal/open.js';
import type { Progress } from '../domain/face.js';
import { eraseContents } from './erasing.js';
import { describeSeq } from './moments.js';
import { replayCatalog } from './replay.js';

/**
 * Erases what the log of a store gives up and holds all the same, where records came back from a backup that is older than that. Nobody may have
 * the store open.
 * @throws WalError as openLog and eraseContents
 */
export async function eraseAgain(
  storeDir: string,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<void> {
  const log = await openLog({ storeDir });
  try {
    const until = describeSeq(log, log.head.seq);
    const { catalog } = await replayCatalog(log, { sinceSeq: until.seq + 1, until }, onProgress);
    for (const why of ['horizon', 'redacted'] as const)
      await eraseContents(log, catalog, why, { onProgress });
  } finally {
    await log.close();
  }
}
