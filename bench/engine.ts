/**
 * The engine against its own limits in one run: raw `level` (sync batches and puts of the same bytes) and raw hnswlib-node (same
 * vectors, same ef). `npm run bench -- [rows] [dimension]`, default 20 000 x 384 with a text of 25 words and two
 * metadata fields.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import hnswlib from 'hnswlib-node';
import { Level } from 'level';
import type { UpsertItem } from '#src/domain/face.js';
import { encodeEvent } from '#src/engine/event-codec.js';
import { LOG_OPTIONS } from '#wal/level.js';
import { benchContext, clusteredVectors, SeededRandom, texts } from './data.js';
import { open } from './store.js';

const rows = Number(process.argv[2] ?? 20_000);
const dimension = Number(process.argv[3] ?? 384);
const BATCH = 500;
const SINGLES = 2000;
const CONCURRENT = 64;
const EF = 64;
const K = 10;

const random = new SeededRandom();
const vector = clusteredVectors(random, dimension);
const text = texts(random);
const items = Array.from(
  { length: rows + SINGLES * 2 },
  (_, i): UpsertItem & { vector: number[]; text: string } => ({
    id: `item-${i}`,
    text: text(),
    metadata: { lang: ['en', 'de', 'fr'][i % 3], year: 2000 + (i % 25) },
    vector: Array.from(vector()),
  }),
);
const queries = Array.from({ length: 500 }, () => Array.from(vector()));

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));

const seconds = async (work: () => unknown): Promise<number> => {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
};
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
const show = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const table: string[][] = [['', 'engine', 'limit', 'ratio', 'limit is']];
const row = (what: string, ours: number, limit: number, of: string) =>
  table.push([what, show(ours), show(limit), show(ours / limit), of]);

/** Latencies in ms of `count` calls one after the other. */
async function latencies(count: number, call: (i: number) => Promise<unknown>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push((await seconds(() => call(i))) * 1000);
  return all;
}

/** Calls a second of CONCURRENT callers that each wait for their own. */
async function concurrently(count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const elapsed = await seconds(() =>
    Promise.all(
      Array.from({ length: CONCURRENT }, async () => {
        while (next < count) await call(next++);
      }),
    ),
  );
  return count / elapsed;
}

console.log(`${rows} x ${dimension}, ${process.version}, ${process.platform} ${process.arch}`);

// The limit of writing: the same bytes into raw LevelDB.
const bodies = items.map(
  item =>
    encodeEvent({
      type: 'item_put',
      collection: 1,
      id: item.id!,
      text: item.text,
      metadata: item.metadata!,
      origin: 'agent',
      space: `given/${dimension}`,
      passages: [[0, item.text.length]],
      vectors: Float32Array.from(item.vector),
    }).body,
);
const key = (i: number) => Buffer.from(i.toString(16).padStart(16, '0'), 'hex');
const raw = new Level<Buffer, Uint8Array>(join(root, 'raw'), LOG_OPTIONS);
await raw.open();
const rawBulk =
  rows /
  (await seconds(async () => {
    for (let i = 0; i < rows; i += BATCH)
      await raw.batch(
        bodies.slice(i, i + BATCH).map((value, j) => ({ type: 'put' as const, key: key(i + j), value })),
        { sync: true },
      );
  }));
const rawSingleMs = median(
  await latencies(SINGLES, i => raw.put(key(rows + i), bodies[rows + i], { sync: true })),
);
const rawConcurrent = await concurrently(SINGLES, i =>
  raw.put(key(rows + SINGLES + i), bodies[rows + SINGLES + i], { sync: true }),
);
await raw.close();

const openStore = () => open(join(root, 'store'));
let engine = await openStore();
const upsert = (some: UpsertItem[]) =>
  engine.upsert({ collection: 'bench', items: some, allow_secrets: true }, benchContext);
const bulk =
  rows /
  (await seconds(async () => {
    for (let i = 0; i < rows; i += BATCH) await upsert(items.slice(i, i + BATCH));
  }));
const indexedAfter = await seconds(() => engine.idle());
const singleMs = median(await latencies(SINGLES, i => upsert([items[rows + i]])));
await engine.idle();
const concurrent = await concurrently(SINGLES, i => upsert([items[rows + SINGLES + i]]));
await engine.idle();
row('bulk upsert /s, 500 a call', bulk, rawBulk, 'raw level, sync batches of 500 of the same bytes');
row('one durable upsert, p50 ms', singleMs, rawSingleMs, 'raw level, one sync put');
row(
  `${CONCURRENT} concurrent upserts /s`,
  concurrent,
  rawConcurrent,
  `raw level, ${CONCURRENT} concurrent sync puts`,
);
row(
  `${CONCURRENT} concurrent against one at a time /s`,
  concurrent,
  1000 / singleMs,
  'the engine, one at a time',
);

// The limit of searching: raw hnswlib-node over the same vectors, which gives labels and no texts.
const total = items.length;
const graph = new hnswlib.HierarchicalNSW('ip', dimension);
graph.initIndex(total, 16, 200, 100);
const rawBuild =
  total /
  (await seconds(() => {
    for (let i = 0; i < total; i++) graph.addPoint(items[i].vector, i);
  }));
graph.setEf(EF);
const truth = queries.map(query => exactTop(query));
const search = (query: number[]) =>
  engine.search({ vector: query, collections: ['bench'], k: K, mode: 'semantic' }, benchContext);
// In turns of one pass each, so that whatever else the machine does touches both alike; the median pass counts.
const passes: { ours: number; theirs: number }[] = [];
for (let pass = 0; pass < 9; pass++) {
  const ours =
    queries.length /
    (await seconds(async () => {
      for (const query of queries) await search(query);
    }));
  const theirs =
    queries.length /
    (await seconds(() => {
      for (const query of queries) graph.searchKnn(query, K);
    }));
  passes.push({ ours, theirs });
}
const searchRate = median(passes.map(pass => pass.ours));
const rawRate = median(passes.map(pass => pass.theirs));
row('search /s, top 10 with texts', searchRate, rawRate, `raw hnswlib-node, ef ${EF}, labels only`);
let ourHits = 0;
let rawHits = 0;
for (const [i, query] of queries.entries()) {
  const ids = new Set((await search(query)).results.map(hit => hit.id));
  const labels = new Set(graph.searchKnn(query, K).neighbors);
  for (const at of truth[i]) {
    if (ids.has(`item-${at}`)) ourHits += 1;
    if (labels.has(at)) rawHits += 1;
  }
}
row('recall@10', ourHits / (K * queries.length), rawHits / (K * queries.length), 'raw hnswlib-node');

const closeSeconds = await seconds(() => engine.close());
const openSeconds = await seconds(async () => {
  engine = await openStore();
  await search(queries[0]);
});
await engine.close();
rmSync(join(root, 'store', 'checkpoints'), { recursive: true });
const rebuildSeconds = await seconds(async () => {
  engine = await openStore();
  await search(queries[0]);
});
await engine.close();

const widths = table[0].map((_, column) => Math.max(...table.map(cells => cells[column].length)));
for (const cells of table)
  console.log(
    cells
      .map((cell, i) => (i === 0 || i === 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  '),
  );
console.log(
  `graph complete ${show(indexedAfter)} s after the last bulk upsert; raw hnswlib-node builds ${show(rawBuild)} /s`,
);
console.log(
  `close with checkpoint ${show(closeSeconds * 1000)} ms; open to first answer ${show(openSeconds * 1000)} ms, without any checkpoint ${show(rebuildSeconds * 1000)} ms`,
);

function exactTop(query: number[]): number[] {
  const scores = items.map((item, i) => [
    item.vector.reduce((sum, value, d) => sum + value * query[d], 0),
    i,
  ]);
  return scores
    .sort((a, b) => b[0] - a[0])
    .slice(0, K)
    .map(([, i]) => i);
}
