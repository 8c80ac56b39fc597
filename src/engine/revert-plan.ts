/**
 * What a revert would do, told from the catalog's columns alone: for each item that the selected changes touched, which
 * version comes back. A plan of a million items is two typed arrays.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../projections/catalog.js';
import { changesOf, type ItemChange } from './changes.js';

/** Which changes are to be taken back. */
export interface Selection {
  /** Bounds of their events, inclusive. */
  readonly fromSeq: number;
  readonly throughSeq: number;
  /** Collection ids; absent: all. */
  readonly collections?: ReadonlySet<number>;
  /** Items, by their newest version; absent: all. */
  readonly items?: ReadonlySet<number>;
  /** Whether a change within the bounds is selected. */
  isSelected(change: ItemChange): boolean;
}

export interface RevertPlan {
  /** The items' newest versions, dead or alive, ascending. */
  readonly newest: Uint32Array;
  /** Beside each: 1 + the version whose content comes back; 0 where the item is to be deleted. */
  readonly targets: Uint32Array;
  readonly restored: number;
  readonly deleted: number;
  /** Newest versions of items that someone else changed later. */
  readonly conflicts: Uint32Array;
  /** Of the arguments and of every version concerned: 16 hex digits. */
  readonly digest: string;
}

/**
 * Plans a revert.
 * @param overwriteConflicts take back selected changes although later ones were not selected, and the later ones with them
 * @param args what the digest covers besides the versions
 */
export function planRevert(
  catalog: Catalog,
  selection: Selection,
  overwriteConflicts: boolean,
  args: string,
): RevertPlan {
  const touched = touchedItems(catalog, selection);
  const newest: number[] = [];
  const targets: number[] = [];
  const conflicts: number[] = [];
  const digest = createHash('sha256').update(args);
  let deleted = 0;
  for (let item = touched.indexOf(1); item >= 0; item = touched.indexOf(1, item + 1)) {
    const outcome = outcomeOf(catalog, item, selection, overwriteConflicts);
    if (outcome === 'conflict') conflicts.push(item);
    else if (outcome === undefined) continue;
    else {
      newest.push(item);
      targets.push(outcome + 1);
      if (outcome < 0) deleted += 1;
    }
    const target = outcome === 'conflict' ? 'conflict' : outcome < 0 ? 0 : catalog.seqOf(outcome);
    digest.update(`\n${catalog.collectionOf(item)} ${catalog.seqOf(item)} ${catalog.diedOf(item)} ${target}`);
  }
  return {
    newest: Uint32Array.from(newest),
    targets: Uint32Array.from(targets),
    restored: newest.length - deleted,
    deleted,
    conflicts: Uint32Array.from(conflicts),
    digest: digest.digest('hex').slice(0, 16),
  };
}

/** A byte per version: 1 for the newest version of each item that a selected change touched. */
function touchedItems(catalog: Catalog, selection: Selection): Uint8Array {
  const touched = new Uint8Array(catalog.size);
  const { fromSeq, throughSeq, collections, items } = selection;
  const touch = (ordinal: number, change: () => ItemChange) => {
    if (collections && !collections.has(catalog.collectionOf(ordinal))) return;
    if (!selection.isSelected(change())) return;
    touched[catalog.newestOf(ordinal)] = 1;
  };
  if (items) {
    for (const item of items)
      if (!collections || collections.has(catalog.collectionOf(item))) touched[item] = 1;
    return touched;
  }
  const end = catalog.size;
  for (let ordinal = catalog.firstAtOrAfter(fromSeq); ordinal < end; ordinal++) {
    const seq = catalog.seqOf(ordinal);
    if (seq > throughSeq) break;
    touch(ordinal, () => ({ seq, actor: catalog.actorOf(ordinal), before: -1, after: ordinal }));
  }
  for (const { seq, actor, ordinal } of catalog.deletesWithin(fromSeq - 1, throughSeq))
    touch(ordinal, () => ({ seq, actor, before: ordinal, after: -1 }));
  return touched;
}

/**
 * The version that comes back, -1 for none (the item is deleted), undefined where nothing changes: the state before the last
 * unbroken run of selected changes. A later change that is not selected is a conflict.
 */
function outcomeOf(
  catalog: Catalog,
  item: number,
  selection: Selection,
  overwriteConflicts: boolean,
): number | 'conflict' | undefined {
  let target: number | undefined;
  let isLater = false;
  for (const change of changesOf(catalog, item)) {
    const isInside = change.seq >= selection.fromSeq && change.seq <= selection.throughSeq;
    if (isInside && selection.isSelected(change)) {
      if (isLater && !overwriteConflicts) return 'conflict';
      target = change.before;
    } else if (target === undefined) isLater = true;
    else break;
  }
  if (target === undefined) return undefined;
  const current = catalog.isLive(item) ? item : -1;
  const isSame =
    target < 0 || current < 0 ? target === current : catalog.sourceOf(target) === catalog.sourceOf(current);
  return isSame ? undefined : target;
}
