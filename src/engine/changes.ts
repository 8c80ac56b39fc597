/** Changes in the order of the log, told from the catalog's columns alone: no record is read for them. */
import type { ChangeType } from '../domain/travel.js';
import type { Catalog } from '../projections/catalog.js';
import type { Milestone } from '../projections/registry.js';
import type { SeqSpan } from './moments.js';

/** A version that was written, or a delete. */
export interface ItemChange {
  readonly seq: number;
  /** The event that declared who made it; 0 for none. */
  readonly actor: number;
  /** The version that lived before it, or -1. */
  readonly before: number;
  /** The version that it wrote; -1 for a delete. */
  readonly after: number;
}

/** A change before its texts are read. */
export type FoundChange = FoundItemChange | Milestone;

export interface FoundItemChange extends ItemChange {
  readonly type: 'created' | 'updated' | 'restored' | 'deleted';
}

/** Which changes: every bound that is given must hold. */
export interface ChangeFilter extends SeqSpan {
  /** Collection id. */
  readonly collection?: number | undefined;
  /** Ids of the only collections that there are; what belongs to none passes. */
  readonly within?: ReadonlySet<number> | undefined;
  readonly types?: ReadonlySet<ChangeType> | undefined;
  /** The events that declared the actors. */
  readonly actors?: ReadonlySet<number> | undefined;
}

/** Changes of a store, or of a collection. Costs a walk over the columns within the span, however few pass the filter. */
export function* changesNewestFirst(catalog: Catalog, filter: ChangeFilter): Generator<FoundChange> {
  const sources: Generator<FoundChange>[] = [
    writesNewestFirst(catalog, filter),
    deletesNewestFirst(catalog, filter),
    milestonesNewestFirst(catalog, filter),
  ];
  const next = sources.map(source => source.next());
  for (;;) {
    let newest = -1;
    let seq = 0;
    next.forEach(({ done, value }, index) => {
      if (done || value.seq <= seq) return;
      newest = index;
      seq = value.seq;
    });
    if (newest < 0) return;
    yield next[newest]!.value as FoundChange;
    next[newest] = sources[newest]!.next();
  }
}

/** Those changes of one item that pass the filter. @param newest its newest version, or -1 where there never was one */
export function* changesOfItem(
  catalog: Catalog,
  newest: number,
  filter: ChangeFilter,
): Generator<FoundItemChange> {
  for (const change of changesOf(catalog, newest)) {
    if (change.seq < filter.firstSeq) return;
    const found = withType(catalog, change);
    if (isWanted(found, filter)) yield found;
  }
}

/**
 * The changes of an item, newest first.
 * @param newest its newest version that `throughSeq` or an earlier event wrote
 * @param throughSeq what later events did to it is not told. Default: all is
 */
export function* changesOf(
  catalog: Catalog,
  newest: number,
  throughSeq: number = Number.MAX_SAFE_INTEGER,
): Generator<ItemChange> {
  for (let ordinal = newest, next = 0; ordinal >= 0; ordinal = catalog.previousOf(ordinal)) {
    const died = catalog.diedOf(ordinal);
    // What ended it was a delete, unless it was the version after it.
    if (died !== 0 && died !== next && died <= throughSeq)
      yield { seq: died, actor: catalog.deleterOf(died), before: ordinal, after: -1 };
    yield writeOf(catalog, ordinal);
    next = catalog.seqOf(ordinal);
  }
}

/** The loop looks at what decides before it makes an object: of a large store most rows are passed over. */
function* writesNewestFirst(catalog: Catalog, filter: ChangeFilter): Generator<FoundItemChange> {
  const { types, actors, collection, within } = filter;
  if (types && !types.has('created') && !types.has('updated') && !types.has('restored')) return;
  const first = catalog.firstAtOrAfter(filter.firstSeq);
  for (let ordinal = catalog.firstAtOrAfter(filter.lastSeq + 1) - 1; ordinal >= first; ordinal--) {
    if (collection !== undefined && catalog.collectionOf(ordinal) !== collection) continue;
    if (within && !within.has(catalog.collectionOf(ordinal))) continue;
    if (actors && !actors.has(catalog.actorOf(ordinal))) continue;
    if (types && !types.has(changeTypeOf(catalog, ordinal))) continue;
    yield withType(catalog, writeOf(catalog, ordinal));
  }
}

function* deletesNewestFirst(catalog: Catalog, filter: ChangeFilter): Generator<FoundItemChange> {
  if (filter.types && !filter.types.has('deleted')) return;
  const first = catalog.firstDeleteAtOrAfter(filter.firstSeq);
  for (let n = catalog.firstDeleteAtOrAfter(filter.lastSeq + 1) - 1; n >= first; n--) {
    const { seq, actor, ordinal } = catalog.deleteAt(n);
    if (filter.collection !== undefined && catalog.collectionOf(ordinal) !== filter.collection) continue;
    if (filter.within && !filter.within.has(catalog.collectionOf(ordinal))) continue;
    if (filter.actors && !filter.actors.has(actor)) continue;
    yield { seq, actor, before: ordinal, after: -1, type: 'deleted' };
  }
}

function* milestonesNewestFirst({ registry }: Catalog, filter: ChangeFilter): Generator<Milestone> {
  const { milestones } = registry;
  for (let at = milestones.length - 1; at >= 0; at--) {
    const milestone = milestones[at]!;
    if (filter.collection !== undefined && milestone.collection !== filter.collection) continue;
    if (filter.within && milestone.collection !== undefined && !filter.within.has(milestone.collection))
      continue;
    if (isWanted(milestone, filter)) yield milestone;
  }
}

const isWanted = ({ seq, type, actor }: FoundChange, filter: ChangeFilter): boolean =>
  seq >= filter.firstSeq &&
  seq <= filter.lastSeq &&
  (filter.types?.has(type) ?? true) &&
  (filter.actors?.has(actor) ?? true);

function writeOf(catalog: Catalog, ordinal: number): ItemChange {
  const before = replacedBy(catalog, ordinal);
  return { seq: catalog.seqOf(ordinal), actor: catalog.actorOf(ordinal), before, after: ordinal };
}

/** The version that lived until this one was written, or -1: what was deleted before was not replaced. */
function replacedBy(catalog: Catalog, ordinal: number): number {
  const previous = catalog.previousOf(ordinal);
  return previous >= 0 && catalog.diedOf(previous) === catalog.seqOf(ordinal) ? previous : -1;
}

/** What a version was when it was written. */
export function changeTypeOf(catalog: Catalog, ordinal: number): 'created' | 'updated' | 'restored' {
  if (catalog.isRestored(ordinal)) return 'restored';
  return replaces(catalog, ordinal) ? 'updated' : 'created';
}

/** Whether its item was there when a version was written, so that there are no more items by it. */
export const replaces = (catalog: Catalog, ordinal: number): boolean => replacedBy(catalog, ordinal) >= 0;

function withType(catalog: Catalog, change: ItemChange): FoundItemChange {
  const { seq, actor, before, after } = change;
  return { seq, actor, before, after, type: after < 0 ? 'deleted' : changeTypeOf(catalog, after) };
}

/** What became of an item between two moments: the version that lived at each, or -1. */
export interface NetChange {
  /** Its last change between them. */
  readonly seq: number;
  readonly before: number;
  readonly after: number;
}

/** Between which moments, and where to begin. */
export interface NetSpan {
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Only items whose last change was before this event. */
  readonly belowSeq: number;
  /** Collection id. */
  readonly collection?: number | undefined;
  /** Ids of the only collections that there are. */
  readonly within?: ReadonlySet<number> | undefined;
}

/**
 * Every item that was written or deleted by the events in (fromSeq, toSeq], each once, the one changed last first; also those
 * that came and went in between. Costs a walk over the rows of these events, and over nothing else.
 */
export function* netChanges(catalog: Catalog, span: NetSpan): Generator<NetChange> {
  const { fromSeq, toSeq, collection, within } = span;
  const firstVersion = catalog.firstAtOrAfter(fromSeq + 1);
  const firstDelete = catalog.firstDeleteAtOrAfter(fromSeq + 1);
  const recreated = recreatedVersions(catalog, fromSeq, toSeq);
  const endSeq = Math.min(span.belowSeq, toSeq + 1);
  let version = catalog.firstAtOrAfter(endSeq) - 1;
  let n = catalog.firstDeleteAtOrAfter(endSeq) - 1;
  while (version >= firstVersion || n >= firstDelete) {
    const written = version >= firstVersion ? catalog.seqOf(version) : 0;
    const deleted = n >= firstDelete ? catalog.deleteAt(n) : undefined;
    const isWrite = deleted === undefined || written > deleted.seq;
    const ordinal = isWrite ? version-- : deleted.ordinal;
    if (!isWrite) n--;
    if (collection !== undefined && catalog.collectionOf(ordinal) !== collection) continue;
    if (within && !within.has(catalog.collectionOf(ordinal))) continue;
    const died = catalog.diedOf(ordinal);
    const isLast = isWrite ? died === 0 || died > toSeq : !recreated.has(ordinal);
    if (!isLast) continue;
    yield {
      seq: isWrite ? written : deleted.seq,
      before: catalog.livedAt(ordinal, fromSeq),
      after: isWrite ? ordinal : -1,
    };
  }
}

/** Versions that ended with a delete after which, still in (fromSeq, toSeq], their item was created again. */
function recreatedVersions(catalog: Catalog, fromSeq: number, toSeq: number): Set<number> {
  const recreated = new Set<number>();
  const end = catalog.firstAtOrAfter(toSeq + 1);
  for (let ordinal = catalog.firstAtOrAfter(fromSeq + 1); ordinal < end; ordinal++) {
    const previous = catalog.previousOf(ordinal);
    if (previous < 0) continue;
    const died = catalog.diedOf(previous);
    if (died > fromSeq && died !== catalog.seqOf(ordinal)) recreated.add(previous);
  }
  return recreated;
}
