/** Backups of logs as they grow, at random and for seventy days: what is restored is what was there, also after pruning. */
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { planPruning, prune } from '#wal/backup/prune.js';
import { BackedStore } from '../helpers/backups.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
beforeEach(() => {
  store = new BackedStore(directories);
});

const NONE = { last: 0, daily: 0, weekly: 0, monthly: 0 };

test('a restored store is, record for record, what the log was when it was backed up, however it grew', async () => {
  const step = fc.oneof(
    fc.record({
      write: fc.array(fc.string({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ backUp: fc.integer({ min: 100, max: 600 }) }),
    fc.record({ cut: fc.nat(20) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async steps => {
      store = new BackedStore(directories);
      await store.write('first');
      const expected = new Map<string, string[]>();
      for (const step of steps) {
        if ('write' in step) await store.write(...step.write);
        else if ('backUp' in step) {
          const { id } = await store.backedUp({ segmentBytes: step.backUp });
          expected.set(id, await store.textsOfStore());
        } else {
          const log = await store.open();
          const after = Math.max(1, log.head.seq - 1 - (step.cut % log.head.seq));
          const isEnd = log.get(after).last && after < log.head.seq;
          await log.close();
          if (isEnd) await store.cutAfter(after);
        }
      }
      for (const [id, texts] of expected) {
        expect(await store.textsIn(id)).toEqual(texts);
        expect(await store.textsOfStore(await store.restored(id))).toEqual(texts);
      }
    }),
    { numRuns: 15 },
  );
});

test('seventy backups are pruned: what stays is whole, and so is the end of each epoch', async () => {
  const day = 86_400_000;
  const start = Date.parse('2026-01-01T12:00:00Z');
  const texts: string[] = [];
  const made: string[] = [];
  for (let i = 0; i < 70; i++) {
    if (i === 20) await store.cutAfter(10);
    if (i === 20) texts.length = 9;
    texts.push(`day ${i}`);
    await store.write(`day ${i}`);
    made.push((await store.backedUp({ clock: () => start + i * day })).id);
  }
  const plan = await planPruning(store.dir, { last: 2, daily: 3, weekly: 2, monthly: 2 });
  expect(store.list()).toHaveLength(70);
  const pruned = await prune(store.dir, { last: 2, daily: 3, weekly: 2, monthly: 2 });
  expect(pruned).toEqual(plan);
  const kept = pruned.kept.map(({ id, reasons }) => [made.indexOf(id), reasons.join(', ')]);
  // 2026-03-11 is a Wednesday.
  expect(kept).toEqual([
    [19, 'end of epoch 1'],
    [58, 'monthly'],
    [66, 'weekly'],
    [67, 'daily'],
    [68, 'last, daily'],
    [69, 'last, daily, weekly, monthly, end of epoch 2'],
  ]);
  expect(store.list().map(({ id }) => id)).toEqual(kept.map(([i]) => made[i as number]));
  const referred = new Set(store.list().flatMap(({ manifest }) => manifest.segments.map(({ file }) => file)));
  expect(store.segments()).toEqual([...referred].sort());
  expect(await store.textsIn(made[19]!)).toEqual(Array.from({ length: 20 }, (_, i) => `day ${i}`));
  expect(await store.textsIn(made[69]!)).toEqual(texts);
  expect((await store.backedUp()).isUnchanged).toBe(true);
});

test('backups go with their moments kept: whatever could be restored before can be afterwards', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant('write' as const) },
    { weight: 3, arbitrary: fc.constant('back up' as const) },
    { weight: 1, arbitrary: fc.constant('cut' as const) },
    { weight: 1, arbitrary: fc.constant('prune' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 16 }), async steps => {
      store = new BackedStore(directories);
      // The oracle: by epoch and record, the texts up to it. What is marked is one of these moments.
      const moments = new Map<string, string[]>();
      let made = 0;
      await store.write('first');
      for (const [i, step] of [...steps, 'prune' as const].entries()) {
        if (step === 'write') await store.write(`text ${i}`);
        else if (step === 'cut') {
          const log = await store.open();
          const { seq } = log.head;
          await log.close();
          if (seq > 3) await store.cutAfter(seq - 2);
        } else if (step === 'back up') {
          const { id, manifest } = await store.backedUp({
            clock: () => Date.parse('2026-01-01') + ++made * 3_600_000,
          });
          moments.set(`${manifest.lineage.epoch} ${manifest.last.seq}`, await store.textsIn(id));
        } else await prune(store.dir, { ...NONE, last: i % 2 }).catch(ignoreMissing);
      }
      for (const [moment, texts] of moments) {
        const [epoch, seq] = moment.split(' ').map(Number);
        const holder = store
          .list()
          .find(({ manifest }) => manifest.lineage.epoch === epoch && manifest.last.seq >= seq!);
        expect(holder, `moment ${moment}`).toBeDefined();
        expect(await store.textsOfStore(await store.restored(holder!.id, seq))).toEqual(texts);
      }
    }),
    { numRuns: 8 },
  );
});

async function ignoreMissing(error: { code?: string }): Promise<undefined> {
  if (error.code !== 'BACKUP_MISSING') throw error;
  return undefined;
}
