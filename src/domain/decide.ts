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

/** @throws CodedError SPACE_MISMATCH when texts cannot be embedded into the collection */
export function assertEmbeddable(collection: Collection, embedder: Space | undefined): void {
  if (embedder?.id === collection.space.id) return;
  throw new CodedError(
    'SPACE_MISMATCH',
    `collection "${collection.name}" holds vectors of ${collection.space.id}; the embedder's space is ${embedder?.id ?? 'unknown'}`,
    `${wayToSpace(collection.space, embedder)}, search with mode "keyword", or use another collection.`,
  );
}

/** What makes vectors of a space again, as the beginning of a sentence. */
export function wayToSpace({ provider, model, dimension }: Space, embedder: Space | undefined): string {
  if (provider === 'given') return `Give a vector of ${dimension} components`;
  if (provider === 'embedded') return 'Its model was that of another version: embed it anew (reembed)';
  if (provider === embedder?.provider && model === embedder.model)
    return 'The model of that name is another one now, or gives another dimension: embed the collection anew (reembed)';
  const isDirectory = provider === 'transformers' && !model.includes('/');
  return `Set VECTOR_EMBEDDER=${provider} and VECTOR_EMBEDDER_MODEL=${isDirectory ? `/…/${model} (its directory)` : model} and start the server again, embed the collection anew (reembed)`;
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

/**
 * A vector given by hand, as f32, checked for the collection.
 * @param into where the components go. Default: an array of their own
 * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT
 */
export function checkVector(
  vector: readonly number[],
  at: Place,
  collection: Collection,
  into?: Float32Array,
): Float32Array {
  const { dimension, id } = collection.space;
  if (vector.length !== dimension)
    throw new CodedError(
      'DIMENSION_MISMATCH',
      `${nameOf(at)}.vector: ${vector.length} components; collection "${collection.name}" has ${dimension} (${id})`,
      `Give ${dimension} components, give a text without a vector, or use another collection.`,
    );
  const values = into ?? new Float32Array(dimension);
  let isZero = true;
  let zeroIfFinite = 0;
  for (let i = 0; i < dimension; i++) {
    const value = Math.fround(vector[i]!);
    values[i] = value;
    zeroIfFinite += value * 0;
    if (value !== 0) isZero = false;
  }
  if (zeroIfFinite !== 0)
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${nameOf(at)}.vector: a component is not a finite 32-bit number`,
      'Give finite numbers.',
    );
  if (isZero && collection.metric === 'cosine')
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${nameOf(at)}.vector: all components are 0, which has no direction`,
      'Give a vector that points somewhere.',
    );
  return values;
}

/** What an error speaks of: the number of an item of the call, or a name. */
type Place = number | string;

const nameOf = (at: Place): string => (typeof at === 'number' ? `items[${at}]` : at);

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
