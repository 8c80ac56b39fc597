/**
 * The horizon: what died before a moment is given up, space comes back, and every moment is answered exactly or refused by name. Random
 * histories with horizons, on a disk as well, are in test/past.
 */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directoryBytes } from '#src/engine/disk-space.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { replay } from '#src/engine/replay.js';
import { rollback } from '#src/engine/rollback.js';
import { verifyStore } from '#src/engine/verify.js';
import { MemoryLog } from '#wal/memory-log.js';
import { PATHS } from '#wal/paths.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { filesHolding } from '../helpers/search-bytes.js';

const dir = temporaryDirectory();
let stores = 0;
const freshPath = () => join(dir, `store-${stores++}`);
const put = (engine: StoreEngine, id: string, text: string) =>
  engine.upsert({ collection: 'default', items: [{ id, text }] }, testContext);
const textAt = async (engine: StoreEngine, id: string, as_of: string) =>
  (await engine.get({ collection: 'default', ids: [id], as_of }, testContext)).items[0]?.text;
const move = (engine: StoreEngine, through: string, dry_run = false) =>
  engine.horizon({ through, dry_run }, testContext);

/** One item with five versions, a mark in the reign of the second, and one that is deleted and brought back. */
async function made(path: string) {
  const engine = await openTestEngine(path);
  const seqs: number[] = [];
  for (const [n, text] of ['one', 'two', 'three', 'four', 'five'].entries()) {
    seqs.push((await put(engine, 'a', `version ${text}`)).seq);
    if (n === 1) await engine.mark({ name: 'release-2' }, testContext);
  }
  await put(engine, 'b', 'it was deleted and came back');
  await engine.delete({ collection: 'default', ids: ['b'] }, testContext);
  await engine.revert({ ids: ['b'], dry_run: false }, testContext);
  const head = (await put(engine, 'c', 'the last one')).seq;
  return { engine, seqs, head };
}

test('a dry run tells what would go, and nothing goes', async () => {
  const { engine, seqs, head } = await made(freshPath());
  const plan = await move(engine, String(seqs[3]), true);
  // Of a: one and three died by then; two lived at the mark.
  expect(plan).toMatchObject({ dry_run: true, through: { seq: seqs[3] }, versions: 2, kept: 1, seq: head });
  expect(plan.whole_from.seq).toBe(seqs[3]);
  // And that is what is done unless it is asked for.
  expect(await engine.horizon({ through: String(seqs[3]) }, testContext)).toEqual(plan);
  expect(await textAt(engine, 'a', String(seqs[0]))).toBe('version one');
  await engine.close();
});

test('moments in the window stay exact, those beyond it are refused with the next that is whole, marks stay', async () => {
  const path = freshPath();
  const { engine, seqs } = await made(path);
  const answer = await move(engine, String(seqs[3]));
  expect(answer).toMatchObject({ dry_run: false, versions: 2, kept: 1 });
  for (const check of [engine, 'reopened', 'rebuilt'] as const) {
    const store = check === engine ? engine : await reopened(path, check === 'rebuilt');
    expect(await textAt(store, 'a', String(seqs[3]))).toBe('version four');
    expect(await textAt(store, 'a', 'release-2')).toBe('version two');
    expect(await textAt(store, 'a', 'now')).toBe('version five');
    expect(await textAt(store, 'b', 'now')).toBe('it was deleted and came back');
    for (const seq of [seqs[0]!, seqs[2]!])
      await expect(textAt(store, 'a', String(seq))).rejects.toMatchObject({
        code: 'MOMENT_BEYOND_HORIZON',
        details: { seq, whole_from: expect.objectContaining({ seq: expect.any(Number) }) },
      });
    const { changes } = await store.history({ id: 'a', limit: 10 }, testContext);
    expect(changes.map(({ after }) => after?.text)).toEqual([
      'version five',
      'version four',
      '',
      'version two',
      '',
    ]);
    expect(changes[2]!.after).toMatchObject({ erased: 'horizon' });
    await store.close();
  }
  expect(await verifyStore(path)).toMatchObject({ sound: true, erased: 2 });
});

async function reopened(path: string, fromLogAlone: boolean): Promise<StoreEngine> {
  if (fromLogAlone) {
    const copy = freshPath();
    cpSync(path, copy, { recursive: true, filter: source => !source.endsWith(PATHS.checkpoints) });
    expect(existsSync(join(copy, PATHS.checkpoints))).toBe(false);
    return openTestEngine(copy);
  }
  return openTestEngine(path);
}

test('what a revert would bring back and is gone is a conflict, and stays as it is', async () => {
  const { engine, seqs } = await made(freshPath());
  await move(engine, String(seqs[3]));
  const revert = await engine.revert({ seqs: [seqs[3]!, seqs[4]!], dry_run: false }, testContext);
  expect(revert.conflicts).toEqual([expect.objectContaining({ id: 'a', seq: seqs[2], erased: 'horizon' })]);
  expect(await textAt(engine, 'a', 'now')).toBe('version five');
  expect(await engine.revert({ to: String(seqs[3]), dry_run: false }, testContext)).toMatchObject({
    conflicts: [],
  });
  expect(await textAt(engine, 'a', 'now')).toBe('version four');
  await engine.close();
});

test('space comes back, and the second time nothing is left to do', async () => {
  const path = freshPath();
  const engine = await openTestEngine(path);
  for (let round = 0; round < 20; round++)
    await engine.upsert(
      {
        collection: 'default',
        items: Array.from({ length: 50 }, (_, n) => ({
          id: `item-${n}`,
          text: `round ${round} of item ${n} ${'and so on '.repeat(400)}`,
        })),
      },
      testContext,
    );
  await engine.close();
  const before = directoryBytes(join(path, PATHS.log));
  const again = await openTestEngine(path);
  const first = await move(again, 'now');
  expect(first.versions).toBe(950);
  expect(await move(again, 'now')).toMatchObject({ versions: 0, freed_bytes: 0 });
  await again.close();
  const after = directoryBytes(join(path, PATHS.log));
  expect(before - after).toBeGreaterThan(first.freed_bytes * 0.9);
  expect(after).toBeLessThan(before / 8);
  expect(await verifyStore(path)).toMatchObject({ sound: true, erased: 950 });
});

test('nothing is that old: an answer, not an error', async () => {
  const { engine } = await made(freshPath());
  expect(await move(engine, '90 days ago')).toMatchObject({ through: null, versions: 0 });
  await engine.close();
});

describe('kept by itself for an age', () => {
  const DAY_MS = 86_400_000;

  /** An item that is written every ten days, and a keeper of thirty days of it. */
  async function kept(keep = '30 days') {
    let nowMs = Date.UTC(2026, 0, 1);
    let elapsedMs = 0;
    const warnings: string[] = [];
    const log = new MemoryLog({ clock: () => nowMs });
    const engine = await memoryEngine(log, { clock: () => nowMs });
    const keeper = engine.historyKeeper(keep, {
      elapsed: () => elapsedMs,
      warn: text => warnings.push(text),
    });
    const pass = (days: number) => {
      nowMs += days * DAY_MS;
      elapsedMs += days * DAY_MS;
    };
    const leap = (days: number) => {
      nowMs += days * DAY_MS;
    };
    const erased = async () => {
      const { changes } = await engine.history({ id: 'a', limit: 100 }, testContext);
      return changes.filter(({ after }) => after?.erased !== undefined).length;
    };
    for (let n = 0; n < 10; n++) {
      await put(engine, 'a', `version ${n}`);
      pass(10);
    }
    return { engine, keeper, pass, leap, erased, warnings };
  }

  test('once a day, and only what is that old', async () => {
    const { keeper, pass, erased, engine } = await kept();
    await keeper.look();
    // The last write was on day 90, so what was replaced by day 61 is gone: the versions of days 0 to 50.
    expect(await erased()).toBe(6);
    await put(engine, 'a', 'one more');
    pass(0.5);
    await keeper.look();
    expect(await erased()).toBe(6);
    pass(10);
    await keeper.look();
    expect(await erased()).toBe(7);
  });

  test('time that passes by the clock alone is a leap, for the keeper that a server has', async () => {
    const { engine, pass, erased } = await kept();
    const warnings: string[] = [];
    const keeper = engine.historyKeeper('30 days', { warn: text => warnings.push(text) });
    pass(5);
    await keeper.look();
    expect([await erased(), warnings]).toEqual([0, [expect.stringContaining('leapt by more than a day')]]);
  });

  test('a rest, however long, makes nothing old', async () => {
    const { keeper, pass, erased } = await kept();
    await keeper.look();
    for (let year = 0; year < 3; year++) {
      pass(365);
      await keeper.look();
    }
    expect(await erased()).toBe(6);
  });

  test.each([400, -400])('a clock that leaps by %i days makes it wait, and say so once', async days => {
    const { keeper, leap, pass, erased, warnings } = await kept();
    leap(days);
    await keeper.look();
    await keeper.look();
    expect([await erased(), warnings.length]).toEqual([0, 1]);
    expect(warnings[0]).toMatch(/history older than 30 days is not erased: the clock/);
    leap(-days);
    pass(1);
    await keeper.look();
    expect(await erased()).toBe(6);
  });
});

describe('interrupted', () => {
  test('at any step: whoever opens the store goes on, and no moment is answered wrongly meanwhile', async () => {
    const path = freshPath();
    const { engine, seqs } = await made(path);
    const images: string[] = [];
    const onProgress = () => {
      const image = freshPath();
      cpSync(path, image, { recursive: true });
      images.push(image);
    };
    await engine.horizon({ through: String(seqs[3]), dry_run: false }, { ...testContext, onProgress });
    await engine.close();
    for (const image of images) {
      const store = await openTestEngine(image);
      await expect(textAt(store, 'a', String(seqs[2]))).rejects.toMatchObject({
        code: 'MOMENT_BEYOND_HORIZON',
      });
      expect(await textAt(store, 'a', 'release-2')).toBe('version two');
      await store.resumeErasing();
      await store.close();
      expect(filesHolding(join(image, PATHS.log), [Buffer.from('version three')])).toEqual([]);
      expect(await verifyStore(image)).toMatchObject({ sound: true, erased: 2 });
    }
    expect(images.length).toBeGreaterThan(0);
  });

  test('by its caller: what is given up stays so, and closing does not wait for the rest', async () => {
    const path = freshPath();
    const { engine, seqs } = await made(path);
    const abort = new AbortController();
    const context = { ...testContext, signal: abort.signal, onProgress: () => abort.abort() };
    await expect(engine.horizon({ through: String(seqs[3]), dry_run: false }, context)).rejects.toMatchObject(
      { code: 'CANCELLED' },
    );
    await expect(textAt(engine, 'a', String(seqs[2]))).rejects.toMatchObject({
      code: 'MOMENT_BEYOND_HORIZON',
    });
    await engine.close();
    const again = await openTestEngine(path);
    await again.resumeErasing();
    await again.close();
    expect(filesHolding(join(path, PATHS.log), [Buffer.from('version three')])).toEqual([]);
  });
});

describe('where a log ends with the moment, one that is not whole is refused', () => {
  test('a fork, a rollback', async () => {
    const path = freshPath();
    const { engine, seqs } = await made(path);
    await move(engine, String(seqs[3]));
    await engine.close();
    const code = 'MOMENT_BEYOND_HORIZON';
    const to = freshPath();
    await expect(replay({ storeDir: path, until: String(seqs[2]), to })).rejects.toMatchObject({ code });
    expect(existsSync(to)).toBe(false);
    await expect(rollback({ storeDir: path, to: String(seqs[2]) })).rejects.toMatchObject({ code });
    await replay({ storeDir: path, until: 'release-2', to });
    const fork = await openTestEngine(to);
    expect(await textAt(fork, 'a', 'now')).toBe('version two');
    // The horizon itself is not in the fork; what is gone is known all the same.
    await expect(textAt(fork, 'a', String(seqs[0]))).rejects.toMatchObject({ code });
    await fork.close();
  });

  test('a rollback to before the horizon, which is cut off: what is gone is known by itself', async () => {
    const path = freshPath();
    const { engine, seqs } = await made(path);
    await move(engine, String(seqs[3]));
    await engine.close();
    await rollback({ storeDir: path, to: String(seqs[4]), truncate: { reason: 'a test' } });
    const store = await openTestEngine(path);
    expect(await textAt(store, 'a', 'now')).toBe('version five');
    await expect(textAt(store, 'a', String(seqs[2]))).rejects.toMatchObject({
      code: 'MOMENT_BEYOND_HORIZON',
    });
    await store.close();
    expect(await verifyStore(path)).toMatchObject({ sound: true });
  });
});
