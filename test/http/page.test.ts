/** The page's side of the door: who gets in, by what, and what no other page can make a browser do. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScheduleAnswer } from '#src/domain/schedule.js';
import { createLogin, LINK_MS, SESSION_MS, useLogin } from '#src/http/page/login.js';
import { PageSessions } from '#src/http/page/sessions.js';
import type { Scope } from '#src/http/scopes.js';
import { createToken, listTokens, readToken, revokeToken } from '#src/http/tokens.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { runCli } from '../helpers/run-cli.js';
import { head, raw } from './raw.js';

let server: HttpProcess;
let tokens: string;
let agent: string;

beforeAll(async () => {
  server = await HttpProcess.start(join(temporaryDirectory(), 'store'), {
    args: ['--allow-host', 'memory.example'],
  });
  tokens = join(server.store, 'tokens');
  agent = server.token('agent');
});
afterAll(() => server?.stop());

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/** A request as Node sends it: fetch would not let a test choose Host and Cookie. */
function ask(
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
  method = 'POST',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: server.port, host: '127.0.0.1', path, method, headers }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const get = (path: string, headers: Record<string, string> = {}) => ask(path, headers, undefined, 'GET');

/** What the page itself sends. */
const own = (more: Record<string, string> = {}) => ({
  'Content-Type': 'application/json',
  'X-Mcp-Vector-Page': '1',
  Origin: server.url,
  'Sec-Fetch-Site': 'same-origin',
  ...more,
});

async function logIn(scope: Scope = 'read'): Promise<{ cookie: string; name: string; set: string }> {
  const { code, name } = createLogin(tokens, scope);
  const { status, headers } = await ask('/api/login', own(), { code });
  expect(status).toBe(200);
  const [set] = headers['set-cookie'] as string[];
  return { cookie: set!.split(';')[0]!, name, set: set! };
}

/** How many event streams and waits are open. */
async function streamsOf(url: string, token: string): Promise<number> {
  const answer = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
  return Number(/mcp_http_event_streams (\d+)/.exec(await answer.text())?.[1]);
}

describe('its files', () => {
  test.each(['/', '/login', '/page.js', '/page.css', '/icon.svg'])(
    '%s is there for anybody, under its policy',
    async path => {
      const { status, headers, text } = await get(path);
      expect(status).toBe(200);
      expect(text.length).toBeGreaterThan(100);
      const policy = String(headers['content-security-policy']);
      for (const part of [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ])
        expect(policy.split('; ')).toContain(part);
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      const again = await get(path, { 'If-None-Match': String(headers.etag) });
      expect(again).toMatchObject({ status: 304, text: '' });
    },
  );

  test.each([
    '/index.html',
    '/page.js/',
    '/./page.js',
    '/../package.json',
    '/%2e%2e/package.json',
    '/page%2ejs',
    '/..%2f..%2fpackage.json',
    '//page.js',
    '/page.js%00.css',
    '/main.tsx',
    '/api/',
    '/api/constructor',
    '/api/__proto__',
    '/api/upsert',
    '/api/../page.js',
  ])('%s is nothing', async path => {
    const { status } = await raw(
      server.port,
      head(`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${server.port}`, 'Connection: close'),
    );
    expect(status).toBe(404);
  });

  test('nothing of it names another site', () => {
    // Of the library's notice there is a link that nothing follows.
    for (const path of ['index.html', 'page.css', 'page.js'])
      expect(
        readFileSync(new URL(`../../dist/src/page/${path}`, import.meta.url), 'utf8')
          .replace(/^\/\*![^\n]*\n/, '')
          .match(/https?:\/\/[^\s"'`]+/g)
          ?.filter(url => !url.startsWith('http://www.w3.org/')) ?? [],
      ).toEqual([]);
  });

  test('by another name the server has no page', async () => {
    expect(await get('/', { Host: 'evil.example' })).toMatchObject({ status: 403 });
    expect((await ask('/')).status).toBe(405);
  });
});

describe('a link', () => {
  test('counts once', async () => {
    const { code } = createLogin(tokens, 'read');
    const answers = await Promise.all([1, 2, 3].map(() => ask('/api/login', own(), { code })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    expect(answers.find(({ status }) => status === 401)!.text).toContain('LOGIN_INVALID');
  });

  test('and no longer than five minutes; the file has neither code nor secret', () => {
    const dir = join(temporaryDirectory(), 'tokens');
    const madeAt = new Date('2026-11-01T10:00:00Z');
    const { code } = createLogin(dir, 'read', madeAt);
    for (const file of readdirSync(dir)) {
      expect(file).not.toContain(code);
      expect(readFileSync(join(dir, file), 'utf8')).not.toContain(code);
    }
    expect(useLogin(dir, `${code.slice(0, -1)}_`, madeAt.getTime())).toBeUndefined();
    expect(useLogin(dir, '../agent', madeAt.getTime())).toBeUndefined();
    expect(useLogin(dir, code, madeAt.getTime() + LINK_MS)).toBeUndefined();
    // It was used up by being too late.
    expect(useLogin(dir, code, madeAt.getTime())).toBeUndefined();
    const next = createLogin(dir, 'write', madeAt);
    expect(useLogin(dir, next.code, madeAt.getTime() + LINK_MS - 1)).toMatchObject({
      name: next.name,
      scope: 'write',
    });
  });

  test('of a token that was revoked counts for nothing', async () => {
    const { code, name } = createLogin(tokens, 'read');
    server.revoke(name);
    expect((await ask('/api/login', own(), { code })).status).toBe(401);
  });

  test('is cleared away with its token when both are over', () => {
    const dir = join(temporaryDirectory(), 'tokens');
    const madeAt = new Date('2026-11-01T10:00:00Z');
    createToken(dir, { name: 'kept', scope: 'read', expires: madeAt });
    const old = createLogin(dir, 'read', madeAt);
    const later = createLogin(dir, 'read', new Date(madeAt.getTime() + LINK_MS + SESSION_MS));
    expect(listTokens(dir).map(({ name }) => name)).toEqual(['kept', later.name]);
    expect(readdirSync(dir).filter(file => file.endsWith('.login'))).toHaveLength(1);
    expect(existsSync(join(dir, `${old.name}.json`))).toBe(false);
  });

  test('comes from the command line, to read unless it says --write', async () => {
    const args = ['page', '--json', '--store', server.store];
    const read = await runCli([...args, '--url', 'https://memory.example']);
    expect(JSON.parse(read.stdout)).toMatchObject({
      url: expect.stringMatching(/^https:\/\/memory\.example\/login#[\w-]{43}$/),
      scope: 'read',
    });
    const admin = await runCli([...args, '--admin', '--write']);
    expect(JSON.parse(admin.stdout)).toMatchObject({ scope: 'admin' });
    const wrong = await runCli([...args, '--url', 'ftp://memory.example/x']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('INVALID_ARGUMENT') });
  });
});

describe('the cookie', () => {
  test('is for this server’s own requests alone, and for so long', async () => {
    const { set } = await logIn();
    expect(set).toMatch(
      new RegExp(
        `^mcp_vector_page${server.port}=[\\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`,
      ),
    );
    const { code } = createLogin(tokens, 'read');
    const behindTls = await ask(
      '/api/login',
      own({ Origin: 'https://memory.example', Host: 'memory.example' }),
      { code },
    );
    expect(String(behindTls.headers['set-cookie'])).toMatch(/^__Host-mcp_vector_page=.*; Secure$/);
  });

  test('opens the calls, and nothing else', async () => {
    const { cookie } = await logIn('write');
    expect(JSON.parse((await ask('/api/me', own({ Cookie: cookie }), {})).text)).toMatchObject({
      may_write: true,
    });
    for (const path of ['/mcp', '/metrics'])
      expect((await ask(path, own({ Cookie: cookie }), undefined, 'GET')).status, path).toBe(401);
    const value = cookie.split('=')[1]!;
    expect((await ask('/mcp', own({ Authorization: `Bearer ${value}` }), {})).status).toBe(401);
    // And a token opens no call.
    const token = server.token('other');
    expect((await ask('/api/me', own({ Authorization: `Bearer ${token}` }), {})).status).toBe(401);
  });

  test('counts no more after the logout, the revocation, or beside another of its name', async () => {
    const { cookie, name } = await logIn();
    expect((await ask('/api/status', own({ Cookie: `${cookie}; ${cookie}` }), {})).status).toBe(401);
    const other = await logIn();
    expect((await ask('/api/logout', own({ Cookie: other.cookie }), {})).status).toBe(200);
    expect((await ask('/api/status', own({ Cookie: other.cookie }), {})).status).toBe(401);
    expect((await ask('/api/status', own({ Cookie: cookie }), {})).status).toBe(200);
    server.revoke(name);
    expect((await ask('/api/status', own({ Cookie: cookie }), {})).status).toBe(401);
  });

  test('nor after twelve hours', () => {
    const dir = join(temporaryDirectory(), 'tokens');
    const { name } = createLogin(dir, 'read');
    const token = readToken(dir, name);
    let nowMs = 0;
    const sessions = new PageSessions({
      ...{ dir, isValid: () => true, lifeMs: SESSION_MS },
      clock: () => nowMs,
    });
    const value = sessions.begin(token);
    nowMs = SESSION_MS - 1;
    expect(sessions.find(value)).toEqual(token);
    nowMs = SESSION_MS;
    expect(sessions.find(value)).toBeUndefined();
    revokeToken(dir, name);
  });
});

describe('a session', () => {
  const NOW = Date.parse('2026-11-01T10:00:00Z');
  const make = () => {
    const dir = join(temporaryDirectory(), 'tokens');
    const token = readToken(dir, createLogin(dir, 'read', new Date(NOW)).name);
    let nowMs = NOW;
    const another = () =>
      new PageSessions({ dir, isValid: () => true, lifeMs: SESSION_MS, clock: () => nowMs });
    const value = another().begin(token);
    const [file = ''] = readdirSync(dir).filter(name => name.endsWith('.session'));
    return { dir, token, value, path: join(dir, file), another, pass: (ms: number) => (nowMs += ms) };
  };

  test('goes on in a server that starts anew, and leaves nothing that would open another', () => {
    const { token, value, path, another, pass } = make();
    const [name, text] = [path, readFileSync(path, 'utf8')];
    expect(name + text).not.toContain(value);
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(another().find(value)).toEqual(token);
    expect(another().find(`${value.slice(0, -1)}~`)).toBeUndefined();
    expect(another().find(path)).toBeUndefined();
    pass(SESSION_MS);
    expect(another().find(value)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  test('ends everywhere with the logout, and with its token', () => {
    const { value, path, another } = make();
    another().end(value);
    expect(another().find(value)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
    const revoked = make();
    revokeToken(revoked.dir, revoked.token.name);
    expect(revoked.another().find(revoked.value)).toBeUndefined();
  });

  test.each([
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"token":"x","ends":"2030-01-01"}',
    '{"version":1,"token":"../x","ends":"2030-01-01"}',
  ])('of a file that says %j opens nothing', text => {
    const { value, path, another } = make();
    writeFileSync(path, text);
    expect(another().find(value)).toBeUndefined();
  });

  test('that is over is cleared away when the next link is made', () => {
    const { dir, path } = make();
    createLogin(dir, 'read', new Date(NOW + SESSION_MS - 1));
    expect(existsSync(path)).toBe(true);
    createLogin(dir, 'read', new Date(NOW + SESSION_MS));
    expect(existsSync(path)).toBe(false);
  });
});

describe('what another page makes a browser send', () => {
  const cases: readonly (readonly [string, Record<string, string | undefined>])[] = [
    ['another origin', { Origin: 'https://evil.example' }],
    ['another port of this machine', { Origin: 'http://127.0.0.1:1' }],
    ['another name of this machine', { Origin: 'http://localhost' }],
    ['a page without an origin', { Origin: 'null' }],
    ['no Origin', { Origin: undefined }],
    ['a site that is only the same', { 'Sec-Fetch-Site': 'same-site' }],
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['no header of ours', { 'X-Mcp-Vector-Page': undefined }],
  ];
  test.each(cases)('%s: is refused, with the cookie and without', async (_, changed) => {
    const { cookie } = await logIn('write');
    const headers = Object.fromEntries(
      Object.entries({ ...own(), Cookie: cookie, ...changed }).filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
    const { code } = createLogin(tokens, 'write');
    for (const [path, body] of [
      ['/api/mark', { name: 'forged' }],
      ['/api/status', {}],
      ['/api/login', { code }],
    ] as const) {
      const { status, text } = await ask(path, headers, body);
      expect({ status, code: JSON.parse(text).code }, path).toEqual({
        status: 403,
        code: 'ORIGIN_FORBIDDEN',
      });
    }
    const { text } = await ask('/api/status', own({ Cookie: cookie }), {});
    expect(JSON.parse(text).marks).toEqual([]);
  });

  test('a form: is refused', async () => {
    const { cookie } = await logIn('write');
    const form = { ...own({ Cookie: cookie }), 'Content-Type': 'application/x-www-form-urlencoded' };
    expect((await ask('/api/mark', form, 'name=forged')).status).toBe(415);
    expect(
      (await ask('/api/mark', { ...form, 'Content-Type': 'text/plain' }, '{"name":"forged"}')).status,
    ).toBe(415);
  });

  test('asking for leave: there is none', async () => {
    const { status, headers } = await ask(
      '/api/mark',
      { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' },
      undefined,
      'OPTIONS',
    );
    expect(status).toBe(405);
    expect(Object.keys(headers).filter(name => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('a call', () => {
  test.each([
    ['search', {}, 'INVALID_ARGUMENT'],
    ['search', { query: 'x', k: 51 }, 'INVALID_ARGUMENT'],
    ['search', { query: 'x', as_of: 'no such moment!' }, 'MOMENT_INVALID'],
    ['search', { query: ['x'] }, 'INVALID_ARGUMENT'],
    ['search', { query: 'x', within: ['secret'] }, 'INVALID_ARGUMENT'],
    ['activity', { steps: 2001 }, 'INVALID_ARGUMENT'],
    ['activity', { sessions: -1 }, 'INVALID_ARGUMENT'],
    ['history', { limit: 1.5 }, 'INVALID_ARGUMENT'],
    ['list', { collection: 'none' }, 'COLLECTION_NOT_FOUND'],
    ['revert', { session: 'x', dry_run: false }, 'INVALID_ARGUMENT'],
    ['mark', { name: '../x' }, 'INVALID_ARGUMENT'],
    ['charts', { span: 'century' }, 'INVALID_ARGUMENT'],
    ['charts', { span: '__proto__' }, 'INVALID_ARGUMENT'],
    ['charts', { steps: 1e9 }, 'INVALID_ARGUMENT'],
    ['health', { max_age_ms: 0 }, 'INVALID_ARGUMENT'],
    ['capacity', [], 'INVALID_ARGUMENT'],
    ['backup', { to: '/etc' }, 'INVALID_ARGUMENT'],
    ['schedule', { action: 'run', job: 'verify' }, 'INVALID_ARGUMENT'],
    ['changes', { after: -1 }, 'INVALID_ARGUMENT'],
    ['changes', { wait_ms: 25_001 }, 'INVALID_ARGUMENT'],
    ['changes', { after: '1' }, 'INVALID_ARGUMENT'],
    ['changes', { within: ['secret'] }, 'INVALID_ARGUMENT'],
    ['run', { job: 'verify' }, 'SCOPE_INSUFFICIENT'],
    ['run', {}, 'SCOPE_INSUFFICIENT'],
    ['status', [], 'INVALID_ARGUMENT'],
    ['status', 'null', 'INVALID_ARGUMENT'],
    ['status', '{', 'INVALID_ARGUMENT'],
  ])('%s %j: %s', async (name, body, code) => {
    const { cookie } = await logIn('write');
    const { status, text } = await ask(`/api/${name}`, own({ Cookie: cookie }), body);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(JSON.parse(text)).toMatchObject({ code, wayOut: expect.any(String) });
  });

  test('of a login that only reads changes nothing', async () => {
    const { cookie } = await logIn('read');
    for (const [name, body] of [
      ['mark', { name: 'mine' }],
      ['revert', { session: 'x' }],
    ] as const) {
      const { status, text } = await ask(`/api/${name}`, own({ Cookie: cookie }), body);
      expect({ status, code: JSON.parse(text).code }).toEqual({ status: 403, code: 'READ_ONLY' });
    }
  });

  test('of any login sees health, charts, forecast, backups and schedules, and no path of a check', async () => {
    const { cookie } = await logIn();
    const told = async (name: string, body = {}) => {
      const { status, text } = await ask(`/api/${name}`, own({ Cookie: cookie }), body);
      expect({ name, status }).toEqual({ name, status: 200 });
      return JSON.parse(text);
    };
    const { checks } = await told('health');
    expect(checks).toHaveLength(16);
    expect(checks.filter((check: object) => 'detail' in check)).toEqual([]);
    expect(await told('charts', { span: 'year' })).toMatchObject({ samples: 0, step_ms: expect.any(Number) });
    expect((await told('capacity')).forecasts).toHaveLength(2);
    expect(await told('backup')).toEqual({});
    expect((await told('schedule')).jobs).toHaveLength(8);
  });

  test('runs a job for an admin alone, and none that is not there', async () => {
    const { cookie } = await logIn('admin');
    const run = async (job: unknown) => {
      const { status, text } = await ask('/api/run', own({ Cookie: cookie }), { job });
      return { status, ...JSON.parse(text) };
    };
    expect(await run('../verify')).toMatchObject({ status: 422, code: 'INVALID_ARGUMENT' });
    expect(await run(['verify'])).toMatchObject({ status: 422, code: 'INVALID_ARGUMENT' });
    expect(await run('backup')).toMatchObject({ status: 422, code: 'JOB_UNAVAILABLE' });
    expect(await run('checkpoint')).toMatchObject({ status: 200, job: 'checkpoint' });
    const last = async () => {
      const { text } = await ask('/api/schedule', own({ Cookie: cookie }), {});
      const { jobs } = JSON.parse(text) as ScheduleAnswer;
      return jobs.find(({ name }) => name === 'checkpoint')!.last;
    };
    await expect.poll(last).toMatchObject({ reason: 'asked', outcome: 'ok' });
  });

  test('that waits for news hears of a write, and ends with its session', async () => {
    const [{ cookie, name }, writer] = [await logIn(), await logIn('write')];
    const wait = async (after?: number) => {
      const { status, text } = await ask('/api/changes', own({ Cookie: cookie }), {
        ...(after !== undefined && { after, wait_ms: 25_000 }),
      });
      return { status, ...JSON.parse(text) } as { status: number; head: number; code?: string };
    };
    const { head } = await wait();
    const news = wait(head);
    await ask('/api/mark', own({ Cookie: writer.cookie }), { name: 'news' });
    const later = await news;
    expect(later.head).toBeGreaterThan(head);
    // A log that is shorter than what was known is news as well.
    expect(await wait(later.head + 1000)).toEqual(later);
    const ending = wait(later.head);
    await expect.poll(() => streamsOf(server.url, agent)).toBe(1);
    server.revoke(name);
    expect(await ending).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
  });

  test('is answered to a client that waits for leave to send it', async () => {
    const { cookie } = await logIn();
    const { status } = await ask('/api/me', own({ Cookie: cookie, Expect: '100-continue' }), {});
    expect(status).toBe(200);
  });

  test('has a body of at most 64 KiB', async () => {
    const { cookie } = await logIn();
    const answer = await ask('/api/search', own({ Cookie: cookie }), { query: 'x'.repeat(70_000) });
    expect(answer).toMatchObject({ status: 413 });
  });
});

test('a server that ends does not wait for those who wait for news', async () => {
  const other = await HttpProcess.start(join(temporaryDirectory(), 'store'));
  try {
    const { code } = createLogin(join(other.store, 'tokens'), 'read');
    const headers = {
      'Content-Type': 'application/json',
      'X-Mcp-Vector-Page': '1',
      Origin: other.url,
    };
    const { headers: set } = await fetch(`${other.url}/api/login`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ code }),
    });
    const cookie = set.getSetCookie()[0]!.split(';')[0]!;
    const call = (body: object) =>
      fetch(`${other.url}/api/changes`, {
        method: 'POST',
        headers: { ...headers, Cookie: cookie },
        body: JSON.stringify(body),
      });
    const { head } = (await (await call({})).json()) as { head: number };
    const waiting = call({ after: head, wait_ms: 25_000 });
    const token = other.token('prometheus', 'read');
    await expect.poll(() => streamsOf(other.url, token)).toBe(1);
    expect(await other.stop()).toBe(0);
    expect((await waiting).status).toBe(503);
  } finally {
    other.signal('SIGKILL');
  }
});

// Last: it uses up what this address may try.
test('guessing is slowed down', async () => {
  const statuses: number[] = [];
  for (let n = 0; n < 60; n++)
    statuses.push((await ask('/api/login', own(), { code: 'x'.repeat(42) + String(n % 10) })).status);
  expect(statuses).toContain(429);
  expect(statuses.filter(status => status !== 429 && status !== 401)).toEqual([]);
});
