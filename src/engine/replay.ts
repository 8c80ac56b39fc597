import { type ForkOrigin, forkOriginOf } from '../../wal/lineage.js';
import type { ReadableLog } from '../../wal/log.js';
import { openLog } from '../../wal/open.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Progress, ResolvedMoment } from '../domain/face.js';
import type { IndexEngine } from '../domain/model.js';
import { Catalog } from '../projections/catalog.js';
import { followCatalog } from './catalog-events.js';
import { checkTarget, type ForkedStore, type ForkPlan, fork, planFork } from './fork.js';
import { beyondHorizon, describeSeq } from './moments.js';
import { type Range, type RangeOptions, resolveRange } from './replay-range.js';

export interface ReplayOptions extends RangeOptions {
  readonly storeDir: string;
  /** Make a new store of everything up to the moment here: absolute. Not together with `since`: a fork is a prefix. */
  readonly to?: string | undefined;
  /** Build the new store's checkpoint too. Default true. */
  readonly checkpoint?: boolean;
  /** What builds its graphs. Default usearch. */
  readonly indexEngine?: IndexEngine | undefined;
  /** Only tell what a fork would take, and whether it can be made. */
  readonly dryRun?: boolean;
  readonly clock?: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface ReplaySummary {
  readonly moment: ResolvedMoment;
  readonly head: ResolvedMoment;
  readonly storeId: string;
  /** Where the store comes from, if it is a fork. */
  readonly forkedFrom?: ForkOrigin;
  /** The first event counted, where `since` was given. */
  readonly sinceSeq?: number;
  /** Events since `since`, by kind. */
  readonly events: Readonly<Record<string, number>>;
  /** State at the moment, whatever `since` says. */
  readonly collections: readonly { name: string; items: number; passages: number; space: string }[];
  /** The new store, where one was asked for. */
  readonly store?: ForkedStore;
  /** On a dry run: what making it would take. */
  readonly plan?: ForkPlan;
}

/**
 * Replays a store's log up to a moment, every record checked: tells the state then, and makes a new store of it on request. The
 * source is not changed.
 * @throws WalError as openLog and reading do; CodedError as resolveRange and fork do
 */
export async function replay(options: ReplayOptions): Promise<ReplaySummary> {
  const { storeDir, to, onProgress } = options;
  const clock = options.clock ?? Date.now;
  const log = await openLog({ storeDir, clock });
  try {
    if (to !== undefined) checkTarget(storeDir, to);
    const range = await resolveRange(log, options, clock());
    const { catalog, events } = await replayCatalog(log, range, onProgress);
    const forkedFrom = forkOriginOf(log.get(log.lineage.lineageSeq));
    const summary: ReplaySummary = {
      moment: range.until,
      head: describeSeq(log, log.head.seq),
      storeId: log.lineage.storeId,
      ...(forkedFrom && { forkedFrom }),
      ...(options.since !== undefined && { sinceSeq: range.sinceSeq }),
      events,
      collections: catalog.collections.map(({ name, items, passages, space }) => ({
        name,
        items,
        passages,
        space: space.id,
      })),
    };
    if (to === undefined) return summary;
    const erased = catalog.erasedSpanAt(range.until.seq);
    if (erased !== undefined) throw beyondHorizon(log, 'the moment', range.until.seq, erased);
    const { checkpoint = true } = options;
    const { indexEngine } = options;
    const fromHere = { untilSeq: range.until.seq, to, checkpoint, indexEngine, clock, onProgress };
    return options.dryRun
      ? { ...summary, plan: await planFork(log, storeDir, fromHere) }
      : { ...summary, store: await fork(log, storeDir, fromHere) };
  } finally {
    await log.close();
  }
}

/** The catalog alone tells what there is; texts and vectors need not be indexed for that. */
export async function replayCatalog(
  log: ReadableLog,
  { sinceSeq, until }: Pick<Range, 'sinceSeq' | 'until'>,
  onProgress: ReplayOptions['onProgress'],
) {
  const catalog = new Catalog();
  const events: Record<string, number> = {};
  for await (const records of readCommitted(log, 1, until.seq)) {
    for (const record of records) {
      const event = followCatalog(catalog, record);
      if (event === undefined) continue;
      if (record.seq >= sinceSeq) events[event.type] = (events[event.type] ?? 0) + 1;
    }
    onProgress?.({ done: records[records.length - 1].seq, total: until.seq, message: 'replaying' });
  }
  return { catalog, events };
}
