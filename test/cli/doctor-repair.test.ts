/** doctor --repair: what it would do, that it does nothing unasked, what it does then, and what it leaves alone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { MAIN, runCli } from '../helpers/run-cli.js';

let home: string;
let store: string;
let origin: string;
const env = () => ({ HOME: home, XDG_RUNTIME_DIR: join(home, 'run') });
const cli = (...args: string[]) => runCli([...args, '--store', store], { cwd: home, env: env() });

interface Report {
  readonly code: number | null;
  readonly repairs: readonly { what: string; done: boolean; note?: string }[];
}
async function repair(...more: string[]): Promise<Report> {
  const { code, stdout } = await cli('doctor', '--repair', '--json', ...more);
  return { code, repairs: JSON.parse(stdout).repairs };
}
const events = async () => (await cli('replay', '--print')).stdout;

/** Every file below a directory with its mode and its bytes. */
function listing(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[]).sort().map(name => {
    const stat = statSync(join(directory, name));
    return `${name} ${stat.mode.toString(8)} ${stat.isFile() ? readFileSync(join(directory, name)).toString('base64') : ''}`;
  });
}

/** A server that has the store open and listens. */
async function server() {
  const child = spawn(process.execPath, [MAIN], {
    cwd: home,
    env: { PATH: process.env.PATH, VECTOR_DB_PATH: store, ...env() },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  };
  child.stdin.write(`${JSON.stringify(initialize)}\n`);
  child.stdin.write(
    `${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'vector_status', arguments: {} } })}\n`,
  );
  while (!existsSync(join(store, 'socket.json'))) await new Promise(resolve => setTimeout(resolve, 20));
  return child;
}

beforeAll(async () => {
  origin = realpathSync(mkdtempSync(join(tmpdir(), 'repair-origin-')));
  home = origin;
  store = join(origin, 'store');
  for (const text of ['The owner has the store.', 'The others call it.']) await cli('upsert', text);
});
afterAll(() => rmSync(origin, { recursive: true, force: true }));
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'repair-')));
  mkdirSync(join(home, 'run'), { mode: 0o700 });
  store = join(home, 'store');
  cpSync(join(origin, 'store'), store, { recursive: true });
  chmodSync(store, 0o700);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('a store that is well needs nothing', async () => {
  expect(await repair()).toEqual({ code: 0, repairs: [] });
  const { stdout } = await cli('doctor', '--repair');
  expect(stdout).toContain('Nothing can be mended from here.');
});

test('shows what it would mend, mends it when told to, and has nothing left to do', async () => {
  const before = await events();
  const child = await server();
  const { address } = JSON.parse(readFileSync(join(store, 'socket.json'), 'utf8'));
  child.kill('SIGKILL');
  await once(child, 'exit');
  rmSync(join(store, 'checkpoints'), { recursive: true, force: true });
  chmodSync(store, 0o755);
  chmodSync(dirname(address), 0o755);
  mkdirSync(join(home, '.cursor'));
  const cursor = join(home, '.cursor', 'mcp.json');
  const gone = join(home, 'gone', 'dist', 'src', 'cli', 'main.js');
  writeFileSync(
    cursor,
    JSON.stringify({
      theirs: 1,
      mcpServers: { memory: { command: process.execPath, args: [gone], env: { VECTOR_LOG_LEVEL: 'warn' } } },
    }),
  );

  const untouched = listing(home);
  const shown = await cli('doctor', '--repair');
  expect(shown.code).toBe(1);
  expect(shown.stdout).toMatch(/^fail {2}clients +Cursor \(.*\): "memory" starts .*, which is not there$/m);
  const lines = shown.stdout.split('\n').filter(line => line.startsWith('mend  '));
  expect(lines.map(line => line.slice(6))).toEqual([
    expect.stringContaining(`others may enter ${store}`),
    expect.stringContaining(`others may enter ${dirname(address)}`),
    expect.stringContaining('owner.json and socket.json'),
    expect.stringContaining('has no checkpoint'),
    expect.stringContaining('Cursor'),
  ]);
  expect(shown.stdout).toContain('Nothing was changed. Add --yes to do it.');
  expect((await repair()).repairs.map(({ done }) => done)).toEqual([false, false, false, false, false]);
  expect(listing(home)).toEqual(untouched);

  const { code, repairs } = await repair('--yes');
  expect(repairs.filter(({ done }) => !done)).toEqual([]);
  expect(code).toBe(0);
  expect(statSync(store).mode & 0o777).toBe(0o700);
  expect(statSync(dirname(address)).mode & 0o777).toBe(0o700);
  expect([address, join(store, 'owner.json'), join(store, 'socket.json')].filter(existsSync)).toEqual([]);
  expect(readdirSync(join(store, 'checkpoints')).length).toBe(1);
  const { theirs, mcpServers } = JSON.parse(readFileSync(cursor, 'utf8'));
  expect(theirs).toBe(1);
  expect(mcpServers.memory).toEqual({
    command: process.execPath,
    args: [MAIN],
    env: { VECTOR_LOG_LEVEL: 'warn' },
  });
  expect(readdirSync(join(home, '.cursor')).length).toBe(2);
  expect(await events()).toBe(before);
  expect((await cli('verify')).code).toBe(0);
  expect(await repair()).toEqual({ code: 0, repairs: [] });
});

test('leaves alone what a running server uses', async () => {
  const child = await server();
  rmSync(join(store, 'checkpoints'), { recursive: true, force: true });
  expect(await repair('--yes')).toEqual({ code: 0, repairs: [] });
  expect(existsSync(join(store, 'socket.json'))).toBe(true);
  expect((await cli('list')).code).toBe(0);
  const exited = once(child, 'exit');
  child.stdin.end();
  await exited;
});

test('builds no checkpoint of a damaged store, and leaves its log as it is', async () => {
  rmSync(join(store, 'checkpoints'), { recursive: true, force: true });
  rmSync(join(store, 'log', 'CURRENT'));
  const before = listing(join(store, 'log'));
  expect((await repair('--yes')).repairs).toEqual([]);
  expect(listing(join(store, 'log'))).toEqual(before);
});

test('rewrites no file of a client that it cannot read, and --yes alone is refused', async () => {
  mkdirSync(join(home, '.cursor'));
  const text = `{ // mine\n "mcpServers": { "m": { "command": "/gone/mcp-vector-server" } } }`;
  writeFileSync(join(home, '.cursor', 'mcp.json'), text);
  expect((await repair('--yes')).repairs).toEqual([]);
  expect(readFileSync(join(home, '.cursor', 'mcp.json'), 'utf8')).toBe(text);
  const refused = await cli('doctor', '--yes');
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--yes goes with --repair')]);
});
