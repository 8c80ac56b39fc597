/** `tools/reembed` as an operator runs it: beside a running server, with models behind a network. */
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SearchAnswer, StatusAnswer } from '#src/domain/face.js';
import { connectToOwner } from '#src/local/client.js';
import { EmbeddingServer, json, raw, rawVector } from '../helpers/embedding-server.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';

const home = realpathSync(temporaryDirectory());
const store = join(home, 'store');
const runtime = join(home, 'run');
let ollama: EmbeddingServer;
let env: Record<string, string>;
const servers: McpProcess[] = [];

const run = (...args: string[]) => runCli(['reembed', ...args, '--store', store], { cwd: home, env });

async function serve(model: string): Promise<McpProcess> {
  const server = new McpProcess(store, { root: home, env: { ...env, VECTOR_EMBEDDER_MODEL: model } });
  servers.push(server);
  await server.call('vector_status', {});
  // The first call does not wait for the socket.
  for (let isServed = false; !isServed; ) {
    const engine = await connectToOwner(store);
    isServed = engine !== undefined;
    await engine?.close();
  }
  return server;
}

const remember = (server: McpProcess, id: string, text: string) =>
  server.call('vector_upsert', { items: [{ id, text }] });
const recall = async (server: McpProcess, query: string) =>
  (await server.call<SearchAnswer>('vector_search', { query, mode: 'semantic', k: 1 })).results[0];

beforeAll(async () => {
  mkdirSync(runtime, { mode: 0o700 });
  ollama = await EmbeddingServer.start();
  ollama.models = ['plain', 'better'].map(name => ({ name: `${name}:latest`, model: name, digest: name }));
  env = {
    HOME: home,
    XDG_RUNTIME_DIR: runtime,
    VECTOR_EMBEDDER: 'ollama',
    VECTOR_EMBEDDER_URL: ollama.url,
    VECTOR_EMBEDDER_MODEL: 'plain',
  };
});
afterAll(async () => {
  for (const server of servers) await server.kill();
  await ollama.close();
});

test('a collection goes to another model beside the server that has it, and stays there', async () => {
  const server = await serve('plain');
  for (let n = 0; n < 40; n++) await remember(server, `n${n}`, `note number ${n}`);

  const dry = await run('--to', 'ollama/better', '--dry-run');
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toMatch(
    /^default {2}40 items with 550 characters would be embedded: ollama\/plain\/8#[0-9a-f]{8} -> ollama\/better\/8#[0-9a-f]{8}\n$/,
  );

  // The provider refuses once the space is begun: what is there stays, and the same command goes on.
  const rejected = raw(400, '{"error":"not today"}');
  ollama.next(json({ embeddings: [rawVector('dimension', 8)] }), rejected, rejected);
  const broken = await run('--to', 'ollama/better', '--json');
  expect(broken.code).toBe(2);
  expect(JSON.parse(broken.stderr.trim().split('\n').at(-1)!).error.code).toBe('EMBEDDER_REJECTED');
  const status = await run('--status');
  expect(status.stdout).toMatch(
    /^default {2}40 items {2}ollama\/plain\/8#\w+ {2}0 of 40 embedded into ollama\/better\/8#\w+\n$/,
  );
  expect(await recall(server, 'note number 7')).toMatchObject({ id: 'n7' });
  const other = await run();
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('REEMBED_OTHER_SPACE') });

  const done = await run('--to', 'ollama/better');
  expect(done.code).toBe(0);
  expect(done.stdout).toMatch(
    /^default {2}switched by event \d+, 40 items embedded: ollama\/plain\S+ -> ollama\/better\S+\n$/,
  );

  // The server goes on with the new model, though its configuration names the old one.
  await remember(server, 'late', 'written after the switch');
  expect(ollama.embeddings.at(-1)!.body.model).toBe('better');
  expect(await recall(server, 'written after the switch')).toMatchObject({ id: 'late' });
  await server.close();

  const old = await serve('plain');
  await expect(remember(old, 'refused', 'never stored')).rejects.toMatchObject({
    code: 'SPACE_MISMATCH',
    text: expect.stringContaining('Set VECTOR_EMBEDDER=ollama and VECTOR_EMBEDDER_MODEL=better'),
  });
  await old.close();

  const changed = await serve('better');
  await remember(changed, 'kept', 'stored again');
  expect(await recall(changed, 'stored again')).toMatchObject({ id: 'kept' });
  const { collections } = await changed.call<StatusAnswer>('vector_status', {});
  expect(collections).toMatchObject([{ items: 42, space: expect.stringContaining('ollama/better') }]);
});

test.each([
  [['--to', 'olama/better'], 'did you mean ollama'],
  [['--to', 'openai/text-embedding-3-large'], 'OPENAI_API_KEY'],
  [['--status', '--abandon'], '--status does not go with --abandon'],
  [['--to', 'embedded', '--abandon'], '--to does not go with --abandon'],
  [['--abandon', '-c', 'nowhere'], 'COLLECTION_NOT_FOUND'],
])('%j', async (args, message) => {
  const { code, stderr } = await run(...args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});
