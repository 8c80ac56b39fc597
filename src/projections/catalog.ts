import type {
  Actor,
  EventContext,
  HistoryErased,
  ItemDeleted,
  ItemPut,
  ItemRedacted,
  ItemRestored,
  VectorsAdded,
} from '../domain/model.js';
import { AddedVectors } from './added-vectors.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { type Deleted, Deletes } from './deletes.js';
import { lowerBound } from './lower-bound.js';
import { malformed } from './malformed.js';
import { type CollectionState, generationAt, Registry } from './registry.js';
import { textHash, VersionTable } from './version-table.js';

const MAGIC = 'MVSCAT6\n';

/** What applying an item event did, so that the other projections can follow. */
export interface Applied {
  /** The new version's ordinal, or -1 for a delete. */
  readonly ordinal: number;
  /** The version that died of it, or -1. */
  readonly died: number;
}

/**
 * Which items there are, and were: the versions, what ended them, and in which spaces they have vectors. Texts, metadata and
 * vectors are in the log and in the other projections; collections, actors and marks in the registry.
 */
export class Catalog extends VersionTable {
  private readonly deletes = new Deletes();
  private readonly added = new AddedVectors();
  constructor(readonly registry: Registry = new Registry()) {
    super();
  }

  override get bytes(): number {
    return super.bytes + this.deletes.bytes + this.added.bytes + this.registry.actors.bytes;
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
    return this.registry.actors.get(seq);
  }

  /** Deletes by events in (afterSeq, throughSeq], oldest first. */
  *deletesWithin(afterSeq: number, throughSeq: number): Generator<Deleted> {
    for (let n = this.deletes.firstAtOrAfter(afterSeq + 1); n < this.deletes.count; n++) {
      const deleted = this.deleteAt(n);
      if (deleted.seq > throughSeq) return;
      yield deleted;
    }
  }

  /** The number of the first delete by event `seq` or a later one; deleteCount where there is none. */
  firstDeleteAtOrAfter(seq: number): number {
    return this.deletes.firstAtOrAfter(seq);
  }

  /** The event that declared who made the delete `seq`. */
  deleterOf(seq: number): number {
    for (const { actor } of this.deletesWithin(seq - 1, seq)) return actor;
    throw malformed(`event ${seq} ended a version, but is no delete`);
  }

  /** Logical time of the last write or delete of an item, in ms; 0 where there was none. */
  get lastChangeMs(): number {
    const written = this.size === 0 ? 0 : this.timeOf(this.size - 1);
    return this.deleteCount === 0 ? written : Math.max(written, this.deleteAt(this.deleteCount - 1).timeMs);
  }

  /** How many deletes there were. */
  get deleteCount(): number {
    return this.deletes.count;
  }

  /** The n-th delete of the log, from 0; its actor is the event that declared them, 0 for none. */
  deleteAt(n: number): Deleted {
    const deleted = this.deletes.at(n);
    return { ...deleted, actor: this.actorNumbers[deleted.actor]! };
  }

  /**
   * As liveMask, from what that was once event `atSeq` was applied: for what happened since, and a copy.
   * @param former unchanged
   */
  maskSince(collections: ReadonlySet<number>, former: Uint8Array, atSeq: number): Uint8Array {
    const mask = new Uint8Array(this.size);
    mask.set(former);
    for (let ordinal = former.length; ordinal < mask.length; ordinal++) {
      if (!collections.has(this.collectionOf(ordinal))) continue;
      if (this.isLive(ordinal)) mask[ordinal] = 1;
      const previous = this.previousOf(ordinal);
      if (previous >= 0) mask[previous] = 0;
    }
    for (let n = this.deletes.firstAtOrAfter(atSeq + 1); n < this.deletes.count; n++)
      mask[this.deletes.at(n).ordinal] = 0;
    return mask;
  }

  put(event: ItemPut, context: EventContext): Applied {
    const ownTextHash = event.text === '' ? 0 : textHash(event.text);
    const applied = this.add(event, context, -1, ownTextHash, event.passages.length);
    if (event.erased !== undefined) this.erase(applied.ordinal, event.erased);
    return applied;
  }

  /** Whether an event is an item_put that was applied. */
  isContent(seq: number): boolean {
    const ordinal = this.ordinalOf(seq);
    return ordinal >= 0 && !this.isRestored(ordinal);
  }

  /** @throws CodedError PROJECTION_FAILED where `from` wrote no content */
  restore(event: ItemRestored, context: EventContext): Applied {
    const source = this.ordinalOf(event.from);
    if (!this.isContent(event.from))
      throw malformed(`event ${context.seq} restores ${event.from}, which is no item_put`);
    const hash = this.versions.at.textHash[source]!;
    const applied = this.add(event, context, source, hash, this.passagesOfContent(source));
    const why = this.erasedOf(source);
    if (why !== undefined) this.erase(applied.ordinal, why);
    return applied;
  }

  private add(
    { collection, id }: { readonly collection: number; readonly id: string },
    context: EventContext,
    source: number,
    textHashOfContent: number,
    passages: number,
  ): Applied {
    const state = this.registry.require(collection, context.seq);
    const { seq, timeMs, actor } = context;
    // Field by field: a spread took a fifth of a replay.
    const version = { collection, id, seq, timeMs, actor, source, textHash: textHashOfContent, passages };
    const { ordinal, died } = this.addVersion(version);
    if (died >= 0) this.uncount(died, state);
    state.items += 1;
    state.passages += this.passagesOf(ordinal, state.generation);
    return { ordinal, died };
  }

  delete(event: ItemDeleted, context: EventContext): Applied {
    const state = this.registry.require(event.collection, context.seq);
    const died = this.find(event.collection, event.id);
    if (died < 0) throw malformed(`event ${context.seq} deletes an item that is not there`);
    this.endVersion(died, context.seq);
    this.uncount(died, state);
    const { seq, timeMs } = context;
    this.deletes.add({ seq, timeMs, ordinal: died, actor: this.actorNumber(context.actor) });
    return { ordinal: -1, died };
  }

  private uncount(ordinal: number, state: CollectionState): void {
    state.items -= 1;
    state.passages -= this.passagesOf(ordinal, state.generation);
  }

  /** Versions whose content the horizon takes: those that died by then, but for what lived at a mark or was restored and is kept. */
  beyondHorizon(throughSeq: number): number[] {
    const { died, source } = this.versions.at;
    const marks = Float64Array.from(this.registry.marks, ({ seq }) => seq).sort();
    const isKept = new Uint8Array(this.size);
    for (let ordinal = 0; ordinal < this.size; ordinal++) {
      const end = died[ordinal]!;
      const mark = marks[lowerBound(marks, marks.length, this.seqOf(ordinal))];
      if (end !== 0 && end <= throughSeq && !(mark !== undefined && mark < end)) continue;
      isKept[ordinal] = 1;
      if (source[ordinal] !== 0) isKept[source[ordinal]! - 1] = 1;
    }
    const taken: number[] = [];
    for (let ordinal = 0; ordinal < this.size; ordinal++)
      if (isKept[ordinal] === 0 && this.erasedOf(ordinal) === undefined) taken.push(ordinal);
    return taken;
  }

  /** How many versions died at an event or before it, and are whole. */
  deadThrough(seq: number): number {
    const { died } = this.versions.at;
    let count = 0;
    for (let ordinal = 0; ordinal < this.size; ordinal++)
      if (died[ordinal] !== 0 && died[ordinal]! <= seq && this.erasedOf(ordinal) === undefined) count += 1;
    return count;
  }

  eraseHistory({ through }: HistoryErased, context: EventContext): void {
    for (const ordinal of this.beyondHorizon(through)) this.erase(ordinal, 'horizon');
    this.registry.eraseHistory(through, context);
  }

  redact({ collection, id, reason }: ItemRedacted, context: EventContext): void {
    this.registry.require(collection, context.seq);
    for (let ordinal = this.findEver(collection, id); ordinal >= 0; ordinal = this.previousOf(ordinal))
      this.erase(ordinal, 'redacted');
    this.registry.redact({ collection, id, reason }, context);
  }

  /** The events that a version alone has its content from: its item_put, and vectors in other spaces. */
  contentSeqsOf(ordinal: number): number[] {
    const collection = this.collectionOf(ordinal);
    const seqs = this.isRestored(ordinal) ? [] : [this.seqOf(ordinal)];
    this.collectionById(collection)!.generations.forEach((_, generation) => {
      const added = this.added.get(collection, generation, ordinal);
      if (added !== undefined) seqs.push(added.seq);
    });
    return seqs;
  }

  /**
   * Notes where the vectors of a version in another space are.
   * @returns the version's ordinal, and the generation that they are for
   */
  addVectors(event: VectorsAdded, context: EventContext): { ordinal: number; generation: number } {
    const state = this.registry.require(event.collection, context.seq);
    const ordinal = this.ordinalOf(event.version);
    const generation = generationOf(state, event.space);
    if (ordinal < 0 || generation === undefined)
      throw malformed(
        `event ${context.seq} adds vectors of ${event.space} to version ${event.version}, which has no use for them`,
      );
    const added = { seq: context.seq, passages: event.passages.length };
    if (!this.added.add(event.collection, generation, ordinal, added))
      throw malformed(`event ${context.seq} adds vectors out of order`);
    if (generation === state.generation && this.isLive(ordinal)) state.passages += event.passages.length;
    return { ordinal, generation };
  }

  /**
   * Whether the vectors of an event go on with what a collection has or is being prepared for. They come in the order of the versions,
   * once for each: others belong to a preparation that began anew.
   */
  goesOn({ collection, space, version }: VectorsAdded): boolean {
    const state = this.collectionById(collection);
    const generation = state && generationOf(state, space);
    const ordinal = this.ordinalOf(version);
    if (generation === undefined || ordinal <= this.added.last(collection, generation)) return false;
    if (generation === state!.preparing) return true;
    for (let later = this.size - 1; later >= ordinal; later--)
      if (this.collectionOf(later) === collection && this.passagesOf(later, generation) > 0) return false;
    return true;
  }

  /** The event that holds a version's vectors of a generation: its content's item_put, or a vectors_added; 0 for none. */
  vectorsSeqOf(ordinal: number, generation: number): number {
    const added = this.added.get(this.collectionOf(ordinal), generation, ordinal);
    if (added !== undefined) return added.seq;
    return this.hasOwnVectors(ordinal, generation) ? this.seqOf(this.sourceOf(ordinal)) : 0;
  }

  /** How many passages a version has in a generation's space. */
  passagesOf(ordinal: number, generation: number): number {
    const added = this.added.get(this.collectionOf(ordinal), generation, ordinal);
    if (added !== undefined) return added.passages;
    return this.hasOwnVectors(ordinal, generation) ? this.passagesOfContent(ordinal) : 0;
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
    const { died } = this.versions.at;
    let count = 0;
    for (const ordinal of this.added.through(collection, generation, atSeq)) {
      const end = died[ordinal]!;
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
    const { died, collection: collectionOf } = this.versions.at;
    const ordinals: number[] = [];
    let count = 0;
    const start = this.added.last(collection, generation) + 1;
    for (let ordinal = start; ordinal < this.size; ordinal++) {
      if (died[ordinal] !== 0 || collectionOf[ordinal] !== collection) continue;
      count += 1;
      if (ordinals.length < limit) ordinals.push(ordinal);
    }
    return { ordinals, count };
  }

  /** To be called when a collection's space was switched: its passages are those of the new one, in which nothing is written yet. */
  recountPassages(state: CollectionState): void {
    const { ordinal, passages, rows } = this.added.of(state.id, state.generation);
    state.passages = 0;
    for (let row = 0; row < rows; row++) if (this.isLive(ordinal[row]!)) state.passages += passages[row]!;
  }

  save(): Uint8Array {
    const writer = new ByteWriter();
    writer.ascii(MAGIC);
    this.registry.save(writer);
    this.writeVersions(writer);
    this.deletes.write(writer);
    this.added.write(writer);
    return writer.finish();
  }

  /**
   * Reads what `save` gave, and takes over the bytes.
   * @throws CodedError PROJECTION_FAILED
   */
  static load(bytes: Uint8Array): Catalog {
    const reader = new ByteReader(bytes, 'saved catalog');
    reader.expectAscii(MAGIC);
    const catalog = new Catalog(Registry.load(reader));
    catalog.readVersions(reader);
    catalog.deletes.read(reader);
    catalog.added.read(reader);
    reader.expectEnd();
    return catalog;
  }
}

/** The generation that vectors of a space are added to: the one that is being prepared, or the present one. */
const generationOf = (
  { generations, preparing, generation }: CollectionState,
  space: string,
): number | undefined => [preparing, generation].find(number => generations[number]?.space.id === space);
