import type { Actor } from '#src/domain/model.js';
import type { Change, VersionView } from '#src/domain/travel.js';
import { eventOf } from '#src/engine/event-codec.js';
import type { MemoryLog } from '#wal/memory-log.js';

/** Every change, oldest first, as the events of a log tell it, read one after the other. */
export function changesIn(log: MemoryLog): Change[] {
  const actors = new Map<number, Actor>();
  const collections = new Map<number, string>();
  const items = new Map<string, VersionView>();
  const changes: Change[] = [];
  for (let seq = 1; seq <= log.head.seq; seq++) {
    const record = log.get(seq);
    const event = eventOf(record)!;
    if (event.type === 'actor_declared') {
      const { type, ...actor } = event;
      actors.set(seq, actor);
      continue;
    }
    let end = seq;
    while (!log.get(end).last) end += 1;
    const common = {
      seq,
      time: new Date(record.logicalMs).toISOString(),
      actor: actors.get(record.actor) ?? null,
      write: { first_seq: record.txFirst, last_seq: end },
    };
    if (event.type === 'collection_created') {
      collections.set(event.id, event.name);
      const { name, space } = event;
      changes.push({ ...common, type: 'collection_created', collection: name, space: space.id });
    } else if (event.type === 'space_begun') {
      const name = collections.get(event.collection)!;
      changes.push({ ...common, type: 'reembedding_begun', collection: name, space: event.space.id });
    } else if (event.type === 'space_abandoned' || event.type === 'space_switched') {
      const { type, collection: number, space } = event;
      const name = collections.get(number)!;
      changes.push({
        ...common,
        type: type === 'space_switched' ? 'reembedded' : 'reembedding_abandoned',
        collection: name,
        space,
      });
    } else if (event.type === 'mark_set') {
      const { name, note } = event;
      changes.push({ ...common, type: 'marked', mark: { name, note } });
    } else if (event.type === 'item_put' || event.type === 'item_restored' || event.type === 'item_deleted') {
      const name = collections.get(event.collection)!;
      const key = JSON.stringify([name, event.id]);
      const before = items.get(key);
      const put = event.type === 'item_restored' ? eventOf(log.get(event.from)) : event;
      const after = put?.type === 'item_put' && { version: seq, text: put.text, metadata: put.metadata };
      if (after) items.set(key, after);
      else items.delete(key);
      changes.push({
        ...common,
        type:
          event.type === 'item_deleted'
            ? 'deleted'
            : event.type === 'item_restored'
              ? 'restored'
              : before
                ? 'updated'
                : 'created',
        collection: name,
        id: event.id,
        ...(before && { before }),
        ...(after && { after }),
        ...(event.type === 'item_restored' && { restored_from: event.from }),
      });
    }
  }
  return changes;
}
