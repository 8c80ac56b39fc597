/**
 * Random histories against a plain Map and an exact scan: upserts, batches, metadata changes, compare-and-set, deletes by id
 * and by filter, clean reopenings, crashes (the files as they stand, opened elsewhere) and losses of every index.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonValue, Metadata } from '#src/domain/model.js';
import { matches, parseWhere } from '#src/domain/where.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { openTestEngine, temporaryDirectory, testContext, wordVector } from '../helpers/engine.js';
import { fastDirectory } from '../helpers/fast-directory.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 250);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);
const COLLECTIONS = ['default', 'notes'];

interface ModelItem {
  text: string;
  metadata: Metadata;
  vector: Float32Array;
}
type Model = Map<string, Map<string, ModelItem>>;

const word = fc.constantFrom(
  'tea',
  'coffee',
  'index',
  'log',
  'hash',
  'server',
  'disk',
  'memory',
  'zebra',
  'apple',
);
const text = fc.array(word, { minLength: 1, maxLength: 6 }).map(words => words.join(' '));
const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'ü/é', 'f'.repeat(60));
const metadata = fc.dictionary(
  fc.constantFrom('kind', 'year', 'tags'),
  fc.oneof(
    fc.constantFrom('x', 'y'),
    fc.integer({ min: 1, max: 3 }),
    fc.constant(null),
    fc.constant<JsonValue>(['x', 2]),
  ),
);
const where = fc.oneof(
  fc.record({ kind: fc.constantFrom('x', 'y') }),
  fc.record({ year: fc.record({ $gte: fc.integer({ min: 1, max: 3 }) }) }),
  fc.record({ tags: fc.constant('x') }),
  fc.record({ kind: fc.record({ $ne: fc.constant('x') }) }),
);
const collection = fc.constantFrom(...COLLECTIONS);
const item = fc.record({ id, text, metadata: fc.option(metadata, { nil: undefined }) });

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('upsert' as const),
      collection,
      items: fc.uniqueArray(item, { selector: i => i.id, minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remember' as const), collection, text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('annotate' as const), collection, id, metadata }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('compareAndSet' as const),
      collection,
      id,
      text,
      right: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      collection,
      ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteWhere' as const), collection, where }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('concurrent' as const),
      collection,
      texts: fc.uniqueArray(text, { minLength: 2, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('loseIndexes' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('search' as const),
      collection,
      query: text,
      where: fc.option(where, { nil: undefined }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe('the engine against a plain Map', () => {
  it(`holds over ${RUNS} random histories (seed ${SEED})`, { timeout: 900_000 }, async () => {
    const root = temporaryDirectory('mvs-test-', fastDirectory());
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async steps => {
        const dir = join(root, String(run++));
        await new History(dir).play(steps);
        rmSync(dir, { recursive: true, force: true });
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

class History {
  private readonly model: Model = new Map();
  private engine!: StoreEngine;
  private generation = 0;

  constructor(private readonly dir: string) {}

  private get path(): string {
    return join(this.dir, `store-${this.generation}`);
  }

  async play(steps: readonly Step[]): Promise<void> {
    this.engine = await openTestEngine(this.path, { graphThresholdRows: 8 });
    try {
      for (const one of steps) await this.take(one);
      await this.compareAll();
      await this.compareWithRebuild();
    } finally {
      await this.engine.close();
    }
  }

  private items(name: string): Map<string, ModelItem> {
    let items = this.model.get(name);
    if (!items) {
      items = new Map();
      this.model.set(name, items);
    }
    return items;
  }

  private put(name: string, itemId: string, itemText: string, change: Metadata | undefined): void {
    const before = this.items(name).get(itemId);
    const merged = Object.entries({ ...before?.metadata, ...change }).filter(([, value]) => value !== null);
    this.items(name).set(itemId, {
      text: itemText,
      metadata: change ? Object.fromEntries(merged) : (before?.metadata ?? {}),
      vector: wordVector(itemText),
    });
  }

  private async take(one: Step): Promise<void> {
    const exists = 'collection' in one && this.model.has(one.collection);
    switch (one.do) {
      case 'upsert': {
        await this.engine.upsert({ collection: one.collection, items: one.items }, testContext);
        for (const entry of one.items) this.put(one.collection, entry.id, entry.text, entry.metadata);
        return;
      }
      case 'remember': {
        const answer = await this.engine.upsert(
          { collection: one.collection, items: [{ text: one.text }] },
          testContext,
        );
        const same = [...this.items(one.collection)]
          .filter(([, entry]) => entry.text === one.text)
          .map(([key]) => key);
        const [got] = answer.items;
        if (same.length > 0) {
          expect(got.outcome).toBe('unchanged');
          expect(same).toContain(got.id);
        } else {
          expect(got.outcome).toBe('created');
          this.put(one.collection, got.id, one.text, undefined);
        }
        return;
      }
      case 'annotate': {
        const there = this.model.get(one.collection)?.get(one.id);
        const call = this.engine.upsert(
          { collection: one.collection, items: [{ id: one.id, metadata: one.metadata }] },
          testContext,
        );
        if (!there) await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
        else {
          await call;
          this.put(one.collection, one.id, there.text, one.metadata);
        }
        return;
      }
      case 'compareAndSet': {
        const got = exists
          ? await this.engine.get({ collection: one.collection, ids: [one.id] }, testContext)
          : { items: [] };
        const version = got.items[0]?.version ?? 0;
        const call = this.engine.upsert(
          {
            collection: one.collection,
            items: [{ id: one.id, text: one.text, if_version: one.right ? version : version + 1 }],
          },
          testContext,
        );
        if (!one.right) await expect(call).rejects.toMatchObject({ code: 'VERSION_CONFLICT' });
        else {
          await call;
          this.put(one.collection, one.id, one.text, undefined);
        }
        return;
      }
      case 'delete': {
        const call = this.engine.delete({ collection: one.collection, ids: one.ids }, testContext);
        if (!exists) await expect(call).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' });
        else {
          const answer = await call;
          expect([...answer.deleted].sort()).toEqual(
            one.ids.filter(key => this.items(one.collection).has(key)).sort(),
          );
          for (const key of one.ids) this.items(one.collection).delete(key);
        }
        return;
      }
      case 'deleteWhere': {
        if (!exists) return;
        const node = parseWhere(one.where);
        const expected = [...this.items(one.collection)]
          .filter(([, entry]) => matches(node, entry.metadata))
          .map(([key]) => key);
        const answer = await this.engine.delete(
          { collection: one.collection, where: one.where },
          testContext,
        );
        expect([...answer.deleted].sort()).toEqual(expected.sort());
        for (const key of expected) this.items(one.collection).delete(key);
        return;
      }
      case 'concurrent': {
        // Same id, several writers at once: the one with the highest version is what stays.
        const answers = await Promise.all(
          one.texts.map(entry =>
            this.engine.upsert(
              { collection: one.collection, items: [{ id: 'a', text: entry }] },
              testContext,
            ),
          ),
        );
        const winner = answers
          .map((answer, index) => [answer.items[0].version, index])
          .sort((a, b) => b[0] - a[0])[0][1];
        this.put(one.collection, 'a', one.texts[winner], undefined);
        return;
      }
      case 'reopen': {
        await this.engine.close();
        this.engine = await openTestEngine(this.path, { graphThresholdRows: 8 });
        return;
      }
      case 'crash':
      case 'loseIndexes': {
        const old = this.engine;
        const from = this.path;
        this.generation += 1;
        cpSync(from, this.path, { recursive: true });
        if (one.do === 'loseIndexes')
          rmSync(join(this.path, 'checkpoints'), { recursive: true, force: true });
        this.engine = await openTestEngine(this.path, { graphThresholdRows: 8 });
        await old.close();
        return;
      }
      case 'search': {
        if (exists) await this.compareSearch(one.collection, one.query, one.where);
      }
    }
  }

  private async compareSearch(
    name: string,
    query: string,
    filter: Record<string, unknown> | undefined,
  ): Promise<void> {
    const node = parseWhere(filter ?? {});
    const target = wordVector(query);
    const expected = [...this.items(name)]
      .filter(([, entry]) => matches(node, entry.metadata))
      .map(([key, entry]) => ({
        key,
        score: entry.vector.reduce((sum, value, i) => sum + value * target[i], 0),
      }))
      .sort((a, b) => b.score - a.score);
    const { results } = await this.engine.search(
      { query, collections: [name], k: 5, mode: 'semantic', ...(filter && { where: filter as never }) },
      testContext,
    );
    expect(results.length).toBe(Math.min(5, expected.length));
    results.forEach((hit, rank) => {
      // Equal scores may stand in any order, so scores are compared rank by rank and items by their own score.
      expect(hit.score).toBeCloseTo(expected[rank].score, 3);
      expect(hit.score).toBeCloseTo(expected.find(entry => entry.key === hit.id)!.score, 3);
      expect(hit.text).toBe(this.items(name).get(hit.id)!.text);
    });
  }

  private async compareAll(): Promise<void> {
    for (const [name, items] of this.model) {
      const { items: listed } = await this.engine.list({ collection: name, limit: 1000 }, testContext);
      expect(
        Object.fromEntries(listed.map(entry => [entry.id, { text: entry.text, metadata: entry.metadata }])),
      ).toEqual(
        Object.fromEntries(
          [...items].map(([key, entry]) => [key, { text: entry.text, metadata: entry.metadata }]),
        ),
      );
    }
  }

  /** A store rebuilt from the log alone answers every search alike. */
  private async compareWithRebuild(): Promise<void> {
    const copy = join(this.dir, 'rebuilt');
    cpSync(this.path, copy, { recursive: true });
    rmSync(join(copy, 'checkpoints'), { recursive: true, force: true });
    const rebuilt = await openTestEngine(copy, { graphThresholdRows: 1_000_000 });
    try {
      for (const mode of ['hybrid', 'semantic', 'keyword'] as const) {
        const query = { query: 'tea index server', k: 10, mode };
        const [now, then] = await Promise.all([
          this.engine.search(query, testContext),
          rebuilt.search(query, testContext),
        ]);
        const shape = (answer: typeof now) =>
          answer.results.map(({ id: key, score, text: body }) => ({ key, score, body }));
        expect(shape(now)).toEqual(shape(then));
      }
    } finally {
      await rebuilt.close();
    }
  }
}
