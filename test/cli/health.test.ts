/** `health`, `capacity` and GET /health with real servers, windows, programs and stores. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECKS, type HealthAnswer } from '#src/domain/health.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { McpProcess, runVerify } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';

/** What the machine that runs the tests does is not theirs to judge. */
const QUIET = 'cpu=off,memory=off,disk=off,response=off';
const home = realpathSync(temporaryDirectory());
const runtime = join(home, 'run');
mkdirSync(runtime, { mode: 0o700 });
const env = (store: string, more: Record<string, string> = {}) => ({
  ...{ HOME: home, XDG_RUNTIME_DIR: runtime, VECTOR_DB_PATH: store, VECTOR_HEALTH_LIMITS: QUIET },
  ...more,
});
const checkOf = ({ checks }: HealthAnswer, wanted: string) => checks.find(({ name }) => name === wanted)!;

async function storeWithItems(name: string): Promise<string> {
  const store = join(home, name);
  const engine = await openTestEngine(store);
  await engine.upsert({ collection: 'notes', items: [{ id: 'a', text: 'a private text' }] }, testContext);
  await engine.close();
  return store;
}

describe('where no server runs', () => {
  let store: string;
  beforeAll(async () => {
    store = await storeWithItems('alone');
  });

  test('the store is read, which is said; reading leaves nothing behind', async () => {
    const { code, stdout, stderr } = await runCli(['health'], { env: env(store) });
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const lines = stdout.split('\n').filter(line => /^(ok|warn|critical) /.test(line));
    expect(lines.map(line => line.split(/ +/)[1])).toEqual(CHECKS);
    expect(lines.filter(line => !line.startsWith('ok'))).toEqual([
      expect.stringMatching(/^warn +process +no server runs$/),
    ]);
    expect(stdout).toContain('→ Start one');
    expect(existsSync(join(store, 'ops'))).toBe(false);
    const { stdout: json } = await runCli(['health', '--json'], { env: env(store) });
    expect(JSON.parse(json)).toMatchObject({ level: 'warn', is_served: false, store: 'alone' });
  });

  test('what is wrong with whoever asks is 3, and no level', async () => {
    for (const [args, more, code] of [
      [['health', '--bogus'], {}, 'INVALID_ARGUMENT'],
      [['health', '--since', 'yesterday'], {}, 'INVALID_ARGUMENT'],
      [['health'], { VECTOR_HEALTH_LIMITS: 'memry=1' }, 'CONFIG_INVALID'],
      [['health', '--store', join(home, 'nowhere')], {}, 'STORE_MISSING'],
      [['health', '--test-alert'], {}, 'CONFIG_INVALID'],
    ] as const) {
      const done = await runCli([...args, '--json'], { env: env(store, more) });
      expect({ code: done.code, stdout: done.stdout }).toEqual({ code: 3, stdout: '' });
      expect(JSON.parse(done.stderr).error.code).toBe(code);
    }
    expect(existsSync(join(home, 'nowhere'))).toBe(false);
  });

  test('a store that is refused is critical, with the code and the way out', async () => {
    const damaged = await storeWithItems('damaged');
    rmSync(join(damaged, 'HEAD'));
    const { code, stdout } = await runCli(['health'], { env: env(damaged) });
    expect(code).toBe(2);
    expect(stdout).toMatch(/^critical +store +not open: WAL_HEAD_MISSING$/m);
  });

  test('a store that another process has for itself is locked, and not critical', async () => {
    const engine = await openTestEngine(store);
    try {
      const { code, stdout } = await runCli(['health', '--json'], { env: env(store) });
      expect(code).toBe(1);
      const answer = JSON.parse(stdout) as HealthAnswer;
      expect(checkOf(answer, 'store')).toMatchObject({
        level: 'warn',
        message: expect.stringMatching(/^locked .*STORE_IN_USE/),
      });
      expect(checkOf(answer, 'process').message).toBe(
        `process ${process.pid} has the store, and does not serve others`,
      );
      expect(checkOf(answer, 'files').value).toBeGreaterThan(3);
    } finally {
      await engine.close();
    }
  });
});

describe('with a server, a window beside it and alerts', () => {
  let store: string;
  let server: HttpProcess;
  let window: McpProcess;
  const posted: { text: string }[] = [];
  const hook = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    posted.push(JSON.parse(body));
    response.writeHead(204).end();
  });
  const alerts = join(home, 'alerts.jsonl');

  beforeAll(async () => {
    await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve));
    store = await storeWithItems('served');
    const command = join(home, 'notify');
    writeFileSync(command, `#!/bin/sh\ncat >> "$1"\n`);
    chmodSync(command, 0o700);
    server = await HttpProcess.start(store, {
      env: env(store, {
        // A store is always larger than that: a level that changes as soon as it is looked at.
        VECTOR_HEALTH_LIMITS: `${QUIET},files=1/100000`,
        VECTOR_SAMPLE_SECONDS: '1',
        VECTOR_ALERT_COMMAND: JSON.stringify([command, alerts]),
        VECTOR_ALERT_WEBHOOK: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/T0KEN`,
      }),
    });
    window = new McpProcess(store, { root: home, env: env(store) });
    await window.call('vector_search', { query: 'private' });
  });
  afterAll(async () => {
    await window.close();
    await server.stop();
    hook.closeAllConnections();
    hook.close();
  });

  test('health is the server’s, over all windows', async () => {
    const { code, stdout } = await runCli(['health', '--json'], { env: env(store) });
    const answer = JSON.parse(stdout) as HealthAnswer;
    expect(code).toBe(1);
    expect(answer).toMatchObject({ is_served: true, level: 'warn' });
    expect(checkOf(answer, 'process').message).toMatch(
      new RegExp(`^process ${server.pid} serves, for \\d+ s, with 1 other window$`),
    );
    const [, mega] = / ([\d.]+) MB in 2 processes/.exec(checkOf(answer, 'memory').message)!;
    const rss = (pid: number) =>
      Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1000;
    const both = rss(server.pid) + rss(await window.pid());
    expect(Number(mega)).toBeGreaterThan(both / 2);
    expect(Number(mega)).toBeLessThan(both * 2);
    expect(answer.checks.filter(({ level }) => level !== 'ok').map(({ name }) => name)).toEqual(['files']);
  });

  test('GET /health tells everybody the level, and whoever has a token the rest, without paths', async () => {
    const open = await fetch(`${server.url}/health`);
    expect([open.status, await open.text()]).toEqual([200, 'warn\n']);
    const headers = { Authorization: `Bearer ${server.token('dashboard', 'read')}` };
    const told = await fetch(`${server.url}/health`, { headers });
    expect([told.status, told.headers.get('content-type')]).toEqual([200, 'application/json']);
    const text = await told.text();
    expect(JSON.parse(text)).toMatchObject({ level: 'warn', store: 'served', is_served: true });
    expect(JSON.parse(text).checks.map(({ name }: { name: string }) => name)).toEqual(CHECKS);
    expect(text).not.toContain(home);
    expect(text).not.toContain('private');
    const wrong = await fetch(`${server.url}/health`, { headers: { Authorization: 'Bearer mvs_no' } });
    expect(wrong.status).toBe(401);
    const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
    expect(metrics).toContain('mcp_health_level{check="files"} 1');
    expect(metrics).toContain('mcp_health_level{check="all"} 1');
    expect(metrics).toMatch(/mcp_health_value\{check="files"\} \d+/);
  });

  test('alerts reach the program and the webhook, once; a test of them, too', async () => {
    while (posted.length === 0 || !existsSync(alerts)) await new Promise(resolve => setTimeout(resolve, 50));
    const { code, stdout } = await runCli(['health', '--test-alert'], { env: env(store) });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'command: sent\nwebhook: sent\n' });
    const written = readFileSync(alerts, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(written).toMatchObject([
      { kind: 'alert', store: 'served', alerts: [{ check: 'files', change: 'raised', level: 'warn' }] },
      { kind: 'test' },
    ]);
    expect(posted.map(({ text }) => text)).toEqual(written.map(({ text }) => text));
    expect(JSON.stringify(written)).not.toContain(home);
    expect(server.log).not.toContain('T0KEN');
  });

  test('samples were kept, and are printed', async () => {
    const { code, stdout } = await runCli(['health', '--history', '--json'], { env: env(store) });
    const { samples, every_seconds } = JSON.parse(stdout);
    expect({ code, every_seconds }).toEqual({ code: 0, every_seconds: 1 });
    expect(samples.length).toBeGreaterThan(1);
    expect(samples.some(({ calls }: { calls: { search?: number } }) => calls.search === 1)).toBe(true);
    const printed = await runCli(['health', '--history', '-n', '1'], { env: env(store) });
    expect(printed.stdout).toMatch(/1 row of \d+ \(--limit\), samples as they were taken\.\n$/);
    expect(statSync(join(store, 'ops/samples.jsonl')).mode & 0o777).toBe(0o600);
  });

  test('capacity counts the log, and says why it foresees nothing', async () => {
    const { code, stdout } = await runCli(['capacity', '--json'], { env: env(store) });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ store: 'served', items: 1, dead_versions: 0 },
      months: [{ items: 1 }],
      forecasts: [{ basis: 'none' }, { basis: 'none' }],
      advice: [{ code: 'HISTORY_SHORT' }],
    });
  });
});

test('what operations keep disturbs nothing of a store, whatever stands in it, and can go', async () => {
  const store = await storeWithItems('kept');
  mkdirSync(join(store, 'ops/unknown'), { recursive: true });
  for (const name of ['samples.jsonl', 'hours.jsonl', 'alerts.json', 'backup.json'])
    writeFileSync(join(store, 'ops', name), '\u0000damaged');
  const run = (...args: string[]) => runCli(args, { env: env(store), cwd: home });
  const said = await Promise.all([runVerify(store), run('repair')].map(async done => (await done).code));
  expect(said).toEqual([0, 0]);
  expect((await run('verify', '--deep')).code).toBe(0);
  expect((await run('health')).code).toBe(1);
  expect((await run('rollback', '--to', '2')).code).toBe(0);
  expect((await run('backup', '--to', join(home, 'backups'))).code).toBe(0);
  const { checks } = JSON.parse((await run('health', '--json')).stdout) as HealthAnswer;
  expect(checks.find(({ name }) => name === 'backup')!.message).toMatch(/^\d+ s ago/);
  rmSync(join(store, 'ops'), { recursive: true });
  expect((await run('status')).code).toBe(0);
});
