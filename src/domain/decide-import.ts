import { isDeepStrictEqual } from 'node:util';
import type { StoreView } from './decide.js';
import { CodedError } from './errors.js';
import type { Collection, CollectionCreated, Embedded, ItemPut, Metadata } from './model.js';
import type { ImportOutcome, ImportSpace, OnConflict } from './portable.js';

/** An item that brings its vectors. */
export interface ArrivingItem extends Embedded {
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
}

export interface ImportDecision {
  readonly events: readonly (CollectionCreated | ItemPut)[];
  readonly outcomes: readonly ImportOutcome[];
}

/**
 * Decides a batch of items with vectors; the collection is made where it is not there.
 * @param items no id twice
 * @throws CodedError SPACE_MISMATCH
 */
export function decideImport(
  view: StoreView,
  name: string,
  { space, metric }: ImportSpace,
  items: readonly ArrivingItem[],
  onConflict: OnConflict,
): ImportDecision {
  const existing = view.collection(name);
  if (existing !== undefined && existing.space.id !== space.id) throw otherSpace(existing, space.id);
  const collection = existing ?? { id: view.nextCollectionId, name, space, metric };
  const events: (CollectionCreated | ItemPut)[] =
    existing === undefined ? [{ type: 'collection_created', ...collection }] : [];
  const outcomes = items.map(({ id, text, metadata, passages, vectors }): ImportOutcome => {
    const current = existing && view.current(existing.id, id)?.item;
    const outcome = outcomeOf(current, { text, metadata, passages, vectors }, onConflict);
    if (outcome === 'created' || outcome === 'replaced')
      events.push({
        type: 'item_put',
        collection: collection.id,
        id,
        text,
        metadata,
        origin: 'import',
        space: space.id,
        passages,
        vectors,
      });
    return outcome;
  });
  return { events, outcomes };
}

/**
 * What becomes of an arriving item.
 * @param arriving without vectors where they would be made of the text: the text then says whether it is the same
 */
export function outcomeOf(
  current: Pick<ItemPut, 'text' | 'metadata' | 'passages' | 'vectors'> | undefined,
  arriving: Pick<ItemPut, 'text' | 'metadata'> & Partial<Embedded>,
  onConflict: OnConflict,
): ImportOutcome {
  if (current === undefined) return 'created';
  const { text, metadata, passages, vectors } = arriving;
  const isSame =
    current.text === text &&
    isDeepStrictEqual(current.metadata, metadata) &&
    (vectors === undefined ||
      (isDeepStrictEqual(current.vectors, vectors) && isDeepStrictEqual(current.passages, passages)));
  if (isSame) return 'unchanged';
  if (onConflict === 'fail') return 'conflict';
  return onConflict === 'skip' ? 'skipped' : 'replaced';
}

function otherSpace({ name, space }: Collection, arriving: string): CodedError {
  return new CodedError(
    'SPACE_MISMATCH',
    `collection "${name}" holds vectors of ${space.id}; those that are imported are of ${arriving}`,
    'Import into another collection, or leave the vectors out: the texts are embedded then.',
  );
}
