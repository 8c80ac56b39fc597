/**
 * The pure decision: (command, what is there) -> events. No clock, no disk, no model: the same inputs give the same
 * events, so the write path can decide as often as it needs to.
 */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from './errors.js';
import type { UpsertItem } from './face.js';
import { LIMITS } from './limits.js';
import type {
  Collection,
  CollectionCreated,
  Embedded,
  ItemDeleted,
  ItemPut,
  Metadata,
  Metric,
  Origin,
  Space,
} from './model.js';
import { givenSpace } from './space.js';
import { assertEmbeddable, checkVector, nameOf } from './space-fit.js';

/** An item as it is at this point of the log. */
export interface CurrentItem {
  readonly version: number;
  readonly item: ItemPut;
}

/** What decisions are made against: everything applied so far and everything queued. */
export interface StoreView {
  collection(name: string): Collection | undefined;
  readonly nextCollectionId: number;
  current(collection: number, id: string): CurrentItem | undefined;
  /** A live item with exactly this text. */
  byText(collection: number, text: string): CurrentItem | undefined;
}

export interface UpsertInputs {
  readonly collection: string;
  readonly items: readonly UpsertItem[];
  readonly origin: Origin;
  /** `replace`: metadata takes the place of what is there instead of merging into it. */
  readonly metadataMode: 'merge' | 'replace';
  /** The texts embedded so far, by text. */
  readonly embedded: ReadonlyMap<string, Embedded>;
  /** The embedder's space; undefined where no text needs it. */
  readonly embedderSpace: Space | undefined;
  /** Metric of a collection that this command creates. */
  readonly metric: Metric;
  readonly newId: () => string;
}

export interface DecidedItem {
  readonly id: string;
  readonly outcome: 'created' | 'updated' | 'unchanged';
  /** Index into `events` of the item's put, or -1 where it is unchanged. */
  readonly event: number;
  /** The version that is there already, where it is unchanged. */
  readonly version: number;
}

export interface UpsertDecision {
  readonly events: readonly (CollectionCreated | ItemPut)[];
  readonly items: readonly DecidedItem[];
  /** Texts that must be embedded before this can be decided; then the rest is empty. */
  readonly missing: readonly string[];
}

/**
 * Decides an upsert: all of its items or none.
 * @throws CodedError INVALID_ARGUMENT, DUPLICATE_ID, VERSION_CONFLICT, DIMENSION_MISMATCH, SPACE_MISMATCH, TOO_LARGE
 */
export function decideUpsert(view: StoreView, inputs: UpsertInputs): UpsertDecision {
  const existing = view.collection(inputs.collection);
  const collection = existing ?? newCollection(view, inputs);
  const missing = new Set<string>();
  const events: (CollectionCreated | ItemPut)[] = existing
    ? []
    : [{ type: 'collection_created', ...collection }];
  const seenIds = new Set<string>();
  const textsOfCall = new Map<string, DecidedItem>();
  const vectors = new GivenVectors(inputs.items, collection);
  const items = inputs.items.map((item, index): DecidedItem => {
    if (item.id !== undefined) {
      if (seenIds.has(item.id))
        throw new CodedError(
          'DUPLICATE_ID',
          `${nameOf(index)}.id: "${item.id}" appears twice in this call`,
          'Give each id once a call.',
        );
      seenIds.add(item.id);
    } else if (item.text !== undefined && item.vector === undefined) {
      // Remembering the same thing twice is one memory.
      const same = textsOfCall.get(item.text);
      if (same) return { ...same, outcome: 'unchanged' };
      const there = existing && view.byText(existing.id, item.text);
      if (there && item.metadata === undefined && !item.if_version)
        return { id: there.item.id, outcome: 'unchanged', event: -1, version: there.version };
      if (there) return decideItem({ ...item, id: there.item.id }, index, there);
    }
    const current = item.id === undefined || !existing ? undefined : view.current(existing.id, item.id);
    return decideItem(item, index, current);
  });
  return missing.size > 0 ? { events: [], items: [], missing: [...missing] } : { events, items, missing: [] };

  function decideItem(item: UpsertItem, index: number, current: CurrentItem | undefined): DecidedItem {
    checkVersion(item, index, current);
    if (current === undefined && item.text === undefined && item.vector === undefined)
      throw new CodedError(
        'INVALID_ARGUMENT',
        item.id === undefined
          ? `${nameOf(index)}: neither text nor vector`
          : `${nameOf(index)}: "${item.id}" does not exist yet and has neither text nor vector`,
        'Give a text, a vector or both; only an existing id may leave both out.',
      );
    const text = item.text ?? current?.item.text ?? '';
    const metadata = mergeMetadata(current?.item.metadata, item.metadata, inputs.metadataMode);
    checkMetadataSize(metadata, index);
    const content = embed(item, index, text, current);
    if (content === undefined) return { id: '', outcome: 'unchanged', event: -1, version: 0 };
    const id = item.id ?? inputs.newId();
    if (
      current &&
      current.item.text === text &&
      sameVectors(current.item, content) &&
      isDeepStrictEqual(current.item.metadata, metadata)
    )
      return { id, outcome: 'unchanged', event: -1, version: current.version };
    events.push({
      type: 'item_put',
      collection: collection.id,
      id,
      text,
      metadata,
      origin: inputs.origin,
      space: collection.space.id,
      passages: content.passages,
      vectors: content.vectors,
    });
    const decided: DecidedItem = {
      id,
      outcome: current ? 'updated' : 'created',
      event: events.length - 1,
      version: 0,
    };
    if (item.id === undefined && item.text !== undefined && item.vector === undefined)
      textsOfCall.set(item.text, decided);
    return decided;
  }

  /** The passages and vectors of an item, or undefined while its text waits for the embedder. */
  function embed(
    item: UpsertItem,
    index: number,
    text: string,
    current: CurrentItem | undefined,
  ): Embedded | undefined {
    if (item.vector !== undefined)
      return { passages: [[0, text.length]], vectors: vectors.take(item.vector, index) };
    if (current && current.item.text === text && current.item.space === collection.space.id)
      return current.item;
    assertEmbeddable(collection, inputs.embedderSpace);
    const embedded = inputs.embedded.get(text);
    if (embedded === undefined) missing.add(text);
    return embedded;
  }
}

function newCollection(view: StoreView, inputs: UpsertInputs): Collection {
  const first = inputs.items.find(item => item.vector !== undefined || item.text !== undefined);
  // The first vector given by hand fixes the space; its dimension is all that is known of its model.
  const space =
    first?.vector !== undefined ? givenSpace(first.vector.length) : (inputs.embedderSpace ?? givenSpace(0));
  return { id: view.nextCollectionId, name: inputs.collection, space, metric: inputs.metric };
}

/** Room for the vectors that a call gives by hand, in one piece of memory. */
class GivenVectors {
  private room: Float32Array | undefined;
  private taken = 0;

  constructor(
    private readonly items: readonly UpsertItem[],
    private readonly collection: Collection,
  ) {}

  /** @throws CodedError as checkVector */
  take(vector: readonly number[], index: number): Float32Array {
    const { dimension } = this.collection.space;
    // A vector of another dimension is refused, whatever room there is.
    this.room ??= new Float32Array((this.items.length - index) * dimension);
    const into = this.room.subarray(this.taken, this.taken + dimension);
    this.taken += dimension;
    return checkVector(vector, index, this.collection, into);
  }
}

function checkVersion(item: UpsertItem, index: number, current: CurrentItem | undefined): void {
  const version = current?.version ?? 0;
  if (item.if_version === undefined || item.if_version === version) return;
  throw new CodedError(
    'VERSION_CONFLICT',
    current
      ? `${nameOf(index)}: "${current.item.id}" is at version ${version}, not ${item.if_version}`
      : `${nameOf(index)}: "${item.id ?? ''}" does not exist, so it has no version ${item.if_version}`,
    current
      ? 'Read it, merge your change into what is there, and try again with its version.'
      : 'Use if_version 0 to create it.',
    { details: { id: item.id, current: version } },
  );
}

function mergeMetadata(
  current: Metadata | undefined,
  change: Metadata | undefined,
  mode: 'merge' | 'replace',
): Metadata {
  if (change === undefined) return current ?? {};
  if (mode === 'replace') return { ...change };
  const merged = { ...current, ...change };
  // A null removes what is there; few changes have one.
  for (const key in merged)
    if (merged[key] === null)
      return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
  return merged;
}

function checkMetadataSize(metadata: Metadata, index: number): void {
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes > LIMITS.metadataBytes)
    throw new CodedError(
      'TOO_LARGE',
      `${nameOf(index)}.metadata: ${bytes} bytes as JSON; the limit is ${LIMITS.metadataBytes}`,
      'Put long values into the text.',
    );
}

function sameVectors(item: ItemPut, content: Embedded): boolean {
  return content.vectors === item.vectors || isDeepStrictEqual(content.vectors, item.vectors);
}

export interface DeleteDecision {
  readonly events: readonly ItemDeleted[];
  readonly deleted: readonly string[];
  readonly missing: readonly string[];
}

/** Decides a delete by ids; an id that is not there is reported, not an error. */
export function decideDelete(
  view: StoreView,
  collection: Collection,
  ids: readonly string[],
): DeleteDecision {
  const unique = [...new Set(ids)];
  const deleted = unique.filter(id => view.current(collection.id, id) !== undefined);
  const present = new Set(deleted);
  return {
    events: deleted.map(id => ({ type: 'item_deleted', collection: collection.id, id })),
    deleted,
    missing: unique.filter(id => !present.has(id)),
  };
}
