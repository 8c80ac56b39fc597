/**
 * How long a search waits while items are written and indexed. `npm run bench:busy -- [items] [rows]`, default 10 000 items
 * written 500 a call into a store of 20 000; a search is asked every 10 ms until the graph has all of them, and its time counts
 * from when it was due, so that a blocked event loop shows in every search that it delays.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { benchContext, clusteredVectors, SeededRandom, texts } from './data.js';
import { open } from './store.js';

const items = Number(process.argv[2] ?? 10_000);
const rows = Number(process.argv[3] ?? 20_000);
const BATCH = 500;
const DIMENSION = 384;
const EVERY_MS = 10;

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-busy-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
const random = new SeededRandom();
const vector = clusteredVectors(random, DIMENSION);
const text = texts(random);

const engine = await open(join(root, 'store'));
// Made before: what the bench does itself is not to be measured.
const batches = Array.from({ length: Math.ceil((rows + items) / BATCH) }, (_, batch) =>
  Array.from({ length: BATCH }, (_, i) => ({
    id: `item-${batch * BATCH + i}`,
    text: text(),
    metadata: { lang: ['en', 'de', 'fr'][i % 3]!, year: 2000 + (i % 25) },
    vector: Array.from(vector()),
  })),
);
const queries = Array.from({ length: 200 }, () => Array.from(vector()));
const write = (batch: (typeof batches)[number]) =>
  engine.upsert({ collection: 'bench', items: batch, allow_secrets: true }, benchContext);
for (const batch of batches.slice(0, rows / BATCH)) await write(batch);
await engine.idle();

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const startMs = performance.now();
let done = false;
const writing = (async () => {
  for (const batch of batches.slice(rows / BATCH)) await write(batch);
  const writtenMs = performance.now() - startMs;
  // Not idle(): the graph is built with every core while somebody waits for it.
  while ((await engine.status({}, benchContext)).collections[0]!.index.pending > 0)
    await new Promise(resolve => setTimeout(resolve, 250));
  done = true;
  return { writtenMs, indexedMs: performance.now() - startMs };
})();
const times: number[] = [];
const asked: Promise<void>[] = [];
async function ask(n: number, dueMs: number): Promise<void> {
  const vector = queries[n % queries.length]!;
  await engine.search({ vector, collections: ['bench'], k: 10, mode: 'semantic' }, benchContext);
  times.push(performance.now() - dueMs);
}
for (let n = 0; !done; ) {
  const waitMs = startMs + n * EVERY_MS - performance.now();
  // A turn of the event loop in any case, as between two messages of a client.
  await new Promise(resolve => (waitMs > 0 ? setTimeout(resolve, waitMs) : setImmediate(resolve)));
  // All that are due, and none of them waited for: others ask as well.
  for (; startMs + n * EVERY_MS <= performance.now(); n++) asked.push(ask(n, startMs + n * EVERY_MS));
}
await Promise.all(asked);
const { writtenMs, indexedMs } = await writing;
delay.disable();
await engine.close();

times.sort((a, b) => a - b);
const at = (share: number): string => times[Math.floor(share * (times.length - 1))]!.toFixed(1);
console.log(
  `${items} items written beside ${rows} in ${writtenMs.toFixed(0)} ms, in the graph after ${indexedMs.toFixed(0)} ms\n` +
    `${times.length} searches meanwhile, ms: p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)}\n` +
    `event loop delay, ms: p99 ${(delay.percentile(99) / 1e6).toFixed(1)}  max ${(delay.max / 1e6).toFixed(1)}`,
);
