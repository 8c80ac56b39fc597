/** What the events of the log do to the catalog alone. */
import { isLost } from '../../wal/lost.js';
import type { LogRecord } from '../../wal/record.js';
import type { DomainEvent, EventContext } from '../domain/model.js';
import type { Catalog } from '../projections/catalog.js';
import { presupposed } from './after-loss.js';
import { eventOf } from './event-codec.js';

/** Brings a catalog one record further. @returns the event, if it is one that counts */
export function followCatalog(catalog: Catalog, record: LogRecord): DomainEvent | undefined {
  if (isLost(record)) catalog.registry.noteLost(record.seq);
  const event = eventOf(record);
  if (event !== undefined)
    for (const each of presupposed(catalog, event)) applyToCatalog(catalog, each, record);
  return event;
}

/** An event that what it presupposes was applied before. */
export function applyToCatalog(catalog: Catalog, event: DomainEvent, record: LogRecord): void {
  const context = contextOf(record);
  const { registry } = catalog;
  switch (event.type) {
    case 'collection_created': {
      const { type, ...collection } = event;
      registry.createCollection(collection, context);
      break;
    }
    case 'actor_declared': {
      const { type, ...actor } = event;
      registry.actors.declare(record.seq, actor);
      break;
    }
    case 'mark_set':
      registry.setMark(event, context);
      break;
    case 'space_begun':
      registry.beginSpace(event, context);
      break;
    case 'space_abandoned':
      registry.abandonSpace(event.collection, event.space, context);
      break;
    case 'space_switched':
      registry.switchSpace(event.collection, event.space, context);
      catalog.recountPassages(catalog.collectionById(event.collection)!);
      break;
    case 'item_put':
      catalog.put(event, context);
      break;
    case 'item_restored':
      catalog.restore(event, context);
      break;
    case 'item_deleted':
      catalog.delete(event, context);
      break;
    case 'vectors_added':
      catalog.addVectors(event, context);
      break;
    case 'history_erased':
      catalog.eraseHistory(event, context);
      break;
    case 'item_redacted':
      catalog.redact(event, context);
      break;
    case 'erasure_finished':
      registry.finishErasure(event.of, context.seq);
  }
}

export const contextOf = (record: LogRecord): EventContext => ({
  seq: record.seq,
  timeMs: record.logicalMs,
  actor: record.actor,
});
