/** What a window's client has subscribed to outlives the owner of the store, which its window only calls. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { UpsertAnswer } from '#src/domain/face.js';
import { readOwner } from '#wal/owner.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { SURFACE_CLIENTS, until } from '../mcp/surface-clients.js';

test.each(SURFACE_CLIENTS)(
  '%s hears of what was written while one owner followed another',
  async (_, launch) => {
    const root = realpathSync(temporaryDirectory());
    const store = join(root, 'store');
    const first = new McpProcess(store, { root });
    const write = async (window: McpProcess, id: string) =>
      (
        await window.call<UpsertAnswer>('vector_upsert', {
          collection: 'notes',
          items: [{ id, text: `About ${id}.` }],
        })
      ).seq;
    await write(first, 'a');
    const subscriber = await launch({ store });
    const third = new McpProcess(store, { root });
    await third.call('vector_status', {});
    await subscriber.subscribe('vector://notes');
    // In 2026-07-28 a subscription is acknowledged before it has begun: what is read behind it is the state from which it goes on.
    await subscriber.read('vector://notes');
    const before = await write(third, 'b');
    await until(() => subscriber.updates.some(({ seq }) => seq === before));

    expect(readOwner(store)!.pid).toBe(await first.pid());
    await first.kill();
    const after = await write(third, 'c');
    await until(() => subscriber.updates.some(({ seq }) => seq === after));
    expect(subscriber.updates.every(({ uri }) => uri === 'vector://notes')).toBe(true);
    await subscriber.close();
    await third.close();
  },
);
