import type { LevelLog } from '../../wal/level-log.js';
import type { LogRecord } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Progress } from '../domain/face.js';
import type { IndexEngine } from '../domain/model.js';
import { saveCheckpoint } from './checkpoints.js';
import { Projections } from './projections.js';
import { emptyScratch } from './scratch.js';
import { readItemPut } from './versions.js';

/** How often the growth of the graphs is looked at. */
const POLL_MS = 250;

export interface BuildOptions {
  /** What builds the graphs. Default usearch. */
  readonly indexEngine?: IndexEngine | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Events at which onThrough is called. */
  readonly stops?: ReadonlySet<number>;
  /** Shown the projections when they are complete through one of the stops. */
  readonly onThrough?: (projections: Projections) => void;
}

/**
 * Builds a store's projections from its log alone, graphs included, and saves them as a checkpoint at the head. What other
 * checkpoints there are is not looked at; one of the same event is replaced when the new one stands.
 * @param log nobody may append to it meanwhile
 * @returns the seq through which the checkpoint is complete, and the number of committed records applied
 * @throws CodedError PROJECTION_FAILED (an event that cannot be applied), what the graphs' builder throws; WalError; a failed write
 *   as the file system throws it
 */
export async function buildCheckpoint(
  storeDir: string,
  log: LevelLog,
  { indexEngine, onProgress, stops = new Set(), onThrough }: BuildOptions = {},
): Promise<{ readonly seq: number; readonly records: number }> {
  const scratchDir = emptyScratch(storeDir);
  const projections = new Projections({ engine: indexEngine, scratchDir }, seq => readItemPut(log, seq));
  try {
    const total = log.head.seq;
    let applied = 0;
    for await (const records of readCommitted(log, 1, total)) {
      for (const piece of splitAt(records, stops)) {
        projections.apply(piece);
        projections.assertUsable();
        if (stops.has(projections.through.seq)) onThrough?.(projections);
      }
      applied += records.length;
      onProgress?.({ done: records[records.length - 1].seq, total, message: 'applying events' });
    }
    await graphs(projections, onProgress);
    onProgress?.({ done: total, total, message: 'writing the checkpoint' });
    return { seq: await saveCheckpoint(storeDir, log.lineage.storeId, projections), records: applied };
  } finally {
    await projections.close();
  }
}

/** Pieces that end at the stops. */
function splitAt(records: readonly LogRecord[], stops: ReadonlySet<number>): LogRecord[][] {
  const pieces: LogRecord[][] = [];
  let start = 0;
  records.forEach(({ seq }, index) => {
    if (!stops.has(seq) && index < records.length - 1) return;
    pieces.push(records.slice(start, index + 1));
    start = index + 1;
  });
  return pieces;
}

/** Waits until every graph holds what it should; rejects with what stopped one from growing. */
async function graphs(projections: Projections, onProgress: BuildOptions['onProgress']): Promise<void> {
  const indexes = [...projections.vectors.values()];
  const tell = () => {
    const counts = indexes.map(index => index.counts);
    const done = counts.reduce((sum, { indexed }) => sum + indexed, 0);
    const total = counts.reduce((sum, { indexed, pending }) => sum + indexed + pending, 0);
    if (total > done) onProgress?.({ done, total, unit: 'vectors', message: 'linking them into graphs' });
  };
  const timer = setInterval(tell, POLL_MS);
  tell();
  try {
    await Promise.all(indexes.map(index => index.idle()));
  } finally {
    clearInterval(timer);
  }
}
