/**
 * How the figures change as one store grows. `npm run bench:growth -- [sizes]`, default 10000,30000,100000,300000,1000000 items
 * of 384 dimensions with a text of 25 words and two metadata fields. The last takes some twenty minutes and 12 GB of disk.
 * At each size: the rate of the last 10 000 items written, when the graph had all of them, searches now, one durable write, and a
 * process of its own that opens the store from its checkpoint and answers first.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoreEngine } from '#src/engine/engine.js';
import { benchContext, clusteredVectors, SeededRandom, texts } from './data.js';
import { open } from './store.js';

const BATCH = 500;
const LAST = 10_000;
const DIMENSION = 384;
const SEARCHES = 300;
const SINGLES = 200;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const searchOnce = (engine: StoreEngine, vector: number[], where?: { year: { $lt: number } }) =>
  engine.search(
    { vector, collections: ['bench'], k: 10, mode: 'semantic', ...(where && { where }) },
    benchContext,
  );

async function medianMs(count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await call(i);
    times.push(performance.now() - startMs);
  }
  return median(times);
}

/** In a process of its own: ms to the first answer, and what it holds once everything is loaded. */
async function firstAnswer(path: string): Promise<void> {
  const query = Array.from(clusteredVectors(new SeededRandom(), DIMENSION)());
  const startMs = performance.now();
  const engine = await open(path);
  await searchOnce(engine, query);
  const openMs = performance.now() - startMs;
  await engine.idle();
  console.log(JSON.stringify({ openMs, rssMb: process.memoryUsage.rss() / 2 ** 20 }));
  await engine.close();
}

async function grow(sizes: readonly number[]): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-bench-growth-'));
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  const store = join(root, 'store');
  const random = new SeededRandom();
  const vector = clusteredVectors(random, DIMENSION);
  const text = texts(random);
  const queries = Array.from({ length: 100 }, () => Array.from(vector()));
  let rows = 0;
  const item = () => ({
    id: `item-${rows++}`,
    text: text(),
    metadata: { lang: ['en', 'de', 'fr'][rows % 3]!, year: random.below(1000) },
    vector: Array.from(vector()),
  });
  const header = [
    'items',
    'bulk /s',
    'graph after s',
    'search ms',
    '10 % ms',
    '1 % ms',
    'one write ms',
    'checkpoint MB',
    'close s',
    'open ms',
    'RSS MB',
  ];
  console.log(header.map(name => name.padStart(13)).join(' '));
  for (const size of sizes) {
    const engine = await open(store);
    const write = (items: ReturnType<typeof item>[]) =>
      engine.upsert({ collection: 'bench', items, allow_secrets: true }, benchContext);
    let writingMs = 0;
    while (rows < size) {
      const batch = Array.from({ length: Math.min(BATCH, size - rows) }, item);
      const startMs = performance.now();
      await write(batch);
      if (rows > size - LAST) writingMs += performance.now() - startMs;
    }
    const graphMs = await medianMs(1, () => engine.idle());
    const search = (where?: { year: { $lt: number } }) => (i: number) =>
      searchOnce(engine, queries[i % queries.length]!, where);
    await medianMs(50, search());
    const plainMs = await medianMs(SEARCHES, search());
    const tenthMs = await medianMs(SEARCHES, search({ year: { $lt: 100 } }));
    const hundredthMs = await medianMs(SEARCHES, search({ year: { $lt: 10 } }));
    const singleMs = await medianMs(SINGLES, () => write([item()]));
    rows = size;
    const closeMs = await medianMs(1, () => engine.close());
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'open', store], {
      encoding: 'utf8',
    });
    if (child.status !== 0) throw new Error(child.stderr);
    const { openMs, rssMb } = JSON.parse(child.stdout) as { openMs: number; rssMb: number };
    const figures = [
      size,
      (1000 * Math.min(LAST, size)) / writingMs,
      graphMs / 1000,
      plainMs,
      tenthMs,
      hundredthMs,
      singleMs,
      newestCheckpointBytes(store) / 1e6,
      closeMs / 1000,
      openMs,
      rssMb,
    ];
    console.log(figures.map(value => show(value).padStart(13)).join(' '));
  }
}

const show = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function newestCheckpointBytes(store: string): number {
  const dir = join(store, 'checkpoints');
  const newest = readdirSync(dir)
    .map(name => ({ name, timeMs: statSync(join(dir, name)).mtimeMs }))
    .sort((a, b) => b.timeMs - a.timeMs)[0]!.name;
  return readdirSync(join(dir, newest)).reduce(
    (sum, name) => sum + statSync(join(dir, newest, name)).size,
    0,
  );
}

if (process.argv[2] === 'open') await firstAnswer(process.argv[3]!);
else await grow((process.argv[2] ?? '10000,30000,100000,300000,1000000').split(',').map(Number));
