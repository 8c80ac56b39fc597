/**
 * Windows on one store, each a server of its own with a client of the SDK: what a window adds that does not own the store, and what several do
 * together. `npm run bench:windows -- [rows] [calls] [seconds]`, default 5 000 items of 384 dimensions, 2 000 calls of each kind, 10 seconds
 * for each number of windows. Calls of the owner and of the other window take turns.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { benchContext, clusteredVectors, SeededRandom, texts } from './data.js';
import { open } from './store.js';

const rows = Number(process.argv[2] ?? 5_000);
const calls = Number(process.argv[3] ?? 2_000);
const seconds = Number(process.argv[4] ?? 10);
const WARM_UP = 100;
const DIMENSION = 384;
const WINDOWS = [1, 2, 4, 8] as const;
/** Calls of one client under way at once while throughput is measured: an agent that works in parallel. */
const CONCURRENT = 4;

const root = realpathSync(mkdtempSync(join(tmpdir(), 'mvs-bench-windows-')));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
const store = join(root, 'store');
const random = new SeededRandom();
const vector = clusteredVectors(random, DIMENSION);
const text = texts(random);

const engine = await open(store);
for (let i = 0; i < rows; i += 500) {
  const items = Array.from({ length: Math.min(500, rows - i) }, (_, j) => ({
    id: `item-${i + j}`,
    text: text(),
    vector: Array.from(vector()),
  }));
  await engine.upsert({ collection: 'vectors', items, allow_secrets: true }, benchContext);
}
await engine.idle();
await engine.close();
const vectors = Array.from({ length: 100 }, () => Array.from(vector()));

async function connect(): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  const env = { ...process.env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'error' } as Record<string, string>;
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [main], env }));
  // The first to be answered is the owner.
  await call(client, 'vector_get', { ids: ['item-0'], collection: 'vectors' });
  return client;
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<void> {
  const answer = await client.callTool({ name, arguments: args });
  if (answer.isError) throw new Error(JSON.stringify(answer.content));
}

const get = (client: Client, i: number) =>
  call(client, 'vector_get', { ids: [`item-${i % rows}`], collection: 'vectors' });
const search = (client: Client, i: number) =>
  call(client, 'vector_search', { vector: vectors[i % 100], collections: ['vectors'], k: 10 });
let written = 0;
const write = (client: Client, i: number) =>
  call(client, 'vector_upsert', {
    collection: 'vectors',
    items: [{ id: `written-${written++ % 1000}`, text: `written ${i}`, vector: vectors[i % 100] }],
  });

const windows = [await connect(), await connect()];
console.log(
  `${rows} items of ${DIMENSION} dimensions; p50 of ${calls} calls, the owner and another window by turns`,
);
for (const [name, work] of [
  ['get', get],
  ['search', search],
  ['upsert', write],
] as const) {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM_UP + calls; i++)
    for (const [at, client] of windows.entries()) {
      const startMs = performance.now();
      await work(client, i);
      if (i >= WARM_UP) times[at as 0 | 1].push(performance.now() - startMs);
    }
  const [own, other] = times.map(median) as [number, number];
  console.log(
    `${name.padEnd(8)}owner ${own.toFixed(3)} ms, another window ${other.toFixed(3)} ms: ${(other - own).toFixed(3)} ms more`,
  );
}

console.log(`\n${CONCURRENT} calls of each window under way at once, for ${seconds} s`);
for (const count of WINDOWS) {
  while (windows.length < count) windows.push(await connect());
  const rates: string[] = [];
  for (const [name, work] of [
    ['searches', search],
    ['upserts', write],
  ] as const) {
    const untilMs = performance.now() + seconds * 1000;
    let done = 0;
    const lane = async (client: Client, first: number) => {
      for (let i = first; performance.now() < untilMs; i += CONCURRENT, done++) await work(client, i);
    };
    await Promise.all(
      windows.flatMap(client => Array.from({ length: CONCURRENT }, (_, first) => lane(client, first))),
    );
    rates.push(`${Math.round(done / seconds)} ${name}/s`);
  }
  console.log(`${count} window${count === 1 ? ' ' : 's'}  ${rates.join(', ')}`);
}
await Promise.all(windows.map(client => client.close()));

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
