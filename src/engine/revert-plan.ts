/**
 * What a revert would do, told from the catalog's columns alone: for each item that the selected changes touched, which
 * version comes back. A plan of a million items is three typed arrays.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../projections/catalog.js';
import { changesOf, type ItemChange } from './changes.js';
import type { Slices } from './slices.js';

/** Which changes are to be taken back, of which state. */
export interface Selection {
  /** The last event of the state that is planned for: while planning goes on, others may write. */
  readonly headSeq: number;
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
  /** See Selection. */
  readonly headSeq: number;
  /** The items' newest versions, dead or alive, ascending. */
  readonly newest: Uint32Array;
  /** Beside each: 1 + the version whose content comes back; 0 where the item is to be deleted. */
  readonly targets: Uint32Array;
  readonly restored: number;
  readonly deleted: number;
  /** Newest versions of items that someone else changed later, or of which what would come back was erased. */
  readonly conflicts: Uint32Array;
  /** Beside each: 1 + the version that was erased; 0 where someone else changed it. */
  readonly erasedTargets: Uint32Array;
  /** Of the arguments and of every version concerned: 16 hex digits. */
  readonly digest: string;
}

/**
 * Plans a revert, in slices.
 * @param overwriteConflicts take back selected changes although later ones were not selected, and the later ones with them
 * @param args what the digest covers besides the versions
 * @throws CodedError CANCELLED
 */
export async function planRevert(
  catalog: Catalog,
  selection: Selection,
  overwriteConflicts: boolean,
  args: string,
  slices: Slices,
): Promise<RevertPlan> {
  const { headSeq } = selection;
  const { touched, count } = await touchedItems(catalog, selection, slices);
  const newest = new Uint32Array(count);
  const targets = new Uint32Array(count);
  const conflicts = new Uint32Array(count);
  const erasedTargets = new Uint32Array(count);
  const digest = new PlanDigest(args);
  let steps = 0;
  let conflicting = 0;
  let deleted = 0;
  for (let item = touched.indexOf(1); item >= 0; item = touched.indexOf(1, item + 1)) {
    if (slices.isOver) await slices.next();
    const outcome = outcomeOf(catalog, item, selection, overwriteConflicts);
    if (outcome === undefined) continue;
    const erased = outcome !== 'conflict' && outcome >= 0 && catalog.erasedOf(outcome) !== undefined;
    if (outcome === 'conflict' || erased) {
      erasedTargets[conflicting] = outcome === 'conflict' ? 0 : outcome + 1;
      conflicts[conflicting++] = item;
    } else {
      newest[steps] = item;
      targets[steps++] = outcome + 1;
      if (outcome < 0) deleted += 1;
    }
    const target = outcome === 'conflict' || erased ? -1 : outcome < 0 ? 0 : catalog.seqOf(outcome);
    digest.add(catalog.collectionOf(item), catalog.seqOf(item), catalog.endOf(item, headSeq), target);
  }
  return {
    headSeq,
    newest: newest.subarray(0, steps),
    targets: targets.subarray(0, steps),
    restored: steps - deleted,
    deleted,
    conflicts: conflicts.subarray(0, conflicting),
    erasedTargets: erasedTargets.subarray(0, conflicting),
    digest: digest.hex(),
  };
}

/** SHA-256 over the arguments and four numbers an item, given to the hash by the thousand. */
class PlanDigest {
  private readonly hash = createHash('sha256');
  private readonly row = new Float64Array(4096);
  private used = 0;

  constructor(args: string) {
    this.hash.update(args);
  }

  add(collection: number, seq: number, died: number, target: number): void {
    const { row } = this;
    row[this.used++] = collection;
    row[this.used++] = seq;
    row[this.used++] = died;
    row[this.used++] = target;
    if (this.used === row.length) this.flush();
  }

  private flush(): void {
    this.hash.update(this.row.subarray(0, this.used));
    this.used = 0;
  }

  /** 16 hex digits. */
  hex(): string {
    this.flush();
    return this.hash.digest('hex').slice(0, 16);
  }
}

/** A byte per version: 1 for the newest version of each item that a selected change touched; and how many these are. */
async function touchedItems(
  catalog: Catalog,
  selection: Selection,
  slices: Slices,
): Promise<{ touched: Uint8Array; count: number }> {
  const { headSeq, fromSeq, throughSeq, collections, items } = selection;
  const touched = new Uint8Array(catalog.firstAtOrAfter(headSeq + 1));
  let count = 0;
  const touch = (newest: number) => {
    count += 1 - touched[newest]!;
    touched[newest] = 1;
  };
  const consider = (change: ItemChange) => {
    const ordinal = Math.max(change.before, change.after);
    if (collections && !collections.has(catalog.collectionOf(ordinal))) return;
    if (selection.isSelected(change)) touch(catalog.newestAt(ordinal, headSeq));
  };
  if (items) {
    for (const item of items) if (!collections || collections.has(catalog.collectionOf(item))) touch(item);
    return { touched, count };
  }
  const lastSeq = Math.min(throughSeq, headSeq);
  for (let ordinal = catalog.firstAtOrAfter(fromSeq); ordinal < touched.length; ordinal++) {
    if (slices.isOver) await slices.next();
    const seq = catalog.seqOf(ordinal);
    if (seq > lastSeq) break;
    consider({ seq, actor: catalog.actorOf(ordinal), before: -1, after: ordinal });
  }
  for (const { seq, actor, ordinal } of catalog.deletesWithin(fromSeq - 1, lastSeq)) {
    if (slices.isOver) await slices.next();
    consider({ seq, actor, before: ordinal, after: -1 });
  }
  return { touched, count };
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
  for (const change of changesOf(catalog, item, selection.headSeq)) {
    const isInside = change.seq >= selection.fromSeq && change.seq <= selection.throughSeq;
    if (isInside && selection.isSelected(change)) {
      if (isLater && !overwriteConflicts) return 'conflict';
      target = change.before;
    } else if (target === undefined) isLater = true;
    else break;
  }
  if (target === undefined) return undefined;
  const current = catalog.endOf(item, selection.headSeq) === 0 ? item : -1;
  const isSame =
    target < 0 || current < 0 ? target === current : catalog.sourceOf(target) === catalog.sourceOf(current);
  return isSame ? undefined : target;
}
