import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { managerFile } from '#src/ops/service/install.js';
import { plistText } from '#src/ops/service/launchd.js';
import { unitText } from '#src/ops/service/systemd.js';
import { Prefix, type ServiceNote } from '#src/ops/update/prefix.js';
import { temporaryDirectory } from '../helpers/engine.js';

const root = temporaryDirectory('unit-');
const node = process.execPath;
const memory = { high: '60%', max: '2G' };
const system: ServiceNote = {
  manager: 'systemd',
  scope: 'system',
  name: 'mcp-vector-server',
  user: 'nobody',
  arguments: ['--port', '3001'],
};
const user: ServiceNote = { manager: 'systemd', scope: 'user', name: 'memory', arguments: [] };
const PREFIX = '/var/lib/mcp-vector-server';

test('the unit of the system has a user of its own, and writes to its own directories alone', () => {
  const unit = unitText(new Prefix(PREFIX), system, { store: `${PREFIX}/store`, memory, node });
  for (const line of [
    'Type=notify',
    'WatchdogSec=60s',
    'Restart=on-failure',
    'User=nobody',
    'StateDirectory=mcp-vector-server',
    'RuntimeDirectory=mcp-vector-server',
    'ProtectSystem=strict',
    'NoNewPrivileges=yes',
    'PrivateTmp=yes',
    'MemoryHigh=60%',
    'MemoryMax=2G',
    `ExecStartPre=${node} ${PREFIX}/resume.mjs`,
    `ReadWritePaths=${PREFIX}`,
  ])
    expect(unit.split('\n')).toContain(line);
  const elsewhere = unitText(new Prefix(PREFIX), system, { store: '/srv/my store', memory, node });
  expect(elsewhere).toContain('ReadWritePaths="/srv/my store"\n');
});

test('it may write to where its settings have it write', () => {
  const file = managerFile({
    prefix: new Prefix(PREFIX),
    installation: { format: 1, store: `${PREFIX}/store`, service: system },
    settings: { VECTOR_BACKUP_DIR: '/backups/my memory', VECTOR_LOG_FILE: `${PREFIX}/logs/server.log` },
    source: { kind: 'tree', path: '/nowhere' },
    memory,
  });
  const lines = file!.text.split('\n').filter(line => line.startsWith('ReadWritePaths='));
  expect(lines).toEqual([`ReadWritePaths=${PREFIX}`, 'ReadWritePaths="-/backups/my memory"']);
});

test('a path can say nothing to systemd but itself', () => {
  const none = { high: undefined, max: undefined };
  const unit = unitText(new Prefix('/a b%c$d"e'), user, { store: '/s', memory: none, node });
  expect(unit).toContain(`ExecStart=${node} "/a b%%c$$d\\"e/current/`);
  expect(unit).not.toContain('MemoryMax');
  expect(unit).not.toContain('User=');
  const twoLines = { ...user, arguments: ['--allow-host', 'a\nExecStartPre=/bin/sh'] };
  expect(() => unitText(new Prefix('/a'), twoLines, { store: '/s', memory: none, node })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
  const spaced = unitText(new Prefix('/var/lib/a b'), system, { store: '/s', memory: none, node });
  expect(spaced).not.toContain('StateDirectory');
});

/** Where systemd is, it judges its own files. */
test('systemd finds nothing wrong with the unit', () => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) return;
  const file = join(root, 'mcp-vector-server.service');
  const prefix = new Prefix(root);
  writeFileSync(
    file,
    unitText(prefix, { ...system, user: 'root' }, { store: join(root, 'store'), memory, node }),
  );
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  expect([status, stderr.split('\n').filter(line => line.includes(file))]).toEqual([0, []]);
});

test('the job of launchd is a property list that says what was meant', () => {
  const settings = { VECTOR_DB_PATH: '/a&b/<c>', VECTOR_EMBEDDER_KEY: '"x"' };
  const text = plistText(new Prefix('/p & q'), { ...user, manager: 'launchd' }, settings, node);
  // Python reads property lists as macOS does.
  const read = 'import json,plistlib,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
  const job = JSON.parse(execFileSync('python3', ['-c', read], { input: text, encoding: 'utf8' }));
  expect(job).toMatchObject({
    Label: 'memory',
    EnvironmentVariables: settings,
    KeepAlive: { SuccessfulExit: false },
    Umask: 0o077,
  });
  expect(job.ProgramArguments.slice(3)).toEqual([
    node,
    '/p & q/resume.mjs',
    '/p & q/current/node_modules/mcp-vector-server/dist/src/cli/main.js',
    'serve',
  ]);
});
