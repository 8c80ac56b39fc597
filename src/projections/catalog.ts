import xxhash from 'xxhash-wasm';
import { CodedError } from '../domain/errors.js';
import type { Actor, Collection, EventContext, ItemDeleted, ItemPut } from '../domain/model.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { OrdinalTable } from './ordinal-table.js';

const { h32Raw } = await xxhash();

const MAGIC = 'MVSCAT1\n';

/** What applying an item event did, so that the other projections can follow. */
export interface Applied {
  /** The new version's ordinal, or -1 for a delete. */
  readonly ordinal: number;
  /** The version that died of it, or -1. */
  readonly died: number;
}

/**
 * Which items there are, and were: a row per item version (its *ordinal*, dense from 0, never reused), the collections, and the
 * actors. Texts, metadata and vectors are in the log and in the other projections.
 */
export class Catalog {
  private readonly versions = new Columns({
    /** The item_put event. */
    seq: 'f64',
    /** The event that replaced or deleted it; 0 while it lives. */
    died: 'f64',
    /** Logical time of the item_put, ms. */
    timeMs: 'f64',
    collection: 'u32',
    idHash: 'u32',
    textHash: 'u32',
    /** Where its id starts in the id bytes; it ends where the next one's starts. */
    idStart: 'u32',
    /** 1 + ordinal of the version of the same id before it; 0 for none. */
    previous: 'u32',
    passages: 'u32',
  });
  private ids = Buffer.alloc(4096);
  private idsLength = 0;
  /** Newest version of every id that ever was, dead or alive. */
  private readonly byId = new OrdinalTable(ordinal => this.versions.at.idHash[ordinal]);
  /** Live versions that have a text. */
  private readonly byText = new OrdinalTable(ordinal => this.versions.at.textHash[ordinal]);
  private readonly collectionsById = new Map<number, CollectionState>();
  private readonly collectionsByName = new Map<string, CollectionState>();
  private readonly actorsBySeq = new Map<number, Actor>();
  private readonly actorSeqs = new Map<string, number>();

  /** How many ordinals there are, dead ones included. */
  get size(): number {
    return this.versions.rows;
  }

  get bytes(): number {
    return this.versions.bytes + this.ids.length + this.byId.bytes + this.byText.bytes;
  }

  collection(name: string): CollectionState | undefined {
    return this.collectionsByName.get(name);
  }

  collectionById(id: number): CollectionState | undefined {
    return this.collectionsById.get(id);
  }

  get collections(): readonly CollectionState[] {
    return [...this.collectionsByName.values()];
  }

  actor(seq: number): Actor | undefined {
    return this.actorsBySeq.get(seq);
  }

  /** The event that declared exactly this actor, or 0. */
  actorSeq(actor: Actor): number {
    return this.actorSeqs.get(actorKey(actor)) ?? 0;
  }

  seqOf(ordinal: number): number {
    return this.versions.at.seq[ordinal];
  }

  timeOf(ordinal: number): number {
    return this.versions.at.timeMs[ordinal];
  }

  collectionOf(ordinal: number): number {
    return this.versions.at.collection[ordinal];
  }

  isLive(ordinal: number): boolean {
    return this.versions.at.died[ordinal] === 0;
  }

  idOf(ordinal: number): string {
    return this.ids.toString('utf8', this.versions.at.idStart[ordinal], this.idEnd(ordinal));
  }

  private idEnd(ordinal: number): number {
    return ordinal + 1 < this.versions.rows ? this.versions.at.idStart[ordinal + 1] : this.idsLength;
  }

  /** The live version of an id, or -1. */
  find(collection: number, id: string): number {
    const ordinal = this.findEver(collection, Buffer.from(id));
    return ordinal >= 0 && this.isLive(ordinal) ? ordinal : -1;
  }

  private findEver(collection: number, id: Buffer): number {
    return this.byId.find(
      idHash(collection, id),
      ordinal =>
        this.versions.at.collection[ordinal] === collection &&
        this.ids.compare(id, 0, id.length, this.versions.at.idStart[ordinal], this.idEnd(ordinal)) === 0,
    );
  }

  /** A live version in the collection that `holds` the text, or -1. The caller compares: hashes can collide. */
  findText(collection: number, text: string, holds: (ordinal: number) => boolean): number {
    return this.byText.find(
      textHash(text),
      ordinal => this.versions.at.collection[ordinal] === collection && holds(ordinal),
    );
  }

  /** 1 for every version in one of the collections that lives now. */
  liveMask(collections: ReadonlySet<number>): Uint8Array {
    return this.maskAt(collections, Number.MAX_SAFE_INTEGER);
  }

  /** 1 for every version in one of the collections that lived once event `atSeq` was applied. */
  maskAt(collections: ReadonlySet<number>, atSeq: number): Uint8Array {
    const { seq, died, collection } = this.versions.at;
    const rows = this.versions.rows;
    const mask = new Uint8Array(rows);
    const wanted = new Uint8Array(this.collectionsById.size + 1);
    for (const id of collections) wanted[id] = 1;
    for (let ordinal = 0; ordinal < rows && seq[ordinal] <= atSeq; ordinal++)
      if (died[ordinal] === 0 || died[ordinal] > atSeq) mask[ordinal] = wanted[collection[ordinal]];
    return mask;
  }

  /** Clears what was not last written within the bounds, all inclusive. */
  restrictToWritten(mask: Uint8Array, { sinceSeq, sinceMs, untilSeq, untilMs }: WrittenWithin): void {
    const { seq, timeMs } = this.versions.at;
    for (let ordinal = 0; ordinal < mask.length; ordinal++) {
      const outside =
        (sinceSeq !== undefined && seq[ordinal] < sinceSeq) ||
        (sinceMs !== undefined && timeMs[ordinal] < sinceMs) ||
        (untilSeq !== undefined && seq[ordinal] > untilSeq) ||
        (untilMs !== undefined && timeMs[ordinal] > untilMs);
      if (outside) mask[ordinal] = 0;
    }
  }

  /** The first ordinal whose version is `seq` or later. */
  firstAtOrAfter(seq: number): number {
    let low = 0;
    let high = this.versions.rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.versions.at.seq[middle] < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  createCollection(collection: Collection): void {
    const state: CollectionState = { ...collection, items: 0, passages: 0 };
    if (collection.id !== this.collectionsById.size + 1 || this.collectionsByName.has(collection.name))
      throw malformed(`collection ${collection.id} "${collection.name}" is out of order or there already`);
    this.collectionsById.set(collection.id, state);
    this.collectionsByName.set(collection.name, state);
  }

  declareActor(seq: number, actor: Actor): void {
    this.actorsBySeq.set(seq, actor);
    this.actorSeqs.set(actorKey(actor), seq);
  }

  put(event: ItemPut, context: EventContext): Applied {
    const state = this.collectionsById.get(event.collection);
    if (state === undefined)
      throw malformed(`event ${context.seq} names collection ${event.collection}, which is not there`);
    const id = Buffer.from(event.id);
    const previous = this.findEver(event.collection, id);
    const ordinal = this.versions.append();
    const { at } = this.versions;
    at.seq[ordinal] = context.seq;
    at.timeMs[ordinal] = context.timeMs;
    at.collection[ordinal] = event.collection;
    at.idHash[ordinal] = idHash(event.collection, id);
    at.textHash[ordinal] = event.text === '' ? 0 : textHash(event.text);
    at.passages[ordinal] = event.passages.length;
    at.idStart[ordinal] = this.appendId(id);
    at.previous[ordinal] = previous + 1;
    const died = previous >= 0 && this.isLive(previous) ? previous : -1;
    if (died >= 0) this.bury(died, context.seq, state);
    if (previous >= 0) this.byId.replace(previous, ordinal);
    else this.byId.add(ordinal);
    if (at.textHash[ordinal] !== 0) this.byText.add(ordinal);
    state.items += 1;
    state.passages += event.passages.length;
    return { ordinal, died };
  }

  delete(event: ItemDeleted, context: EventContext): Applied {
    const state = this.collectionsById.get(event.collection);
    const died = this.find(event.collection, event.id);
    if (state === undefined || died < 0)
      throw malformed(`event ${context.seq} deletes an item that is not there`);
    this.bury(died, context.seq, state);
    return { ordinal: -1, died };
  }

  private bury(ordinal: number, seq: number, state: CollectionState): void {
    if (this.versions.at.textHash[ordinal] !== 0) this.byText.remove(ordinal);
    this.versions.at.died[ordinal] = seq;
    state.items -= 1;
    state.passages -= this.versions.at.passages[ordinal];
  }

  private appendId(id: Buffer): number {
    const start = this.idsLength;
    if (start + id.length > this.ids.length) {
      const larger = Buffer.alloc(Math.max(this.ids.length * 2, start + id.length));
      larger.set(this.ids.subarray(0, start));
      this.ids = larger;
    }
    this.ids.set(id, start);
    this.idsLength += id.length;
    return start;
  }

  save(): Uint8Array {
    const writer = new ByteWriter();
    writer.ascii(MAGIC);
    writer.string(JSON.stringify({ collections: this.collections, actors: [...this.actorsBySeq] }));
    this.versions.write(writer);
    writer.bytes(this.ids.subarray(0, this.idsLength));
    return writer.finish();
  }

  /** @throws CodedError PROJECTION_FAILED */
  static load(bytes: Uint8Array): Catalog {
    const catalog = new Catalog();
    const reader = new ByteReader(bytes, 'saved catalog');
    reader.expectAscii(MAGIC);
    const { collections, actors } = JSON.parse(reader.string()) as {
      collections: CollectionState[];
      actors: [number, Actor][];
    };
    for (const collection of collections) {
      catalog.createCollection(collection);
      Object.assign(catalog.collectionsById.get(collection.id)!, collection);
    }
    for (const [seq, actor] of actors) catalog.declareActor(seq, actor);
    catalog.versions.read(reader);
    catalog.ids = Buffer.from(reader.bytes());
    catalog.idsLength = catalog.ids.length;
    reader.expectEnd();
    catalog.indexVersions();
    return catalog;
  }

  /** The two tables are cheaper to make anew than to read and check. */
  private indexVersions(): void {
    const { at, rows } = this.versions;
    for (let ordinal = 0; ordinal < rows; ordinal++) {
      const end = this.idEnd(ordinal);
      if (at.idStart[ordinal] > end || end > this.idsLength)
        throw malformed(`saved catalog: id of row ${ordinal} is out of bounds`);
      const previous = at.previous[ordinal] - 1;
      if (previous >= ordinal) throw malformed(`saved catalog: row ${ordinal} follows a later one`);
      if (previous >= 0) this.byId.replace(previous, ordinal);
      else this.byId.add(ordinal);
      if (at.died[ordinal] === 0 && at.textHash[ordinal] !== 0) this.byText.add(ordinal);
    }
  }
}

/** Bounds on when a version was written; absent ones do not bind. */
export interface WrittenWithin {
  readonly sinceSeq?: number | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilSeq?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** A collection and its live counts. */
export interface CollectionState extends Collection {
  items: number;
  passages: number;
}

function idHash(collection: number, id: Buffer): number {
  return (h32Raw(id) ^ Math.imul(collection, 0x9e3779b1)) >>> 0;
}

/** Never 0, which stands for "no text". */
const textHash = (text: string): number => h32Raw(Buffer.from(text)) || 1;

const actorKey = (actor: Actor): string =>
  JSON.stringify([
    actor.clientName,
    actor.clientVersion,
    actor.session,
    actor.sessionSource,
    actor.project,
    actor.transport,
    actor.tool,
  ]);

function malformed(message: string): CodedError {
  return new CodedError(
    'PROJECTION_FAILED',
    message,
    'The projection is rebuilt from the log at the next start.',
  );
}
