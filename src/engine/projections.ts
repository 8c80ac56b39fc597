import { isLost } from '../../wal/lost.js';
import type { LogRecord } from '../../wal/record.js';
import { CodedError } from '../domain/errors.js';
import type { DomainEvent, EventContext, ItemPut, ItemRestored, VectorsAdded } from '../domain/model.js';
import { type Applied, Catalog } from '../projections/catalog.js';
import { inSlices } from '../projections/in-slices.js';
import type { KeywordIndex } from '../projections/keywords/keyword-index.js';
import { MetadataIndex } from '../projections/metadata.js';
import { type CollectionState, generationAt } from '../projections/registry.js';
import type { VectorIndexOptions } from '../projections/vectors/index-options.js';
import { VectorIndex } from '../projections/vectors/vector-index.js';
import { presupposed } from './after-loss.js';
import { applyToCatalog, contextOf } from './catalog-events.js';
import { eventOf } from './event-codec.js';
import { Words } from './words.js';

export type IndexOptions = Pick<
  VectorIndexOptions,
  'engine' | 'scratchDir' | 'onFailure' | 'graphThresholdRows' | 'keepDeadRows' | 'compactNowDeadRows'
>;

/** Reads the item_put that an event of the log is, checked: what a restored version has its content from. */
export type ReadPut = (seq: number) => ItemPut;

/** While as many bytes go to the disk nothing else may be due for milliseconds: time for words of which many wait, this long at a stretch. */
const LONG_WRITE_BYTES = 64 * 1024;
const IDLE_SLICE_MS = 1;
/** Events of a long transaction that are applied in one turn of the event loop, their words indexed with them: some 5 ms. */
const PIECE_EVENTS = 128;

/** The event up to which projections are complete. */
export interface Through {
  readonly seq: number;
  readonly hash: bigint;
}

/** The events of a transaction's records, decoded from the bytes that were given to the disk; undefined where that is left to apply. */
export type PreparedEvents = readonly (DomainEvent | undefined)[];

/**
 * Everything derived from the log, advanced together, event by event. An item version has one ordinal in all of them:
 * the catalog's row, the keyword index's document, the metadata index's entry, the owner of its vectors.
 */
export class Projections {
  private failure: CodedError | undefined;
  /** Set while a long write is on its way to the disk. */
  private isWriting = false;
  private readonly closing: Promise<void>[] = [];
  private visible: number | undefined;
  private isReplaying = false;
  private readonly endFilling: () => void;

  constructor(
    /** What the vector indexes of new collections are made with besides dimension and metric. */
    private readonly indexOptions: IndexOptions,
    private readonly readPut: ReadPut,
    readonly catalog: Catalog = new Catalog(),
    readonly words: Words = new Words(),
    readonly metadata: MetadataIndex = new MetadataIndex(),
    /** By vectorsKey. An index for each space that a collection has had: the past keeps its own. */
    readonly vectors: Map<string, VectorIndex> = new Map(),
    private throughEvent: Through = { seq: 0, hash: 0n },
  ) {
    const textOf = (ordinal: number) => readPut(catalog.seqOf(catalog.sourceOf(ordinal))).text;
    this.endFilling = inSlices(untilMs => catalog.fillUntil(untilMs));
    words.start({ textOf, onDamage: error => indexOptions.onFailure?.(error) }, catalog.size);
  }

  /** The keyword index, with every text that was applied in it: see Words. */
  get keywords(): KeywordIndex {
    return this.words.index;
  }

  /** What the background did without an event: another text means that a checkpoint of the same event would hold something else. */
  get progress(): string {
    const indexes = [...this.vectors].map(([key, index]) => `${key} ${index.progress}`);
    return `${this.words.refusals} ${indexes.join()}`;
  }

  /** The vectors of a collection in its present space, or in that of another of its generations. */
  vectorsOf(collection: CollectionState, generation: number = collection.generation): VectorIndex {
    return this.vectors.get(vectorsKey(collection.id, generation))!;
  }

  /** The vectors that answer for a moment. */
  vectorsAt(collection: CollectionState, seq: number): VectorIndex {
    return this.vectorsOf(collection, generationAt(collection, seq));
  }

  get through(): Through {
    return this.throughEvent;
  }

  /**
   * The event that the present ends with, while a transaction is being applied that is too long for one turn of the event
   * loop: until all of it is, readers are answered as of the moment before it. Otherwise undefined.
   */
  get visibleSeq(): number | undefined {
    return this.visible;
  }

  /**
   * Applies a transaction in pieces, between which others may read.
   * @param firstSeq its first event
   */
  async applyInPieces(firstSeq: number, pieces: AsyncIterable<readonly LogRecord[]>): Promise<void> {
    this.visible = firstSeq - 1;
    try {
      for await (const records of pieces)
        for (let start = 0; start < records.length; start += PIECE_EVENTS) {
          this.apply(records.slice(start, start + PIECE_EVENTS));
          this.words.catchUp();
          await new Promise(resolve => setImmediate(resolve));
        }
    } catch (error) {
      this.fail(`the transaction that begins with event ${firstSeq} could not be read`, error, firstSeq);
    } finally {
      this.visible = undefined;
    }
  }

  private fail(what: string, error: unknown, seq: number): void {
    this.failure ??= new CodedError(
      'PROJECTION_FAILED',
      `${what}: ${(error as Error).message}`,
      'The log is as it is. Verify the store; if it is sound, report this with the event: a fixed version rebuilds everything from the log.',
      { cause: error, details: { seq } },
    );
  }

  /**
   * What can be done for a transaction while it is written: its events are read back from its bytes, so that what is applied is what a
   * replay finds. Changes nothing that anybody sees, since it may fail to be written.
   */
  prepare(records: readonly LogRecord[]): PreparedEvents {
    const bytes = records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (bytes >= LONG_WRITE_BYTES && !this.isWriting) {
      this.isWriting = true;
      setImmediate(() => this.indexWhileWriting());
    }
    return records.map(record => {
      try {
        return eventOf(record);
      } catch {
        // Should it count, apply meets the same error and tells of it.
        return undefined;
      }
    });
  }

  /**
   * Applies committed records in sequence order. Total: an event that cannot be applied marks the projections as failed, and their
   * reads refuse, rather than a crash here and at every later start.
   * @param prepared what prepare made of them
   */
  apply(records: readonly LogRecord[], prepared?: PreparedEvents): void {
    this.isWriting = false;
    if (this.failure) return;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      try {
        if (isLost(record)) this.catalog.registry.noteLost(record.seq);
        const event = prepared?.[i] ?? eventOf(record);
        if (event !== undefined)
          for (const each of presupposed(this.catalog, event)) this.applyEvent(each, record);
      } catch (error) {
        this.fail(`event ${record.seq} could not be applied`, error, record.seq);
        return;
      }
      this.throughEvent = { seq: record.seq, hash: record.hash };
    }
    if (!this.isReplaying) this.words.goOnWhenQuiet();
  }

  /**
   * Many events follow, and nobody asks before the last of them is applied: what can wait, the words of texts and the graphs, does until the function
   * that this returns is called.
   */
  beginReplay(): () => void {
    this.isReplaying = true;
    for (const index of this.vectors.values()) index.hold();
    return () => {
      this.isReplaying = false;
      this.words.goOnLater();
      for (const index of this.vectors.values()) index.release();
    };
  }

  /** @throws CodedError PROJECTION_FAILED once an event could not be applied */
  assertUsable(): void {
    if (this.failure) throw this.failure;
  }

  private applyEvent(event: DomainEvent, record: LogRecord): void {
    const { catalog } = this;
    switch (event.type) {
      case 'item_put':
        this.putItem(event, catalog.put(event, contextOf(record)), event.vectors);
        break;
      case 'item_restored':
        this.restoreItem(event, contextOf(record));
        break;
      case 'item_deleted':
        this.bury(event.collection, catalog.delete(event, contextOf(record)).died);
        break;
      case 'vectors_added':
        this.addVectors(event, contextOf(record));
        break;
      default:
        applyToCatalog(catalog, event, record);
        this.followSpaces(event);
    }
  }

  /** An index for each space that a collection has or is prepared for. */
  private followSpaces(event: DomainEvent): void {
    const { catalog } = this;
    if (event.type === 'collection_created') this.createIndex(catalog.collectionById(event.id)!, 0);
    else if (event.type === 'space_begun') {
      const collection = catalog.collectionById(event.collection)!;
      this.createIndex(collection, collection.preparing);
    } else if (event.type === 'space_abandoned') this.dropAbandoned(event.collection);
    else if (event.type === 'space_switched') this.retireFormer(event.collection);
  }

  private createIndex(collection: CollectionState, generation: number): void {
    const { dimension } = collection.generations[generation]!.space;
    const options = { dimension, metric: collection.metric, ...this.indexOptions };
    const index = VectorIndex.create(options);
    if (this.isReplaying) index.hold();
    this.vectors.set(vectorsKey(collection.id, generation), index);
  }

  /** The newest generation that was given up has no answers to give: not even for the past. */
  private dropAbandoned(collectionId: number): void {
    const { generations } = this.catalog.collectionById(collectionId)!;
    generations.forEach(({ isUsable }, generation) => {
      const key = vectorsKey(collectionId, generation);
      const index = isUsable ? undefined : this.vectors.get(key);
      if (index === undefined) return;
      this.vectors.delete(key);
      this.closing.push(index.close());
    });
  }

  /** What a collection had before a switch answers moments before it, and only those. */
  private retireFormer(collectionId: number): void {
    const collection = this.catalog.collectionById(collectionId)!;
    collection.generations.forEach((_, generation) => {
      if (generation !== collection.generation)
        this.vectors.get(vectorsKey(collectionId, generation))?.retire();
    });
  }

  private putItem(content: ItemPut, { ordinal, died }: Applied, vectors: Float32Array): void {
    this.bury(content.collection, died);
    this.words.add(ordinal, content.text, this.isReplaying);
    this.metadata.add(ordinal, content.metadata);
    if (vectors.length > 0)
      this.vectorsOf(this.catalog.collectionById(content.collection)!).append(vectors, ordinal);
  }

  private restoreItem(event: ItemRestored, context: EventContext): void {
    const content = this.readPut(event.from);
    const isOfPresentSpace = content.space === this.catalog.collectionById(event.collection)?.space.id;
    const applied = this.catalog.restore(event, context);
    this.putItem(
      { ...content, collection: event.collection },
      applied,
      isOfPresentSpace ? content.vectors : NO_VECTORS,
    );
  }

  private addVectors(event: VectorsAdded, context: EventContext): void {
    const { ordinal, generation } = this.catalog.addVectors(event, context);
    const index = this.vectorsOf(this.catalog.collectionById(event.collection)!, generation);
    if (event.vectors.length === 0) return;
    index.append(event.vectors, ordinal);
    if (!this.catalog.isLive(ordinal)) index.remove(ordinal);
  }

  /** Words of earlier writes, while the disk is busy with a long one. */
  private indexWhileWriting(): void {
    if (!this.isWriting || !this.words.waitsForTime) return;
    this.words.catchUp(performance.now() + IDLE_SLICE_MS);
    setImmediate(() => this.indexWhileWriting());
  }

  private bury(collectionId: number, died: number): void {
    if (died < 0) return;
    const collection = this.catalog.collectionById(collectionId)!;
    this.vectorsOf(collection).remove(died);
    if (collection.preparing >= 0) this.vectorsOf(collection, collection.preparing).remove(died);
  }

  async close(): Promise<void> {
    this.endFilling();
    this.words.close();
    await Promise.all([...this.closing, ...[...this.vectors.values()].map(index => index.close())]);
  }
}

const NO_VECTORS = new Float32Array(0);

/** Key of a collection's vectors of one generation; also the name of their files in a checkpoint. */
export const vectorsKey = (collection: number, generation: number): string => `${collection}-${generation}`;
