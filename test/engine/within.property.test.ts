/** What a caller who may have only some collections is told: exactly what is told of them to whoever may have all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#src/domain/travel.js';
import { testContext } from '../helpers/engine.js';
import { changesIn } from './changes-oracle.js';
import { RandomStore, share, step } from './random-store.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 150);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

describe('within some collections', () => {
  it(`every answer is that of the whole, without the others, over ${RUNS} histories (seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 2, maxLength: 14 }),
        fc.constantFrom(['notes'], ['default'], ['notes', 'none'], ['none']),
        share(),
        async (steps, within, from) => {
          const store = new Scoped();
          await store.play(steps);
          await store.compare(within, from);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

class Scoped extends RandomStore {
  async compare(within: readonly string[], from: number): Promise<void> {
    const { engine } = this;
    const isSeen = ({ collection }: { readonly collection?: string }) =>
      collection === undefined || within.includes(collection);
    const history = async (scope: object) =>
      (await engine.history({ limit: 1000, ...scope }, testContext)).changes as Change[];
    expect(await history({ within })).toEqual((await history({})).filter(isSeen));

    const span = { from: String(this.seqAt(from)), limit: 1000 };
    const all = await engine.diff(span, testContext);
    const seen = await engine.diff({ ...span, within }, testContext);
    expect(seen.items).toEqual(all.items.filter(isSeen));
    const count = (change: string) => seen.items.filter(item => item.change === change).length;
    expect(seen.counts).toEqual({
      added: count('added'),
      changed: count('changed'),
      removed: count('removed'),
    });

    const status = await engine.status({}, testContext);
    const scoped = await engine.status({ within }, testContext);
    expect(scoped.collections).toEqual(status.collections.filter(({ name }) => within.includes(name)));

    const names = new Set(changesIn(this.log).flatMap(({ collection }) => collection ?? []));
    const theirs = within.filter(name => names.has(name));
    const search = { query: 'tea', k: 50, mode: 'hybrid' } as const;
    const found = await engine.search({ ...search, within }, testContext);
    if (theirs.length > 0) {
      const named = await engine.search({ ...search, collections: theirs }, testContext);
      expect(found.results).toEqual(named.results);
    } else expect(found.results).toEqual([]);
    const hidden = [...names].filter(name => !within.includes(name));
    for (const name of hidden) {
      expect(JSON.stringify(found)).not.toContain(`"${name}"`);
      for (const call of [
        engine.search({ ...search, collections: [name], within }, testContext),
        engine.get({ collection: name, ids: ['a'], within }, testContext),
        engine.list({ collection: name, limit: 5, within }, testContext),
        engine.history({ collection: name, limit: 5, within }, testContext),
        engine.diff({ ...span, collection: name, within }, testContext),
        engine.delete({ collection: name, ids: ['a'], within }, testContext),
        engine.revert({ to: span.from, collection: name, within }, testContext),
      ]) {
        const error = await call.then(
          () => undefined,
          (refusal: { code: string; wayOut: string }) => refusal,
        );
        expect(error?.code).toBe('COLLECTION_NOT_FOUND');
        for (const other of hidden) expect(error?.wayOut).not.toContain(`"${other}"`);
      }
    }

    // Taking everything back touches theirs alone, and the plan says so before.
    const plan = await engine.revert({ to: span.from, within }, testContext);
    for (const { collection } of [...plan.steps, ...plan.conflicts]) expect(within).toContain(collection);
    const before = this.log.head.seq;
    await engine.revert({ to: span.from, within, dry_run: false }, testContext);
    for (const change of changesIn(this.log))
      if (change.seq > before) expect(within).toContain(change.collection);
  }
}
