import { forkLog } from '../../wal/fork.js';
import type { LevelLog } from '../../wal/level-log.js';
import { openLog } from '../../wal/open.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Progress, ResolvedMoment } from '../domain/face.js';
import { Catalog } from '../projections/catalog.js';
import { describeSeq, readMarks, resolveMoment } from './moments.js';
import { applyToCatalog, eventOf } from './projections.js';

export interface ReplayOptions {
  readonly storeDir: string;
  /** A moment; default: the head. */
  readonly until?: string | undefined;
  /** Make a new store of everything up to the moment here. */
  readonly to?: string | undefined;
  readonly clock?: () => number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface ReplaySummary {
  readonly moment: ResolvedMoment;
  readonly head: ResolvedMoment;
  /** Events replayed, by kind. */
  readonly events: Readonly<Record<string, number>>;
  /** State at the moment. */
  readonly collections: readonly { name: string; items: number; passages: number; space: string }[];
  /** The new store, where one was asked for. */
  readonly store?: { readonly path: string; readonly id: string; readonly seq: number };
}

/**
 * Replays a store's log up to a moment, every record checked: tells the state then, and makes a new store of it on request. The
 * source is not changed.
 */
export async function replay(options: ReplayOptions): Promise<ReplaySummary> {
  const clock = options.clock ?? Date.now;
  const log = await openLog({ storeDir: options.storeDir, clock });
  try {
    const moment =
      options.until === undefined
        ? describeSeq(log, log.head.seq)
        : resolveMoment(options.until, { log, marks: await readMarks(log), nowMs: clock() });
    const { catalog, events } = await replayCatalog(log, moment.seq, options.onProgress);
    const summary: ReplaySummary = {
      moment,
      head: describeSeq(log, log.head.seq),
      events,
      collections: catalog.collections.map(({ name, items, passages, space }) => ({
        name,
        items,
        passages,
        space: space.id,
      })),
    };
    if (options.to === undefined) return summary;
    const forked = await forkLog(log, moment.seq, options.to, {
      clock,
      onProgress: done => options.onProgress?.({ done, total: moment.seq, message: 'copying records' }),
    });
    return { ...summary, store: { path: options.to, id: forked.storeId, seq: forked.seq } };
  } finally {
    await log.close();
  }
}

/** The catalog alone tells what there is; texts and vectors need not be indexed for that. */
async function replayCatalog(log: LevelLog, until: number, onProgress: ReplayOptions['onProgress']) {
  const catalog = new Catalog();
  const events: Record<string, number> = {};
  for await (const records of readCommitted(log, 1, until)) {
    for (const record of records) {
      const event = eventOf(record);
      if (event === undefined) continue;
      applyToCatalog(catalog, event, record);
      events[event.type] = (events[event.type] ?? 0) + 1;
    }
    onProgress?.({ done: records[records.length - 1].seq, total: until, message: 'replaying' });
  }
  return { catalog, events };
}
