/** Merging what says the same: the kept item gets the metadata of all, the others are deleted. Events like any others, so that a revert takes them back. */
import { decideDelete, decideUpsert } from '../domain/decide.js';
import type { CallContext } from '../domain/face.js';
import type { DomainEvent, Metric } from '../domain/model.js';
import type { DuplicateGroup } from '../domain/optimize.js';
import { throwIfCancelled } from './cancelled.js';
import type { WriteView } from './view.js';
import type { Writer } from './write.js';

/** Groups of one transaction: decided in one step of the event loop, each with reads of the log. */
const GROUPS_AT_ONCE = 16;

export interface Merged {
  /** As they were given, with what became of each. */
  readonly groups: readonly DuplicateGroup[];
  readonly deleted: number;
  /** 0 where nothing was written. */
  readonly firstSeq: number;
}

/**
 * Merges groups, each whole or not at all: one of which any item was written since it was looked at is left as it is.
 * @throws CodedError CANCELLED (what was merged by then stays); WalError as every write
 */
export async function mergeDuplicates(
  writer: Writer,
  metric: Metric,
  groups: readonly DuplicateGroup[],
  context: CallContext,
): Promise<Merged> {
  const outcomes: DuplicateGroup[] = [];
  let deleted = 0;
  let firstSeq = 0;
  for (let at = 0; at < groups.length; at += GROUPS_AT_ONCE) {
    throwIfCancelled(context);
    let decided: DuplicateGroup[] = [];
    const committed = await writer.transact(view => {
      // Again from the start, should it be asked twice.
      decided = [];
      return groups.slice(at, at + GROUPS_AT_ONCE).flatMap(group => {
        const events = group.outcome === 'left' ? undefined : decideMerge(view, group, metric);
        const outcome = group.outcome === 'left' ? 'left' : events === undefined ? 'changed' : 'merged';
        decided.push({ ...group, outcome });
        return events ?? [];
      });
    }, context.actor);
    firstSeq ||= committed.firstSeq;
    outcomes.push(...decided);
    for (const { outcome, others } of decided) if (outcome === 'merged') deleted += others.length;
    context.onProgress?.({
      done: outcomes.length,
      total: groups.length,
      unit: 'groups',
      message: 'merging duplicates',
    });
  }
  return { groups: outcomes, deleted, firstSeq };
}

/** Undefined where any of its items is not what it was. */
function decideMerge(view: WriteView, group: DuplicateGroup, metric: Metric): DomainEvent[] | undefined {
  const { kept, others, metadata, added } = group;
  const collection = view.collection(group.collection);
  if (collection === undefined) return undefined;
  const isCurrent = [kept, ...others].every(({ id, version }) => view.isCurrent(collection.id, id, version));
  if (!isCurrent) return undefined;
  const { events } = decideDelete(
    view,
    collection,
    others.map(({ id }) => id),
  );
  if (added.length === 0) return [...events];
  const put = decideUpsert(view, {
    collection: group.collection,
    items: [{ id: kept.id, metadata, if_version: kept.version }],
    origin: view.current(collection.id, kept.id)!.item.origin,
    metadataMode: 'replace',
    // Its text stays, and so do its vectors.
    embedded: new Map(),
    embedderSpace: undefined,
    metric,
    newId: () => kept.id,
  });
  return [...put.events, ...events];
}
