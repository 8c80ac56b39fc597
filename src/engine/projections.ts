import type { LogRecord } from '../../wal/record.js';
import { FIRST_CALLER_TYPE } from '../../wal/record.js';
import { CodedError } from '../domain/errors.js';
import type { DomainEvent, ItemPut } from '../domain/model.js';
import { type Applied, Catalog } from '../projections/catalog.js';
import { KeywordIndex } from '../projections/keywords/keyword-index.js';
import { MetadataIndex } from '../projections/metadata.js';
import { VectorIndex, type VectorIndexOptions } from '../projections/vectors/vector-index.js';
import { decodeEvent } from './event-codec.js';

export type IndexOptions = Pick<VectorIndexOptions, 'scratchDir' | 'onFailure' | 'graphThresholdRows'>;

/**
 * Texts may wait for their words to be indexed until nothing was applied for QUIET_MS, up to these bounds: what waits costs the
 * next search some 50 ms at most.
 */
const WAITING_TEXTS = 2048;
const WAITING_CHARS = 512 * 1024;
const QUIET_MS = 100;

/** The event up to which projections are complete. */
export interface Through {
  readonly seq: number;
  readonly hash: bigint;
}

/**
 * Everything derived from the log, advanced together, event by event. An item version has one ordinal in all of them:
 * the catalog's row, the keyword index's document, the metadata index's entry, the owner of its vectors.
 */
export class Projections {
  private failure: CodedError | undefined;
  /** Texts whose words are not indexed yet. */
  private waiting: { readonly ordinal: number; readonly text: string }[] = [];
  private waitingChars = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    /** What the vector indexes of new collections are made with besides dimension and metric. */
    private readonly indexOptions: IndexOptions,
    readonly catalog: Catalog = new Catalog(),
    private readonly keywordIndex: KeywordIndex = KeywordIndex.empty(),
    readonly metadata: MetadataIndex = new MetadataIndex(),
    /** By collection id. */
    readonly vectors: Map<number, VectorIndex> = new Map(),
    private throughEvent: Through = { seq: 0, hash: 0n },
  ) {}

  /** The keyword index, with every text that was applied in it. */
  get keywords(): KeywordIndex {
    this.indexTexts();
    return this.keywordIndex;
  }

  get through(): Through {
    return this.throughEvent;
  }

  /**
   * Applies committed records in sequence order. Total: an event that cannot be applied marks the projections as failed, and their
   * reads refuse, rather than a crash here and at every later start.
   */
  apply(records: readonly LogRecord[]): void {
    if (this.failure) return;
    for (const record of records) {
      try {
        this.applyRecord(record);
      } catch (error) {
        this.failure = new CodedError(
          'PROJECTION_FAILED',
          `event ${record.seq} could not be applied: ${(error as Error).message}`,
          'The log is intact. Report this with the event; a fixed version rebuilds everything from the log.',
          { cause: error, details: { seq: record.seq } },
        );
        return;
      }
      this.throughEvent = { seq: record.seq, hash: record.hash };
    }
  }

  /** @throws CodedError PROJECTION_FAILED once an event could not be applied */
  assertUsable(): void {
    if (this.failure) throw this.failure;
  }

  private applyRecord(record: LogRecord): void {
    const event = eventOf(record);
    if (event === undefined) return;
    const applied = applyToCatalog(this.catalog, event, record);
    if (event.type === 'collection_created')
      this.vectors.set(
        event.id,
        VectorIndex.create({ dimension: event.space.dimension, metric: event.metric, ...this.indexOptions }),
      );
    else if (event.type === 'item_put') this.putItem(event, applied!);
    else if (event.type === 'item_deleted') this.bury(event.collection, applied!.died);
  }

  private putItem(event: ItemPut, { ordinal, died }: Applied): void {
    this.bury(event.collection, died);
    this.waiting.push({ ordinal, text: event.text });
    this.waitingChars += event.text.length;
    if (this.waiting.length > WAITING_TEXTS || this.waitingChars > WAITING_CHARS) this.indexTexts();
    else if (this.timer === undefined) this.timer = setTimeout(() => this.indexTexts(), QUIET_MS).unref();
    else this.timer.refresh();
    this.metadata.add(ordinal, event.metadata);
    if (event.vectors.length > 0) this.vectors.get(event.collection)!.append(event.vectors, ordinal);
  }

  /**
   * Cutting a text into words takes as long as all the rest of applying it. Nobody needs them before the next search, so a
   * burst of single writes is acknowledged first.
   */
  private indexTexts(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.waitingChars = 0;
    for (const { ordinal, text } of this.waiting.splice(0)) this.keywordIndex.add(ordinal, text);
  }

  private bury(collection: number, died: number): void {
    if (died >= 0) this.vectors.get(collection)!.remove(died);
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    await Promise.all([...this.vectors.values()].map(index => index.close()));
  }
}

/** The domain event of a record; undefined for the log's own records, erased payloads and what may be skipped. */
export function eventOf(record: LogRecord): DomainEvent | undefined {
  if (record.type < FIRST_CALLER_TYPE || record.body === undefined) return undefined;
  return decodeEvent(record.type, record.body, record.seq);
}

/** @returns what became of the versions, for an event of an item */
export function applyToCatalog(catalog: Catalog, event: DomainEvent, record: LogRecord): Applied | undefined {
  const context = { seq: record.seq, timeMs: record.logicalMs };
  switch (event.type) {
    case 'collection_created': {
      const { type, ...collection } = event;
      catalog.createCollection(collection);
      return undefined;
    }
    case 'actor_declared': {
      const { type, ...actor } = event;
      catalog.declareActor(record.seq, actor);
      return undefined;
    }
    case 'item_put':
      return catalog.put(event, context);
    case 'item_deleted':
      return catalog.delete(event, context);
  }
}
