import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Where } from '#src/domain/face.js';
import type { Metadata } from '#src/domain/model.js';
import { matches, parseWhere } from '#src/domain/where.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const FILTERS: readonly Where[] = [
  { kind: 'x' },
  { year: { $gte: 2 } },
  { kind: { $ne: 'x' } },
  { $and: [{ kind: 'y' }, { year: { $lt: 3 } }] },
];
const IDS = ['a', 'b', 'c', 'd', 'e'];
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

const metadata = fc.record({ kind: fc.constantFrom('x', 'y'), year: fc.integer({ min: 1, max: 3 }) });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ id: fc.constantFrom(...IDS), metadata }) },
  { weight: 1, arbitrary: fc.record({ id: fc.constantFrom(...IDS) }) },
);

test(`the same filters asked between any writes find what a plain Map holds (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ step, asked: fc.subarray([...FILTERS]) }), { minLength: 1, maxLength: 30 }),
      async turns => {
        const engine = await memoryEngine(new MemoryLog());
        const items = new Map<string, Metadata>();
        await engine.upsert({ collection: 'default', items: [{ id: 'kept', text: 'tea' }] }, testContext);
        for (const { step: change, asked } of turns) {
          if ('metadata' in change) {
            // Metadata is merged, but every one has both keys.
            items.set(change.id, change.metadata);
            await engine.upsert({ collection: 'default', items: [{ text: 'tea', ...change }] }, testContext);
          } else {
            items.delete(change.id);
            await engine.delete({ collection: 'default', ids: [change.id] }, testContext);
          }
          for (const where of asked) {
            const node = parseWhere(where);
            const expected = [...items].filter(([, data]) => matches(node, data)).map(([id]) => id);
            if (matches(node, {})) expected.push('kept');
            for (const mode of ['semantic', 'keyword', 'hybrid'] as const) {
              const { results } = await engine.search({ query: 'tea', mode, k: 20, where }, testContext);
              expect(results.map(({ id }) => id).sort()).toEqual(expected.sort());
            }
          }
        }
      },
    ),
    { numRuns: 150, seed: SEED },
  );
});
