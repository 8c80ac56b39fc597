/**
 * Opening a store: the first answers are right before graph and words are there, whatever of a checkpoint is damaged, then or while it is
 * taken over; and what was damaged is replaced.
 */
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SearchQuery } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { Words } from '#src/engine/words.js';
import { KeywordIndex } from '#src/projections/keywords/keyword-index.js';
import { flip, remove, seeded, truncate } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext, wordVector } from '../helpers/engine.js';

const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_126);
const NOUNS = 'wal checkpoint vector graph moment branch lineage event hash batch'.split(' ');
const EAGER = { keepDeadRows: 20, graphThresholdRows: 40 };

let made: string;
let expected: unknown;

beforeAll(async () => {
  made = temporaryDirectory();
  const engine = await openTestEngine(made, EAGER);
  for (let round = 0; round < 3; round++)
    await engine.upsert(
      {
        collection: 'notes',
        items: Array.from({ length: 60 }, (_, i) => ({
          id: `note-${i}`,
          text: `round ${round} of ${NOUNS[(i + round) % 10]} and ${NOUNS[(i * 3) % 10]} number ${i}`,
          metadata: { round, kind: NOUNS[i % 10]! },
        })),
      },
      testContext,
    );
  await engine.idle();
  await engine.close();
  expected = await answers(
    await openTestEngine(copyOf(made), { ...EAGER, graphThresholdRows: 10_000 }),
    true,
  );
});

afterAll(() => rmSync(made, { recursive: true, force: true }));

const parent = temporaryDirectory();
let copies = 0;

function copyOf(store: string): string {
  const copy = join(parent, String(copies++));
  cpSync(store, copy, { recursive: true });
  return copy;
}

/** By vector, by words, by both, filtered, of the past. */
async function answers(engine: StoreEngine, isLast = false): Promise<unknown> {
  const vector = Array.from(wordVector('moment of a branch'));
  const queries: SearchQuery[] = [
    { vector, mode: 'semantic', k: 10, collections: ['notes'] },
    { vector, mode: 'semantic', k: 60, collections: ['notes'], where: { kind: 'graph' } },
    { query: 'moment of a branch', mode: 'hybrid', k: 60 },
    { query: 'checkpoint number 7', mode: 'keyword', k: 60 },
    { query: 'round 1', mode: 'hybrid', k: 60, as_of: '130' },
  ];
  const found: unknown[] = [];
  for (const query of queries) {
    const { results } = await engine.search(query, testContext);
    // Which of those that tie for the last place are named is for the graph to say.
    const last = results.length === query.k ? results.at(-1)!.score : Number.NEGATIVE_INFINITY;
    found.push(
      results
        .filter(({ score }) => score > last)
        .map(({ id, score, version, text }) => ({ id, score, version, text })),
    );
    found.push(results.map(({ score }) => score));
  }
  if (isLast) await engine.close();
  return found;
}

const warningsOf = async (engine: StoreEngine) => (await engine.status({}, testContext)).checkpoint.warnings;

const newestOf = (store: string): string =>
  join(store, 'checkpoints', readdirSync(join(store, 'checkpoints')).sort().at(-1)!);

describe('with a checkpoint', () => {
  test('it answers right before the graph is there, and the same afterwards', async () => {
    const engine = await openTestEngine(copyOf(made), EAGER);
    const index = async () => (await engine.status({}, testContext)).collections[0]!.index;
    expect(await index()).toMatchObject({ kind: 'scan', indexed: 0 });
    expect(await answers(engine)).toEqual(expected);
    await engine.idle();
    expect(await index()).toMatchObject({ kind: 'hnsw', pending: 0 });
    expect(await answers(engine)).toEqual(expected);
    expect(await warningsOf(engine)).toEqual([]);
    await engine.close();
  });

  test('opened and closed again it writes none', async () => {
    const store = copyOf(made);
    const before = statSync(join(newestOf(store), 'manifest.json')).ino;
    for (const waits of [false, true, false]) {
      const engine = await openTestEngine(store, EAGER);
      if (waits) await engine.idle();
      await engine.close();
      expect(statSync(join(newestOf(store), 'manifest.json')).ino).toBe(before);
    }
  });

  test('what is written before the graph is there is in the next checkpoint, graph included', async () => {
    const store = copyOf(made);
    const changed = async (path: string, options: typeof EAGER) => {
      const engine = await openTestEngine(path, options);
      await engine.upsert(
        { collection: 'notes', items: [{ id: 'new', text: 'a new moment of a branch', metadata: {} }] },
        testContext,
      );
      await engine.delete({ collection: 'notes', ids: ['note-3'] }, testContext);
      return engine;
    };
    const plain = await changed(copyOf(made), { ...EAGER, graphThresholdRows: 10_000 });
    const wanted = await answers(plain, true);
    const engine = await changed(store, EAGER);
    expect(await answers(engine)).toEqual(wanted);
    await engine.close();
    expect(readdirSync(newestOf(store)).some(name => name.endsWith('.usearch'))).toBe(true);
    const again = await openTestEngine(store, EAGER);
    expect(await answers(again)).toEqual(wanted);
    await again.idle();
    expect(await answers(again)).toEqual(wanted);
    expect(await warningsOf(again)).toEqual([]);
    await again.close();
  });

  /** Damage to one file: the answers are right at once and stay so, somebody is told, and the next opening finds nothing wrong. */
  async function expectMended(store: string, what: string): Promise<void> {
    let engine = await openTestEngine(store, EAGER);
    expect(await answers(engine), what).toEqual(expected);
    await engine.idle();
    expect(await answers(engine), what).toEqual(expected);
    expect(await warningsOf(engine), what).toHaveLength(1);
    await engine.close();
    engine = await openTestEngine(store, EAGER);
    await engine.idle();
    expect(await warningsOf(engine), what).toEqual([]);
    expect(await answers(engine, true), what).toEqual(expected);
    rmSync(store, { recursive: true });
  }

  const files = [
    'catalog',
    'keywords',
    'metadata',
    'manifest.json',
    ...['rows', 'vectors', 'codes', 'usearch'].map(end => `vectors-1-0.${end}`),
  ];
  test.each(files)(`a damaged %s costs nothing but time (seed ${SEED})`, { timeout: 300_000 }, async file => {
    const random = seeded(SEED);
    const { size } = statSync(join(newestOf(made), file));
    for (let round = 0; round < 5; round++) {
      const store = copyOf(made);
      const offset = round === 0 ? 0 : round === 1 ? size - 1 : Math.floor(random() * size);
      flip(join(newestOf(store), file), offset, Math.floor(random() * 8));
      await expectMended(store, `a flip at byte ${offset}`);
    }
    const cut = copyOf(made);
    truncate(join(newestOf(cut), file), Math.floor(random() * size));
    await expectMended(cut, 'a cut');
    const gone = copyOf(made);
    remove(join(newestOf(gone), file));
    await expectMended(gone, 'a deletion');
  });

  test('a graph that is damaged after the first answer is found, and built anew', async () => {
    const store = copyOf(made);
    const engine = await openTestEngine(store, EAGER);
    expect(await answers(engine)).toEqual(expected);
    const graph = join(newestOf(store), 'vectors-1-0.usearch');
    // In a list of links: only the digest tells.
    flip(graph, 96 + 4, 0);
    await engine.idle();
    expect(await answers(engine)).toEqual(expected);
    expect(await warningsOf(engine)).toEqual([expect.stringContaining(graph)]);
    await engine.close();
    const again = await openTestEngine(store, EAGER);
    await again.idle();
    expect(await warningsOf(again)).toEqual([]);
    await again.close();
  });
});

describe('without a checkpoint', () => {
  test('it answers by vectors and by words at once', async () => {
    const store = copyOf(made);
    rmSync(join(store, 'checkpoints'), { recursive: true });
    const engine = await openTestEngine(store, EAGER);
    expect(await answers(engine)).toEqual(expected);
    await engine.idle();
    expect(await answers(engine)).toEqual(expected);
    await engine.close();
  });

  test('words are all there when they are asked for, however many wait', async () => {
    const store = temporaryDirectory();
    let engine = await openTestEngine(store);
    for (let i = 0; i < 6000; i += 500) {
      const items = Array.from({ length: 500 }, (_, j) => ({
        id: `n${i + j}`,
        text: `note ${i + j} of ${NOUNS[(i + j) % 10]}`,
        vector: [1, i + j],
      }));
      await engine.upsert({ collection: 'many', items }, testContext);
    }
    const ask = (n: number) =>
      engine.search({ query: `note ${n}`, mode: 'keyword', k: 1, collections: ['many'] }, testContext);
    const before = await Promise.all([0, 2999, 5999].map(ask));
    await engine.close();
    rmSync(join(store, 'checkpoints'), { recursive: true });
    engine = await openTestEngine(store);
    await engine.upsert(
      { collection: 'many', items: [{ id: 'last', text: 'one more', vector: [1, 1] }] },
      testContext,
    );
    const after = await Promise.all([0, 2999, 5999].map(ask));
    expect(after.map(({ results }) => results[0]!.id)).toEqual(['n0', 'n2999', 'n5999']);
    expect(after.map(({ results }) => results[0]!.text)).toEqual(
      before.map(({ results }) => results[0]!.text),
    );
    const last = await engine.search({ query: 'one more', mode: 'keyword', k: 1 }, testContext);
    expect(last.results[0]!.id).toBe('last');
    await engine.close();
  });
});

describe('saved words', () => {
  const texts = Array.from({ length: 300 }, (_, i) => `note ${i} of ${NOUNS[i % 10]}`);
  const live = new Uint8Array(texts.length).fill(1);
  const found = (index: KeywordIndex) => {
    const { docs, scores } = index.search('note graph 17', { live, limit: 20 });
    return { docs: [...docs], scores: [...scores] };
  };
  const index = KeywordIndex.empty();
  for (const [doc, text] of texts.entries()) index.add(doc, text);
  const saved = Buffer.concat(index.save());

  test('that turn out to be of no use are told of and made anew', async () => {
    // The length of the first document runs over its section.
    const damaged = Buffer.from(saved);
    damaged.fill(0xff, 40, 50);
    const words = Words.load(damaged);
    const errors: Error[] = [];
    words.start({ textOf: doc => texts[doc]!, onDamage: error => errors.push(error) }, texts.length);
    await words.complete();
    expect(errors).toEqual([expect.objectContaining({ code: 'KEYWORDS_DAMAGED' })]);
    expect(words.refusals).toBe(1);
    expect(found(words.index)).toEqual(found(index));
    words.close();
  });

  test('that end before the texts do are completed', () => {
    const words = Words.load(saved);
    const more = [...texts, 'one more note of a graph'];
    words.start({ textOf: doc => more[doc]!, onDamage: error => expect.fail(error.message) }, more.length);
    expect(words.index.docs).toBe(more.length);
    words.close();
  });

  test('do not hide a text that cannot be read', async () => {
    const words = Words.load(saved);
    const textOf = () => {
      throw new Error('unreadable');
    };
    words.start({ textOf, onDamage: error => expect.fail(error.message) }, texts.length + 1);
    await expect(words.complete()).rejects.toThrow('unreadable');
    expect(() => words.index).toThrow('unreadable');
    words.close();
  });
});
