import type { Log } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type { ItemView } from '../domain/face.js';
import type { Embedded, Erased, ItemPut, PassageRange } from '../domain/model.js';
import type { CollectionState } from '../projections/registry.js';
import { BoundedCache } from './bounded-cache.js';
import { decodeEvent, decodeVectors, eventOf } from './event-codec.js';
import type { Projections } from './projections.js';

/** An item version as answers show it. Shared between answers: never changed. */
export interface StoredItem {
  readonly view: ItemView;
  readonly passages: readonly PassageRange[];
}

/** Some thirty thousand notes: to read one from LevelDB and decode it takes ten times as long as all else that a hit needs. */
const ITEM_CACHE_BYTES = 32 * 1024 * 1024;
/** What an item takes beyond its text and metadata, roughly. */
const ITEM_BYTES = 600;
/** Vectors of some ten thousand dead versions, for searches of the past. */
const VECTOR_CACHE_BYTES = 16 * 1024 * 1024;
/** What a vector takes beyond its components, roughly. */
const VECTOR_BYTES = 200;

/** What is kept of what was read, at most. */
export interface CacheBytes {
  /** Items. Default 32 MiB. */
  readonly itemBytes?: number;
  /** Vectors of dead versions. Default 16 MiB. */
  readonly vectorBytes?: number;
}

/** Item versions with their content, read from the log, each record checked against its hash. */
export class Versions {
  private readonly items: BoundedCache<StoredItem>;
  private readonly vectors: BoundedCache<Float32Array>;

  constructor(
    private readonly log: Log,
    private readonly projections: () => Projections,
    { itemBytes = ITEM_CACHE_BYTES, vectorBytes = VECTOR_CACHE_BYTES }: CacheBytes = {},
  ) {
    this.items = new BoundedCache(itemBytes, bytesOf);
    this.vectors = new BoundedCache(vectorBytes, vectors => VECTOR_BYTES + vectors.byteLength);
  }

  /** About what is kept of what was read. */
  get cachedBytes(): number {
    return this.items.sizeBytes + this.vectors.sizeBytes;
  }

  /**
   * A version as answers show it, with its passages in a generation's space.
   * @throws WalError when the record is damaged: a wrong or silently missing answer is never given instead
   */
  view(ordinal: number, collection: CollectionState, generation = collection.generation): StoredItem {
    const { catalog } = this.projections();
    const why = catalog.erasedOf(ordinal);
    if (why !== undefined) return this.erased(ordinal, collection, why);
    const version = catalog.seqOf(ordinal);
    const vectorsSeq = catalog.vectorsSeqOf(ordinal, generation);
    const contentSeq = catalog.seqOf(catalog.sourceOf(ordinal));
    // Vectors beside a version have an event of their own, whose number no version has.
    const key = vectorsSeq === contentSeq || vectorsSeq === 0 ? version : vectorsSeq;
    const cached = this.items.get(key);
    if (cached !== undefined) return cached;
    const item = readItemPut(this.log, contentSeq);
    const passages = key === version ? item.passages : this.embedded(ordinal, generation).passages;
    const view: ItemView = {
      id: item.id,
      collection: collection.name,
      text: item.text,
      metadata: item.metadata,
      version,
      updated_at: new Date(catalog.timeOf(ordinal)).toISOString(),
      origin: item.origin,
      actor: catalog.actor(catalog.actorOf(ordinal)) ?? null,
    };
    const stored = { view, passages };
    this.items.set(key, stored);
    return stored;
  }

  /** What is told of a version whose content is gone, or about to go. */
  private erased(ordinal: number, collection: CollectionState, why: Erased): StoredItem {
    const { catalog } = this.projections();
    const view: ItemView = {
      id: catalog.idOf(ordinal),
      collection: collection.name,
      text: '',
      metadata: {},
      version: catalog.seqOf(ordinal),
      updated_at: new Date(catalog.timeOf(ordinal)).toISOString(),
      origin: readItemPut(this.log, catalog.seqOf(catalog.sourceOf(ordinal))).origin,
      actor: catalog.actor(catalog.actorOf(ordinal)) ?? null,
      erased: why,
    };
    return { view, passages: [] };
  }

  /** A live version as the item_put that it is or was restored from, with its vectors in the collection's present space. */
  item(ordinal: number): ItemPut {
    const { catalog } = this.projections();
    const { space, generation } = catalog.collectionById(catalog.collectionOf(ordinal))!;
    const put = readItemPut(this.log, catalog.seqOf(catalog.sourceOf(ordinal)));
    if (put.space === space.id) return put;
    return { ...put, space: space.id, ...this.embedded(ordinal, generation) };
  }

  /** Passages and vectors of a version in a generation's space, as they were stored. */
  embedded(ordinal: number, generation: number): Embedded {
    const seq = this.projections().catalog.vectorsSeqOf(ordinal, generation);
    if (seq === 0) throw notStored(this.projections().catalog.seqOf(ordinal), 'has no vectors in this space');
    const record = this.log.get(seq);
    const event = record.body && decodeEvent(record.type, record.body, seq);
    if (event?.type === 'item_put' || event?.type === 'vectors_added') return event;
    throw notStored(seq, `should hold vectors, but is ${event?.type ?? 'erased'}`);
  }

  /** Vectors of a version in a generation's space, prepared for being compared there: in a fraction of the time of `embedded`. */
  prepared(ordinal: number, generation: number): Float32Array {
    const { catalog } = this.projections();
    const seq = catalog.vectorsSeqOf(ordinal, generation);
    if (seq === 0) throw notStored(catalog.seqOf(ordinal), 'has no vectors in this space');
    const cached = this.vectors.get(seq);
    if (cached !== undefined) return cached;
    const record = this.log.get(seq);
    const vectors = record.body && decodeVectors(record.type, record.body, seq);
    if (vectors === undefined) throw notStored(seq, 'should hold vectors, but holds none');
    const collection = catalog.collectionById(catalog.collectionOf(ordinal))!;
    const prepared = this.projections().vectorsOf(collection, generation).prepare(vectors);
    this.vectors.set(seq, prepared);
    return prepared;
  }
}

/** Texts are counted at two bytes a unit; metadata is at most 16 KiB and usually little, so its keys stand for it. */
function bytesOf({ view }: StoredItem): number {
  return ITEM_BYTES + 2 * view.text.length + 100 * Object.keys(view.metadata).length;
}

/**
 * The item_put that an event is, read from the log and checked against its hash; one that was erased without its content.
 * @throws WalError WAL_BAD_RECORD, WAL_GAP
 */
export function readItemPut(log: Log, seq: number): ItemPut {
  const event = eventOf(log.get(seq));
  if (event?.type === 'item_put') return event;
  throw notStored(seq, `should be an item's content, but is ${event?.type ?? 'erased'}`);
}

function notStored(seq: number, what: string): CodedError {
  return new CodedError(
    'PROJECTION_FAILED',
    `by the catalog event ${seq} ${what}`,
    'Restart the server: the catalog is rebuilt from the log.',
    { details: { seq } },
  );
}
