import { mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Metric } from '#src/domain/model.js';
import type { VectorIndexOptions } from '#src/projections/vectors/index-options.js';
import { VectorIndex } from '#src/projections/vectors/vector-index.js';
import { SeededRandom } from '../../bench/data.js';
import { VectorOracle } from './vectors-oracle.js';

const METRICS: Metric[] = ['cosine', 'ip', 'l2'];
/** Everything that is dead is given up as soon as it may be; no graph. */
const EAGER = { graphThresholdRows: 1e6, keepDeadRows: 0, compactMinDeadRows: 1, compactDeadShare: 0 };

let dir: string;
const opened: VectorIndex[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vectors-past-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(index => index.close()));
  await rm(dir, { recursive: true });
});

/** Files below a folder that this process has open, those that were deleted included. */
async function openFiles(folder: string): Promise<string[]> {
  const fds = await readdir('/proc/self/fd');
  const paths = await Promise.all(fds.map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return paths.filter(path => path.startsWith(folder));
}

/** An index with an oracle beside it, one owner a vector from 0. */
class Store {
  readonly oracle: VectorOracle;
  index: VectorIndex;
  fetched = 0;

  constructor(readonly options: VectorIndexOptions) {
    this.oracle = new VectorOracle(options.metric);
    this.index = VectorIndex.create(options);
    opened.push(this.index);
  }

  readonly fetch = (owner: number) => {
    this.fetched++;
    return this.index.prepare(this.oracle.rows[owner]!.vector);
  };

  append(vector: Float32Array): void {
    const owner = this.oracle.rows.length;
    this.oracle.append([vector], owner);
    this.index.append(vector, owner);
  }

  remove(owner: number): void {
    this.oracle.rows[owner]!.dead = true;
    this.index.remove(owner);
  }

  past(query: Float32Array, k: number, accept = this.all()): number[] {
    return [...this.index.searchPast(query, { k, accept, fetch: this.fetch }).owners];
  }

  exact(query: Float32Array, k: number, accept?: Uint8Array): number[] {
    return this.oracle.search(query, k, accept, true).map(({ owner }) => owner);
  }

  all(): Uint8Array {
    return new Uint8Array(this.oracle.rows.length).fill(1);
  }

  async reload(name: string): Promise<void> {
    await this.index.save(dir, name);
    await this.index.close();
    this.index = await VectorIndex.load(dir, name, this.options);
    opened.push(this.index);
  }
}

/** Vectors around some centres, away from the origin and of different lengths. */
function clustered(random: SeededRandom, dimension: number, clusters: number): () => Float32Array {
  const vector = (spread: number) =>
    Float32Array.from({ length: dimension }, () => spread * random.gaussian());
  const offset = vector(1);
  const centres = Array.from({ length: clusters }, () => vector(1).map((x, i) => x + offset[i]!));
  return () => centres[random.below(clusters)]!.map(component => component + 0.7 * random.gaussian());
}

describe.each(METRICS)('%s, of the versions of a moment, most of them dead now', metric => {
  test('at least .98 of the nearest ten are found, by few fetches', async () => {
    const random = new SeededRandom();
    const dimension = 100;
    const vector = clustered(random, dimension, 50);
    const store = new Store({
      dimension,
      metric,
      keepDeadRows: 1000,
      graphThresholdRows: 400,
      workerBacklogRows: 1e9,
    });
    const rows = 6000;
    const accept = new Uint8Array(rows);
    for (let owner = 0; owner < rows; owner++) {
      store.append(vector());
      if (owner >= 800 && random.uniform() < 0.9) store.remove(owner - 800);
      if (owner < 4000) accept[owner] = random.uniform() < 0.7 ? 1 : 0;
    }
    await store.index.idle();
    const { coded, dead } = store.index.counts;
    expect(coded).toBeGreaterThan(3000);
    expect(dead - coded, 'what is dead is given up').toBeLessThan(1000);
    let found = 0;
    const searches = 60;
    for (let i = 0; i < searches; i++) {
      const query = vector();
      const owners = store.past(query, 10, accept);
      found += store.exact(query, 10, accept).filter(owner => owners.includes(owner)).length;
    }
    expect(found / (10 * searches)).toBeGreaterThanOrEqual(0.98);
    expect(store.fetched / searches).toBeLessThan(100);
  });

  test('every dimension counts, at and around the width of codes and rotation', async () => {
    for (const dimension of [1, 2, 7, 8, 9, 15, 17, 384, 612, 1025, 2056, 4096]) {
      const random = new SeededRandom(dimension);
      const store = new Store({ dimension, metric, ...EAGER });
      const vectors = Array.from({ length: 50 }, () =>
        Float32Array.from({ length: dimension }, () => random.gaussian()),
      );
      for (const vector of vectors) store.append(vector);
      for (let owner = 0; owner < 40; owner++) store.remove(owner);
      await store.index.idle();
      expect(store.index.counts).toMatchObject({ rows: 50, live: 10, dead: 40, coded: 40 });
      let found = 0;
      for (const query of vectors) {
        const owners = store.past(query, 3);
        found += store.exact(query, 3).filter(owner => owners.includes(owner)).length;
      }
      expect(found / (3 * vectors.length), `${dimension}`).toBeGreaterThanOrEqual(0.97);
    }
  });
});

describe('dead rows', () => {
  const dimension = 24;
  const vectorsOf = (random: SeededRandom) => () =>
    Float32Array.from({ length: dimension }, () => random.gaussian());

  test('are given up within the turn where deaths leave no turns', () => {
    const store = new Store({ dimension, metric: 'l2', ...EAGER, compactNowDeadRows: 500 });
    const vector = vectorsOf(new SeededRandom());
    for (let owner = 0; owner < 10_000; owner++) {
      store.append(vector());
      if (owner >= 300) store.remove(owner - 300);
    }
    const { live, dead, coded } = store.index.counts;
    expect(live).toBe(300);
    expect(dead).toBe(9700);
    expect(dead - coded).toBeLessThan(1500);
    const query = vector();
    expect(store.past(query, 5)).toEqual(store.exact(query, 5));
  });

  test('are given up when they are few, once deaths have paused', async () => {
    const store = new Store({ dimension, metric: 'l2', keepDeadRows: 20, compactQuietMs: 20 });
    const vector = vectorsOf(new SeededRandom());
    for (let owner = 0; owner < 400; owner++) store.append(vector());
    for (let owner = 0; owner < 30; owner++) store.remove(owner);
    expect(store.index.counts.coded).toBe(0);
    await expect.poll(() => store.index.counts.coded, { timeout: 30_000 }).toBe(30);
    await store.reload('quiet');
    for (let owner = 30; owner < 60; owner++) store.remove(owner);
    await store.index.idle();
    expect(store.index.counts.coded, 'who waits is not kept waiting').toBe(60);
  });

  test('cost an eighth of a byte a dimension and 12 bytes, beside what does not grow with them', async () => {
    const store = new Store({ dimension: 384, metric: 'cosine', ...EAGER });
    const random = new SeededRandom();
    for (let owner = 0; owner < 3000; owner++) {
      store.append(Float32Array.from({ length: 384 }, () => random.gaussian()));
    }
    const { sizeBytes } = store.index;
    for (let owner = 0; owner < 2900; owner++) store.remove(owner);
    await store.index.idle();
    expect(store.index.counts.coded).toBe(2900);
    expect(store.index.codesBytes).toBeLessThan(2900 * (384 / 8 + 12) + 600_000);
    expect(store.index.sizeBytes).toBeLessThan(sizeBytes / 3);
  });

  test('are all found where k is more than there are, and not where their vectors are gone', async () => {
    const store = new Store({ dimension, metric: 'cosine', ...EAGER });
    const vector = vectorsOf(new SeededRandom());
    for (let owner = 0; owner < 100; owner++) store.append(vector());
    for (let owner = 10; owner < 90; owner++) store.remove(owner);
    await store.index.idle();
    const query = vector();
    expect(store.past(query, 200)).toEqual(store.exact(query, 200));
    const erased = (owner: number) => (owner % 2 === 0 ? store.fetch(owner) : undefined);
    const left = store.index.searchPast(query, { k: 200, accept: store.all(), fetch: erased }).owners;
    expect([...left]).toEqual(
      store.exact(query, 200).filter(owner => owner % 2 === 0 || owner < 10 || owner >= 90),
    );
    const failing = () => {
      throw new Error('damaged');
    };
    const options = { k: 5, accept: store.all(), fetch: failing };
    expect(() => store.index.searchPast(query, options)).toThrow('damaged');
    expect(store.index.scoreOwner(query, 50)).toBeUndefined();
  });

  test('of equal vectors the first are found', async () => {
    const store = new Store({ dimension, metric: 'ip', ...EAGER });
    const random = new SeededRandom();
    const same = vectorsOf(random)();
    for (let owner = 0; owner < 300; owner++) store.append(owner % 3 === 0 ? vectorsOf(random)() : same);
    for (let owner = 0; owner < 300; owner++) store.remove(owner);
    await store.index.idle();
    expect(store.index.counts.coded).toBe(300);
    expect(store.past(same, 10)).toEqual([1, 2, 4, 5, 7, 8, 10, 11, 13, 14]);
  });

  test('of a retired index keep answering, and new rows may follow', async () => {
    const store = new Store({ dimension, metric: 'cosine', graphThresholdRows: 100, scratchDir: dir });
    const vector = vectorsOf(new SeededRandom());
    for (let owner = 0; owner < 600; owner++) store.append(vector());
    await store.index.idle();
    // Its own handle, and the library's, which is closed with the object.
    expect(await openFiles(dir), 'the graph, which is mapped').toHaveLength(2);
    const query = vector();
    store.index.retire();
    expect(store.index.search(query, { k: 5 }).owners).toHaveLength(0);
    expect(store.past(query, 5), 'before they are encoded').toEqual(store.exact(query, 5));
    await store.index.idle();
    expect(store.index.counts).toMatchObject({ live: 0, dead: 600, coded: 600, kind: 'scan' });
    await expect.poll(async () => (await openFiles(dir)).length).toBeLessThan(2);
    expect(store.past(query, 5)).toEqual(store.exact(query, 5));
    expect(() => store.index.append(query, 599)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    store.append(query);
    expect([...store.index.search(query, { k: 5 }).owners]).toEqual([600]);
    expect(store.past(query, 5)).toEqual(store.exact(query, 5));
  });

  test('are saved and loaded, and a damaged file of theirs is refused by name', async () => {
    const store = new Store({ dimension, metric: 'l2', ...EAGER });
    const vector = vectorsOf(new SeededRandom());
    for (let owner = 0; owner < 200; owner++) store.append(vector());
    for (let owner = 0; owner < 150; owner++) store.remove(owner);
    await store.index.idle();
    const { counts, codesBytes } = store.index;
    const query = vector();
    const before = store.past(query, 20);
    await store.reload('index');
    expect(store.index.counts).toEqual(counts);
    expect(store.index.codesBytes).toBe(codesBytes);
    expect(store.past(query, 20)).toEqual(before);
    for (let owner = 150; owner < 190; owner++) store.remove(owner);
    await store.index.idle();
    expect(store.index.counts.coded).toBe(190);
    expect(store.past(query, 20)).toEqual(store.exact(query, 20));

    const path = join(dir, 'index.codes');
    const whole = await readFile(path);
    const refused = async (bytes: Buffer) => {
      await writeFile(path, bytes);
      await expect(VectorIndex.load(dir, 'index', store.options)).rejects.toMatchObject({
        code: 'INDEX_DAMAGED',
        message: expect.stringContaining(path),
      });
    };
    for (const at of [0, 4, 8, 12, 16, 20, 24]) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt32LE(damaged.readUInt32LE(at) + 1000, at);
      await refused(damaged);
    }
    // The first row names a centroid that there is not.
    const damaged = Buffer.from(whole);
    const blocksBytes = Math.ceil(150 / 16) * (2 * dimension + 192);
    damaged.writeUInt16LE(999, whole.length - blocksBytes + 2 * dimension + 32);
    await refused(damaged);
    for (const sizeBytes of [0, 47, 100, whole.length - 1]) {
      await writeFile(path, whole);
      await truncate(path, sizeBytes);
      await refused(await readFile(path));
    }
    await rm(path);
    await expect(VectorIndex.load(dir, 'index', store.options)).rejects.toMatchObject({
      code: 'INDEX_DAMAGED',
    });
  });
});
