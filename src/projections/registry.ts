import type {
  Collection,
  Erased,
  EventContext,
  ItemRedacted,
  MarkSet,
  Space,
  SpaceBegun,
} from '../domain/model.js';
import { Actors } from './actors.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import { malformed } from './malformed.js';

/** One of the spaces that a collection has had, or is being prepared for. */
export interface Generation {
  readonly space: Space;
  /** The event that made it the collection's space; 0 for one that has not become it. */
  sinceSeq: number;
  /** False once it was given up. */
  isUsable: boolean;
}

/** A collection, its live counts, and its spaces over time. */
export interface CollectionState extends Collection {
  readonly createdSeq: number;
  /** The present one: that of generations[generation]. */
  space: Space;
  /** Number of the present generation. */
  generation: number;
  /** In order of their beginning; their numbers are never reused. */
  readonly generations: Generation[];
  /** The generation that vectors are being added for, or -1. */
  preparing: number;
  items: number;
  passages: number;
}

export interface Mark {
  readonly name: string;
  readonly note: string;
  readonly seq: number;
  readonly timeMs: number;
}

/** An event that is no item's: what history shows besides them. */
export interface Milestone {
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: number;
  readonly type:
    | 'marked'
    | 'collection_created'
    | 'reembedding_begun'
    | 'reembedding_abandoned'
    | 'reembedded'
    | 'history_erased'
    | 'redacted';
  /** Collection id. */
  readonly collection?: number;
  /** Space id. */
  readonly space?: string;
  readonly mark?: string;
  /** Of a horizon: the last event whose dead versions it took. */
  readonly through?: number;
  /** Of a redaction: the item, and why. */
  readonly item?: string;
  readonly reason?: string;
}

/** Content that was given up, and may still be on the disk. */
export interface PendingErasure {
  /** The event that gave it up. */
  readonly seq: number;
  readonly why: Erased;
}

/** Events that a repair found nowhere, both numbers inclusive. */
export interface LostRange {
  readonly from: number;
  to: number;
}

interface Saved {
  readonly collections: readonly CollectionState[];
  readonly marks: readonly Mark[];
  readonly milestones: readonly Milestone[];
  readonly pendingErasures: readonly PendingErasure[];
  readonly lost: readonly LostRange[];
}

/** What a store has few of, as plain objects: collections with their spaces, marks. And its actors. */
export class Registry {
  private readonly byId = new Map<number, CollectionState>();
  private readonly byName = new Map<string, CollectionState>();
  readonly actors = new Actors();
  private readonly marksByName = new Map<string, Mark>();
  /** In the order of the log. */
  readonly milestones: Milestone[] = [];
  private erasures: PendingErasure[] = [];
  private readonly lostRanges: LostRange[] = [];
  private highestId = 0;

  /** The events that are lost, in order. */
  get lost(): readonly LostRange[] {
    return this.lostRanges;
  }

  /** Notes that an event is lost; they come in order. */
  noteLost(seq: number): void {
    const last = this.lostRanges.at(-1);
    if (last?.to === seq - 1) last.to = seq;
    else this.lostRanges.push({ from: seq, to: seq });
  }

  /** The lost events behind one and up to another. */
  lostWithin(afterSeq: number, throughSeq: number): readonly LostRange[] {
    return this.lostRanges.filter(({ from, to }) => to > afterSeq && from <= throughSeq);
  }

  get nextCollectionId(): number {
    return this.highestId + 1;
  }

  collection(name: string): CollectionState | undefined {
    return this.byName.get(name);
  }

  collectionById(id: number): CollectionState | undefined {
    return this.byId.get(id);
  }

  get collections(): readonly CollectionState[] {
    return [...this.byName.values()];
  }

  mark(name: string): Mark | undefined {
    return this.marksByName.get(name);
  }

  /** Oldest first. */
  get marks(): readonly Mark[] {
    return [...this.marksByName.values()];
  }

  createCollection(collection: Collection, { seq, timeMs, actor }: EventContext): void {
    // Where events are lost, so may be the creation of others.
    const isFree =
      this.lost.length === 0 ? collection.id === this.nextCollectionId : !this.byId.has(collection.id);
    if (!isFree || this.byName.has(collection.name))
      throw malformed(`collection ${collection.id} "${collection.name}" is out of order or there already`);
    const generations = [{ space: collection.space, sinceSeq: seq, isUsable: true }];
    const state = { ...collection, createdSeq: seq, generation: 0, generations, preparing: -1 };
    this.add({ ...state, items: 0, passages: 0 });
    const { id, space } = collection;
    this.milestones.push({ seq, timeMs, actor, type: 'collection_created', collection: id, space: space.id });
  }

  private add(state: CollectionState): void {
    this.byId.set(state.id, state);
    this.byName.set(state.name, state);
    this.highestId = Math.max(this.highestId, state.id);
  }

  setMark({ name, note }: MarkSet, { seq, timeMs, actor }: EventContext): void {
    this.marksByName.set(name, { name, note, seq, timeMs });
    this.milestones.push({ seq, timeMs, actor, type: 'marked', mark: name });
  }

  beginSpace(event: SpaceBegun, { seq, timeMs, actor }: EventContext): void {
    const state = this.require(event.collection, seq);
    if (state.preparing >= 0) throw malformed(`event ${seq} begins a space while another is being prepared`);
    state.preparing = state.generations.push({ space: event.space, sinceSeq: 0, isUsable: true }) - 1;
    const { id, space } = { id: event.collection, space: event.space.id };
    this.milestones.push({ seq, timeMs, actor, type: 'reembedding_begun', collection: id, space });
  }

  abandonSpace(collection: number, space: string, { seq, timeMs, actor }: EventContext): void {
    const state = this.prepared(collection, space, seq);
    state.generations[state.preparing]!.isUsable = false;
    state.preparing = -1;
    this.milestones.push({ seq, timeMs, actor, type: 'reembedding_abandoned', collection, space });
  }

  switchSpace(collection: number, space: string, { seq, timeMs, actor }: EventContext): void {
    const state = this.prepared(collection, space, seq);
    state.generation = state.preparing;
    state.preparing = -1;
    state.generations[state.generation]!.sinceSeq = seq;
    state.space = state.generations[state.generation]!.space;
    this.milestones.push({ seq, timeMs, actor, type: 'reembedded', collection, space });
  }

  /** In the order of the log. */
  get pendingErasures(): readonly PendingErasure[] {
    return this.erasures;
  }

  eraseHistory(through: number, { seq, timeMs, actor }: EventContext): void {
    this.milestones.push({ seq, timeMs, actor, type: 'history_erased', through });
    this.erasures.push({ seq, why: 'horizon' });
  }

  redact(item: Omit<ItemRedacted, 'type'>, { seq, timeMs, actor }: EventContext): void {
    const { collection, id, reason } = item;
    this.milestones.push({ seq, timeMs, actor, type: 'redacted', collection, item: id, reason });
    this.erasures.push({ seq, why: 'redacted' });
  }

  finishErasure(of: number, seq: number): void {
    const left = this.erasures.filter(pending => pending.seq !== of);
    if (left.length === this.erasures.length)
      throw malformed(`event ${seq} ends the erasure of event ${of}, which is not under way`);
    this.erasures = left;
  }

  /** Number of the generation that a collection was being prepared for once event `seq` was applied, or -1. */
  preparingAt(collection: number, seq: number): number {
    let begun = 0;
    let isUnderWay = false;
    for (const milestone of this.milestones) {
      if (milestone.seq > seq) break;
      if (milestone.collection !== collection || !milestone.type.startsWith('reembed')) continue;
      isUnderWay = milestone.type === 'reembedding_begun';
      if (isUnderWay) begun += 1;
    }
    // The first generation is the one that the collection was created with.
    return isUnderWay ? begun : -1;
  }

  private prepared(collection: number, space: string, seq: number): CollectionState {
    const state = this.require(collection, seq);
    if (state.generations[state.preparing]?.space.id !== space)
      throw malformed(`event ${seq} names space ${space}, which is not being prepared`);
    return state;
  }

  /** @throws CodedError PROJECTION_FAILED */
  require(collection: number, seq: number): CollectionState {
    const state = this.byId.get(collection);
    if (state !== undefined) return state;
    throw malformed(`event ${seq} names collection ${collection}, which is not there`);
  }

  save(writer: ByteWriter): void {
    const saved: Saved = {
      collections: this.collections,
      marks: this.marks,
      milestones: this.milestones,
      pendingErasures: this.erasures,
      lost: this.lostRanges,
    };
    writer.string(JSON.stringify(saved));
    this.actors.write(writer);
  }

  /** @throws CodedError PROJECTION_FAILED */
  static load(reader: ByteReader): Registry {
    const registry = new Registry();
    const { collections, marks, milestones, pendingErasures, lost } = JSON.parse(reader.string()) as Saved;
    for (const state of collections) registry.add(state);
    for (const mark of marks) registry.marksByName.set(mark.name, mark);
    registry.milestones.push(...milestones);
    registry.erasures.push(...pendingErasures);
    registry.lostRanges.push(...lost);
    registry.actors.read(reader);
    return registry;
  }
}

/** The generation whose vectors answer for a moment: the last that became the collection's space at or before it. */
export function generationAt(collection: CollectionState, seq: number): number {
  let found = 0;
  collection.generations.forEach(({ sinceSeq }, number) => {
    const isLater = sinceSeq > collection.generations[found]!.sinceSeq;
    if (sinceSeq > 0 && sinceSeq <= seq && isLater) found = number;
  });
  return found;
}
