import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { attack } from './hostile.js';

const SERVER = fileURLToPath(new URL('./stdio-server.mjs', import.meta.url));
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '0' } },
};
const status = (id: number) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'vector_status', arguments: {} },
});

function start(env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [SERVER], { env: { ...process.env, ...env }, stdio: 'pipe' });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let stderr = '';
  child.stderr.on('data', chunk => {
    stderr += chunk;
  });
  const closed = once(child, 'close');
  return {
    child,
    send: (...messages: object[]) =>
      child.stdin.write(messages.map(message => `${JSON.stringify(message)}\n`).join('')),
    next: async () => {
      const { value, done } = await lines.next();
      return done === true ? undefined : JSON.parse(value);
    },
    ended: async () => {
      const [code, signal] = await closed;
      return { code, signal, stderr };
    },
  };
}

test('what a dependency prints goes to stderr; stdout carries MCP alone', async () => {
  const server = start();
  server.send(initialize, status(2));
  expect(await server.next()).toMatchObject({ id: 1, result: { serverInfo: { name: 'mcp-vector-server' } } });
  expect(await server.next()).toMatchObject({ id: 2, result: {} });
  server.child.stdin.end();
  expect(await server.next()).toBeUndefined();
  const { code, stderr } = await server.ended();
  expect(code).toBe(0);
  expect(stderr).toContain('a dependency says hello');
  expect(stderr).toContain('without a newline');
});

test('the end of stdin ends it cleanly, with what was asked answered before', async () => {
  const server = start();
  server.child.stdin.end(`${JSON.stringify(initialize)}\n${JSON.stringify(status(2))}`);
  expect(await server.next()).toMatchObject({ id: 1 });
  expect(await server.next()).toMatchObject({ id: 2, result: {} });
  expect(await server.ended()).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('ended: end of input'),
  });
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it cleanly', async signal => {
  const server = start();
  server.send(initialize);
  await server.next();
  server.child.kill(signal);
  const ended = server.ended();
  expect(await ended).toMatchObject({
    code: 0,
    signal: null,
    stderr: expect.stringContaining(`ended: ${signal}`),
  });
});

test('a client that reads no more ends it cleanly', async () => {
  const server = start();
  server.send(initialize);
  await server.next();
  server.child.stdout.destroy();
  server.send(status(2), status(3));
  expect(await server.ended()).toMatchObject({ code: 0, signal: null });
});

test('the log names tools, clients and durations, and never what was stored or asked', async () => {
  const server = start({ TEST_LOG_LEVEL: 'trace' });
  const call = (id: number, name: string, args: object) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args },
  });
  server.send(
    initialize,
    call(2, 'vector_upsert', { items: [{ text: 'Xanadu' }] }),
    call(3, 'vector_search', { query: 'Kubla' }),
    call(4, 'vector_search', { query: 'Khan', nonsense: 'Coleridge' }),
    { jsonrpc: '2.0', id: 99, result: { text: 'Mount' } },
    { jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name: 7, arguments: { text: 'Abora' } } },
  );
  for (let i = 0; i < 5; i++) await server.next();
  server.child.stdin.end('this line is no message: Alph\n');
  const { stderr } = await server.ended();
  expect(stderr).toMatch(
    /"tool":"vector_search","requestId":3,"client":"raw","clientVersion":"0","transport":"stdio","code":"ok","durationMs":\d/,
  );
  expect(stderr).toMatch(
    /"requestId":4,"client":"raw","clientVersion":"0","transport":"stdio","code":"INVALID_ARGUMENT"/,
  );
  expect(stderr).not.toMatch(/Xanadu|Kubla|Khan|Coleridge|Abora|Mount|Alph/);
});

test('10 000 hostile lines: the server lives, and says nothing but JSON-RPC', async () => {
  const report = await attack({ command: process.execPath, args: [SERVER], seed: 20260728 });
  expect(report).toMatchObject({ strangeLines: [], isAlive: true, exitCode: 0 });
  expect(report.received).toBeGreaterThan(5000);
  expect(Object.keys(report.errors)).toEqual(
    expect.arrayContaining(['-32700', '-32600', '-32601', '-32602']),
  );
}, 180_000);
