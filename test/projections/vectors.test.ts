import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { IndexEngine } from '#src/domain/model.js';
import { type FileProofs, UNPROVEN } from '#src/projections/vectors/index-files.js';
import type { VectorIndexOptions } from '#src/projections/vectors/index-options.js';
import { VectorIndex } from '#src/projections/vectors/vector-index.js';

const DIMENSION = 24;
const OPTIONS = { dimension: DIMENSION, metric: 'cosine', graphThresholdRows: 20 } as const;
const ENGINES: IndexEngine[] = ['usearch', 'hnswlib'];

let dir: string;
const opened: VectorIndex[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vectors-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(index => index.close()));
  await rm(dir, { recursive: true });
});

/** A seeded stream of components in -0.5..0.5 (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 - 0.5;
  };
}

const vectors = (count: number, next: () => number, dimension = DIMENSION) =>
  Float32Array.from({ length: count * dimension }, next);

function open(options: VectorIndexOptions): VectorIndex {
  const index = VectorIndex.create(options);
  opened.push(index);
  return index;
}

/** One owner a row. */
function filled(rows: number, options: VectorIndexOptions = OPTIONS): VectorIndex {
  const index = open(options);
  const next = seeded(7);
  for (let owner = 0; owner < rows; owner++) index.append(vectors(1, next, options.dimension), owner);
  return index;
}

function removeOwners(index: VectorIndex, from: number, to: number): void {
  for (let owner = from; owner < to; owner++) index.remove(owner);
}

async function load(name: string, options: VectorIndexOptions = OPTIONS): Promise<VectorIndex> {
  const index = await VectorIndex.load(dir, name, options);
  opened.push(index);
  return index;
}

describe('scores', () => {
  const score = (metric: 'cosine' | 'ip' | 'l2', row: number[], query: number[]) => {
    const index = open({ dimension: row.length, metric });
    index.append(Float32Array.from(row), 0);
    return index.search(Float32Array.from(query), { k: 1 }).scores[0];
  };

  test('follow the conventions, higher is better', () => {
    expect(score('cosine', [3, 0], [5, 0])).toBe(1);
    expect(score('cosine', [3, 0], [-1, 0])).toBe(-1);
    expect(score('cosine', [1, 1], [2, 0])).toBeCloseTo(Math.SQRT1_2, 6);
    expect(score('ip', [3, 1], [5, -2])).toBe(13);
    expect(score('l2', [3, 4], [0, 0])).toBeCloseTo(1 / 6, 6);
    expect(score('l2', [3, 4], [3, 4])).toBe(1);
  });

  test('a cosine never passes 1, whatever the rounding', () => {
    const next = seeded(3);
    const index = open({ dimension: 384, metric: 'cosine' });
    const rows = Array.from({ length: 200 }, () => vectors(1, next, 384));
    for (const [owner, vector] of rows.entries()) index.append(vector, owner);
    for (const [owner, vector] of rows.entries()) {
      const { owners, scores } = index.search(vector, { k: 1 });
      expect(owners[0]).toBe(owner);
      expect(scores[0]).toBeLessThanOrEqual(1);
      expect(scores[0]).toBeGreaterThan(0.999999);
    }
  });

  test('equal scores come in the order of rows', () => {
    const index = open({ dimension: 2, metric: 'ip' });
    for (const owner of [4, 9, 11, 30]) index.append(Float32Array.of(1, 2), owner);
    expect([...index.search(Float32Array.of(1, 1), { k: 3 }).owners]).toEqual([4, 9, 11]);
  });

  test('every dimension counts, at and around the width of the lanes', () => {
    for (const dimension of [1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 384, 612, 1536, 4096]) {
      const index = open({ dimension, metric: 'l2' });
      const zero = new Float32Array(dimension);
      for (let owner = 0; owner < dimension; owner += Math.ceil(dimension / 40)) {
        const unit = zero.slice();
        unit[owner] = 2;
        index.append(unit, owner);
      }
      for (const owner of index.search(zero, { k: 50 }).owners) {
        const query = zero.slice();
        query[owner] = 2;
        const hits = index.search(query, { k: 1 });
        expect([...hits.owners, ...hits.scores, ...hits.passages]).toEqual([owner, 1, 0]);
      }
    }
  });
});

describe('refusals', () => {
  const coded = (code: string) => expect.objectContaining({ code });

  test('name what is wrong and leave nothing behind', () => {
    const index = open({ dimension: 3, metric: 'cosine' });
    index.append(Float32Array.of(1, 2, 3), 5);
    expect(() => index.append(Float32Array.of(1, 2), 6)).toThrow(coded('DIMENSION_MISMATCH'));
    expect(() => index.append(Float32Array.of(1, 2, 3, 0, 0, 0), 6)).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => index.append(Float32Array.of(1, 2, Number.NaN), 6)).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => index.append(Float32Array.of(1, 2, 3), 5)).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => index.search(Float32Array.of(1, 2), { k: 1 })).toThrow(coded('DIMENSION_MISMATCH'));
    expect(() => index.search(new Float32Array(3), { k: 1 })).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => index.scoreOwner(Float32Array.of(1, 2), 5)).toThrow(coded('DIMENSION_MISMATCH'));
    expect(() => index.scoreOwner(Float32Array.of(1, 2, 3), 7, () => Float32Array.of(1))).toThrow(
      coded('DIMENSION_MISMATCH'),
    );
    expect(() => open({ dimension: 4097, metric: 'l2' })).toThrow(coded('INVALID_ARGUMENT'));
    index.append(Float32Array.of(3, 2, 1), 6);
    expect(index.counts).toMatchObject({ rows: 2, live: 2, dead: 0, kind: 'scan', pending: 0 });
  });

  test('an owner may be removed again, and one that there is not', () => {
    const index = filled(3);
    for (const owner of [1, 0, 1, 9]) index.remove(owner);
    expect(index.counts).toMatchObject({ live: 1, dead: 2 });
    expect([...index.search(vectors(1, seeded(1)), { k: 3 }).owners]).toEqual([2]);
  });
});

describe.each(ENGINES)('the graph, by %s', engine => {
  const OPTIONS_HERE = { ...OPTIONS, engine };

  test('finds, under any filter, at least .99 of what an exact scan finds', async () => {
    const rows = 6000;
    const dimension = 32;
    for (const metric of ['cosine', 'l2', 'ip'] as const) {
      const index = open({ dimension, metric, graphThresholdRows: 400, engine });
      const exact = open({ dimension, metric, graphThresholdRows: rows });
      const next = seeded(11);
      const centres = Array.from({ length: 40 }, () => vectors(1, next, dimension));
      const near = () => centres[Math.floor((next() + 0.5) * 40)]!.map(component => component + 0.6 * next());
      for (let owner = 0; owner < rows; owner++) {
        const vector = near();
        index.append(vector, owner);
        exact.append(vector, owner);
      }
      await index.idle();
      expect(index.counts).toMatchObject({ kind: 'hnsw', indexed: rows, pending: 0 });
      for (const share of [1, 0.5, 0.1, 0.01, 0.001]) {
        const accept = Uint8Array.from({ length: rows }, () => (next() + 0.5 < share ? 1 : 0));
        let wanted = 0;
        let found = 0;
        for (let i = 0; i < 60; i++) {
          const query = near();
          const truth = exact.search(query, { k: 10, accept }).owners;
          const answer = index.search(query, { k: 10, accept }).owners;
          wanted += truth.length;
          found += truth.filter(owner => answer.includes(owner)).length;
        }
        expect(found / wanted, `${metric} at ${share}`).toBeGreaterThanOrEqual(0.99);
      }
    }
  });

  test('is asked for more until k owners are found, however many rows each has', async () => {
    const index = open({ ...OPTIONS_HERE, efSearch: 10 });
    const next = seeded(5);
    const centre = vectors(1, next);
    // Owner 0 has the 200 rows nearest to the query.
    index.append(nearRows(centre, 200, next), 0);
    for (let owner = 1; owner <= 100; owner++) index.append(vectors(1, next), owner);
    await index.idle();
    const { owners } = index.search(centre, { k: 10 });
    expect(owners[0]).toBe(0);
    expect(new Set(owners).size).toBe(10);
  });

  test('is asked for more rows than are scored at once', async () => {
    const index = open({ ...OPTIONS_HERE, efSearch: 10, efConstruction: 20 });
    const next = seeded(6);
    const centre = vectors(1, next);
    const rows = 6000;
    index.append(nearRows(centre, rows, next), 0);
    for (let owner = 1; owner <= 5; owner++) index.append(vectors(1, next), owner);
    const exact = open({ ...OPTIONS_HERE, graphThresholdRows: 1e6 });
    exact.append(
      nearRows(centre, 1, () => 0),
      0,
    );
    const again = seeded(6);
    vectors(1, again);
    nearRows(centre, rows, again);
    for (let owner = 1; owner <= 5; owner++) exact.append(vectors(1, again), owner);
    await index.idle();
    expect([...index.search(centre, { k: 6 }).owners]).toEqual([...exact.search(centre, { k: 6 }).owners]);
  });

  test('finds others beside many equal vectors', async () => {
    const index = open({ ...OPTIONS_HERE, workerBacklogRows: 1e6 });
    const next = seeded(23);
    const same = vectors(1, next);
    const others = Array.from({ length: 500 }, () => vectors(1, next));
    let owner = 0;
    for (const other of others) {
      index.append(other, owner++);
      index.append(same, owner++);
    }
    await index.idle();
    let found = 0;
    others.forEach((other, i) => {
      if (index.search(other, { k: 1 }).owners[0] === 2 * i) found++;
    });
    expect(found / others.length).toBeGreaterThanOrEqual(0.99);
    expect(index.search(same, { k: 100 }).scores.every(score => score > 0.9999)).toBe(true);
  });

  test('is built anew without the dead, whether their vectors are kept or not', async () => {
    const kept = filled(300, OPTIONS_HERE);
    await kept.idle();
    removeOwners(kept, 0, 200);
    await kept.idle();
    expect(kept.counts).toMatchObject({
      rows: 300,
      dead: 200,
      coded: 0,
      kind: 'hnsw',
      live: 100,
      pending: 0,
    });
    const accept = new Uint8Array(300).fill(1);
    const past = { k: 300, accept, fetch: () => expect.unreachable('all vectors are kept') };
    expect(kept.searchPast(vectors(1, seeded(1)), past).owners).toHaveLength(300);

    const index = filled(300, { ...OPTIONS_HERE, keepDeadRows: 50 });
    await index.idle();
    removeOwners(index, 0, 200);
    await index.idle();
    const { coded, ...counts } = index.counts;
    expect(counts).toMatchObject({ rows: 300, dead: 200, kind: 'hnsw', live: 100, pending: 0 });
    expect(coded).toBeGreaterThan(150);
    expect(counts.indexed).toBe(300 - coded);
    removeOwners(index, 200, 290);
    await index.idle();
    expect(index.counts).toMatchObject({ kind: 'scan', live: 10, pending: 0 });
    const { owners } = index.search(vectors(1, seeded(1)), { k: 20 });
    expect([...owners].sort()).toEqual([290, 291, 292, 293, 294, 295, 296, 297, 298, 299]);
  });

  test('is built in the background without holding up close', async () => {
    const index = filled(5000, { ...OPTIONS_HERE, scratchDir: dir });
    await index.close();
    expect(await readdir(dir)).toEqual([]);
  });

  test('leaves process.exit() its exit code while a thread builds', () => {
    const module = fileURLToPath(import.meta.resolve('#src/projections/vectors/vector-index.js'));
    const program = `
      import { VectorIndex } from ${JSON.stringify(pathToFileURL(module).href)};
      const index = VectorIndex.create({ dimension: 128, metric: 'l2', engine: '${engine}' });
      for (let owner = 0; owner < 8000; owner++) {
        index.append(Float32Array.from({ length: 128 }, () => Math.random()), owner);
      }
      setTimeout(() => process.exit(7), 300);
    `;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    expect(stderr.toString()).toBe('');
    expect(status).toBe(7);
  });

  test('says how to mend a missing native module; the scan goes on without it', async () => {
    // The same code where no node_modules can be found.
    const compiled = dirname(fileURLToPath(import.meta.resolve('#src/projections/vectors/vector-index.js')));
    await cp(join(compiled, '..'), join(dir, 'src/projections'), { recursive: true });
    await cp(join(compiled, '../../domain'), join(dir, 'src/domain'), { recursive: true });
    await writeFile(join(dir, 'package.json'), '{"type":"module"}');
    const program = `
      import { VectorIndex } from './src/projections/vectors/vector-index.js';
      for (const workerBacklogRows of [1000, 5]) {
        const failures = [];
        const index = VectorIndex.create({
          dimension: 2, metric: 'l2', graphThresholdRows: 10, workerBacklogRows, engine: '${engine}', onFailure: e => failures.push(e),
        });
        for (let owner = 0; owner < 50; owner++) index.append(Float32Array.of(owner, 1), owner);
        await index.idle().then(() => console.log('idle'), error => console.log(error.code, error.wayOut));
        console.log(failures.length, index.failure.code, index.search(Float32Array.of(33, 1), { k: 1 }).owners[0]);
        await index.close();
      }
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: dir,
    });
    expect(stderr.toString()).toBe('');
    const lines = stdout.toString().trim().split('\n');
    expect(lines).toHaveLength(4);
    const wayOut = {
      usearch: /^NATIVE_MODULE_MISSING .*npm install usearch.*VECTOR_INDEX=hnswlib/,
      hnswlib: /^NATIVE_MODULE_MISSING .*npm install hnswlib-node.*npm install-scripts approve hnswlib-node/,
    };
    expect(lines[0]).toMatch(wayOut[engine]);
    expect(lines[1]).toBe('1 NATIVE_MODULE_MISSING 33');
    expect(lines[2]).toMatch(/^NATIVE_MODULE_MISSING/);
    expect(lines[3]).toBe('1 NATIVE_MODULE_MISSING 33');
  });
});

/** `count` vectors close to `centre`, one after the other. */
function nearRows(centre: Float32Array, count: number, next: () => number): Float32Array {
  return Float32Array.from({ length: count * DIMENSION }, (_, i) => centre[i % DIMENSION]! + next() / 1000);
}

describe.each(ENGINES)('saved and loaded, by %s', engine => {
  const OPTIONS_HERE = { ...OPTIONS, engine };
  const query = vectors(1, seeded(99));

  const isGraph = (name: string) => /\.(graph|usearch)$/.test(name);
  const graphFile = () => join(dir, `index.${engine === 'hnswlib' ? 'graph' : 'usearch'}`);

  /** As `filled`, a tenth removed, and without a graph. */
  function scanned(rows: number): VectorIndex {
    const index = filled(rows, { ...OPTIONS, graphThresholdRows: rows });
    removeOwners(index, 0, Math.floor(rows / 10));
    return index;
  }

  test('it answers the same, without a graph and with one', async () => {
    for (const [rows, files] of [
      [0, 2],
      [10, 2],
      [400, 3],
    ] as const) {
      const index = filled(rows, OPTIONS_HERE);
      await index.idle();
      removeOwners(index, 0, Math.floor(rows / 10));
      const names = await index.save(dir, `of-${rows}`);
      expect(names).toHaveLength(files);
      for (const name of names) expect((await stat(join(dir, name))).mode & 0o077).toBe(0);
      const again = await load(`of-${rows}`, OPTIONS_HERE);
      // The graph follows; until then its rows are scanned.
      expect(again.counts).toEqual({
        ...index.counts,
        kind: 'scan',
        indexed: 0,
        pending: rows > 20 ? rows : 0,
      });
      expect(again.search(query, { k: 20 })).toEqual(scanned(rows).search(query, { k: 20 }));
      await again.idle();
      expect(again.counts).toEqual(index.counts);
      expect(again.search(query, { k: 20 })).toEqual(index.search(query, { k: 20 }));
      again.append(query, 1000);
      await again.idle();
      expect(again.search(query, { k: 1 }).owners[0]).toBe(1000);
    }
  });

  test('it is as of the call, whatever happens while it is written', async () => {
    const index = filled(400, OPTIONS_HERE);
    await index.idle();
    const before = index.search(query, { k: 30 });
    const saving = index.save(dir, 'index');
    removeOwners(index, 0, 100);
    index.append(query, 1000);
    await saving;
    expect((await load('index', OPTIONS_HERE)).search(query, { k: 30 })).toEqual(before);
    expect(index.search(query, { k: 1 }).owners[0]).toBe(1000);
    await index.idle();
    await index.save(dir, 'later');
    expect((await load('later', OPTIONS_HERE)).search(query, { k: 30 })).toEqual(
      index.search(query, { k: 30 }),
    );
  });

  test('another dimension or metric is refused', async () => {
    const index = filled(100, OPTIONS_HERE);
    await index.idle();
    await index.save(dir, 'index');
    for (const other of [{ dimension: 25 }, { metric: 'l2' as const }])
      await expect(load('index', { ...OPTIONS_HERE, ...other })).rejects.toMatchObject({
        code: 'INDEX_DAMAGED',
      });
  });

  test('vectors and rows that are truncated, lengthened or missing are refused by name', async () => {
    const index = filled(100, OPTIONS_HERE);
    await index.idle();
    const names = await index.save(dir, 'index');
    expect(names).toHaveLength(3);
    for (const name of names.filter(name => !isGraph(name))) {
      const path = join(dir, name);
      await forEachLength(path, async () => {
        await expect(load('index', OPTIONS_HERE)).rejects.toMatchObject({
          code: 'INDEX_DAMAGED',
          message: expect.stringContaining(path),
        });
      });
    }
    await load('index', OPTIONS_HERE);
  });

  /** Does something with a file that is truncated, lengthened or missing, and puts it back. */
  async function forEachLength(path: string, work: () => Promise<void>): Promise<void> {
    const whole = await readFile(path);
    const { length } = whole;
    for (const sizeBytes of [0, 1, 31, 95, Math.floor(length / 2), length - 1, length + 1]) {
      await truncate(path, sizeBytes);
      await work();
      await writeFile(path, whole);
    }
    await rm(path);
    await work();
    await writeFile(path, whole);
  }

  /** Loads an index whose graph is no good: its answers are exact, the warning names the file, the graph is built anew. */
  async function graphRefused(options: VectorIndexOptions, proofs?: FileProofs): Promise<void> {
    const failures: Error[] = [];
    const again = await VectorIndex.load(
      dir,
      'index',
      { ...options, onFailure: error => failures.push(error) },
      proofs,
    );
    opened.push(again);
    const exact = scanned(100);
    expect(again.search(query, { k: 20 })).toEqual(exact.search(query, { k: 20 }));
    // Written while the file is looked at.
    for (const index of [again, exact]) {
      index.append(query, 1000);
      index.remove(50);
    }
    const { progress } = again;
    await again.idle();
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({
      code: 'INDEX_DAMAGED',
      message: expect.stringContaining(graphFile()),
    });
    expect(again.counts).toMatchObject({ kind: 'hnsw', pending: 0 });
    expect(again.progress).not.toBe(progress);
    expect(again.search(query, { k: 20 })).toEqual(exact.search(query, { k: 20 }));
    await again.close();
  }

  test('a graph that is of other options, truncated, lengthened or missing is told of and built anew', async () => {
    const index = filled(100, OPTIONS_HERE);
    await index.idle();
    removeOwners(index, 0, 10);
    await index.save(dir, 'index');
    await graphRefused({ ...OPTIONS_HERE, m: 8 });
    await forEachLength(graphFile(), () => graphRefused(OPTIONS_HERE));
  });

  test('a graph with another digest is told of and built anew, though nothing in it is wrong', async () => {
    const index = filled(100, OPTIONS_HERE);
    await index.idle();
    removeOwners(index, 0, 10);
    await index.save(dir, 'index');
    await graphRefused(OPTIONS_HERE, { begin: () => UNPROVEN, digest: () => '0123456789abcdef' });
  });

  test('what was written while a saved graph was taken over is found, and what was removed is not', async () => {
    const index = filled(400, OPTIONS_HERE);
    await index.idle();
    await index.save(dir, 'index');
    const again = await load('index', OPTIONS_HERE);
    const exact = filled(400, { ...OPTIONS_HERE, graphThresholdRows: 1000 });
    for (const changed of [again, exact]) {
      changed.append(query, 1000);
      removeOwners(changed, 100, 200);
    }
    expect(again.search(query, { k: 50 })).toEqual(exact.search(query, { k: 50 }));
    const saving = again.save(dir, 'later');
    await again.idle();
    await saving;
    expect(again.counts).toMatchObject({ kind: 'hnsw', live: 301, pending: 0 });
    expect(again.search(query, { k: 50 })).toEqual(exact.search(query, { k: 50 }));
  });

  test('a flipped bit in the graph is refused or harmless, and never ends the process', {
    timeout: 240_000,
  }, async () => {
    const dimension = 4;
    const options = { dimension, metric: 'l2', graphThresholdRows: 5, m: 4, engine } as const;
    const index = filled(60, options);
    await index.idle();
    await index.save(dir, 'index');
    const path = graphFile();
    const whole = await readFile(path);
    const next = seeded(31);
    let refused = 0;
    let loaded = 0;
    for (let at = 0; at < whole.length; at += at < 96 ? 5 : 61) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 1 << Math.floor((next() + 0.5) * 8);
      await writeFile(path, damaged);
      let isRefused = false;
      const again = await load('index', {
        ...options,
        onFailure: error => {
          expect(error).toMatchObject({ code: 'INDEX_DAMAGED' });
          isRefused = true;
        },
      });
      await again.idle();
      if (isRefused) refused++;
      else loaded++;
      for (let i = 0; i < 20; i++) {
        const { owners, scores } = again.search(vectors(1, next, dimension), { k: 5 });
        expect(owners.every(owner => owner < 60)).toBe(true);
        expect(scores).toHaveLength(5);
      }
      again.append(vectors(1, next, dimension), 1000);
      await again.idle();
      await again.close();
    }
    expect(refused).toBeGreaterThan(loaded);
  });
});

describe('a graph that is not this one', () => {
  const query = vectors(1, seeded(99));
  const hit = (index: VectorIndex) => index.search(query, { k: 10 }).owners;

  test.each<[string, VectorIndexOptions, VectorIndexOptions]>([
    ['of hnswlib for usearch', { ...OPTIONS, engine: 'hnswlib' }, { ...OPTIONS, engine: 'usearch' }],
    ['of usearch for hnswlib', { ...OPTIONS, engine: 'usearch' }, { ...OPTIONS, engine: 'hnswlib' }],
    ['of another construction', { ...OPTIONS, efConstruction: 100 }, { ...OPTIONS, efConstruction: 60 }],
  ])('is left, and another one built: %s', async (_, options, others) => {
    const index = filled(400, options);
    await index.idle();
    removeOwners(index, 0, 40);
    expect(index.counts.kind).toBe('hnsw');
    const files = await index.save(dir, 'index');
    const graphFile = join(dir, files.find(file => /graph|usearch/.test(file))!);
    // Were it looked at, it would be refused.
    await truncate(graphFile, 100);
    const again = await load('index', others);
    expect(again.counts).toMatchObject({ live: 360, dead: 40, kind: 'scan', pending: 400 });
    expect(hit(again)).toEqual(hit(index));
    await again.idle();
    expect(again.counts).toMatchObject({ live: 360, dead: 40, kind: 'hnsw', pending: 0 });
    expect(hit(again)).toEqual(hit(index));
    const saved = await again.save(dir, 'again');
    expect(hit(await load('again', others))).toEqual(hit(index));
    expect(saved).toHaveLength(3);
  });

  test('rows of an earlier format are refused by its number', async () => {
    const index = filled(100);
    await index.save(dir, 'index');
    const path = join(dir, 'index.rows');
    const bytes = await readFile(path);
    bytes.writeUInt32LE(2, 4);
    await writeFile(path, bytes);
    await expect(load('index')).rejects.toMatchObject({
      code: 'INDEX_DAMAGED',
      message: expect.stringContaining('format 2'),
    });
  });
});

describe.each(ENGINES)('while rows come in, by %s', engine => {
  // Nothing is added between turns: what waits gets a graph of its own.
  const options = { ...OPTIONS, graphThresholdRows: 500, workerBacklogRows: 0, engine } as const;
  const base = engine === 'usearch' ? 'index.usearch' : 'index.graph';
  const second = engine === 'usearch' ? 'index.1.usearch' : 'index.1.graph';
  const graphsOf = (names: string[]) => names.filter(name => /(usearch|graph)$/.test(name));
  const settled = (index: VectorIndex) =>
    expect.poll(() => index.counts.pending, { timeout: 20_000 }).toBe(0);

  /** Of 3000 rows in one graph and 400 in another, some of each dead, and what an exact scan finds among them. */
  async function inTwo(): Promise<{ index: VectorIndex; exact: VectorIndex; next: () => number }> {
    const index = filled(3000, options);
    await index.idle();
    const exact = filled(3000, { ...OPTIONS, graphThresholdRows: 1e6 });
    const next = seeded(3);
    for (let owner = 3000; owner < 3400; owner++) {
      const vector = vectors(1, next);
      for (const each of [index, exact]) each.append(vector, owner);
    }
    await settled(index);
    for (const each of [index, exact]) {
      removeOwners(each, 100, 200);
      removeOwners(each, 3100, 3150);
    }
    return { index, exact, next };
  }

  /** @returns the share of the exact answers that are found */
  function recall(index: VectorIndex, exact: VectorIndex, accept?: Uint8Array): number {
    const next = seeded(11);
    let [found, wanted] = [0, 0];
    for (let i = 0; i < 40; i++) {
      const query = vectors(1, next);
      // Vectors without any clusters are found worse.
      const search = { k: 10, ef: 128, ...(accept && { accept }) };
      const owners = new Set(index.search(query, search).owners);
      const right = exact.search(query, search).owners;
      found += right.filter(owner => owners.has(owner)).length;
      wanted += right.length;
    }
    return found / wanted;
  }
  const NEW_ONLY = new Uint8Array(3400).fill(1, 3000);

  test('many get a graph of their own, and all are one after a pause', async () => {
    const { index, exact, next } = await inTwo();
    expect(index.counts).toMatchObject({ kind: 'hnsw', indexed: 3400, live: 3250, dead: 150 });
    expect(graphsOf(await index.save(dir, 'index'))).toEqual([base, second]);
    expect(recall(index, exact)).toBeGreaterThan(0.99);
    expect(recall(index, exact, NEW_ONLY)).toBeGreaterThan(0.99);
    const { progress } = index;
    await expect.poll(() => index.progress, { timeout: 30_000, interval: 200 }).not.toBe(progress);
    expect(graphsOf(await index.save(dir, 'again'))).toHaveLength(1);
    expect(recall(index, exact)).toBeGreaterThan(0.99);
    const vector = vectors(1, next);
    index.append(vector, 3400);
    expect(index.search(vector, { k: 1 }).owners[0]).toBe(3400);
  });

  test('whoever waits for the graph gets one', async () => {
    const { index, exact } = await inTwo();
    await index.idle();
    expect(graphsOf(await index.save(dir, 'index'))).toEqual([base]);
    expect(recall(index, exact)).toBeGreaterThan(0.99);
  });

  test('graphs are saved and taken over one by one, and rows removed meanwhile stay away', async () => {
    const { index, exact } = await inTwo();
    await index.save(dir, 'index');
    const again = await load('index', options);
    for (const each of [again, exact]) {
      removeOwners(each, 300, 400);
      removeOwners(each, 3200, 3250);
    }
    expect(recall(again, exact)).toBe(1);
    await again.unsettled;
    expect(again.counts).toMatchObject({ kind: 'hnsw', indexed: 3400, pending: 0, live: 3100, dead: 300 });
    expect(recall(again, exact)).toBeGreaterThan(0.99);
    expect(recall(again, exact, NEW_ONLY)).toBeGreaterThan(0.99);
    expect(graphsOf(await again.save(dir, 'again'))).toHaveLength(2);
    expect(graphsOf(await index.save(dir, 'once-more'))).toHaveLength(2);
  });

  test('of a damaged one the rows get another, and those before it stay in use', async () => {
    const { index, exact } = await inTwo();
    await index.save(dir, 'index');
    const { size } = await stat(join(dir, second));
    await truncate(join(dir, second), size - 1);
    const failures: Error[] = [];
    const again = await VectorIndex.load(dir, 'index', {
      ...options,
      onFailure: error => failures.push(error),
    });
    opened.push(again);
    await again.unsettled;
    expect(failures).toEqual([
      expect.objectContaining({ code: 'INDEX_DAMAGED', message: expect.stringContaining(second) }),
    ]);
    expect(again.counts).toMatchObject({ kind: 'hnsw', indexed: 3000, pending: 400 });
    expect(recall(again, exact, NEW_ONLY)).toBe(1);
    await settled(again);
    expect(recall(again, exact)).toBeGreaterThan(0.99);
    expect(failures).toHaveLength(1);
  });

  test('where the graphs end must fit the rows', async () => {
    const { index } = await inTwo();
    await index.save(dir, 'index');
    const path = join(dir, 'index.rows');
    const whole = await readFile(path);
    for (const ends of [
      [3000, 3401],
      [3400, 3400],
      [3400, 3000],
      [0, 3400],
    ]) {
      const bytes = Buffer.from(whole);
      for (const [i, end] of ends.entries()) bytes.writeUInt32LE(end, 36 + 4 * i);
      await writeFile(path, bytes);
      await expect(load('index', options)).rejects.toMatchObject({
        code: 'INDEX_DAMAGED',
        message: expect.stringContaining(`end at ${ends.join(', ')}`),
      });
    }
  });

  test('all of them may die at once', async () => {
    const { index } = await inTwo();
    index.retire();
    expect(index.search(vectors(1, seeded(1)), { k: 1 }).owners).toHaveLength(0);
    await index.idle();
    expect(index.counts).toMatchObject({ live: 0, kind: 'scan' });
  });
});

test('few rows are scanned rather than put into a graph that is written anew', async () => {
  const next = seeded(3);
  const index = filled(3000, { ...OPTIONS, graphThresholdRows: 500 });
  await index.idle();
  for (let owner = 3000; owner < 3200; owner++) index.append(vectors(1, next), owner);
  await new Promise(resolve => setTimeout(resolve, 400));
  expect(index.counts).toMatchObject({ indexed: 3000, pending: 200 });
  const query = vectors(1, next);
  index.append(query, 3300);
  expect(index.search(query, { k: 1 }).owners[0]).toBe(3300);
});
