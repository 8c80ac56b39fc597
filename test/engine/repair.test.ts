/** A damaged store of an engine, repaired: what it answers then is what the events that are left say. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repair } from '#src/engine/repair.js';
import { verifyStore } from '#src/engine/verify.js';
import { PATHS } from '#wal/paths.js';
import { destroyRecord } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

test('what is lost is said, what depends on it is not made up, and the rest is there', async () => {
  const dir = join(temporaryDirectory(), 'store');
  const backups = join(temporaryDirectory(), 'backups');
  const engine = await openTestEngine(dir);
  const put = async (id: string, text: string, collection = 'notes') =>
    (await engine.upsert({ collection, items: [{ id, text }] }, testContext)).items[0]!.version;
  const first = await put('a', 'first harbour');
  await put('b', 'second lantern');
  const other = await put('c', 'third quarry', 'other');
  await engine.backup({ to: backups }, testContext);
  const changed = await put('a', 'changed meadow');
  const before = await put('d', 'fourth signal');
  await engine.delete({ collection: 'notes', ids: ['b'] }, testContext);
  const { head } = await engine.status({}, testContext);
  await engine.close();
  // The change of a, the delete of b, and the creation of the other collection.
  for (const seq of [changed, head.seq, other - 1]) destroyRecord(dir, seq);

  const dry = await repair(dir, { backups: [], apply: false });
  expect(dry).toMatchObject({ state: 'planned', plan: { lostRecords: 3, endProven: true } });
  expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
  const repaired = await repair(dir, { backups: [], apply: true });
  expect(repaired).toMatchObject({ state: 'repaired', verified: { sound: true } });
  expect(repaired.verified!.gaps.map(({ from, to }) => [from, to])).toEqual(
    [other - 1, changed, head.seq].map(seq => [seq, seq]),
  );

  const again = await openTestEngine(dir, { create: false });
  const get = (id: string, more: object = {}) =>
    again.get({ collection: 'notes', ids: [id], ...more }, testContext);
  const warning = expect.stringMatching(/^Events .* are lost/);
  expect(await get('a')).toMatchObject({ items: [{ version: first, text: 'first harbour' }], warning });
  expect(await get('b')).toMatchObject({ items: [{ text: 'second lantern' }], warning });
  expect(await get('d')).toMatchObject({ items: [{ version: before }], warning });
  expect(await get('a', { as_of: String(first) })).not.toHaveProperty('warning');
  // Newer than every lost event but the last one, and at a moment before that.
  expect(await get('d', { as_of: String(before) })).not.toHaveProperty('warning');
  expect(await get('a', { as_of: String(before) })).toMatchObject({ warning });
  const name = `lost-${2}`;
  expect(await again.get({ collection: name, ids: ['c'] }, testContext)).toMatchObject({
    items: [{ text: 'third quarry', version: other }],
  });
  expect(await again.search({ query: 'third quarry', k: 1, mode: 'semantic' }, testContext)).toMatchObject({
    results: [{ id: 'c', collection: name }],
    warning,
  });
  const status = await again.status({}, testContext);
  expect(status.checkpoint.warnings).toEqual([warning]);
  expect(status.collections.map(({ name, items }) => [name, items])).toEqual([
    ['notes', 3],
    [name, 1],
  ]);
  await again.upsert({ collection: 'third', items: [{ id: 'e', text: 'goes on' }] }, testContext);
  await again.close();

  // From its checkpoint it says the same; and a backup gives back what it has.
  const third = await openTestEngine(dir, { create: false });
  expect((await third.status({}, testContext)).checkpoint.warnings).toEqual([warning]);
  await third.close();
  await repair(dir, { backups: [backups], apply: true });
  const filled = await openTestEngine(dir, { create: false });
  expect(await filled.get({ collection: 'other', ids: ['c'] }, testContext)).toMatchObject({
    items: [{ version: other }],
  });
  await filled.close();
  expect(await verifyStore(dir)).toMatchObject({
    sound: true,
    gaps: [
      { from: changed, to: changed },
      { from: head.seq, to: head.seq },
    ],
  });
  rmSync(dir, { recursive: true });
});
