import { afterEach, expect, test } from 'vitest';
import type { StoreEngine } from '#src/engine/engine.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

let engine: StoreEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

const ITEM_BYTES = 100_000;
const VECTOR_BYTES = 10_000;

test('status tells what tables take, and caches, which stay within their bounds', async () => {
  engine = await openTestEngine(temporaryDirectory(), {
    caches: { itemBytes: ITEM_BYTES, vectorBytes: VECTOR_BYTES },
  });
  const memory = async () => (await engine!.status({}, testContext)).memory;
  const empty = await memory();
  expect(empty.caches_bytes).toBe(0);
  const ids = Array.from({ length: 1000 }, (_, at) => `item-${at}`);
  const items = ids.map(id => ({ id, text: `the text of ${id}`, metadata: {} }));
  await engine.upsert({ collection: 'notes', items }, testContext);
  await engine.idle();
  const written = await memory();
  expect(written.tables_bytes).toBeGreaterThan(empty.tables_bytes);
  await engine.get({ collection: 'notes', ids: ids.slice(0, 5) }, testContext);
  const read = await memory();
  expect(read.caches_bytes).toBeGreaterThan(written.caches_bytes);
  expect(read.tables_bytes).toBe(written.tables_bytes);
  for (let from = 0; from < ids.length; from += 500)
    await engine.get({ collection: 'notes', ids: ids.slice(from, from + 500) }, testContext);
  const full = await memory();
  expect(full.caches_bytes).toBeGreaterThan(ITEM_BYTES / 2);
  expect(full.caches_bytes).toBeLessThanOrEqual(ITEM_BYTES + VECTOR_BYTES);
});
