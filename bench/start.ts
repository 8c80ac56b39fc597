/**
 * From the start of a process to the answer to tools/list, over stdio in raw JSON-RPC, in either era, next to an empty
 * Node process and to a bare server on the same SDK; and to the answer of a search by vector in a store of so many rows.
 * `npm run bench:start -- [runs] [rows]`, default 20 and 20 000. The runs take turns, so that whatever else the machine does meets
 * all of them alike. A store is made, or used again from where BENCH_STORES says.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeStore, query, SEARCH } from './store.js';

const runs = Number(process.argv[2] ?? 20);
const rows = Number(process.argv[3] ?? 20_000);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The era of 2025: a handshake, then the question. */
const LEGACY = [
  {
    id: 1,
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'bench', version: '1.0.0' },
    },
  },
  { method: 'notifications/initialized' },
  { id: 2, method: 'tools/list', params: {} },
];

/** 2026-07-28: stateless, every request says what it needs to. */
const MODERN = [
  {
    id: 2,
    method: 'tools/list',
    params: {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  },
];

const searchFor = (id: number) => ({
  id,
  method: 'tools/call',
  params: { name: 'vector_search', arguments: { vector: query(), ...SEARCH } },
});

const temporary = mkdtempSync(join(tmpdir(), 'mvs-bench-start-'));
process.once('exit', () => rmSync(temporary, { recursive: true, force: true }));
const filled = join(process.env.BENCH_STORES ?? temporary, `store-${rows}`);
if (!existsSync(filled)) await makeStore(filled, rows);

const askForTools = (program: string, messages: readonly object[]) =>
  ask(program, join(temporary, 'store'), messages, '"tools":[');

/** @returns ms until the answer that holds `expected` was there */
async function ask(
  program: string,
  store: string,
  messages: readonly object[],
  expected: string,
): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'error' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  child.stdin.write(messages.map(message => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`).join(''));
  let output = '';
  for await (const chunk of child.stdout) {
    output += chunk;
    if (output.includes(expected) && output.endsWith('\n')) break;
  }
  const elapsedMs = performance.now() - startMs;
  if (!output.includes(expected)) throw new Error(`${program} ended without an answer: ${output}`);
  child.stdin.end();
  await closed;
  return elapsedMs;
}

async function emptyProcess(): Promise<number> {
  const startMs = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'close');
  return performance.now() - startMs;
}

const server = here('../src/cli/main.js');
const bare = here('./bare-server.js');
const measured: readonly (readonly [name: string, run: () => Promise<number>, times: number[]])[] = [
  ['node -e 0', emptyProcess, []],
  ['bare SDK server, 2025-11-25', () => askForTools(bare, LEGACY), []],
  ['bare SDK server, 2026-07-28', () => askForTools(bare, MODERN), []],
  ['mcp-vector-server, 2025-11-25', () => askForTools(server, LEGACY), []],
  ['mcp-vector-server, 2026-07-28', () => askForTools(server, MODERN), []],
  [
    `the same, vector_search in ${rows}`,
    () => ask(server, filled, [...LEGACY.slice(0, 2), searchFor(2)], '"results":[{'),
    [],
  ],
];
// The first of each only warms the file cache.
for (let turn = 0; turn <= runs; turn++)
  for (const [, run, times] of measured) {
    const elapsedMs = await run();
    if (turn > 0) times.push(elapsedMs);
  }

console.log(
  `Node ${process.version}, ${runs} runs each: ms from start to the answer, to tools/list unless it says otherwise`,
);
for (const [name, , times] of measured) {
  times.sort((a, b) => a - b);
  const [least, median, most] = [times[0]!, times[times.length >> 1]!, times.at(-1)!].map(ms =>
    ms.toFixed(0).padStart(5),
  );
  console.log(`${name.padEnd(36)} min ${least}   median ${median}   max ${most}`);
}
