/** A log exchanged for another one: killed after any step there is the old store or the new one, and nothing in between is served. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { asideOf, finishReplacing, isReplaced, putBack, replaceLog } from '#src/ops/replace-log.js';
import { verifyLog } from '#wal/verify.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { itemsOf } from '../helpers/managed.js';

const root = temporaryDirectory('replace-');
let stores = 0;

async function storeOf(text: string): Promise<string> {
  const store = join(root, `store-${stores++}`);
  const engine = await openTestEngine(store);
  await engine.upsert({ collection: 'default', items: [{ id: 'a', text }] }, testContext);
  await engine.close();
  return store;
}

const textOf = async (store: string) => (await itemsOf(store))[0]!.text;
const TIME = new Date('2026-01-01T00:00:00Z');
const LATER = new Date('2026-01-01T00:00:01Z');

test('killed after each step, it is finished by the next call, and can be put back', async () => {
  const fresh = await storeOf('the new one');
  const copyFresh = async (target: string) => cpSync(fresh, target, { recursive: true });
  const steps: string[] = [];
  await replaceLog(await storeOf('the old one'), copyFresh, { time: TIME, onStep: step => steps.push(step) });
  expect(steps.length).toBeGreaterThan(4);
  for (const [at, step] of steps.entries()) {
    const store = await storeOf('the old one');
    let taken = 0;
    const onStep = () => {
      if (taken++ === at) throw new Error('killed');
    };
    await expect(replaceLog(store, copyFresh, { time: TIME, onStep })).rejects.toThrow('killed');
    if (step !== 'done')
      await expect(openTestEngine(store), step).rejects.toMatchObject({ code: 'REPAIR_UNFINISHED' });
    expect(await finishReplacing(store)).toBe(step !== 'done');
    expect([step, await textOf(store)]).toEqual([step, 'the new one']);
    expect((await verifyLog(join(store, asideOf(TIME)))).findings).toEqual([]);
  }
  const store = await storeOf('the old one');
  await replaceLog(store, copyFresh, { time: TIME });
  expect(isReplaced(store, LATER)).toBe(false);
  for (let n = 0; n < 2; n++) expect(await putBack(store, TIME, { time: LATER })).toBe(asideOf(LATER));
  expect(await textOf(store)).toBe('the old one');
});

test('what cannot be made leaves the store as it is', async () => {
  const store = await storeOf('the old one');
  const fails = async () => {
    throw new Error('no disk');
  };
  await expect(replaceLog(store, fails, { time: TIME })).rejects.toThrow('no disk');
  expect(isReplaced(store, TIME)).toBe(false);
  expect(await textOf(store)).toBe('the old one');
});
