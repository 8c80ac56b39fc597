/** Taking contents that an event gave up out of the log: payloads become stubs, then the files that held them are written anew. */
import type { GroupCommitLog } from '../../wal/group-commit.js';
import type { Erasure } from '../../wal/log.js';
import type { Progress } from '../domain/face.js';
import type { Erased } from '../domain/model.js';
import type { Catalog } from '../projections/catalog.js';
import { encodeResidue, eventOf } from './event-codec.js';

/** Contents that are erased by one synced write. */
const BATCH_EVENTS = 256;
/** Records whose files are written anew in one go: LevelDB tells nothing before it is through. */
const RECLAIM_RECORDS = 20_000;

export interface ErasingOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called between two steps; what it throws ends the work, which can be taken up again. */
  readonly pause?: (() => void | Promise<void>) | undefined;
}

export interface Erasing {
  /** Events whose content went. */
  readonly events: number;
  /** By which their records became shorter. */
  readonly freedBytes: number;
}

/**
 * Erases from the log the contents of all versions that the catalog holds for erased, and gives their space back. What an earlier attempt did
 * is passed over.
 * @throws WalError as GroupCommitLog.erase and reclaim; CodedError EVENT_MALFORMED
 */
export async function eraseContents(
  log: GroupCommitLog,
  catalog: Catalog,
  why: Erased,
  { onProgress, pause = () => {} }: ErasingOptions = {},
): Promise<Erasing> {
  const versions = [...catalog.erasedVersions(why)];
  const pieces = new Set<number>();
  let batch: Erasure[] = [];
  let events = 0;
  let freedBytes = 0;
  const flush = async () => {
    freedBytes += await log.erase(batch);
    events += batch.length;
    batch = [];
    await pause();
  };
  for (const [done, ordinal] of versions.entries()) {
    for (const seq of catalog.contentSeqsOf(ordinal)) {
      pieces.add(Math.floor(seq / RECLAIM_RECORDS));
      const event = eventOf(log.get(seq));
      if ((event?.type !== 'item_put' && event?.type !== 'vectors_added') || event.erased !== undefined)
        continue;
      batch.push({ seq, residue: encodeResidue(event, why) });
    }
    if (batch.length < BATCH_EVENTS) continue;
    await flush();
    onProgress?.({ done, total: versions.length, unit: 'versions', message: 'erasing contents' });
  }
  await flush();
  const ordered = [...pieces].sort((a, b) => a - b);
  for (const [done, piece] of ordered.entries()) {
    const firstSeq = piece * RECLAIM_RECORDS;
    await log.reclaim(firstSeq, firstSeq + RECLAIM_RECORDS - 1);
    onProgress?.({
      done: done + 1,
      total: ordered.length,
      unit: 'pieces',
      message: 'writing the files of the log anew',
    });
    await pause();
  }
  return { events, freedBytes };
}
