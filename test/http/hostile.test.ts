/** Requests that mean no good, to `serve` as it ships. After all of them the same process still answers. */
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startFixture } from '../conformance/servers.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { head, raw } from './raw.js';

const LIST = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'hostile', version: '1' } },
};
const MAX_BODY_BYTES = 1024 * 1024;

let server: HttpProcess;
let token: string;
let session: string;

const headers = (more: Record<string, string> = {}) => ({
  Authorization: `Bearer ${token}`,
  'Content-Type': 'application/json',
  Accept: 'application/json, text/event-stream',
  ...more,
});

const post = (body: string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) =>
  fetch(`${server.url}/mcp`, { method: 'POST', headers: headers(more), body });

/** Every answer of a session's request is one event. */
async function listsTools(): Promise<boolean> {
  const response = await post(LIST, { 'Mcp-Session-Id': session });
  return response.status === 200 && (await response.text()).includes('"vector_search"');
}

beforeAll(async () => {
  server = await HttpProcess.start(join(temporaryDirectory(), 'store'), {
    args: ['--max-body', '1', '--rate', '0'],
  });
  token = server.token('ada');
  const response = await post(JSON.stringify(INITIALIZE));
  expect(response.status).toBe(200);
  session = response.headers.get('mcp-session-id')!;
  await response.text();
});
afterEach(async () => expect(await listsTools()).toBe(true));
afterAll(async () => expect(await server.stop()).toBe(0));

describe('without a token that counts', () => {
  const wrong: [what: string, headers: Record<string, string>][] = [
    ['none', {}],
    ['another scheme', { Authorization: 'Basic YWRhOnNlY3JldA==' }],
    ['an empty one', { Authorization: 'Bearer ' }],
    ['one of nobody', { Authorization: `Bearer mvs_${'A'.repeat(43)}` }],
    ['one with more behind it', { Authorization: 'Bearer mvs_a mvs_b' }],
    ['a path', { Authorization: 'Bearer ../../tokens/ada' }],
    ['a very long one', { Authorization: `Bearer mvs_${'A'.repeat(8000)}` }],
    ['__proto__', { Authorization: 'Bearer __proto__' }],
  ];
  test.each(wrong)('%s: 401 on /mcp and /metrics, before a body is read', async (_, given) => {
    for (const path of ['/mcp', '/metrics']) {
      const response = await fetch(server.url + path, { headers: given });
      // Many of them from one address are slowed down.
      expect([401, 429]).toContain(response.status);
      const text = await response.text();
      expect(text).toMatch(/UNAUTHORIZED|RATE_LIMITED/);
      expect(text).not.toContain('AAAA');
    }
    await sleep(200);
  });

  test('two Authorization headers are not one', async () => {
    const answer = await raw(
      server.port,
      head(
        'GET /metrics HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${token}`,
        'Authorization: Bearer x',
      ),
    );
    expect(answer.status).toBe(401);
  });

  test('the answer says how to be authorised, and the log knows no secret', async () => {
    await sleep(1000);
    const response = await fetch(`${server.url}/mcp`, {
      headers: { Authorization: 'Bearer mvs_wrong-secret' },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="mcp-vector-server", error="invalid_token"',
    );
    const id = response.headers.get('x-request-id')!;
    await sleep(100);
    expect(server.log).toContain(`"requestId":"${id}"`);
    expect(server.log).not.toContain('wrong-secret');
    expect(server.log).not.toContain(token);
  });
});

describe('DNS rebinding', () => {
  const auth = () => `Authorization: Bearer ${token}`;
  test.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    'evil.example#localhost',
    '0.0.0.0',
    '[::]',
    '2130706434',
  ])('Host: %s is refused', async host => {
    for (const path of ['/mcp', '/health', '/metrics'])
      expect((await raw(server.port, head(`GET ${path} HTTP/1.1`, `Host: ${host}`, auth()))).status).toBe(
        403,
      );
  });

  test.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST:99', '127.1'])(
    'Host: %s is answered',
    async host => {
      expect((await raw(server.port, head('GET /health HTTP/1.1', `Host: ${host}`))).status).toBe(200);
    },
  );

  test('no Host, two of them, or one in the request line are refused', async () => {
    expect((await raw(server.port, head('GET /health HTTP/1.1'))).status).toBe(400);
    const two = head('GET /health HTTP/1.1', 'Host: localhost', 'Host: evil.example');
    expect([400, 403]).toContain((await raw(server.port, two)).status);
    const absolute = head('GET http://evil.example/metrics HTTP/1.1', 'Host: localhost', auth());
    expect((await raw(server.port, absolute)).status).toBe(404);
  });

  test.each([
    'http://evil.example',
    'null',
    'https://localhost.evil.example',
    'file://',
    'http://localhost@evil.example',
  ])('Origin: %s is refused', async origin => {
    const answer = await raw(
      server.port,
      head('POST /mcp HTTP/1.1', 'Host: localhost', `Origin: ${origin}`, auth()),
    );
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    expect(answer.body).not.toContain('evil');
  });
});

describe('paths', () => {
  test.each([
    '/index.html',
    '//mcp',
    '/mcp/',
    '/mcp/../metrics',
    '/%6dcp',
    '/MCP',
    '/mcp;x',
    '/mcp%00',
    '/..%2f..%2fetc/passwd',
    '/../../etc/passwd',
    '/metrics/.',
    '/tokens/ada.json',
    '*',
    '/constructor',
  ])('%s leads nowhere', async path => {
    const answer = await raw(
      server.port,
      head(`GET ${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${token}`),
    );
    expect([400, 404]).toContain(answer.status);
  });

  test('methods that a path has not are refused', async () => {
    for (const [method, path] of [
      ['PUT', '/mcp'],
      ['TRACE', '/mcp'],
      ['OPTIONS', '/mcp'],
      ['POST', '/metrics'],
      ['DELETE', '/health'],
    ]) {
      const answer = await raw(
        server.port,
        head(`${method} ${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${token}`),
      );
      expect(answer.status, `${method} ${path}`).toBe(405);
      expect(answer.headers.allow).toBeDefined();
    }
    expect((await raw(server.port, head('CONNECT localhost:22 HTTP/1.1', 'Host: localhost'))).status).toBe(0);
  });
});

describe('sizes', () => {
  test('headers beyond 16 KiB: 431', async () => {
    for (const lines of [
      [`X-Long: ${'a'.repeat(20_000)}`],
      Array.from({ length: 2000 }, (_, i) => `X-${i}: ${i}${i}`),
    ])
      expect((await raw(server.port, head('GET /health HTTP/1.1', 'Host: localhost', ...lines))).status).toBe(
        431,
      );
    const path = head(`GET /${'a'.repeat(20_000)} HTTP/1.1`, 'Host: localhost');
    expect((await raw(server.port, path)).status).toBe(431);
  });

  test('a body beyond the limit: 413, said or not, before it has all come', async () => {
    const said = await post('x'.repeat(MAX_BODY_BYTES + 1));
    expect(said.status).toBe(413);
    expect(await said.json()).toMatchObject({ error: { data: { code: 'TOO_LARGE' } } });
    const chunk = `${(65_536).toString(16)}\r\n${'x'.repeat(65_536)}\r\n`;
    const answer = await raw(server.port, async socket => {
      socket.write(
        head(
          'POST /mcp HTTP/1.1',
          'Host: localhost',
          `Authorization: Bearer ${token}`,
          'Content-Type: application/json',
          'Transfer-Encoding: chunked',
        ),
      );
      // For ever, if nobody stops it.
      for (let sent = 0; !socket.destroyed && sent < 400; sent++) {
        socket.write(chunk);
        await sleep(1);
      }
    });
    expect(answer.status).toBe(413);
  });

  test('a body of just the limit is read', async () => {
    const fits = LIST.padEnd(MAX_BODY_BYTES, ' ');
    expect((await post(fits, { 'Mcp-Session-Id': session })).status).toBe(200);
  });
});

describe('what is no message', () => {
  test.each([
    ['nothing', ''],
    ['half of one', '{"jsonrpc":"2.0","id":1,'],
    ['no JSON', 'tools/list'],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0xfe, 0x22)],
    ['a deep one', '['.repeat(400_000)],
  ])('%s: 400', async (_, body) => {
    const response = await post(body, { 'Mcp-Session-Id': session });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: -32_700 } });
  });

  test.each([
    ['null', 'null'],
    ['a number', '7'],
    ['an empty batch', '[]'],
    ['a deep batch', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
    ['params that are none', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}'],
    ['__proto__', '{"__proto__":{"method":"tools/call"},"jsonrpc":"2.0","id":1,"method":"tools/list"}'],
    ['a name that is none', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{"a":1}}}'],
    ['a large batch', `[${Array.from({ length: 101 }, () => LIST).join()}]`],
  ])('%s is answered and harms nobody', async (_, body) => {
    const response = await post(body, { 'Mcp-Session-Id': session });
    await response.text();
    expect(response.status).toBeLessThan(500);
  });

  test('a body that is not declared as JSON: 415', async () => {
    expect((await post(LIST, { 'Content-Type': 'text/plain' })).status).toBe(415);
  });

  test('writes hidden in a batch need the scope all the same', async () => {
    const reader = server.token(`reader-${Date.now()}`, 'read');
    const write = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'vector_upsert', arguments: {} },
    };
    for (const body of [[JSON.parse(LIST), write], write, [[write]]]) {
      const response = await post(JSON.stringify(body), { Authorization: `Bearer ${reader}` });
      await response.text();
      expect([400, 403]).toContain(response.status);
    }
  });

  test('two lengths, or a length and chunks: 400', async () => {
    const lines = [
      'POST /mcp HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${token}`,
      'Content-Type: application/json',
    ];
    for (const smuggled of [
      ['Content-Length: 5', 'Content-Length: 6'],
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked, identity'],
      ['Content-Length: -1'],
    ])
      expect(
        (await raw(server.port, `${head(...lines, ...smuggled)}0\r\n\r\n`)).status,
        smuggled.join(),
      ).toBe(400);
  });

  test('what is not HTTP at all is dropped', async () => {
    for (const bytes of [
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
      'SSH-2.0-OpenSSH_9.6\r\n',
      '\0'.repeat(100),
      'GET\r\n\r\n',
    ])
      expect([0, 400]).toContain((await raw(server.port, Buffer.from(bytes, 'latin1'))).status);
  });
});

describe('sessions', () => {
  test('a session is its token’s alone', async () => {
    const other = server.token(`other-${Date.now()}`);
    const stolen = await post(LIST, { Authorization: `Bearer ${other}`, 'Mcp-Session-Id': session });
    expect(stolen.status).toBe(404);
    expect(await stolen.json()).toMatchObject({
      error: { code: -32_001, data: { code: 'SESSION_NOT_FOUND' } },
      id: 7,
    });
    for (const id of ['x', '__proto__', '00000000-0000-4000-8000-000000000000'])
      expect((await post(LIST, { 'Mcp-Session-Id': id })).status).toBe(404);
  });

  test('a client that begins sessions without end loses its oldest, and nobody else’s', async () => {
    const greedy = { Authorization: `Bearer ${server.token(`greedy-${Date.now()}`)}` };
    const begin = async () => {
      const response = await post(JSON.stringify(INITIALIZE), greedy);
      await response.text();
      return response.headers.get('mcp-session-id')!;
    };
    const first = await begin();
    for (let i = 0; i < 128; i++) await begin();
    expect((await post(LIST, { ...greedy, 'Mcp-Session-Id': first })).status).toBe(404);
  });
});

test('a stream ends when its token is revoked', async () => {
  const authorization = { Authorization: `Bearer ${server.token('listener', 'read')}` };
  const begun = await post(JSON.stringify(INITIALIZE), authorization);
  await begun.text();
  const id = begun.headers.get('mcp-session-id')!;
  const stream = await fetch(`${server.url}/mcp`, {
    headers: { ...headers(authorization), Accept: 'text/event-stream', 'Mcp-Session-Id': id },
  });
  expect(stream.status).toBe(200);
  server.revoke('listener');
  // Cut off or closed in good order; until then this waits.
  await stream.text().catch(() => undefined);
});

describe('many and slow', () => {
  test('a request that is told more slowly than the server waits is cut off', async () => {
    const slow = await startFixture({ timeouts: { headersMs: 1_000, requestMs: 1_500 } });
    try {
      const drip = (first: string) =>
        raw(
          slow.port,
          async socket => {
            socket.write(first);
            while (!socket.destroyed && !socket.readableEnded) {
              await sleep(100);
              if (!socket.destroyed) socket.write('x');
            }
          },
          50,
        );
      const lines = ['POST /mcp HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${slow.token}`];
      const answers = await Promise.all([
        drip(`${lines.join('\r\n')}\r\nX-Slow: `),
        drip(head(...lines, 'Content-Type: application/json', 'Content-Length: 100000')),
      ]);
      for (const { status } of answers) expect([0, 408]).toContain(status);
      expect((await fetch(`http://127.0.0.1:${slow.port}/metrics`)).status).toBe(401);
    } finally {
      await slow.close();
    }
  });

  test('1000 connections at once: each is answered, most of them with what they asked for', async () => {
    const ask = () =>
      new Promise<number>(resolve => {
        const asked = request(
          `${server.url}/mcp`,
          { method: 'POST', agent: false, headers: headers({ 'Mcp-Session-Id': session }) },
          response => {
            response.resume();
            response.on('end', () => resolve(response.statusCode!));
          },
        );
        asked.on('error', () => resolve(0));
        asked.end(LIST);
      });
    const statuses = await Promise.all(Array.from({ length: 1000 }, ask));
    const count = (status: number) => statuses.filter(other => other === status).length;
    const others = statuses.filter(status => status !== 200 && status !== 429);
    expect(others).toEqual([]);
    expect(count(200)).toBeGreaterThan(100);
  });

  test('1000 connections that say nothing keep nobody out', async () => {
    const { connect } = await import('node:net');
    const sockets = Array.from({ length: 1000 }, () =>
      connect(server.port, '127.0.0.1').on('error', () => undefined),
    );
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))));
    expect(await listsTools()).toBe(true);
    for (const socket of sockets) socket.destroy();
  });

  test('clients that leave in the middle leave nothing behind', async () => {
    for (let i = 0; i < 50; i++) {
      const abort = new AbortController();
      const asked = fetch(`${server.url}/mcp`, {
        method: 'POST',
        headers: headers({ 'Mcp-Session-Id': session }),
        body: LIST,
        signal: abort.signal,
      });
      if (i % 2 === 0) await sleep(2);
      abort.abort();
      await asked.then(response => response.text()).catch(() => undefined);
    }
    await sleep(200);
    const metrics = await (await fetch(`${server.url}/metrics`, { headers: headers() })).text();
    expect(metrics).toMatch(/^mcp_http_requests_in_flight 0$/m);
    expect(metrics).toMatch(/^mcp_http_event_streams 0$/m);
  });
});

test('/metrics names no client and no token', async () => {
  const text = await (await fetch(`${server.url}/metrics`, { headers: headers() })).text();
  expect(text).toContain('mcp_http_requests_total{route="/mcp",method="POST",status="413"}');
  expect(text).not.toMatch(/ada|hostile|reader|greedy/);
});
