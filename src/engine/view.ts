import type { CurrentItem, StoreView } from '../domain/decide.js';
import type { Actor, Collection, DomainEvent, ItemPut } from '../domain/model.js';
import type { Projections } from './projections.js';
import type { Versions } from './versions.js';

/** A queued version of an item: `item` is undefined once it is deleted. */
interface Queued {
  readonly version: number;
  readonly item: ItemPut | undefined;
}

/** A transaction that is queued in the log and not applied yet. */
export interface QueuedTransaction {
  readonly events: readonly DomainEvent[];
  readonly firstSeq: number;
}

/**
 * What the next decision is made against: the applied state, and over it what is queued in the log and not applied yet. The
 * overlay is empty whenever nothing is in flight.
 */
export class WriteView implements StoreView {
  private readonly collections = new Map<string, Collection & { seq: number }>();
  private readonly items = new Map<string, Queued>();
  /** Keys of `items` by text: several items that are queued may have the same one. */
  private readonly texts = new Map<string, Set<string>>();
  private readonly actors = new Map<string, number>();
  private readonly marks = new Set<string>();
  /** Not in the maps above yet: of a transaction that is applied before the next decision nobody asks. */
  private readonly unlisted = new Set<QueuedTransaction>();

  constructor(
    private readonly projections: () => Projections,
    private readonly versions: Versions,
  ) {}

  collection(name: string): Collection | undefined {
    const applied = this.projections().catalog.collection(name);
    if (applied !== undefined) return applied;
    this.list();
    return this.collections.get(name);
  }

  get nextCollectionId(): number {
    this.list();
    const { catalog } = this.projections();
    // Between being applied and being forgotten here, a collection is in both.
    const queued = [...this.collections.keys()].filter(name => catalog.collection(name) === undefined);
    return catalog.registry.nextCollectionId + queued.length;
  }

  current(collection: number, id: string): CurrentItem | undefined {
    const queued = this.queuedItem(collection, id);
    if (queued) return queued.item && { version: queued.version, item: queued.item };
    const ordinal = this.projections().catalog.find(collection, id);
    return ordinal < 0 ? undefined : this.stored(ordinal);
  }

  /** Whether a version is what its item will be once all that is queued is applied. */
  isCurrent(collection: number, id: string, version: number): boolean {
    const queued = this.queuedItem(collection, id);
    if (queued) return queued.item !== undefined && queued.version === version;
    const { catalog } = this.projections();
    const ordinal = catalog.find(collection, id);
    return ordinal >= 0 && catalog.seqOf(ordinal) === version;
  }

  private queuedItem(collection: number, id: string): Queued | undefined {
    this.list();
    return this.items.size === 0 ? undefined : this.items.get(key(collection, id));
  }

  /** What is queued of a collection, by id: undefined for an item that will be deleted. */
  queuedItems(collection: number): Map<string, ItemPut | undefined> {
    this.list();
    const prefix = key(collection, '');
    const items = new Map<string, ItemPut | undefined>();
    for (const [at, { item }] of this.items)
      if (at.startsWith(prefix)) items.set(at.slice(prefix.length), item);
    return items;
  }

  byText(collection: number, text: string): CurrentItem | undefined {
    this.list();
    for (const at of this.texts.get(key(collection, text)) ?? []) {
      const queued = this.items.get(at);
      if (queued?.item?.text === text) return { version: queued.version, item: queued.item };
    }
    const { catalog } = this.projections();
    let found: CurrentItem | undefined;
    catalog.findText(collection, text, ordinal => {
      if (this.items.has(key(collection, catalog.idOf(ordinal)))) return false;
      const stored = this.stored(ordinal);
      if (stored.item.text !== text) return false;
      found = stored;
      return true;
    });
    return found;
  }

  private stored(ordinal: number): CurrentItem {
    const version = this.projections().catalog.seqOf(ordinal);
    return { version, item: this.versions.item(ordinal) };
  }

  /** The event that declared the actor, queued or applied; 0 for none. */
  actorSeq(actor: Actor): number {
    const applied = this.projections().catalog.registry.actors.seqOf(actor);
    if (applied !== 0) return applied;
    this.list();
    return this.actors.get(JSON.stringify(actor)) ?? 0;
  }

  /** Whether a mark of this name is set, or about to be. */
  hasMark(name: string): boolean {
    this.list();
    return this.marks.has(name) || this.projections().catalog.registry.mark(name) !== undefined;
  }

  /** Notes a transaction that was just queued. */
  queued(transaction: QueuedTransaction): void {
    this.unlisted.add(transaction);
  }

  private list(): void {
    if (this.unlisted.size === 0) return;
    for (const transaction of this.unlisted) this.listEvents(transaction);
    this.unlisted.clear();
  }

  private listEvents({ events, firstSeq }: QueuedTransaction): void {
    events.forEach((event, index) => {
      const seq = firstSeq + index;
      if (event.type === 'item_put') {
        const at = key(event.collection, event.id);
        const text = key(event.collection, event.text);
        this.items.set(at, { version: seq, item: event });
        const sharing = this.texts.get(text);
        if (sharing === undefined) this.texts.set(text, new Set([at]));
        else sharing.add(at);
      } else if (event.type === 'item_deleted')
        this.items.set(key(event.collection, event.id), { version: seq, item: undefined });
      else if (event.type === 'collection_created') this.collections.set(event.name, { ...event, seq });
      else if (event.type === 'mark_set') this.marks.add(event.name);
      else if (event.type === 'actor_declared') {
        const { type, ...actor } = event;
        this.actors.set(JSON.stringify(actor), seq);
      }
    });
  }

  /** Of an item that is not queued with this text any more. */
  private forgetText(at: string, { collection, text }: ItemPut): void {
    if (this.items.get(at)?.item?.text === text) return;
    const sharing = this.texts.get(key(collection, text));
    sharing?.delete(at);
    if (sharing?.size === 0) this.texts.delete(key(collection, text));
  }

  /** Forgets a transaction that has been applied, or that failed to be written. */
  settled(transaction: QueuedTransaction): void {
    if (this.unlisted.delete(transaction)) return;
    const { events, firstSeq } = transaction;
    events.forEach((event, index) => {
      const seq = firstSeq + index;
      if (event.type === 'item_put' || event.type === 'item_deleted') {
        const at = key(event.collection, event.id);
        if (this.items.get(at)?.version === seq) this.items.delete(at);
        if (event.type === 'item_put') this.forgetText(at, event);
      } else if (event.type === 'collection_created') {
        if (this.collections.get(event.name)?.seq === seq) this.collections.delete(event.name);
      } else if (event.type === 'mark_set') this.marks.delete(event.name);
      else if (event.type === 'actor_declared') {
        const { type, ...actor } = event;
        if (this.actors.get(JSON.stringify(actor)) === seq) this.actors.delete(JSON.stringify(actor));
      }
    });
  }
}

const key = (collection: number, id: string): string => `${collection}:${id}`;
