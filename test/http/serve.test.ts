/** Starting `serve`, and ending it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Budget, Gate, RateLimiter } from '#src/http/limits.js';
import { startFixture } from '../conformance/servers.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { runCli } from '../helpers/run-cli.js';
import { connectHttp } from './http-clients.js';
import { head, raw } from './raw.js';

describe('what it does not start with', () => {
  test.each([
    [['--host', '0.0.0.0'], 'ADDRESS_UNSAFE'],
    [['--host', '::'], 'ADDRESS_UNSAFE'],
    [['--host', '192.0.2.7'], 'ADDRESS_UNSAFE'],
    [['--host', '127.0.0.1.example.org'], 'ADDRESS_UNSAFE'],
    [['--host', '0.0.0.0', '--behind-proxy'], 'INVALID_ARGUMENT'],
    [['--tls-cert', 'x.pem'], 'INVALID_ARGUMENT'],
    [['--tls-cert', '/no/such.pem', '--tls-key', '/no/such.pem'], 'INVALID_ARGUMENT'],
    [['--zone', 'Mars/Olympus'], 'INVALID_ARGUMENT'],
    [['--port', '70000'], 'INVALID_ARGUMENT'],
    [['--host', '192.0.2.7', '--behind-proxy'], 'ADDRESS_UNAVAILABLE'],
  ])('%j: %s', async (args, code) => {
    const store = join(temporaryDirectory(), 'store');
    const { code: exit, stderr } = await runCli(['serve', '--store', store, '--port', '0', ...args]);
    expect(stderr).toContain(code);
    expect(exit).toBe(2);
  });

  test('a port that another has', async () => {
    const first = await HttpProcess.start(join(temporaryDirectory(), 'store'));
    const store = join(temporaryDirectory(), 'store');
    const second = await runCli(['serve', '--store', store, '--port', String(first.port)]);
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining('ADDRESS_UNAVAILABLE') });
    await first.stop();
  });
});

test('it speaks TLS, and by the names that it was given', async () => {
  const root = temporaryDirectory();
  const [cert, key] = [join(root, 'cert.pem'), join(root, 'key.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=memory.example',
      '-addext',
      'subjectAltName=DNS:memory.example',
      '-keyout',
      key,
      '-out',
      cert,
    ],
    { stdio: 'ignore' },
  );
  const args = [
    '--host',
    '0.0.0.0',
    '--allow-host',
    'memory.example',
    '--allow-origin',
    'app.example',
    '--tls-cert',
    cert,
    '--tls-key',
    key,
  ];
  const server = await HttpProcess.start(join(root, 'store'), { args });
  const status = (host: string, origin?: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { Host: host, ...(origin !== undefined && { Origin: origin }) };
      const options = {
        port: server.port,
        host: '127.0.0.1',
        servername: 'memory.example',
        path: '/health',
        ca: readFileSync(cert),
        headers,
        agent: false,
      };
      request(options, response => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  expect(await status('memory.example')).toBe(200);
  expect(await status('memory.example', 'https://app.example')).toBe(200);
  expect(await status('memory.example', 'https://other.example')).toBe(403);
  expect(await status('other.example')).toBe(403);
  // Plain HTTP is not answered there.
  expect((await raw(server.port, head('GET /health HTTP/1.1', 'Host: memory.example'))).status).not.toBe(200);
  expect(await server.stop()).toBe(0);
});

test('without any token nobody is served, and the log says why', async () => {
  const server = await HttpProcess.start(join(temporaryDirectory(), 'store'));
  expect((await fetch(`${server.url}/mcp`, { method: 'POST' })).status).toBe(401);
  expect(server.log).toContain('there is no token');
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect((await fetch(`${server.url}/ready`)).status).toBe(200);
  await server.stop();
});

test('an answer and the log have the id of their request', async () => {
  const server = await HttpProcess.start(join(temporaryDirectory(), 'store'), {
    env: { VECTOR_LOG_LEVEL: 'debug' },
  });
  const Authorization = `Bearer ${server.token('ada')}`;
  const asked = async (id?: string) => {
    const headers = {
      Authorization,
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      'MCP-Protocol-Version': '2026-07-28',
      'Mcp-Method': 'tools/call',
      'Mcp-Name': 'vector_status',
      ...(id !== undefined && { 'X-Request-Id': id }),
    };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'vector_status', arguments: {}, _meta },
    });
    const response = await fetch(`${server.url}/mcp`, { method: 'POST', headers, body });
    expect(await response.json()).toMatchObject({
      id: 1,
      result: { structuredContent: { session: { id: 'ada' } } },
    });
    return response.headers.get('x-request-id')!;
  };
  expect(await asked('proxy-17')).toBe('proxy-17');
  const own = await asked('"}, "x":{"');
  expect(own).toMatch(/^[0-9a-f-]{36}$/);
  await server.stop();
  const lines = server.log
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  for (const requestId of ['proxy-17', own]) {
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'request', requestId, route: '/mcp', status: 200, token: 'ada' }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'called', requestId, tool: 'vector_status', code: 'ok' }),
    );
  }
});

test('on SIGTERM what is at work is answered, what comes is refused, and the store is whole', async () => {
  const store = join(temporaryDirectory(), 'store');
  const server = await HttpProcess.start(store, { args: ['--rate', '0'] });
  const token = server.token('ada');
  const clients = await Promise.all(
    Array.from({ length: 8 }, () => connectHttp('auto', { url: server.url, token })),
  );
  const idle = connect(server.port, '127.0.0.1');
  await new Promise(resolve => idle.once('connect', resolve));
  const acknowledged: string[] = [];
  let isOver = false;
  const writing = clients.map(async (client, c) => {
    for (let i = 0; !isOver; i++) {
      const id = `c${c}-${i}`;
      // Refused or cut off: it was not acknowledged.
      const answer = await client
        .call('vector_upsert', { items: [{ id, text: `Note ${i} of client ${c}.` }] })
        .catch(() => undefined);
      if (answer === undefined || answer.isError) return;
      acknowledged.push(id);
    }
  });
  while (acknowledged.length < 40) await sleep(10);
  const exited = server.stop();
  await Promise.all(writing);
  isOver = true;
  expect(await exited).toBe(0);
  expect(server.log).toContain('checkpoint saved');
  const kept = JSON.parse(
    (await runCli(['list', '--limit', '1000', '--json', '--store', store])).stdout,
  ).items.map(({ id }: { id: string }) => id);
  expect(kept).toEqual(expect.arrayContaining(acknowledged));
  await Promise.all(clients.map(client => client.close().catch(() => undefined)));
});

test('a stream that only waits does not hold up the end', async () => {
  const fixture = await startFixture();
  const { token } = fixture;
  const url = `http://127.0.0.1:${fixture.port}`;
  const streams = async () => {
    const metrics = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
    return /^mcp_http_event_streams (\d+)$/m.exec(await metrics.text())![1];
  };
  const client = await connectHttp('legacy', { url, token });
  while ((await streams()) !== '1') await sleep(20);
  // Patience for an hour, which this test has not.
  await fixture.close(3_600_000);
  await client.close();
});

test('a token gets as much as the rate, then 429 with the time to wait, and others are not held up', async () => {
  const server = await HttpProcess.start(join(temporaryDirectory(), 'store'), { args: ['--rate', '1'] });
  const [ada, eve] = [server.token('ada'), server.token('eve')];
  const ask = (token: string) =>
    fetch(`${server.url}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(ada)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.length - refused.length).toBeGreaterThanOrEqual(2);
  expect(refused.length).toBeGreaterThan(0);
  for (const answer of refused) {
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await answer.json()).toMatchObject({ code: 'RATE_LIMITED' });
  }
  expect((await ask(eve)).status).toBe(200);
  await server.stop();
});

describe('the limits themselves', () => {
  test('a bucket gives its burst, then its rate, whatever the times of asking', () => {
    let nowMs = 0;
    const limiter = new RateLimiter(10, 20, 3, () => nowMs);
    const given = () => limiter.take('a') === 0;
    expect(Array.from({ length: 30 }, given).filter(Boolean)).toHaveLength(20);
    expect(limiter.take('a')).toBeCloseTo(0.1, 9);
    let total = 0;
    for (let i = 0; i < 1000; i++) {
      nowMs += 7;
      if (given()) total++;
    }
    expect(total).toBe(70);
    expect(limiter.take('b')).toBe(0);
    nowMs += 1e9;
    expect(Array.from({ length: 30 }, given).filter(Boolean)).toHaveLength(20);
    // Forgetting the one that asked longest ago frees it, and bounds the memory.
    for (const other of ['c', 'd', 'e']) limiter.take(other);
    expect(given()).toBe(true);
    expect(new RateLimiter(0, 0).take('a')).toBe(0);
  });

  test('a gate counts in all and for each', () => {
    const gate = new Gate(3, 2);
    const leave = [gate.enter('a'), gate.enter('a')];
    expect(gate.enter('a')).toBeUndefined();
    expect(gate.enter('b')).toBeDefined();
    expect(gate.enter('c')).toBeUndefined();
    leave[0]!();
    leave[0]!();
    expect(gate.size).toBe(2);
    expect(gate.enter('a')).toBeDefined();
    expect(gate.enter('c')).toBeUndefined();
  });

  test('a budget is given back', () => {
    const budget = new Budget(10);
    expect([budget.take(6), budget.take(5), budget.take(4)]).toEqual([true, false, true]);
    budget.give(6);
    expect([budget.take(6), budget.take(1)]).toEqual([true, false]);
  });
});
