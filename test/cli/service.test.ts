/** The service as its user meets it: installed, started, updated, killed in the middle of an update, looked at, stopped. */
import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecords } from '#src/ops/update/journal.js';
import { Prefix } from '#src/ops/update/prefix.js';
import { VERSION } from '#src/version.js';
import { listBackups } from '#wal/backup/manifest.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { REAL, versionTree } from '../helpers/managed.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { type CliResult, runCli } from '../helpers/run-cli.js';

const root = temporaryDirectory('service-');
const [store, prefix, backups] = [join(root, 'store'), join(root, 'prefix'), join(root, 'backups')];
const env = { HOME: root, TMPDIR: root };
let fresh: string;

const service = (...args: string[]): Promise<CliResult> =>
  runCli(['service', ...args, '--prefix', prefix], { env });
const state = async () =>
  JSON.parse((await service('status', '--json')).stdout) as { pid: number; version: string };

beforeAll(async () => {
  fresh = versionTree(join(root, 'fresh'), '1.1.0');
  const first = versionTree(join(root, 'first'), VERSION);
  const settings = {
    ...env,
    VECTOR_DB_PATH: store,
    VECTOR_EMBEDDER_KEY: '',
    VECTOR_VERIFY_SCHEDULE: 'off',
    VECTOR_SCHEDULE: 'off',
    VECTOR_BACKUP_DIR: backups,
  };
  const args = [
    'service',
    'install',
    '--manager',
    'process',
    '--from',
    first,
    '--prefix',
    prefix,
    '--',
    '--port',
    '0',
  ];
  const { code, stderr } = await runCli(args, { env: settings });
  expect([code, stderr]).toEqual([0, '']);
}, 60_000);
afterAll(async () => {
  await service('stop');
});

test('what it is installed with is for its user alone', () => {
  expect(statSync(join(prefix, 'settings.env')).mode & 0o777).toBe(0o600);
  expect(statSync(prefix).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(prefix, 'settings.env'), 'utf8')).toContain('VECTOR_VERIFY_SCHEDULE="off"');
});

test('it starts, is told to start again, and says how it is', async () => {
  expect((await service('status')).code).toBe(1);
  for (const word of ['start', 'start']) expect((await service(word)).code).toBe(0);
  expect(await state()).toMatchObject({ running: true, version: VERSION, manager: 'process', store });
  expect((await service('logs', '--lines', '50')).stdout).toContain('serving MCP at');
});

test('an update is refused while an editor uses the store, whose process is named', async () => {
  const window = new McpProcess(store, { root });
  const pid = await window.pid();
  await window.call('vector_upsert', { items: [{ id: 'a', text: 'The owner holds the lock.' }] });
  const { code, stderr } = await runCli(['update', '--apply', fresh, '--prefix', prefix, '--json'], { env });
  expect(code).toBe(2);
  const { error } = JSON.parse(stderr.split('\n').find(line => line.startsWith('{'))!) as {
    error: { code: string; message: string };
  };
  expect(error.code).toBe('STORE_IN_USE');
  expect(error.message).toContain(String(pid));
  expect(error.message).not.toContain(String((await state()).pid));
  await window.close();
}, 60_000);

test('killed while it switches, the next start of the service has the old version and its data', async () => {
  const main = join(prefix, 'current/node_modules/mcp-vector-server/dist/src/cli/main.js');
  const updating = spawn(process.execPath, [main, 'update', '--apply', fresh], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  updating.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    if (chunk.includes('switching')) updating.kill('SIGKILL');
  });
  await new Promise(resolve => updating.once('close', resolve));
  expect(updating.signalCode).toBe('SIGKILL');
  const started = await service('start');
  expect(started).toMatchObject({ code: 0, stderr: expect.stringContaining('undone') });
  expect(await state()).toMatchObject({ running: true, version: VERSION });
  const { stdout } = await runCli(['get', 'a', '--store', store], { env });
  expect(stdout).toContain('The owner holds the lock.');
}, 90_000);

test('a version whose service does not start is left again, and the old one serves', async () => {
  const breakage = `if (process.argv[2] === 'serve') process.exit(5);\n${REAL}`;
  const broken = versionTree(join(root, 'broken'), '1.1.0', breakage);
  const { code, stderr } = await runCli(['update', '--apply', broken, '--prefix', prefix], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(/starting\nerror SERVICE_FAILED: the service ended with 5/);
  expect(await state()).toMatchObject({ running: true, version: VERSION });
  const { stdout } = await runCli(['get', 'a', '--store', store], { env });
  expect(stdout).toContain('The owner holds the lock.');
  // The store of before was backed up where the service backs up.
  expect(readRecords(new Prefix(prefix))[0]).toMatchObject({ backups });
  expect(listBackups(backups).backups).not.toEqual([]);
}, 90_000);

test('stopped and uninstalled, everything but the service stays', async () => {
  expect((await service('stop')).code).toBe(0);
  expect(await state()).toMatchObject({ running: false });
  expect((await service('uninstall')).stdout).toContain(prefix);
  expect((await state()).version).toBe(VERSION);
});

test('what cannot be meant is refused', async () => {
  const refused = async (...args: string[]) => {
    const { code, stderr } = await runCli(args, { env });
    expect([args, code]).toEqual([args, 2]);
    return stderr;
  };
  expect(await refused('service', 'begin')).toContain('INVALID_ARGUMENT');
  // Whoever runs it from a checkout is told what updates that.
  expect(await refused('update', '--list')).toMatch(/UPDATE_NOT_MANAGED.*git pull/);
}, 30_000);
