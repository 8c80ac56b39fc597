import { join } from 'node:path';
import { encodeEvent } from '#src/engine/event-codec.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import { DIMENSION, type Item } from '../dataset.js';
import type { SystemKind } from '../system.js';

/** The limit of durable writing: the bytes of the project's own events, in the same LevelDB, and nothing else. */
export const levelKind: SystemKind = {
  name: 'level',
  title: 'raw level',
  role: 'limit',
  note: 'the same bytes as our events, sync:true, options of our log; no index, no checks',
  async open({ dir }) {
    const database = await openLevel(dir);
    return {
      prepare: ({ row, id, text, lang, number, vector }: Item) => ({
        type: 'put' as const,
        key: Buffer.from(row.toString(16).padStart(16, '0'), 'hex'),
        value: encodeEvent({
          type: 'item_put',
          collection: 1,
          id,
          text,
          metadata: { lang, number },
          origin: 'agent',
          space: `given/${DIMENSION}`,
          passages: [[0, text.length]],
          vectors: vector,
        }).body,
      }),
      upsert: prepared =>
        database.batch(prepared as { type: 'put'; key: Buffer; value: Uint8Array }[], { sync: true }),
      close: () => database.close(),
    };
  },
  async verify({ dir }) {
    const database = await openLevel(dir);
    const iterator = database.iterator({ highWaterMarkBytes: 1 << 20 });
    while ((await iterator.nextv(1000)).length > 0);
    await iterator.close();
    await database.close();
  },
};

async function openLevel(dir: string): Promise<Level<Buffer, Uint8Array>> {
  const database = new Level<Buffer, Uint8Array>(join(dir, 'level'), LOG_OPTIONS);
  await database.open();
  return database;
}
