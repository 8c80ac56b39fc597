import xxhash from 'xxhash-wasm';
import type {
  Actor,
  EventContext,
  ItemDeleted,
  ItemPut,
  ItemRestored,
  VectorsAdded,
} from '../domain/model.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { OrdinalTable } from './ordinal-table.js';
import { type CollectionState, generationAt, malformed, Registry } from './registry.js';

const { h32Raw } = await xxhash();

const MAGIC = 'MVSCAT2\n';

/** What applying an item event did, so that the other projections can follow. */
export interface Applied {
  /** The new version's ordinal, or -1 for a delete. */
  readonly ordinal: number;
  /** The version that died of it, or -1. */
  readonly died: number;
}

const newAddedVectors = () => new Columns({ ordinal: 'u32', passages: 'u32', seq: 'f64' });
/** Where the vectors of versions are that were not written in a generation's space; ascending by ordinal. */
type AddedVectors = ReturnType<typeof newAddedVectors>;

/**
 * Which items there are, and were: a row per item version (its *ordinal*, dense from 0, never reused). Texts, metadata and
 * vectors are in the log and in the other projections; collections, actors and marks in the registry.
 *
 * A version's life is [seq, died): the events from the one that wrote it to the one before what replaced or deleted it. So
 * the state at any moment can be told from the columns alone.
 */
export class Catalog {
  private readonly versions = new Columns({
    /** The event that wrote it: item_put or item_restored. */
    seq: 'f64',
    /** The event that replaced or deleted it; 0 while it lives. */
    died: 'f64',
    /** Logical time of `seq`, ms. */
    timeMs: 'f64',
    collection: 'u32',
    idHash: 'u32',
    textHash: 'u32',
    /** Where its id starts in the id bytes. All versions of an item share them. */
    idStart: 'u32',
    /** Length of its id in bytes, below 2^10, and above it its passages: how many its item_put has. */
    idLengthAndPassages: 'u32',
    /** 1 + ordinal of the version of the same id before it; 0 for none. */
    previous: 'u32',
    /** 1 + ordinal of the version whose content it has; 0 for its own. */
    source: 'u32',
    /** Number of who wrote it in `actorNumbers`. */
    actor: 'u32',
  });
  /** Deletes in the order of the log. */
  private readonly deletes = new Columns({ seq: 'f64', timeMs: 'f64', ordinal: 'u32', actor: 'u32' });
  private ids = Buffer.alloc(4096);
  private idsLength = 0;
  /** Newest version of every id that ever was, dead or alive. */
  private readonly byId = new OrdinalTable(ordinal => this.versions.at.idHash[ordinal]);
  /** Live versions that have a text. */
  private readonly byText = new OrdinalTable(ordinal => this.versions.at.textHash[ordinal]);
  /** By `<collection id>:<generation>`. */
  private readonly added = new Map<string, AddedVectors>();
  /** Seqs of actors, by the number that the columns hold: a seq may not fit 32 bits. */
  private readonly actorNumbers: number[] = [0];
  private readonly numberOfActor = new Map<number, number>([[0, 0]]);

  constructor(readonly registry: Registry = new Registry()) {}

  /** How many ordinals there are, dead ones included. */
  get size(): number {
    return this.versions.rows;
  }

  get bytes(): number {
    let bytes =
      this.versions.bytes + this.deletes.bytes + this.ids.length + this.byId.bytes + this.byText.bytes;
    for (const table of this.added.values()) bytes += table.bytes;
    return bytes;
  }

  get collections(): readonly CollectionState[] {
    return this.registry.collections;
  }

  collection(name: string): CollectionState | undefined {
    return this.registry.collection(name);
  }

  collectionById(id: number): CollectionState | undefined {
    return this.registry.collectionById(id);
  }

  actor(seq: number): Actor | undefined {
    return this.registry.actor(seq);
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

  /** The event that declared who wrote a version; 0 for none. */
  actorOf(ordinal: number): number {
    return this.actorNumbers[this.versions.at.actor[ordinal]!]!;
  }

  /** The event that replaced or deleted a version; 0 while it lives. */
  diedOf(ordinal: number): number {
    return this.versions.at.died[ordinal]!;
  }

  /** The version of the same item before this one, or -1. */
  previousOf(ordinal: number): number {
    return this.versions.at.previous[ordinal]! - 1;
  }

  /** The version whose content this one has: itself, unless it was restored. */
  sourceOf(ordinal: number): number {
    const source = this.versions.at.source[ordinal]!;
    return source === 0 ? ordinal : source - 1;
  }

  /** False where the texts of two versions differ for certain: their hashes do. */
  mayHaveSameText(one: number, other: number): boolean {
    return this.versions.at.textHash[one] === this.versions.at.textHash[other];
  }

  isRestored(ordinal: number): boolean {
    return this.versions.at.source[ordinal] !== 0;
  }

  idOf(ordinal: number): string {
    const start = this.versions.at.idStart[ordinal]!;
    return this.ids.toString('utf8', start, start + this.idLengthOf(ordinal));
  }

  private idLengthOf(ordinal: number): number {
    return this.versions.at.idLengthAndPassages[ordinal]! & ID_LENGTH_MASK;
  }

  /** The live version of an id, or -1. */
  find(collection: number, id: string): number {
    const ordinal = this.findEver(collection, id);
    return ordinal >= 0 && this.isLive(ordinal) ? ordinal : -1;
  }

  /** The version of an id that lived once event `atSeq` was applied, or -1. */
  findAt(collection: number, id: string, atSeq: number): number {
    return this.livedAt(this.findEver(collection, id), atSeq);
  }

  /** Of a version and those before it of the same item: the one that lived once event `atSeq` was applied, or -1. */
  livedAt(newest: number, atSeq: number): number {
    const { seq, died } = this.versions.at;
    let ordinal = newest;
    while (ordinal >= 0 && seq[ordinal]! > atSeq) ordinal = this.previousOf(ordinal);
    return ordinal >= 0 && (died[ordinal] === 0 || died[ordinal]! > atSeq) ? ordinal : -1;
  }

  /** The newest version of an id, dead or alive, or -1. */
  findEver(collection: number, id: string): number {
    return this.findBytes(collection, Buffer.from(id));
  }

  /** The newest version of the item that a version belongs to. */
  newestOf(ordinal: number): number {
    const start = this.versions.at.idStart[ordinal]!;
    const id = this.ids.subarray(start, start + this.idLengthOf(ordinal));
    return this.findBytes(this.versions.at.collection[ordinal]!, id);
  }

  private findBytes(collection: number, id: Uint8Array): number {
    return this.byId.find(idHash(collection, id), ordinal => {
      const start = this.versions.at.idStart[ordinal]!;
      return (
        this.versions.at.collection[ordinal] === collection &&
        this.ids.compare(id, 0, id.length, start, start + this.idLengthOf(ordinal)) === 0
      );
    });
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
    const wanted = new Uint8Array(this.collections.length + 1);
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
    return lowerBound(this.versions.at.seq, this.versions.rows, seq);
  }

  /** The version that an event wrote, or -1. */
  ordinalOf(seq: number): number {
    const ordinal = this.firstAtOrAfter(seq);
    return ordinal < this.versions.rows && this.versions.at.seq[ordinal] === seq ? ordinal : -1;
  }

  /** Deletes by events in (afterSeq, throughSeq], oldest first. */
  *deletesWithin(afterSeq: number, throughSeq: number): Generator<Deleted> {
    const { at, rows } = this.deletes;
    for (let n = this.firstDeleteAtOrAfter(afterSeq + 1); n < rows && at.seq[n]! <= throughSeq; n++)
      yield this.deleteAt(n);
  }

  /** The number of the first delete by event `seq` or a later one; deleteCount where there is none. */
  firstDeleteAtOrAfter(seq: number): number {
    return lowerBound(this.deletes.at.seq, this.deletes.rows, seq);
  }

  /** The event that declared who made the delete `seq`. */
  deleterOf(seq: number): number {
    for (const { actor } of this.deletesWithin(seq - 1, seq)) return actor;
    throw malformed(`event ${seq} ended a version, but is no delete`);
  }

  /** How many deletes there were. */
  get deleteCount(): number {
    return this.deletes.rows;
  }

  /** The n-th delete of the log, from 0. */
  deleteAt(n: number): Deleted {
    const { seq, timeMs, ordinal, actor } = this.deletes.at;
    const actorSeq = this.actorNumbers[actor[n]!]!;
    return { seq: seq[n]!, timeMs: timeMs[n]!, ordinal: ordinal[n]!, actor: actorSeq };
  }

  put(event: ItemPut, context: EventContext): Applied {
    const ownTextHash = event.text === '' ? 0 : textHash(event.text);
    return this.add(event, context, -1, ownTextHash, event.passages.length);
  }

  /** @throws CodedError PROJECTION_FAILED where `from` wrote no content */
  restore(event: ItemRestored, context: EventContext): Applied {
    const source = this.ordinalOf(event.from);
    if (source < 0 || this.isRestored(source))
      throw malformed(`event ${context.seq} restores ${event.from}, which is no item_put`);
    const { textHash: hashes, idLengthAndPassages } = this.versions.at;
    return this.add(event, context, source, hashes[source]!, idLengthAndPassages[source]! >>> ID_LENGTH_BITS);
  }

  private add(
    { collection, id }: { readonly collection: number; readonly id: string },
    context: EventContext,
    source: number,
    textHashOfContent: number,
    passages: number,
  ): Applied {
    const state = this.registry.require(collection, context.seq);
    const idBytes = Buffer.from(id);
    const previous = this.findBytes(collection, idBytes);
    const ordinal = this.versions.append();
    const { at } = this.versions;
    at.seq[ordinal] = context.seq;
    at.timeMs[ordinal] = context.timeMs;
    at.collection[ordinal] = collection;
    at.idHash[ordinal] = idHash(collection, idBytes);
    at.textHash[ordinal] = textHashOfContent;
    at.idStart[ordinal] = previous >= 0 ? at.idStart[previous]! : this.appendId(idBytes);
    at.idLengthAndPassages[ordinal] = idBytes.length | (passages << ID_LENGTH_BITS);
    at.previous[ordinal] = previous + 1;
    at.source[ordinal] = source + 1;
    at.actor[ordinal] = this.actorNumber(context.actor);
    const died = previous >= 0 && this.isLive(previous) ? previous : -1;
    if (died >= 0) this.bury(died, context.seq, state);
    if (previous >= 0) this.byId.replace(previous, ordinal);
    else this.byId.add(ordinal);
    if (textHashOfContent !== 0) this.byText.add(ordinal);
    state.items += 1;
    state.passages += this.passagesOf(ordinal, state.generation);
    return { ordinal, died };
  }

  delete(event: ItemDeleted, context: EventContext): Applied {
    const state = this.registry.require(event.collection, context.seq);
    const died = this.find(event.collection, event.id);
    if (died < 0) throw malformed(`event ${context.seq} deletes an item that is not there`);
    this.bury(died, context.seq, state);
    const row = this.deletes.append();
    const { at } = this.deletes;
    at.seq[row] = context.seq;
    at.timeMs[row] = context.timeMs;
    at.ordinal[row] = died;
    at.actor[row] = this.actorNumber(context.actor);
    return { ordinal: -1, died };
  }

  private bury(ordinal: number, seq: number, state: CollectionState): void {
    if (this.versions.at.textHash[ordinal] !== 0) this.byText.remove(ordinal);
    this.versions.at.died[ordinal] = seq;
    state.items -= 1;
    state.passages -= this.passagesOf(ordinal, state.generation);
  }

  /**
   * Notes where the vectors of a version in another space are.
   * @returns the version's ordinal, and the generation that they are for
   */
  addVectors(event: VectorsAdded, context: EventContext): { ordinal: number; generation: number } {
    const state = this.registry.require(event.collection, context.seq);
    const ordinal = this.ordinalOf(event.version);
    const generation = [state.preparing, state.generation].find(
      number => state.generations[number]?.space.id === event.space,
    );
    if (ordinal < 0 || generation === undefined)
      throw malformed(
        `event ${context.seq} adds vectors of ${event.space} to version ${event.version}, which has no use for them`,
      );
    const key = `${event.collection}:${generation}`;
    const table = this.added.get(key) ?? newAddedVectors();
    this.added.set(key, table);
    const row = table.append();
    if (row > 0 && table.at.ordinal[row - 1]! >= ordinal)
      throw malformed(`event ${context.seq} adds vectors out of order`);
    table.at.ordinal[row] = ordinal;
    table.at.passages[row] = event.passages.length;
    table.at.seq[row] = context.seq;
    if (generation === state.generation && this.isLive(ordinal)) state.passages += event.passages.length;
    return { ordinal, generation };
  }

  /** The event that holds a version's vectors of a generation: its content's item_put, or a vectors_added; 0 for none. */
  vectorsSeqOf(ordinal: number, generation: number): number {
    const row = this.addedRow(ordinal, generation);
    if (row >= 0) return this.addedTable(ordinal, generation)!.at.seq[row]!;
    return this.hasOwnVectors(ordinal, generation) ? this.seqOf(this.sourceOf(ordinal)) : 0;
  }

  /** How many passages a version has in a generation's space. */
  passagesOf(ordinal: number, generation: number): number {
    const row = this.addedRow(ordinal, generation);
    if (row >= 0) return this.addedTable(ordinal, generation)!.at.passages[row]!;
    return this.hasOwnVectors(ordinal, generation)
      ? this.versions.at.idLengthAndPassages[ordinal]! >>> ID_LENGTH_BITS
      : 0;
  }

  /** Id of the space that a version's content was embedded in when it was first written. */
  spaceOfContent(ordinal: number): string {
    const state = this.collectionById(this.collectionOf(ordinal))!;
    return state.generations[this.generationOf(this.sourceOf(ordinal), state)]!.space.id;
  }

  /** Whether a version was written with the vectors of its content, in a generation's reign. */
  private hasOwnVectors(ordinal: number, generation: number): boolean {
    const state = this.collectionById(this.collectionOf(ordinal))!;
    if (this.generationOf(ordinal, state) !== generation) return false;
    return (
      !this.isRestored(ordinal) || this.spaceOfContent(ordinal) === state.generations[generation]!.space.id
    );
  }

  /** The generation in whose reign a version was written. */
  private generationOf(ordinal: number, state: CollectionState): number {
    return state.generations.length === 1 ? 0 : generationAt(state, this.seqOf(ordinal));
  }

  /** How many of the versions that lived once event `atSeq` was applied had vectors added for a generation by then. */
  addedCount(collection: number, generation: number, atSeq: number): number {
    const table = this.added.get(`${collection}:${generation}`);
    if (table === undefined) return 0;
    const { died } = this.versions.at;
    const { ordinal, seq } = table.at;
    let count = 0;
    // Events name versions that were there, and come in their order: beyond the first that is later, all are.
    for (let row = 0; row < table.rows && seq[row]! <= atSeq; row++) {
      const end = died[ordinal[row]!]!;
      if (end === 0 || end > atSeq) count += 1;
    }
    return count;
  }

  /**
   * Live versions of a collection without vectors added for a generation. Vectors are added in the order of the versions to all
   * that live, so those without are behind the last that has some.
   * @param generation -1 for one that is not begun: all lack
   * @param limit how many are named at most
   * @returns `ordinals` ascending, and the number of all
   */
  lackingVectors(
    collection: number,
    generation: number,
    limit: number,
  ): { readonly ordinals: readonly number[]; readonly count: number } {
    const table = this.added.get(`${collection}:${generation}`);
    const { died, collection: collectionOf } = this.versions.at;
    const ordinals: number[] = [];
    let count = 0;
    const start = table === undefined || table.rows === 0 ? 0 : table.at.ordinal[table.rows - 1]! + 1;
    for (let ordinal = start; ordinal < this.size; ordinal++) {
      if (died[ordinal] !== 0 || collectionOf[ordinal] !== collection) continue;
      count += 1;
      if (ordinals.length < limit) ordinals.push(ordinal);
    }
    return { ordinals, count };
  }

  /** False for a version that is only a vector. */
  hasText(ordinal: number): boolean {
    return this.versions.at.textHash[ordinal] !== 0;
  }

  private addedTable(ordinal: number, generation: number): AddedVectors | undefined {
    return this.added.get(`${this.collectionOf(ordinal)}:${generation}`);
  }

  private addedRow(ordinal: number, generation: number): number {
    if (this.added.size === 0) return -1;
    const table = this.addedTable(ordinal, generation);
    if (table === undefined) return -1;
    const row = lowerBound(table.at.ordinal, table.rows, ordinal);
    return row < table.rows && table.at.ordinal[row] === ordinal ? row : -1;
  }

  /** To be called when a collection's space was switched: its passages are those of the new one. */
  recountPassages(state: CollectionState): void {
    const live = this.liveMask(new Set([state.id]));
    state.passages = 0;
    for (let ordinal = live.indexOf(1); ordinal >= 0; ordinal = live.indexOf(1, ordinal + 1))
      state.passages += this.passagesOf(ordinal, state.generation);
  }

  private actorNumber(seq: number): number {
    let number = this.numberOfActor.get(seq);
    if (number === undefined) {
      number = this.actorNumbers.push(seq) - 1;
      this.numberOfActor.set(seq, number);
    }
    return number;
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
    writer.string(this.registry.save());
    writer.string(JSON.stringify({ actorNumbers: this.actorNumbers, added: [...this.added.keys()] }));
    this.versions.write(writer);
    this.deletes.write(writer);
    for (const table of this.added.values()) table.write(writer);
    writer.bytes(this.ids.subarray(0, this.idsLength));
    return writer.finish();
  }

  /** @throws CodedError PROJECTION_FAILED */
  static load(bytes: Uint8Array): Catalog {
    const reader = new ByteReader(bytes, 'saved catalog');
    reader.expectAscii(MAGIC);
    const catalog = new Catalog(Registry.load(reader.string()));
    const { actorNumbers, added } = JSON.parse(reader.string()) as {
      actorNumbers: number[];
      added: string[];
    };
    for (const seq of actorNumbers) catalog.actorNumber(seq);
    catalog.versions.read(reader);
    catalog.deletes.read(reader);
    for (const key of added) {
      const table = newAddedVectors();
      table.read(reader);
      catalog.added.set(key, table);
    }
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
      if (at.idStart[ordinal]! + this.idLengthOf(ordinal) > this.idsLength)
        throw malformed(`saved catalog: id of row ${ordinal} is out of bounds`);
      const previous = at.previous[ordinal]! - 1;
      if (previous >= ordinal || at.source[ordinal]! > ordinal)
        throw malformed(`saved catalog: row ${ordinal} follows a later one`);
      if (previous >= 0) this.byId.replace(previous, ordinal);
      else this.byId.add(ordinal);
      if (at.died[ordinal] === 0 && at.textHash[ordinal] !== 0) this.byText.add(ordinal);
    }
  }
}

/** An id is at most 256 bytes long (LIMITS.idBytes); a text of 1 MiB has fewer than 2^22 passages. */
const ID_LENGTH_BITS = 10;
const ID_LENGTH_MASK = (1 << ID_LENGTH_BITS) - 1;

/** A delete: of which version, when and by whom. */
export interface Deleted {
  readonly seq: number;
  readonly timeMs: number;
  readonly ordinal: number;
  /** The event that declared the actor; 0 for none. */
  readonly actor: number;
}

/** Bounds on when a version was written; absent ones do not bind. */
export interface WrittenWithin {
  readonly sinceSeq?: number | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilSeq?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** The first of `rows` ascending values that is at least `value`. */
function lowerBound(values: Float64Array | Uint32Array, rows: number, value: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function idHash(collection: number, id: Uint8Array): number {
  return (h32Raw(id) ^ Math.imul(collection, 0x9e3779b1)) >>> 0;
}

/** Never 0, which stands for "no text". */
const textHash = (text: string): number => h32Raw(Buffer.from(text)) || 1;
