/** Collections taken into the space of another model while they are read and written. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { CallContext, CollectionStatus, Progress, SearchQuery } from '#src/domain/face.js';
import type { Embedded } from '#src/domain/model.js';
import type { Embedder } from '#src/embedding/embedder.js';
import type { StoreEngine } from '#src/engine/engine.js';
import type { OpenEngineOptions } from '#src/engine/open.js';
import { MemoryLog } from '#wal/memory-log.js';
import {
  namedEmbedders,
  OTHER_WORDS,
  openTestEngine,
  temporaryDirectory,
  testContext,
  WordEmbedder,
} from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const OTHER = 'test/other-words/48#';
const WORDS = 'test/words/32#';
/** What the refusal of the other model's collection names. */
const WAY =
  'Set VECTOR_EMBEDDER=test and VECTOR_EMBEDDER_MODEL=other-words and start the server again, embed the collection anew (reembed)';
const SMALL = { items: 4, lastItems: 2 };

/** The other model; each of its calls waits for `gate`, which may also make it fail. */
class GatedEmbedder extends WordEmbedder {
  calls = 0;
  gate: (call: number) => Promise<void> = async () => {};

  constructor() {
    super(OTHER_WORDS);
  }

  override async embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    this.calls += 1;
    await this.gate(this.calls);
    if (signal?.aborted) throw new CodedError('CANCELLED', 'the call was cancelled', 'Repeat it.');
    return super.embedTexts(texts);
  }
}

const open: StoreEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(engine => engine.close()));
});

async function start(
  path: string,
  other: Embedder,
  options: Partial<OpenEngineOptions> = {},
): Promise<StoreEngine> {
  const embedderSource = namedEmbedders({ other, words: new WordEmbedder() });
  const engine = await openTestEngine(path, { embedderSource, reembedBatches: SMALL, ...options });
  open.push(engine);
  return engine;
}

const inMemory = (other: Embedder, words = new WordEmbedder()) =>
  memoryEngine(new MemoryLog(), { embedder: words, others: { other, words }, reembedBatches: SMALL });

const WORD_LIST = ['tea', 'coffee', 'index', 'log', 'hash', 'server', 'disk', 'zebra', 'apple', 'memory'];
const textOf = (n: number) => `${WORD_LIST[n % 10]} ${WORD_LIST[(n * 7) % 10]} number${n}`;

async function fill(engine: StoreEngine, count: number, collection = 'default', from = 0): Promise<void> {
  const items = Array.from({ length: count }, (_, i) => ({
    id: `item-${from + i}`,
    text: textOf(from + i),
    metadata: { n: from + i },
  }));
  await engine.upsert({ collection, items }, testContext);
}

const collectionOf = async (engine: StoreEngine, name = 'default', asOf?: number) =>
  (await engine.status(asOf === undefined ? {} : { as_of: String(asOf) }, testContext)).collections.find(
    collection => collection.name === name,
  ) as CollectionStatus;

const recall = async (engine: StoreEngine, query: Partial<SearchQuery>) =>
  (
    await engine.search(
      { query: 'tea server', collections: ['default'], k: 5, mode: 'semantic', ...query },
      testContext,
    )
  ).results;

/** Every item is as near to its own first passage as can be. */
async function expectAllFindable(engine: StoreEngine): Promise<void> {
  const { items } = await engine.list({ collection: 'default', limit: 1000 }, testContext);
  for (const item of items) {
    const [best] = await recall(engine, { query: item.text.split('\n\n')[0]!, k: 1 });
    expect(best!.score).toBeCloseTo(1, 3);
  }
  expect((await collectionOf(engine)).items).toBe(items.length);
}

describe('a switch', () => {
  test('answers from the new space from then on, and from the old one as of before', async () => {
    const dir = temporaryDirectory();
    const words = new WordEmbedder();
    const other = new GatedEmbedder();
    const engine = await start(join(dir, 'store'), other, { embedder: words });
    await fill(engine, 20);
    await engine.upsert(
      { collection: 'default', items: [{ id: 'two', text: 'tea at noon\n\nserver at night' }] },
      testContext,
    );
    const before = await recall(engine, {});
    const [progress, onProgress] = recorder();
    const answer = await engine.reembed({ to: 'other' }, { ...testContext, onProgress });
    expect(answer).toEqual({
      done: true,
      dry_run: false,
      collections: [
        {
          name: 'default',
          from: expect.stringContaining(WORDS),
          to: expect.stringContaining(OTHER),
          state: 'switched',
          items: 21,
          remaining: 0,
          embedded: 21,
          reused: 0,
          switched_seq: expect.any(Number),
        },
      ],
    });
    expect(progress.map(({ done }) => done)).toEqual(
      [...progress.map(({ done }) => done)].sort((a, b) => a - b),
    );
    expect(progress.at(-1)).toMatchObject({ done: 21, total: 21, unit: 'items' });

    const switched = answer.collections[0]!.switched_seq!;
    expect((await collectionOf(engine)).space.id).toContain(OTHER);
    expect((await collectionOf(engine)).reembedding).toBeUndefined();
    expect(await collectionOf(engine, 'default', switched - 1)).toMatchObject({ items: 21, passages: 22 });
    const status = await collectionOf(engine, 'default', switched - 8);
    expect(status.space.id).toContain(WORDS);
    expect(status.reembedding!.space).toContain(OTHER);
    expect(await recall(engine, { as_of: String(switched - 8) })).toEqual(before);
    await expectAllFindable(engine);
    const [hit] = await recall(engine, { query: 'server at night' });
    expect(hit).toMatchObject({ id: 'two', passage: { start: 13, end: 28 } });

    // Texts go on being written, by the new model; metadata alone asks no model.
    const embedded = [words.embeddedTexts, other.embeddedTexts];
    await engine.upsert(
      { collection: 'default', items: [{ id: 'item-1', metadata: { more: 1 } }] },
      testContext,
    );
    expect([words.embeddedTexts, other.embeddedTexts]).toEqual(embedded);
    await engine.upsert(
      { collection: 'default', items: [{ id: 'late', text: 'a late zebra' }] },
      testContext,
    );
    expect([words.embeddedTexts, other.embeddedTexts]).toEqual([embedded[0], embedded[1]! + 1]);
    await expectAllFindable(engine);
    // A collection made from now on has the configured model's space.
    await fill(engine, 1, 'fresh');
    expect((await collectionOf(engine, 'fresh')).space.id).toContain(WORDS);
  });

  test('after a restart with the old setting, texts are refused with the setting to change', async () => {
    const path = join(temporaryDirectory(), 'store');
    const engine = await start(path, new GatedEmbedder());
    await fill(engine, 5);
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    await engine.close();

    const again = await start(path, new GatedEmbedder());
    const refusal = { code: 'SPACE_MISMATCH', wayOut: expect.stringContaining(WAY) };
    const item = { id: 'new', text: 'a new text' };
    await expect(again.upsert({ collection: 'default', items: [item] }, testContext)).rejects.toMatchObject(
      refusal,
    );
    await expect(recall(again, {})).rejects.toMatchObject(refusal);
    const everywhere = { query: 'tea', k: 3, mode: 'hybrid' } as const;
    await fill(again, 2, 'fresh');
    const { results, hint } = await again.search(everywhere, testContext);
    expect(results.map(({ collection }) => collection)).toEqual(['fresh', 'fresh']);
    expect(hint).toBe(`Collection "default" was not searched. ${WAY}.`);
    expect(await recall(again, { mode: 'keyword', query: 'number3' })).toMatchObject([{ id: 'item-3' }]);
    expect(await recall(again, { as_of: String(collections[0]!.switched_seq! - 8) })).toHaveLength(5);
    await again.upsert(
      { collection: 'default', items: [{ id: 'item-2', metadata: { kept: true } }] },
      testContext,
    );
    await again.close();

    const configured = await start(path, new GatedEmbedder(), { embedder: new GatedEmbedder() });
    await configured.upsert({ collection: 'default', items: [item] }, testContext);
    await expectAllFindable(configured);
  });

  test('does not lose a search that was under way', async () => {
    const words = new WordEmbedder();
    const engine = await inMemory(new GatedEmbedder(), words);
    await fill(engine, 10);
    const asked = new Promise<void>(resolve => {
      let calls = 0;
      words.embedQuery = async text => {
        if (calls++ === 0) {
          resolve();
          await engine.reembed({ to: 'other' }, testContext);
        }
        return new WordEmbedder().embedQuery(text);
      };
    });
    const found = recall(engine, { query: textOf(3), k: 1 });
    await asked;
    expect(await found).toMatchObject([{ id: 'item-3', score: 1 }]);
  });

  test('reaches empty collections, and takes nothing else into itself', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 3);
    await fill(engine, 2, 'emptied');
    await engine.delete({ collection: 'emptied', ids: ['item-0', 'item-1'] }, testContext);
    await engine.upsert({ collection: 'own', items: [{ id: 'v', vector: [1, 0] }] }, testContext);
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    expect(collections.map(({ name, state, embedded }) => [name, state, embedded])).toEqual([
      ['default', 'switched', 3],
      ['emptied', 'switched', 0],
      ['own', 'unchanged', 0],
    ]);
    expect(other.embeddedTexts).toBe(3);
  });
});

describe('what the log holds already', () => {
  test('going back asks no model', async () => {
    const words = new WordEmbedder();
    const engine = await inMemory(new GatedEmbedder(), words);
    await fill(engine, 9);
    await engine.reembed({ to: 'other' }, testContext);
    await fill(engine, 1, 'default', 100);
    const asked = words.embeddedTexts;
    const { collections } = await engine.reembed({ to: 'words' }, testContext);
    expect(collections[0]).toMatchObject({ state: 'switched', embedded: 1, reused: 9 });
    expect(words.embeddedTexts).toBe(asked + 1);
    await expectAllFindable(engine);
  });

  test('vectors of an abandoned attempt, of a restored version and of one whose metadata changed', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 8);
    await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
    expect(other.embeddedTexts).toBe(4);
    await engine.reembed({ abandon: true }, testContext);
    expect((await collectionOf(engine)).reembedding).toBeUndefined();
    await engine.upsert(
      { collection: 'default', items: [{ id: 'item-0', metadata: { seen: 1 } }] },
      testContext,
    );
    await engine.upsert(
      { collection: 'default', items: [{ id: 'item-1', text: 'in passing' }] },
      testContext,
    );
    await engine.revert({ collection: 'default', ids: ['item-1'], dry_run: false }, testContext);
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    expect(collections[0]).toMatchObject({ state: 'switched', embedded: 4, reused: 4 });
    expect(other.embeddedTexts).toBe(8);
    await expectAllFindable(engine);
  });
});

describe('in pieces', () => {
  test('a budget ends it after a batch, and the same call goes on', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 11);
    await fill(engine, 1, 'notes');
    const remaining: number[] = [];
    const heads: number[] = [];
    for (let done = false; !done; ) {
      const answer = await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
      remaining.push(answer.collections[0]!.remaining);
      heads.push((await engine.status({}, testContext)).head.seq);
      done = answer.done;
    }
    expect(remaining).toEqual([7, 3, 0, 0, 0]);
    const then = await Promise.all(heads.map(head => collectionOf(engine, 'default', head)));
    expect(then.map(({ reembedding }) => reembedding?.items)).toEqual([4, 8, 11, undefined, undefined]);
    expect(other.embeddedTexts).toBe(12);
    await expectAllFindable(engine);
  });

  test('cancelled, it keeps what is there and goes on', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 12);
    const controller = new AbortController();
    other.gate = async call => {
      if (call === 3) controller.abort();
    };
    const context = { ...testContext, signal: controller.signal };
    await expect(engine.reembed({ to: 'other' }, context)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await collectionOf(engine)).reembedding).toMatchObject({ items: 8 });
    expect((await collectionOf(engine)).space.id).toContain(WORDS);
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    expect(collections[0]).toMatchObject({ state: 'switched', embedded: 4 });
    await expectAllFindable(engine);
  });

  test('killed in the middle, it goes on from the log alone', async () => {
    const dir = temporaryDirectory();
    const other = new GatedEmbedder();
    const engine = await start(join(dir, 'store'), other);
    await fill(engine, 12);
    // The files as a kill would leave them, at a moment when two batches are durable and the third is being embedded.
    other.gate = async call => {
      if (call === 3) cpSync(join(dir, 'store'), join(dir, 'killed'), { recursive: true });
    };
    await engine.reembed({ to: 'other' }, testContext);
    const second = new GatedEmbedder();
    const reopened = await start(join(dir, 'killed'), second);
    expect((await collectionOf(reopened)).reembedding).toMatchObject({ items: 8 });
    await fill(reopened, 1, 'default', 50);
    const { collections } = await reopened.reembed({ to: 'other' }, testContext);
    expect(collections[0]).toMatchObject({ state: 'switched', items: 13, embedded: 5, reused: 0 });
    await expectAllFindable(reopened);
  });

  test('closing the engine ends it between two transactions', async () => {
    const path = join(temporaryDirectory(), 'store');
    const other = new GatedEmbedder();
    const engine = await start(path, other);
    await fill(engine, 12);
    let closed: Promise<void> | undefined;
    other.gate = async call => {
      if (call === 2) closed = engine.close();
    };
    await expect(engine.reembed({ to: 'other' }, testContext)).rejects.toMatchObject({ code: 'CANCELLED' });
    await closed;
    const again = await start(path, other);
    expect((await collectionOf(again)).reembedding).toMatchObject({ items: 4 });
  });

  test('checkpoints of every phase load, and say what the log says', async () => {
    const path = join(temporaryDirectory(), 'store');
    const phases: ((engine: StoreEngine) => Promise<unknown>)[] = [
      engine => fill(engine, 12),
      engine => engine.reembed({ to: 'other', budget_ms: 0 }, testContext),
      engine => fill(engine, 1, 'default', 20),
      engine => engine.reembed({ abandon: true }, testContext),
      engine => engine.reembed({ to: 'other', budget_ms: 0 }, testContext),
      engine => engine.reembed({ to: 'other' }, testContext),
      engine => engine.delete({ collection: 'default', ids: ['item-3'] }, testContext),
    ];
    const reopen = async (at: string) => {
      const engine = await start(at, new GatedEmbedder(), { graphThresholdRows: 8 });
      // Both models are at hand from here on.
      await engine
        .reembed({ to: 'other', dry_run: true, collections: ['default'] }, testContext)
        .catch(unknown);
      return engine;
    };
    let seen: unknown;
    for (const [number, phase] of phases.entries()) {
      const engine = await reopen(path);
      const { checkpoint } = await engine.status({}, testContext);
      expect(checkpoint.warnings).toEqual([]);
      if (number > 0) {
        expect(checkpoint.age_events).toBe(0);
        expect(await pictureOf(engine)).toEqual(seen);
      }
      await phase(engine);
      seen = await pictureOf(engine);
      await engine.close();
    }
    rmSync(join(path, 'checkpoints'), { recursive: true });
    const rebuilt = await reopen(path);
    expect((await rebuilt.status({}, testContext)).checkpoint.seq).toBe(0);
    expect(await pictureOf(rebuilt)).toEqual(seen);
  });
});

/** The collection does not exist before the first phase. */
const unknown = (error: unknown) => expect(error).toMatchObject({ code: 'COLLECTION_NOT_FOUND' });

async function pictureOf(engine: StoreEngine) {
  const { index, ...rest } = await collectionOf(engine);
  return { rest, now: await recall(engine, {}), before: await recall(engine, { as_of: '14' }) };
}

describe('beside busy writers', () => {
  test.each([
    ['as fast as the model', { delayMs: 0, items: 1 }],
    ['faster than the model', { delayMs: 2, items: 3 }],
  ])('it ends, and leaves no version behind: %s', async (_, { delayMs, items }) => {
    const other = new GatedEmbedder();
    other.gate = () => new Promise(resolve => setTimeout(resolve, delayMs));
    const engine = await start(join(temporaryDirectory(), 'store'), other);
    await fill(engine, 60);
    let isOver = false;
    let written = 0;
    const write = async (writer: number) => {
      for (let n = 0; !isOver; n++) {
        const of = (i: number) => ({
          id: `w${writer}-${(n * items + i) % 40}`,
          text: textOf(n * 100 + i + writer),
        });
        await engine.upsert(
          { collection: 'default', items: Array.from({ length: items }, (_, i) => of(i)) },
          testContext,
        );
        if (n % 5 === 4) await engine.delete({ collection: 'default', ids: [of(0).id] }, testContext);
        written += 1;
      }
    };
    const writers = Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    const beside = written;
    isOver = true;
    await writers;
    expect(collections[0]!.state).toBe('switched');
    expect(beside).toBeGreaterThan(8);
    await expectAllFindable(engine);
  });

  test('what dies while it is embedded needs no vectors', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 8);
    const before = (await engine.status({}, testContext)).head.seq;
    other.gate = async call => {
      if (call === 1) await engine.delete({ collection: 'default', ids: ['item-0', 'item-1'] }, testContext);
    };
    const { collections } = await engine.reembed({ to: 'other' }, testContext);
    // Begun, two deletes, vectors for six, switched.
    expect(collections[0]!.switched_seq! - before).toBe(1 + 2 + 6 + 1);
    await expectAllFindable(engine);
  });

  test('a model that fails while writers wait lets them go on', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 2);
    const writes: Promise<unknown>[] = [];
    other.gate = async () => {
      writes.push(fill(engine, 1, 'default', 5));
      await new Promise(resolve => setImmediate(resolve));
      throw new CodedError('EMBEDDER_UNAVAILABLE', 'it is gone', 'Start it.');
    };
    await expect(engine.reembed({ to: 'other' }, testContext)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
    await Promise.all(writes);
    expect(writes).toHaveLength(1);
    expect(await collectionOf(engine)).toMatchObject({ items: 3, reembedding: { items: 0 } });
    other.gate = async () => {};
    expect((await engine.reembed({ to: 'other' }, testContext)).collections[0]).toMatchObject({
      embedded: 3,
    });
  });
});

describe('refusals and plans', () => {
  test('a dry run tells what there is to do, and does nothing', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 7);
    const head = (await engine.status({}, testContext)).head.seq;
    const characters = Array.from({ length: 7 }, (_, n) => textOf(n).length).reduce((a, b) => a + b);
    expect(await engine.reembed({ to: 'other', dry_run: true }, testContext)).toMatchObject({
      done: true,
      dry_run: true,
      collections: [{ state: 'planned', items: 7, remaining: 7, embedded: 7, reused: 0, characters }],
    });
    expect(other.embeddedTexts).toBe(0);
    expect((await engine.status({}, testContext)).head.seq).toBe(head);
    await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
    const { collections } = await engine.reembed({ to: 'other', dry_run: true }, testContext);
    expect(collections[0]).toMatchObject({ remaining: 3, embedded: 3 });
  });

  test('what is begun is gone on with, or given up', async () => {
    const engine = await inMemory(new GatedEmbedder());
    await fill(engine, 8);
    await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
    await expect(engine.reembed({}, testContext)).rejects.toMatchObject({
      code: 'REEMBED_OTHER_SPACE',
      wayOut: expect.stringContaining('test/other-words'),
    });
    expect((await engine.reembed({ abandon: true }, testContext)).collections).toMatchObject([
      { state: 'abandoned', remaining: 4 },
    ]);
    expect((await engine.reembed({}, testContext)).collections).toMatchObject([{ state: 'unchanged' }]);
    await expectAllFindable(engine);
  });

  test('two calls do not embed one collection; giving up ends the one that does', async () => {
    const other = new GatedEmbedder();
    const engine = await inMemory(other);
    await fill(engine, 12);
    let second: Promise<unknown> | undefined;
    let abandoned: Promise<unknown> | undefined;
    other.gate = async call => {
      if (call !== 2) return;
      second = expect(engine.reembed({ to: 'other' }, testContext)).rejects.toMatchObject({
        code: 'REEMBED_RUNNING',
      });
      await second;
      abandoned = engine.reembed({ abandon: true }, testContext);
    };
    await expect(engine.reembed({ to: 'other' }, testContext)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await abandoned).toMatchObject({ collections: [{ state: 'abandoned' }] });
    expect(await collectionOf(engine)).not.toHaveProperty('reembedding');
    await expectAllFindable(engine);
  });

  test('items that are only vectors', async () => {
    const engine = await inMemory(new GatedEmbedder());
    const items = [
      { id: 'v1', vector: [1, 0] },
      { id: 'v2', vector: [0, 1] },
      { id: 't', text: 'tea', vector: [1, 1] },
    ];
    await engine.upsert({ collection: 'own', items }, testContext);
    const head = (await engine.status({}, testContext)).head.seq;
    const only = { to: 'other', collections: ['own'] };
    await expect(engine.reembed(only, testContext)).rejects.toMatchObject({
      code: 'REEMBED_NO_TEXT',
      details: { collection: 'own', count: 2, ids: ['v1', 'v2'] },
    });
    expect((await engine.status({}, testContext)).head.seq).toBe(head);
    await engine.delete({ collection: 'own', ids: ['v1', 'v2'] }, testContext);
    await engine.reembed(only, testContext);
    expect(await recall(engine, { collections: ['own'], query: 'tea' })).toMatchObject([
      { id: 't', score: 1 },
    ]);
  });

  test.each([
    [{ to: 'other', collections: ['nowhere'] }, 'COLLECTION_NOT_FOUND'],
    [{ collections: [] }, 'INVALID_ARGUMENT'],
    [{ abandon: true, to: 'other' }, 'INVALID_ARGUMENT'],
    [{ to: 'other', budget_ms: Number.NaN }, 'INVALID_ARGUMENT'],
  ])('%j', async (command, code) => {
    const engine = await inMemory(new GatedEmbedder());
    await fill(engine, 1);
    await expect(engine.reembed(command, testContext)).rejects.toMatchObject({ code });
  });
});

function recorder(): [Progress[], NonNullable<CallContext['onProgress']>] {
  const steps: Progress[] = [];
  return [steps, step => steps.push(step)];
}
