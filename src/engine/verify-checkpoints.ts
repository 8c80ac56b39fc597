/** Whether a checkpoint says what the log says: a cache that does not would answer wrongly until it is rebuilt. */
import { WalError } from '../../wal/errors.js';
import type { LookReport } from '../../wal/leveldb/look.js';
import { withLogCopy } from '../../wal/log-copy.js';
import { openLog } from '../../wal/open.js';
import { readCommitted } from '../../wal/transactions.js';
import type { LogFinding } from '../../wal/verify.js';
import type { Progress } from '../domain/face.js';
import { loadCatalog, unlikeParts } from './checkpoint-checks.js';
import type { Manifest } from './checkpoint-files.js';
import { Projections } from './projections.js';
import { type DigestPart, digestCatalog, sumOf } from './version-digest.js';
import { readItemPut } from './versions.js';

const differs = (seq: number, what: string): LogFinding => ({
  code: 'CHECKPOINT_DIFFERS',
  message: `the checkpoint of event ${seq} is not what the log gives: ${what}`,
  seq,
});

/**
 * Compares the versions in a checkpoint's catalog with those in the log, by a digest.
 * @param parts see LogDigest, through the checkpoint's event
 * @returns undefined where it is from before contents were erased, and so knows more than the log
 */
export async function compareCatalog(
  storeDir: string,
  manifest: Manifest,
  parts: readonly DigestPart[],
): Promise<LogFinding[] | undefined> {
  try {
    const catalog = await loadCatalog(storeDir, manifest);
    const { sum, problem } = digestCatalog(catalog);
    if (problem !== undefined) return [differs(manifest.seq, `in its catalog ${problem}`)];
    const { low, high } = sumOf(parts);
    const isEqual = sum.low === low && sum.high === high;
    if (isEqual) return [];
    const erased = parts.reduce((count, part) => count + part.erased, 0);
    if (erased !== catalog.erasedPuts) return undefined;
    return [differs(manifest.seq, 'its catalog holds other versions')];
  } catch (error) {
    return [differs(manifest.seq, `its catalog cannot be read: ${(error as Error).message}`)];
  }
}

/**
 * Opens a copy of the log as a server would, builds the projections of it up to a checkpoint's event, and compares them with the checkpoint: catalog,
 * words and metadata byte for byte, and the vectors of all that lives.
 */
export async function compareRebuilt(
  storeDir: string,
  looked: LookReport,
  manifest: Manifest,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<LogFinding[]> {
  return withLogCopy(storeDir, looked, async copyDir => {
    const log = await openLog({ storeDir: copyDir });
    // Graphs are not compared: they follow from more than the events.
    const options = { scratchDir: copyDir, graphThresholdRows: Number.MAX_SAFE_INTEGER };
    const projections = new Projections(options, seq => readItemPut(log, seq));
    try {
      for await (const records of readCommitted(log, 1, manifest.seq)) {
        const last = records.findLastIndex(({ seq }) => seq <= manifest.seq);
        projections.apply(records.slice(0, last + 1));
        projections.assertUsable();
        onProgress?.({
          done: projections.through.seq,
          total: manifest.seq,
          message: 'comparing the checkpoint with the log',
        });
      }
      await projections.words.complete();
      const parts = await unlikeParts(storeDir, manifest, projections);
      return parts.length === 0 ? [] : [differs(manifest.seq, `${parts.join(', ')} differ`)];
    } finally {
      await projections.close();
      await log.close();
    }
  }).catch((error: unknown) => {
    if (!(error instanceof WalError) || error.code === 'WAL_IO') throw error;
    // Nothing was found in its files, and still it cannot be opened.
    return [{ code: error.code, message: `a copy of the log does not open: ${error.message}` }];
  });
}
