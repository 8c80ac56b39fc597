/** What would go, and what would become of the items, if the log were cut after a moment. */
import { join } from 'node:path';
import type { Log } from '../../wal/log.js';
import { isLost } from '../../wal/lost.js';
import { PATHS } from '../../wal/paths.js';
import type { LogRecord } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import { asCoded } from '../domain/errors.js';
import type { Progress, ResolvedMoment } from '../domain/face.js';
import { Catalog } from '../projections/catalog.js';
import { followCatalog } from './catalog-events.js';
import { listCheckpoints } from './checkpoints.js';
import { beyondHorizon, describeSeq } from './moments.js';

export interface RollbackPlan {
  /** What stays, up to and including this. */
  readonly to: ResolvedMoment;
  readonly head: ResolvedMoment;
  readonly epoch: number;
  /** Records of the log that go, its own included; 0 where only the record of an earlier cut at the same place would. */
  readonly records: number;
  /** Bytes of those that count: records of aborted transactions go as well. */
  readonly sizeBytes: number;
  /** Events that go, by kind; `erased` are those without a payload. */
  readonly events: Readonly<Record<string, number>>;
  readonly actors: readonly ActorShare[];
  readonly items: ItemChanges;
  /** Collections that did not exist at the moment. */
  readonly collections: readonly string[];
  /** Marks that did not exist at the moment. */
  readonly marks: readonly string[];
  /** Events through which the checkpoints that go are complete. */
  readonly checkpoints: readonly number[];
  /** Where the records will be, in a folder of their own. */
  readonly quarantine: string;
  /** Events that this program cannot make sense of, the first few; what they did to items is not in `items`. */
  readonly unreadable: readonly string[];
}

/** Who wrote what goes. */
export interface ActorShare {
  /** As the client declared itself: unverified. Empty where no actor was declared. */
  readonly client: string;
  readonly session: string;
  readonly tool: string;
  readonly events: number;
}

export interface ItemChanges {
  readonly changed: number;
  readonly restored: number;
  readonly removed: number;
  /** The first LISTED_ITEMS of them; the numbers are of all. */
  readonly list: readonly ItemChange[];
}

export interface ItemChange {
  readonly collection: string;
  readonly id: string;
  /**
   * `changed`: it lives then and now, in another version. `restored`: it lived then and is deleted now. `removed`: it lives now and
   * did not then.
   */
  readonly becomes: 'changed' | 'restored' | 'removed';
  /** The version that it will have. */
  readonly version?: number;
}

const LISTED_ITEMS = 1000;
const LISTED_UNREADABLE = 20;

/**
 * Reads the whole log, every record and the chain checked; nothing is changed.
 * @param to the last record of a transaction
 * @throws CodedError MOMENT_BEYOND_HORIZON where something that lived then was erased
 */
export async function planRollback(
  log: Log,
  to: ResolvedMoment,
  storeDir: string,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<RollbackPlan> {
  const catalog = new Catalog();
  const events: Record<string, number> = {};
  let sizeBytes = 0;
  const byActor = new Map<number, number>();
  const collections: string[] = [];
  const marks: string[] = [];
  const unreadable: string[] = [];
  // Whoever cuts an event off because it cannot be read must not be held up by it.
  const apply = (record: LogRecord): string | undefined => {
    try {
      const event = followCatalog(catalog, record);
      if (event === undefined) return record.body === undefined && !isLost(record) ? 'erased' : undefined;
      if (record.seq > to.seq) {
        if (event.type === 'collection_created') collections.push(event.name);
        if (event.type === 'mark_set') marks.push(event.name);
      }
      return record.body === undefined ? 'erased' : event.type;
    } catch (error) {
      const { code, message } = asCoded(error);
      if (unreadable.length < LISTED_UNREADABLE) unreadable.push(`${code}: ${message}`);
      return 'unreadable';
    }
  };
  const total = log.head.seq;
  for await (const records of readCommitted(log, 1, total)) {
    for (const record of records) {
      const applied = apply(record);
      const type = isLost(record) ? 'lost' : applied;
      if (record.seq <= to.seq) continue;
      sizeBytes += record.sizeBytes;
      if (type === undefined) continue;
      events[type] = (events[type] ?? 0) + 1;
      byActor.set(record.actor, (byActor.get(record.actor) ?? 0) + 1);
    }
    onProgress?.({ done: records[records.length - 1].seq, total, message: 'checking the log' });
  }
  const erased = catalog.erasedSpanAt(to.seq);
  if (erased !== undefined) throw beyondHorizon(log, 'the moment', to.seq, erased);
  // What says so may be cut off, and a checkpoint from before it does not know: its contents are gone from the log all the same.
  const hasErased = !catalog.isWhole;
  // The same rollback twice, for instance after a crash, is one.
  const isCutThere = log.lineage.epochSeq === to.seq + 1 && total === log.lineage.epochSeq;
  const records = isCutThere ? 0 : total - to.seq;
  return {
    to,
    head: describeSeq(log, total),
    epoch: log.lineage.epoch,
    records,
    sizeBytes,
    events,
    actors: sharesOf(byActor, catalog),
    items: changesBack(catalog, to.seq),
    collections,
    marks,
    checkpoints: records === 0 ? [] : listCheckpoints(storeDir).filter(seq => seq > to.seq || hasErased),
    quarantine: join(storeDir, PATHS.quarantine),
    unreadable,
  };
}

const NOBODY = { clientName: '', session: '', tool: '' };

/** Actors that differ in nothing that is shown count as one; most events first. */
function sharesOf(byActor: ReadonlyMap<number, number>, catalog: Catalog): ActorShare[] {
  const shares = new Map<string, ActorShare>();
  for (const [seq, events] of byActor) {
    const { clientName: client, session, tool } = catalog.actor(seq) ?? NOBODY;
    const key = JSON.stringify([client, session, tool]);
    shares.set(key, { client, session, tool, events: events + (shares.get(key)?.events ?? 0) });
  }
  return [...shares.values()].sort((a, b) => b.events - a.events);
}

/** The state at `toSeq` against the state now. @param catalog with every event applied */
function changesBack(catalog: Catalog, toSeq: number): ItemChanges {
  const all = new Set(catalog.collections.map(({ id }) => id));
  const then = catalog.maskAt(all, toSeq);
  const now = catalog.liveMask(all);
  const counts = { changed: 0, restored: 0, removed: 0 };
  const list: ItemChange[] = [];
  const note = (ordinal: number, becomes: ItemChange['becomes'], version?: number) => {
    counts[becomes] += 1;
    if (list.length >= LISTED_ITEMS) return;
    const collection = catalog.collectionById(catalog.collectionOf(ordinal))!.name;
    list.push({
      collection,
      id: catalog.idOf(ordinal),
      becomes,
      ...(version !== undefined && { version }),
    });
  };
  for (let ordinal = 0; ordinal < then.length; ordinal++) {
    if (then[ordinal] === 0 || now[ordinal] === 1) continue;
    const current = catalog.find(catalog.collectionOf(ordinal), catalog.idOf(ordinal));
    // Its living version of now is accounted for by this one.
    if (current >= 0) now[current] = 0;
    note(ordinal, current >= 0 ? 'changed' : 'restored', catalog.seqOf(ordinal));
  }
  for (let ordinal = 0; ordinal < now.length; ordinal++)
    if (now[ordinal] === 1 && then[ordinal] === 0) note(ordinal, 'removed');
  return { ...counts, list };
}
