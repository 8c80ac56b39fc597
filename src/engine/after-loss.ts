/**
 * A log that was repaired may lack events. What comes after them can presuppose what they did: a collection that was created, an item
 * that was written, a space that was begun. Nobody knows what a lost event said, but this much of it follows from those that are there.
 */
import type { DomainEvent, ItemPut, Metric, Space } from '../domain/model.js';
import type { Catalog } from '../projections/catalog.js';
import type { CollectionState, LostRange } from '../projections/registry.js';

/** What a collection is taken for whose creation is lost. */
const ASSUMED_METRIC: Metric = 'cosine';

/**
 * What is to be applied for an event: mostly that event. After a gap, before it what it presupposes and is not there; nothing where it
 * speaks of what is lost altogether. An item whose restored content is lost is no more: its former content is not what it has.
 */
export function presupposed(catalog: Catalog, event: DomainEvent): readonly DomainEvent[] {
  if (catalog.registry.lost.length === 0) return [event];
  const { registry } = catalog;
  if (event.type === 'collection_created')
    return registry.collectionById(event.id) === undefined && registry.collection(event.name) === undefined
      ? [event]
      : [];
  if (event.type === 'actor_declared' || event.type === 'mark_set' || event.type === 'history_erased')
    return [event];
  if (event.type === 'erasure_finished')
    return registry.pendingErasures.some(({ seq }) => seq === event.of) ? [event] : [];
  const state = catalog.collectionById(event.collection);
  const isErased = 'erased' in event && event.erased !== undefined;
  // Of what was erased the space is not known either.
  if (state === undefined)
    return event.type === 'item_put' && !isErased ? [lostCollection(catalog, event), event] : [];
  switch (event.type) {
    case 'item_put':
      return isErased ? [event] : [...intoSpace(state, event.space), event];
    case 'item_redacted':
      return [event];
    case 'item_deleted':
      return catalog.find(event.collection, event.id) < 0 ? [] : [event];
    case 'item_restored': {
      if (catalog.isContent(event.from)) return [event];
      const { collection, id } = event;
      return catalog.find(collection, id) < 0 ? [] : [{ type: 'item_deleted', collection, id }];
    }
    case 'vectors_added': {
      if (catalog.ordinalOf(event.version) < 0) return [];
      if (catalog.goesOn(event)) return [event];
      return [...beginning(state, spaceFromId(event.space)), event];
    }
    case 'space_begun':
      return [...abandoning(state), event];
    case 'space_abandoned':
      return event.space === preparedSpace(state) ? [event] : [];
    case 'space_switched':
      return event.space === preparedSpace(state) ? [event] : intoSpace(state, event.space);
  }
}

/** A collection with the id and the space of an item, under a name that says what happened to its own. */
function lostCollection({ registry }: Catalog, { collection: id, space }: ItemPut): DomainEvent {
  let name = `lost-${id}`;
  while (registry.collection(name) !== undefined) name += '-';
  return { type: 'collection_created', id, name, space: spaceFromId(space), metric: ASSUMED_METRIC };
}

const preparedSpace = ({ generations, preparing }: CollectionState): string | undefined =>
  generations[preparing]?.space.id;

/** Items are written in a collection's present space: one in another says that the switch to it is lost. */
function intoSpace(state: CollectionState, space: string): DomainEvent[] {
  if (space === state.space.id) return [];
  const begun = space === preparedSpace(state) ? [] : beginning(state, spaceFromId(space));
  return [...begun, { type: 'space_switched', collection: state.id, space }];
}

const beginning = (state: CollectionState, space: Space): DomainEvent[] => [
  ...abandoning(state),
  { type: 'space_begun', collection: state.id, space },
];

function abandoning(state: CollectionState): DomainEvent[] {
  const space = preparedSpace(state);
  return space === undefined ? [] : [{ type: 'space_abandoned', collection: state.id, space }];
}

/** What a space's id tells of it: `<provider>/<model>/<dimension>#<digest>`, or `given/<dimension>`. */
function spaceFromId(id: string): Space {
  const [provider = '', ...rest] = id.replace(/#[^#]*$/, '').split('/');
  const dimension = Number(rest.pop());
  const model = rest.join('/');
  return { id, provider, model, dimension, weightsDigest: '', preprocessingDigest: '' };
}

/** What answers must say while events are lost that may have changed them. @param ranges those that concern the answer */
export function lossWarning(ranges: readonly LostRange[]): string | undefined {
  if (ranges.length === 0) return undefined;
  const named = ranges.slice(0, 3).map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`));
  const more = ranges.length > 3 ? ` and ${ranges.length - 3} more ranges` : '';
  return `Events ${named.join(', ')}${more} are lost (the log was damaged and repaired): what they wrote, changed or deleted is not known, and this answer cannot show it.`;
}
