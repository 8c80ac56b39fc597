/**
 * A search over MCP stdio beside an echo tool on the same SDK: what the protocol costs, and what the search does.
 * `npm run bench:mcp -- [rows] [calls]`, default 20 000 items of 384 dimensions beside 3 000 texts that the built-in model embeds,
 * 500 calls of each kind. The calls take turns, so that whatever else the machine does meets all of them alike.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { benchContext, clusteredVectors, SeededRandom, sentences, texts } from './data.js';
import { open } from './store.js';

const rows = Number(process.argv[2] ?? 20_000);
const calls = Number(process.argv[3] ?? 500);
const WARM_UP = 50;
const DIMENSION = 384;

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-mcp-'));
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
    metadata: { lang: ['en', 'de', 'fr'][(i + j) % 3]!, year: 2000 + ((i + j) % 25) },
    vector: Array.from(vector()),
  }));
  await engine.upsert({ collection: 'vectors', items, allow_secrets: true }, benchContext);
}
// What the built-in model is asked: enough texts for a graph, embedded by it.
const notes = sentences(20);
for (let i = 0; i < Math.min(rows, 3000); i += 500) {
  const items = Array.from({ length: 500 }, (_, j) => ({ id: `note-${i + j}`, text: notes.next().value }));
  await engine.upsert({ collection: 'texts', items, allow_secrets: true }, benchContext);
}
await engine.idle();
await engine.close();

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
async function connect(program: string): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  const env = { ...process.env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'error' } as Record<string, string>;
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [program], env }));
  await client.listTools();
  return client;
}
const [bare, server] = [await connect(here('./bare-server.js')), await connect(here('../src/cli/main.js'))];

const vectors = Array.from({ length: 100 }, () => Array.from(vector()));
const asked = sentences(6);
const phrases = Array.from({ length: 100 }, () => asked.next().value);
const search = (args: object) => server.callTool({ name: 'vector_search', arguments: { k: 10, ...args } });
const kinds: readonly (readonly [name: string, call: (i: number) => Promise<unknown>, times: number[]])[] = [
  ['echo tool, bare SDK server', () => bare.callTool({ name: 'echo', arguments: {} }), []],
  [
    'search by a vector',
    i => search({ vector: vectors[i % 100], collections: ['vectors'], mode: 'semantic' }),
    [],
  ],
  [
    'search by a text, by meaning',
    i => search({ query: phrases[i % 100], collections: ['texts'], mode: 'semantic' }),
    [],
  ],
  ['search by a text, hybrid', i => search({ query: phrases[i % 100], collections: ['texts'] }), []],
];
for (let i = 0; i < WARM_UP + calls; i++)
  for (const [, call, times] of kinds) {
    const startMs = performance.now();
    const answer = (await call(i)) as { isError?: boolean };
    if (answer.isError) throw new Error(JSON.stringify(answer));
    if (i >= WARM_UP) times.push(performance.now() - startMs);
  }
await Promise.all([bare.close(), server.close()]);

const at = (times: readonly number[], share: number): number =>
  [...times].sort((a, b) => a - b)[Math.floor(share * (times.length - 1))]!;
const echoMs = at(kinds[0]![2], 0.5);
console.log(`${rows} items, ${calls} calls each, Node ${process.version}: round trip over stdio, ms`);
for (const [name, , times] of kinds) {
  const [p50, p99] = [at(times, 0.5), at(times, 0.99)];
  console.log(
    `${name.padEnd(30)} p50 ${p50.toFixed(2).padStart(6)}  p99 ${p99.toFixed(2).padStart(6)}  echo + ${(p50 - echoMs).toFixed(2)}`,
  );
}
