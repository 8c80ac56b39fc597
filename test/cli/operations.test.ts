/** docs/operations.md: every procedure of the guide is there, and every command in the table does what it says, on a store that a service serves. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VERSION } from '#src/version.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { versionTree } from '../helpers/managed.js';
import { runCli } from '../helpers/run-cli.js';

/** The headings of the guide, in its order. */
const PROCEDURES = [
  'health check',
  'log rotation',
  'performance analysis',
  'dependencies and their security',
  'full backup',
  'optimization review',
  'high memory usage',
  'slow searches',
  'the service does not start',
  'service outage',
  'data corruption',
  'memory',
  'the database',
  'queries',
  'comprehensive health check',
  'resources over time',
  'safe update',
  'rollback',
  'capacity',
  'technology',
  'documentation',
];

/** What a command may exit with besides 0, and why. */
const EXITS: Readonly<Record<string, readonly number[]>> = {
  // Warnings: it was never verified wholly, no alerts are set.
  'mcp-vector-server health': [1],
  'mcp-vector-server health --json': [1],
  // The registry knows no such package, or is not reached.
  'mcp-vector-server update --check': [1, 2],
  // Warnings of this machine, such as a client that is not set up.
  'mcp-vector-server doctor': [1],
  'mcp-vector-server doctor --updates': [1],
  'mcp-vector-server doctor --repair --yes': [1],
  // A busy machine takes longer than the second that is slow: what they find is their own tests' business.
  'mcp-vector-server profile': [1],
  'mcp-vector-server profile --guide': [1],
  'mcp-vector-server profile --heap --rounds 4 --operations 40': [1],
  'mcp-vector-server profile --disk': [1],
  // The server has the store, and nothing is damaged.
  'tools/repair': [2],
  // Something is to be done: the service that runs would be ended.
  'mcp-vector-server recover': [1],
  'mcp-vector-server recover --from /backups/memory': [1],
};
/** Which have an installation to do it with. */
const OF_INSTALLATION = ['service', 'update', 'recover'];

const root = temporaryDirectory('operations-');
const [store, prefix, backups] = [join(root, 'store'), join(root, 'prefix'), join(root, 'backups')];
const env = {
  HOME: root,
  TMPDIR: root,
  VECTOR_DB_PATH: store,
  VECTOR_BACKUP_DIR: backups,
  VECTOR_LOG_FILE: join(root, 'server.log'),
  VECTOR_ALERT_COMMAND: JSON.stringify([process.execPath, '--version']),
};
/** What the service runs: an update exchanges it. */
const main = join(prefix, 'current/node_modules/mcp-vector-server/dist/src/cli/main.js');
const rows = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  .split('\n')
  .filter(line => line.startsWith('| ') && !line.startsWith('| procedure'))
  .map(
    line =>
      line
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()) as [string, string, string],
  );
let fresh: string;

const service = (...words: string[]) => runCli(['service', ...words, '--prefix', prefix], { env, main });

beforeAll(async () => {
  fresh = versionTree(join(root, 'fresh'), '9.9.9');
  const first = versionTree(join(root, 'first'), VERSION);
  const how = ['--manager', 'process', '--from', first, '--prefix', prefix, '--', '--port', '0'];
  expect(await runCli(['service', 'install', ...how], { env })).toMatchObject({ code: 0 });
  expect(await service('start')).toMatchObject({ code: 0 });
  for (const text of ['Tea is green', 'Tea is green', 'The owner holds the lock', 'Tailwind needs a config'])
    expect(await runCli(['upsert', text, '--id', `n${Math.random()}`], { env })).toMatchObject({ code: 0 });
}, 120_000);
afterAll(async () => {
  await service('stop');
});

test('the table has every procedure of the guide, in its order', () => {
  expect(rows.map(([procedure]) => procedure.replace(/^(\*\*)?\w+( term)?(\*\*)?: /, ''))).toEqual(
    PROCEDURES.map(name => expect.stringMatching(new RegExp(`^${name}`))),
  );
});

describe.each(rows)('%s', (_procedure, _itself, byHand) => {
  const commands = [...byHand.matchAll(/`((?:mcp-vector-server|tools\/)[^`]*)`/g)].map(
    ([, command]) => command!,
  );
  test.each(commands)('%s', { timeout: 120_000 }, async command => {
    const [program, ...words] = command.replace('/backups/memory', backups).split(' ');
    const args = program === 'mcp-vector-server' ? words : [program!.replace('tools/', ''), ...words];
    if (OF_INSTALLATION.includes(args[0]!)) args.push('--prefix', prefix);
    if (args[0] === 'update' && args[1] === '--apply') args.splice(2, 0, fresh);
    const { code, stdout, stderr } = await runCli(args, { env, cwd: root, main });
    expect([0, ...(EXITS[command] ?? [])], `${stdout}${stderr}`).toContain(code);
    expect(`${stdout}${stderr}`).not.toMatch(/INTERNAL|at file:|undefined/);
  });
});

test('after all of it the service serves, with every item', async () => {
  const status = await service('status', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({ running: true });
  const { stdout } = await runCli(['list', '--json'], { env, main });
  // One of the four was a duplicate.
  expect(JSON.parse(stdout).items).toHaveLength(3);
});
