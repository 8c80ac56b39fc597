/**
 * A write is found by meaning, words and filter as soon as it is acknowledged, however much of the work was done while the disk
 * was busy or is left for later; and what is served is what a rebuild gives.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import type { Pending } from '#wal/queue.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const DIMENSION = 8;
const ITEMS = 300;
const PADDING = 'some more words that make the write a long one '.repeat(6);

const idOf = (call: number, n: number) => `c${call}n${n}`;
const vectorOf = (call: number, n: number) =>
  Array.from({ length: DIMENSION }, (_, i) => Math.sin(1 + call * 7919 + n * 31 + i * (n + 1)));

const upsert = (engine: StoreEngine, call: number) =>
  engine.upsert(
    {
      collection: 'bulk',
      items: Array.from({ length: ITEMS }, (_, n) => ({
        id: idOf(call, n),
        text: `${idOf(call, n)} ${PADDING}`,
        metadata: { call, n },
        vector: vectorOf(call, n),
      })),
    },
    testContext,
  );

async function expectFound(engine: StoreEngine, call: number, n: number): Promise<void> {
  const common = { k: 1, collections: ['bulk'] };
  const vector = vectorOf(call, n);
  const byMeaning = await engine.search({ ...common, vector, mode: 'semantic' }, testContext);
  const byWord = await engine.search({ ...common, query: idOf(call, n), mode: 'keyword' }, testContext);
  const where = { call, n };
  const filtered = await engine.search({ ...common, vector, mode: 'semantic', where }, testContext);
  expect([byMeaning, byWord, filtered].map(({ results }) => results[0]?.id)).toEqual(
    [1, 2, 3].map(() => idOf(call, n)),
  );
}

test('a stream of long writes: each is found at once, and so is what was written while the next is on its way', async () => {
  const path = temporaryDirectory();
  let engine = await openTestEngine(path);
  for (let call = 0; call < 6; call++) {
    await upsert(engine, call);
    for (const n of [0, ITEMS - 1]) await expectFound(engine, call, n);
  }
  const writing = upsert(engine, 6);
  await turn();
  await expectFound(engine, 5, 17);
  await writing;
  // Words of these are left for when it is quiet, but for those that the disk left time for.
  await Promise.all([7, 8, 9].map(call => upsert(engine, call)));
  for (const call of [6, 7, 8, 9]) await expectFound(engine, call, 100 + call);
  await engine.close();
  engine = await openTestEngine(path);
  for (const call of [0, 5, 9]) await expectFound(engine, call, ITEMS - 1);
  await engine.close();
});

test('items written at the same time are all found, and say what a rebuild says', async () => {
  const log = new MemoryLog();
  const engine = await memoryEngine(log);
  await Promise.all(
    Array.from({ length: 64 }, (_, n) =>
      engine.upsert(
        {
          collection: 'notes',
          items: [{ id: `n${n % 40}`, text: `word${n} ${PADDING}`, metadata: { n } }],
        },
        testContext,
      ),
    ),
  );
  const rebuilt = await memoryEngine(log);
  const everything = { collection: 'notes', limit: 100 };
  const list = await engine.list(everything, testContext);
  expect(list.items).toHaveLength(40);
  expect(await rebuilt.list(everything, testContext)).toEqual(list);
  for (const query of ['word63', 'word24', 'word3 more'])
    expect(await rebuilt.search({ query, k: 5, mode: 'hybrid' }, testContext)).toEqual(
      await engine.search({ query, k: 5, mode: 'hybrid' }, testContext),
    );
});

test('a deletion by filter goes by what is queued before it, not by what is applied', async () => {
  const log = new MemoryLog();
  const engine = await memoryEngine(log);
  const vector = [1, 0];
  const put = (id: string, kind: string) =>
    engine.upsert(
      { collection: 'notes', items: [{ id, text: id, metadata: { kind }, vector }] },
      testContext,
    );
  const forget = (kind: string) => engine.delete({ collection: 'notes', where: { kind } }, testContext);
  await put('changes', 'old');
  const [, , deleted] = await Promise.all([put('changes', 'new'), put('comes', 'old'), forget('old')]);
  expect(deleted.deleted).toEqual(['comes']);
  const { items } = await engine.list({ collection: 'notes', limit: 10 }, testContext);
  expect(items.map(({ id }) => id)).toEqual(['changes']);
});

/** A log whose batches are written when the test says so. */
class HeldLog extends MemoryLog {
  isHeld = false;
  private held: (() => void)[] = [];

  protected override async writeBatch(batch: readonly Pending[]): Promise<void> {
    if (this.isHeld) await new Promise<void>(resolve => this.held.push(resolve));
    await super.writeBatch(batch);
  }

  /** Lets the batch be written that is waiting, or will be. */
  async writeOne(): Promise<void> {
    while (this.held.length === 0) await turn();
    this.held.shift()!();
  }
}

test('a text without an id is found among what is queued, also where another item with it has just been applied', async () => {
  const log = new HeldLog();
  const engine = await memoryEngine(log);
  const put = async (...items: { id?: string; text: string }[]) =>
    (await engine.upsert({ collection: 'notes', items }, testContext)).items;
  await put({ id: 'first', text: 'tea' });
  log.isHeld = true;
  const applied = put({ id: 'first', text: 'hash' });
  await turn();
  const queued = put({ id: 'first', text: 'tea again' }, { id: 'second', text: 'hash' });
  await turn();
  const behind = put({ id: 'third', text: 'server' });
  await turn();
  await log.writeOne();
  await applied;
  log.isHeld = false;
  const remembered = put({ text: 'hash' });
  await turn();
  await log.writeOne();
  await Promise.all([queued, behind]);
  expect(await remembered).toMatchObject([{ id: 'second', outcome: 'unchanged' }]);
});
