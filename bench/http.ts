/**
 * `serve` under load: requests a second, their times, and the memory of its process as they go by.
 * `npm run bench:http -- [requests] [connections]`, default 360 000 requests (an hour of a hundred a second) over 64 connections, after up to 20 000
 * that warm it up; and before them each kind of request for five seconds by itself. The built-in model is left out: words are searched.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpProcess } from '../test/helpers/http-process.js';

interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly headers: Record<string, string>;
  readonly requests: readonly LoadRequest[];
  /** Seconds; or a number of requests. */
  readonly duration?: number;
  readonly amount?: number;
}
interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}
interface LoadResult {
  readonly requests: { readonly total: number; readonly average: number };
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly '2xx': number;
  readonly non2xx: number;
  readonly errors: number;
}
// It has no types of its own.
const load = createRequire(import.meta.url)('autocannon') as (options: LoadOptions) => Promise<LoadResult>;

const requests = Number(process.argv[2] ?? 360_000);
const connections = Number(process.argv[3] ?? 64);
const WARM_UP = Math.min(20_000, Math.ceil(requests / 4));
const PARTS = 6;
const ITEMS = 2_000;

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-http-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
const args = ['--rate', '0', '--concurrency', '10000'];
const server = await HttpProcess.start(join(root, 'store'), { args });
const token = server.token('bench', 'write');
const headers = {
  Authorization: `Bearer ${token}`,
  'Content-Type': 'application/json',
  Accept: 'application/json, text/event-stream',
};

const REVISION = '2026-07-28';
const _meta = {
  'io.modelcontextprotocol/protocolVersion': REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
/** A request of the newest revision. */
function modern(method: string, params: Record<string, unknown> = {}): LoadRequest {
  const named: Record<string, string> = params.name === undefined ? {} : { 'Mcp-Name': String(params.name) };
  return {
    method: 'POST',
    path: '/mcp',
    headers: { ...headers, 'MCP-Protocol-Version': REVISION, 'Mcp-Method': method, ...named },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
  };
}
const tool = (name: string, args: object) => modern('tools/call', { name, arguments: args });

async function send({ path, ...init }: LoadRequest): Promise<Response> {
  const response = await fetch(server.url + path, init);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

for (let i = 0; i < ITEMS; i += 500) {
  const items = Array.from({ length: 500 }, (_, j) => ({
    id: `n-${i + j}`,
    text: `Note ${i + j} of ${(i + j) % 97} about topic${(i + j) % 211}.`,
  }));
  const answer = await (await send(tool('vector_upsert', { items }))).text();
  if (answer.includes('"isError":true')) throw new Error(answer);
}

/** A session of an earlier revision. */
async function session(): Promise<string> {
  const params = {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const response = await send({ method: 'POST', path: '/mcp', headers, body });
  await response.text();
  return response.headers.get('mcp-session-id')!;
}

const get = tool('vector_get', { ids: ['n-7'] });
const search = tool('vector_search', { query: 'topic42', mode: 'keyword', k: 5 });
const older: LoadRequest = {
  ...get,
  headers: { ...headers, 'Mcp-Session-Id': await session() },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'vector_get', arguments: { ids: ['n-7'] } },
  }),
};
const kinds: readonly (readonly [name: string, request: LoadRequest])[] = [
  ['GET /health', { method: 'GET', path: '/health' }],
  ['refused: no token', { method: 'POST', path: '/mcp', headers: { Authorization: '' }, body: get.body! }],
  ['tools/list', modern('tools/list')],
  ['vector_get', get],
  ['vector_get, 2025-06-18', older],
  ['vector_search, words', search],
  ['vector_upsert', tool('vector_upsert', { items: [{ id: 'same', text: 'The same text every time.' }] })],
];

const base = { url: server.url, connections, headers };
console.log(`Node ${process.version}, ${connections} connections, ${ITEMS} items`);
console.log(
  `${''.padEnd(26)}${'requests/s'.padStart(12)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}${'errors'.padStart(9)}`,
);
const print = (
  name: string,
  { requests: { average }, latency, errors, non2xx }: LoadResult,
  mayFail = false,
) =>
  console.log(
    `${name.padEnd(26)}${average.toFixed(0).padStart(12)}${latency.p50.toFixed(1).padStart(9)}${latency.p99.toFixed(1).padStart(9)}${String(errors + (mayFail ? 0 : non2xx)).padStart(9)}`,
  );
for (const [name, request] of kinds)
  print(name, await load({ ...base, requests: [request], duration: 5 }), name.startsWith('refused'));

const mixed = [get, search, modern('tools/list'), older, get, search];
const megabytes = async () => {
  const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const of = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]) / 1e6;
  return { rss: of('process_resident_memory_bytes'), heap: of('nodejs_heap_size_used_bytes') };
};
const show = async (name: string) => {
  const { rss, heap } = await megabytes();
  console.log(
    `${name.padEnd(26)}${`${rss.toFixed(0)} MB`.padStart(12)}${`${heap.toFixed(0)} MB`.padStart(12)}`,
  );
};
console.log(`\n${'memory'.padEnd(26)}${'resident'.padStart(12)}${'heap'.padStart(12)}`);
await show('before');
await load({ ...base, requests: mixed, amount: WARM_UP });
await show('warm');
for (let part = 1; part <= PARTS; part++) {
  const result = await load({ ...base, requests: mixed, amount: Math.ceil(requests / PARTS) });
  await show(`after ${Math.round((requests / PARTS) * part)}`);
  if (result.non2xx + result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} errors`);
  if (part === PARTS) print('\nmixed, the last part', result);
}
await server.stop();
// What it logged is of no use here; that it logged no failure is.
if (/"level":(50|60)/.test(server.log)) throw new Error('the server logged errors');
