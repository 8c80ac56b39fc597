import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CallContext } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { verifyStore } from '#src/engine/verify.js';
import { MemoryLog } from '#wal/memory-log.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const as = (session: string): CallContext => ({
  ...testContext,
  actor: { ...testContext.actor, session },
});

async function texts(engine: StoreEngine): Promise<Record<string, string>> {
  const { items } = await engine.list({ collection: 'default', limit: 1000 }, testContext);
  return Object.fromEntries(items.map(item => [item.id, item.text]));
}

const put = (engine: StoreEngine, id: string, text: string, session = 'one') =>
  engine.upsert({ collection: 'default', items: [{ id, text }] }, as(session));

describe('what is refused', () => {
  const engine = memoryEngine(new MemoryLog());

  test.each([
    [{}, 'REVERT_EMPTY'],
    [{ collection: 'default' }, 'REVERT_EMPTY'],
    [{ to: '3', session: 'one' }, 'INVALID_ARGUMENT'],
    [{ seqs: [3], to: '3' }, 'INVALID_ARGUMENT'],
    [{ until: '3' }, 'INVALID_ARGUMENT'],
    [{ seqs: [0] }, 'INVALID_ARGUMENT'],
    [{ ids: [] }, 'INVALID_ARGUMENT'],
    [{ ids: ['never'] }, 'INVALID_ARGUMENT'],
    [{ to: '9999' }, 'MOMENT_TOO_LATE'],
    [{ to: 'no-such-mark' }, 'MARK_NOT_FOUND'],
    [{ to: '1', collection: 'nowhere' }, 'COLLECTION_NOT_FOUND'],
  ])('%j', async (command, code) => {
    await put(await engine, 'a', 'tea');
    await expect((await engine).revert(command, testContext)).rejects.toMatchObject({ code });
  });
});

test('a plan outlives changes of other items, and no change of its own', async () => {
  const engine = await memoryEngine(new MemoryLog());
  await put(engine, 'a', 'tea');
  const { seq } = await put(engine, 'a', 'coffee');
  const command = { since: String(seq), until: String(seq) };
  const { plan } = await engine.revert(command, testContext);
  await put(engine, 'b', 'index', 'two');
  expect((await engine.revert(command, testContext)).plan).toBe(plan);
  await put(engine, 'a', 'hash', 'two');
  await expect(engine.revert({ ...command, dry_run: false, plan }, testContext)).rejects.toMatchObject({
    code: 'PLAN_STALE',
  });
  // Without a plan the later change is a conflict, and left.
  const left = await engine.revert({ ...command, dry_run: false }, testContext);
  expect(left).toMatchObject({ first_seq: 0, counts: { restored: 0, deleted: 0, conflicts: 1 } });
  expect(left.conflicts[0]).toMatchObject({ id: 'a', actor: { session: 'two' } });
  expect(await texts(engine)).toEqual({ a: 'hash', b: 'index' });
});

test('another plan, or other arguments, are refused', async () => {
  const engine = await memoryEngine(new MemoryLog());
  await put(engine, 'a', 'tea');
  const { plan } = await engine.revert({ session: 'one' }, testContext);
  for (const command of [
    { session: 'one', plan: '0'.repeat(16) },
    { ids: ['a'], plan },
  ])
    await expect(engine.revert({ ...command, dry_run: false }, testContext)).rejects.toMatchObject({
      code: 'PLAN_STALE',
    });
  expect(await texts(engine)).toEqual({ a: 'tea' });
});

test('the session "current" is the caller’s, and others’ later writes stay', async () => {
  const engine = await memoryEngine(new MemoryLog());
  await put(engine, 'mine', 'tea');
  await put(engine, 'both', 'tea');
  await put(engine, 'both', 'coffee', 'two');
  await put(engine, 'theirs', 'disk', 'two');
  const done = await engine.revert({ session: 'current', dry_run: false }, as('one'));
  expect(done.counts).toEqual({ restored: 0, deleted: 1, conflicts: 1 });
  expect(await texts(engine)).toEqual({ both: 'coffee', theirs: 'disk' });
});

test('eight writers at work do not keep a revert of other items from being applied', async () => {
  const engine = await memoryEngine(new MemoryLog());
  await put(engine, 'a', 'tea');
  await put(engine, 'a', 'coffee');
  const { plan } = await engine.revert({ ids: ['a'] }, testContext);
  let isDone = false;
  let written = 0;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let n = 0; !isDone; n++) {
      await put(engine, `w${writer}`, `text ${n}`, `writer ${writer}`);
      written += 1;
    }
  });
  while (written < 100) await new Promise(resolve => setImmediate(resolve));
  const done = await engine.revert({ ids: ['a'], dry_run: false, plan }, testContext);
  const after = written + 100;
  while (written < after) await new Promise(resolve => setImmediate(resolve));
  isDone = true;
  await Promise.all(writers);
  expect(done.counts.restored).toBe(1);
  expect((await texts(engine)).a).toBe('tea');
});

describe('a revert that is longer than one batch', () => {
  const ITEMS = 9000;

  async function fill(engine: StoreEngine): Promise<number> {
    const { seq } = await put(engine, 'first', 'tea');
    for (let at = 0; at < ITEMS; at += 1000)
      await engine.upsert(
        {
          collection: 'default',
          items: Array.from({ length: 1000 }, (_, i) => ({ id: `i${at + i}`, text: `item ${at + i}` })),
        },
        as('bulk'),
      );
    return seq;
  }

  const count = async (engine: StoreEngine, as_of?: string) =>
    (await engine.status(as_of === undefined ? {} : { as_of }, testContext)).collections[0]!.items;

  test('counts as a whole: readers see the state before it or after it, and writers wait', async () => {
    const log = new MemoryLog();
    const engine = await memoryEngine(log);
    const seq = await fill(engine);
    const seen = new Set<number>();
    let isDone = false;
    const reader = (async () => {
      while (!isDone) {
        seen.add(await count(engine));
        const { items } = await engine.get({ collection: 'default', ids: ['i0', 'i8999'] }, testContext);
        expect([0, 2]).toContain(items.length);
        const { results } = await engine.search({ query: 'item 7', k: 3, mode: 'hybrid' }, testContext);
        // Before, after, and after with what the waiting writer added: never some of them.
        expect([3, 1, 2]).toContain(results.length);
        await new Promise(resolve => setImmediate(resolve));
      }
    })();
    let writing: Promise<unknown> | undefined;
    const done = await engine.revert(
      { to: String(seq), dry_run: false },
      {
        ...testContext,
        onProgress: () => {
          writing ??= put(engine, 'meanwhile', 'disk', 'two');
        },
      },
    );
    expect(writing).toBeDefined();
    await writing;
    isDone = true;
    await reader;
    expect(done.counts).toEqual({ restored: 0, deleted: ITEMS, conflicts: 0 });
    expect([ITEMS + 1, 1, 2]).toEqual(expect.arrayContaining([...seen]));
    expect(seen).toContain(ITEMS + 1);
    expect(await texts(engine)).toEqual({ first: 'tea', meanwhile: 'disk' });
    expect(await count(engine, `before ${done.first_seq}`)).toBe(ITEMS + 1);
    expect(await count(engine, String(done.first_seq))).toBe(1);

    const again = await engine.revert(
      { since: String(done.first_seq), until: String(done.seq), dry_run: false },
      testContext,
    );
    expect(again.counts.restored).toBe(ITEMS);
    expect(await count(engine)).toBe(ITEMS + 2);
    // A rebuild from the log alone says the same.
    const rebuilt = await memoryEngine(log.prefix(log.head.seq));
    expect(await count(rebuilt)).toBe(ITEMS + 2);
  });

  test('is planned of the state at the call, whatever is written before the plan is made', async () => {
    const engine = await memoryEngine(new MemoryLog());
    const to = String(await fill(engine));
    const shown = await engine.revert({ to }, testContext);
    expect(shown.counts.deleted).toBe(ITEMS);
    const [again] = await Promise.all([
      engine.revert({ to }, testContext),
      put(engine, 'i0', 'disk'),
      put(engine, 'new', 'disk'),
      engine.delete({ collection: 'default', ids: ['i1', 'i8999'] }, testContext),
    ]);
    expect(again).toEqual(shown);
    await expect(engine.revert({ to, plan: shown.plan, dry_run: false }, testContext)).rejects.toMatchObject({
      code: 'PLAN_STALE',
    });
  });

  test('cancelled in the middle, it has done nothing', async () => {
    const log = new MemoryLog();
    const engine = await memoryEngine(log);
    const seq = await fill(engine);
    const cancel = new AbortController();
    const call = engine.revert(
      { to: String(seq), dry_run: false },
      { ...testContext, signal: cancel.signal, onProgress: () => cancel.abort() },
    );
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await count(engine)).toBe(ITEMS + 1);
    await put(engine, 'after', 'disk');
    expect(await count(await memoryEngine(log.prefix(log.head.seq)))).toBe(ITEMS + 2);
  });

  test('cut off by a crash, it has done nothing', async () => {
    const dir = temporaryDirectory();
    const [path, copy] = [join(dir, 'store'), join(dir, 'copy')];
    const engine = await openTestEngine(path);
    const seq = await fill(engine);
    let isCopied = false;
    await engine.revert(
      { to: String(seq), dry_run: false },
      {
        ...testContext,
        onProgress: () => {
          if (!isCopied) cpSync(path, copy, { recursive: true });
          isCopied = true;
        },
      },
    );
    await engine.close();
    expect(isCopied).toBe(true);
    const recovered = await openTestEngine(copy);
    expect(await count(recovered)).toBe(ITEMS + 1);
    await put(recovered, 'after', 'disk');
    await recovered.close();
    expect((await verifyStore(copy)).findings).toEqual([]);
    expect((await verifyStore(path)).findings).toEqual([]);
  });
});
