import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { IndexEngine, Metric } from '#src/domain/model.js';
import type { GraphEngine, GraphParams } from '#src/projections/vectors/graph-engine.js';
import { GRAPH_ENGINES } from '#src/projections/vectors/graph-engines.js';
import { DEAD, IN_GRAPH } from '#src/projections/vectors/row-table.js';
import { rowView, VectorSlab } from '#src/projections/vectors/vector-slab.js';
import { SeededRandom } from '../../bench/data.js';

const ENGINES: IndexEngine[] = ['usearch', 'hnswlib'];
const METRICS: Metric[] = ['cosine', 'ip', 'l2'];

let dir: string;
const opened: GraphEngine[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graph-engines-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(engine => engine.close()));
  await rm(dir, { recursive: true });
});

const keep = (engine: GraphEngine): GraphEngine => {
  opened.push(engine);
  return engine;
};

const DAMAGED = expect.objectContaining({ code: 'INDEX_DAMAGED' });

describe.each(ENGINES)('%s', name => {
  const kind = GRAPH_ENGINES[name];

  /** Vectors around a few centres, their flags, and what an exact scan finds. */
  class Rows {
    readonly params: GraphParams;
    readonly slab: VectorSlab;
    readonly flags: Uint8Array;
    readonly #random: SeededRandom;
    readonly #centres: Float32Array[];

    constructor(
      readonly count: number,
      { dimension = 24, metric = 'cosine', m = 16, seed = 5 }: Partial<GraphParams & { seed: number }> = {},
    ) {
      this.params = { dimension, metric, m, efConstruction: 200 };
      this.slab = new VectorSlab(dimension, metric);
      this.flags = new Uint8Array(count).fill(IN_GRAPH);
      this.#random = new SeededRandom(seed);
      this.#centres = Array.from({ length: 12 }, () =>
        Float32Array.from({ length: dimension }, () => this.#random.gaussian()),
      );
      for (let row = 0; row < count; row++) this.slab.append(this.vector());
    }

    vector(): Float32Array {
      const centre = this.#centres[this.#random.below(this.#centres.length)]!;
      return centre.map(component => component + 0.7 * this.#random.gaussian());
    }

    built(rows = Uint32Array.from(this.flags.keys()), threads = 1): GraphEngine {
      const engine = keep(kind.create(this.params, threads));
      for (let first = 0; first < rows.length; first += 128)
        engine.add(rows.subarray(first, first + 128), this.slab.shared);
      return engine;
    }

    async saved(): Promise<string> {
      const path = join(dir, 'graph');
      await this.built().save(path);
      return path;
    }

    check(path: string): Uint32Array {
      return kind.check(path, this.params, this.flags, this.slab.shared);
    }

    async open(path: string): Promise<GraphEngine> {
      return keep(await kind.open(path, this.params, this.flags));
    }

    /** The k nearest rows that are not dead. */
    exact(query: Float32Array, k: number): number[] {
      this.slab.setQuery(query);
      const scores = this.slab.scoreRange(0, this.count);
      return [...this.flags.keys()]
        .filter(row => !(this.flags[row]! & DEAD))
        .sort((a, b) => scores[b]! - scores[a]!)
        .slice(0, k);
    }

    recall(engine: GraphEngine, k = 10): number {
      let found = 0;
      const queries = 60;
      for (let i = 0; i < queries; i++) {
        const query = this.vector();
        const truth = this.exact(query, k);
        const answer = new Set(engine.search(this.slab.query.slice(), k, 64));
        found += truth.filter(row => answer.has(row)).length;
      }
      return found / (k * queries);
    }
  }

  test('names every row that its searches do not meet, whoever added rows at the same time', async () => {
    const path = join(dir, 'graph');
    for (let seed = 1; seed <= 20; seed++) {
      const rows = new Rows(300, { seed });
      await rows.built(undefined, 2).save(path);
      const unreached = rows.check(path);
      const engine = await rows.open(path);
      const { buffer, rowBytes, dimension } = rows.slab.shared;
      const missed = Uint32Array.from(rows.flags.keys()).filter(
        // As wide a walk as there are rows: a narrower one may pass by what it could reach.
        row =>
          !engine.search(rowView(buffer, rowBytes, dimension, row).slice(), 10, rows.count).includes(row),
      );
      expect(missed.filter(row => !unreached.includes(row))).toEqual(Uint32Array.of());
      // One that is named may be met from a level above; to scan a few for nothing costs nothing.
      expect(unreached.length).toBeLessThan(rows.count / 20);
    }
  });

  test.each(METRICS)('finds what an exact scan finds, grown and opened, %s', async metric => {
    const rows = new Rows(3000, { metric });
    const engine = rows.built();
    expect(engine.rows).toBe(3000);
    // Vectors of any length: what is near by the inner product is no metric space.
    const least = metric === 'ip' ? 0.98 : 0.99;
    expect(rows.recall(engine)).toBeGreaterThanOrEqual(least);
    const path = join(dir, 'graph');
    await engine.save(path);
    expect((await stat(path)).mode & 0o077).toBe(0);
    rows.check(path);
    const again = await rows.open(path);
    await rm(path);
    expect(again.rows).toBe(3000);
    expect(again.sizeBytes).toBeGreaterThan(3000 * rows.params.dimension * 2);
    expect(rows.recall(again)).toBeGreaterThanOrEqual(least);
  });

  test('built by several threads it is as sound', async () => {
    // Which rows see which depends on the threads, so that one graph or another falls a little short.
    const recalls: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const rows = new Rows(1500, { seed });
      const engine = rows.built(undefined, 4);
      recalls.push(rows.recall(engine));
      await engine.save(join(dir, 'graph'));
      rows.check(join(dir, 'graph'));
    }
    expect(Math.min(...recalls)).toBeGreaterThanOrEqual(0.97);
    expect(recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length).toBeGreaterThanOrEqual(0.99);
  });

  test('an answer holds at least k rows if there are as many, and none twice', async () => {
    const empty = keep(kind.create(new Rows(1).params));
    expect(empty.rows).toBe(0);
    expect([...empty.search(new Float32Array(24), 5, 64)]).toEqual([]);
    const rows = new Rows(50);
    for (const engine of [rows.built(), await rows.open(await rows.saved())]) {
      for (const [k, least] of [
        [1, 1],
        [10, 10],
        [50, 50],
        [80, 50],
      ] as const) {
        const answer = engine.search(rows.slab.vector(7), k, Math.max(k, 64));
        expect(answer.length).toBeGreaterThanOrEqual(least);
        expect(new Set(answer).size).toBe(answer.length);
        expect(answer[0]).toBe(7);
      }
    }
  });

  test('marked rows stay out, be they all that is near', async () => {
    const rows = new Rows(2000);
    const path = await rows.saved();
    const query = rows.vector();
    const near = rows.exact(query, 700);
    for (const row of near) rows.flags[row]! |= DEAD;
    const engines = [rows.built()];
    for (const row of near) engines[0]!.markDeleted(row);
    if (!kind.growsInPlace) engines.push(await rows.open(path));
    await engines[0]!.save(path);
    rows.check(path);
    engines.push(await rows.open(path));
    rows.slab.setQuery(query);
    for (const engine of engines) {
      const answer = [...engine.search(rows.slab.query.slice(), 10, 64)];
      expect(answer.length).toBeGreaterThanOrEqual(10);
      expect(answer.filter(row => rows.flags[row]! & DEAD)).toEqual([]);
      expect(rows.recall(engine)).toBeGreaterThanOrEqual(0.98);
    }
    for (const row of rows.flags.keys()) {
      if (rows.flags[row]! & DEAD) continue;
      for (const engine of engines) engine.markDeleted(row);
    }
    for (const engine of engines) expect([...engine.search(query, 10, 64)]).toEqual([]);
  });

  test('goes on from a file, again and again', async () => {
    const rows = new Rows(900);
    const path = join(dir, 'graph');
    const third = (n: number) => Uint32Array.from({ length: 300 }, (_, i) => n * 300 + i);
    await rows.built(third(0)).save(path);
    for (const n of [1, 2]) {
      const engine = keep(await kind.load(path, rows.params, n));
      engine.add(third(n), rows.slab.shared);
      await engine.save(path);
      rows.flags.fill(0, (n + 1) * 300);
      rows.flags.fill(IN_GRAPH, 0, (n + 1) * 300);
      rows.check(path);
    }
    expect(rows.recall(await rows.open(path))).toBeGreaterThanOrEqual(0.99);
  });

  test('an opened graph is saved again, even over its own file', async () => {
    const rows = new Rows(500);
    const path = await rows.saved();
    const before = await readFile(path);
    const engine = await rows.open(path);
    await engine.save(join(dir, 'copy'));
    rows.check(join(dir, 'copy'));
    await engine.save(path);
    rows.check(path);
    if (!kind.growsInPlace) expect(await readFile(path)).toEqual(before);
    expect(rows.recall(engine)).toBeGreaterThanOrEqual(0.99);
  });

  test('vectors beyond the range of its numbers do no harm', async () => {
    const rows = new Rows(300, { metric: 'ip', dimension: 5 });
    const random = new SeededRandom(3);
    for (let i = 0; i < 100; i++)
      rows.slab.append(Float32Array.from({ length: 5 }, () => (random.uniform() - 0.5) * 6.8e38));
    rows.slab.append(new Float32Array(5).fill(3.4e38));
    rows.slab.append(new Float32Array(5).fill(1e-42));
    rows.slab.append(new Float32Array(5));
    const flags = new Uint8Array(rows.slab.rows).fill(IN_GRAPH);
    const engine = rows.built(Uint32Array.from(flags.keys()));
    const path = join(dir, 'graph');
    await engine.save(path);
    kind.check(path, rows.params, flags, rows.slab.shared);
    const again = keep(await kind.open(path, rows.params, flags));
    for (const one of [engine, again]) {
      for (const row of [0, 150, 350, 400, 402]) {
        const answer = one.search(rows.slab.vector(row), 10, 64);
        expect(answer.length).toBeGreaterThan(0);
        expect([...answer].filter(found => found >= flags.length)).toEqual([]);
      }
    }
  });

  test('a file of other parameters, rows or vectors is refused', async () => {
    const rows = new Rows(200);
    const path = await rows.saved();
    const { params, flags, slab } = rows;
    rows.check(path);
    const check = (change: { params?: Partial<GraphParams>; flags?: Uint8Array; slab?: VectorSlab }) => () =>
      kind.check(path, { ...params, ...change.params }, change.flags ?? flags, (change.slab ?? slab).shared);
    for (const other of [{ m: 8 }, { m: 17 }, { dimension: 23 }, { dimension: 48 }])
      expect(check({ params: other })).toThrow(DAMAGED);
    if (name === 'usearch') expect(check({ params: { metric: 'l2' } })).toThrow(DAMAGED);
    expect(check({ flags: flags.subarray(1) })).toThrow(DAMAGED);
    expect(check({ flags: Uint8Array.of(...flags, IN_GRAPH) })).toThrow(DAMAGED);
    expect(check({ flags: Uint8Array.from(flags, (flag, row) => (row === 7 ? 0 : flag)) })).toThrow(DAMAGED);
    const moved = Uint8Array.of(...flags, IN_GRAPH);
    moved[7] = 0;
    expect(check({ flags: moved })).toThrow(DAMAGED);
    kind.check(path, params, Uint8Array.of(...flags, 0, 0), slab.shared);

    const vectors = Array.from(flags.keys(), row => slab.vector(row).slice());
    vectors[100]![23]! += 0.02;
    const altered = new VectorSlab(params.dimension, params.metric);
    for (const vector of vectors) altered.appendStored(vector);
    expect(check({ slab: altered })).toThrow(DAMAGED);
  });

  test('a file cut anywhere, lengthened, missing or empty is refused', async () => {
    const rows = new Rows(120, { dimension: 6, m: 4 });
    const path = await rows.saved();
    const whole = await readFile(path);
    for (let sizeBytes = 0; sizeBytes < whole.length; sizeBytes += sizeBytes < 300 ? 1 : 37) {
      await writeFile(path, whole.subarray(0, sizeBytes));
      expect(() => rows.check(path), `cut to ${sizeBytes}`).toThrow(DAMAGED);
    }
    await truncate(path, whole.length + 1);
    expect(() => rows.check(path)).toThrow(DAMAGED);
    await rm(path);
    expect(() => rows.check(path)).toThrow(DAMAGED);
    await expect(rows.open(path)).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
  });

  test('whatever numbers stand in it, a file is refused or searched and extended safely', async () => {
    const rows = new Rows(60, { dimension: 4, m: 4, metric: 'l2' });
    const path = await rows.saved();
    const whole = await readFile(path);
    const random = new SeededRandom(31);
    let refused = 0;
    let passed = 0;
    const tryOne = async (bytes: Buffer) => {
      await writeFile(path, bytes);
      try {
        rows.check(path);
      } catch (error) {
        expect(error).toEqual(DAMAGED);
        refused++;
        return;
      }
      passed++;
      const engine = await rows.open(path);
      for (let i = 0; i < 20; i++) {
        const answer = engine.search(rows.vector(), 5, 64);
        expect([...answer].filter(row => row >= 60)).toEqual([]);
        expect(answer.length).toBeGreaterThan(0);
      }
      await opened.pop()!.close();
      const grown = await kind.load(path, rows.params);
      const more = new Rows(80, { dimension: 4, m: 4, metric: 'l2' });
      grown.add(
        Uint32Array.from({ length: 20 }, (_, i) => 60 + i),
        more.slab.shared,
      );
      await grown.save(path);
    };
    for (let at = 0; at < whole.length; at += at % 5 === 0 ? 3 : 4) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 1 << random.below(8);
      await tryOne(damaged);
    }
    for (let at = 0; at + 8 <= whole.length; at += at < 16 ? 1 : 23) {
      for (const value of [0, 1, 59, 60, 61, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff]) {
        const damaged = Buffer.from(whole);
        damaged.writeUInt32LE(value, at);
        await tryOne(damaged);
      }
    }
    expect(refused).toBeGreaterThan(passed);
  });

  test('where there is no room a save fails, or the file is refused', () => {
    const url = (module: string) =>
      pathToFileURL(fileURLToPath(import.meta.resolve(`#src/projections/vectors/${module}.js`))).href;
    const program = `
      import { GRAPH_ENGINES } from ${JSON.stringify(url('graph-engines'))};
      import { rowView, VectorSlab } from ${JSON.stringify(url('vector-slab'))};
      const kind = GRAPH_ENGINES[${JSON.stringify(name)}];
      const params = { dimension: 64, metric: 'l2', m: 16, efConstruction: 50 };
      const slab = new VectorSlab(64, 'l2');
      for (let row = 0; row < 1000; row++) slab.append(Float32Array.from({ length: 64 }, () => Math.random()));
      const engine = kind.create(params);
      engine.add(Uint32Array.from({ length: 1000 }, (_, row) => row), slab.shared);
      const report = error => console.log(error.code === 'INDEX_DAMAGED' ? 'refused' : 'failed');
      try {
        await engine.save('graph');
        kind.check('graph', params, new Uint8Array(1000).fill(2), slab.shared);
        console.log('passed');
      } catch (error) {
        report(error);
      }
      console.log(engine.search(slab.vector(5), 1, 64)[0]);
    `;
    const answers = [];
    for (const blocks of [1, 100, 150, 1e6]) {
      const { stdout, stderr, status } = spawnSync(
        'sh',
        ['-c', `ulimit -f ${blocks}; exec "$0" "$@"`, process.execPath, '--input-type=module', '-e', program],
        { cwd: dir, encoding: 'utf8' },
      );
      expect(stderr).toBe('');
      expect(status).toBe(0);
      answers.push(stdout.trim().replace('\n', ' '));
    }
    expect(answers.slice(0, 3).filter(answer => /^(failed|refused) 5$/.test(answer))).toHaveLength(3);
    expect(answers[3]).toBe('passed 5');
  });
});
