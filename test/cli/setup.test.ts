import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_IDS } from '#src/cli/choices.js';
import { howToBuild } from '#src/cli/doctor/runtime.js';
import { findInstallation } from '#src/cli/installation.js';
import { otherWay } from '#src/cli/managed.js';
import { CLIENTS } from '#src/cli/setup/clients.js';
import { likelyLauncher, serverCommand } from '#src/cli/setup/server-command.js';
import { type CliResult, MAIN, runCli } from '../helpers/run-cli.js';

let home: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'setup-')));
});
afterEach(() => rmSync(home, { recursive: true }));

const setup = (...args: string[]): Promise<CliResult> =>
  runCli(['setup', ...args], { cwd: home, env: { HOME: home } });

const write = (path: string, text: string, mode = 0o600) => {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
  chmodSync(join(home, path), mode);
};
const read = (path: string) => readFileSync(join(home, path), 'utf8');
const backups = (folder = '.') => readdirSync(join(home, folder)).filter(f => f.includes('.backup-'));

const NPX = ['-y', 'mcp-vector-server'];

describe('setup prints', () => {
  test('a line or a command for every client', async () => {
    const { code, stdout, stderr } = await setup('--launch', 'npx');
    expect([code, stderr]).toEqual([0, '']);
    for (const client of CLIENTS) expect(stdout).toContain(`${client.title}:\n`);
    expect(stdout).toContain('claude mcp add vector-memory --scope user -- npx -y mcp-vector-server\n');
    expect(stdout).toContain('codex mcp add vector-memory -- npx -y');
    expect(stdout).toContain(`code --add-mcp '{"name":"vector-memory","command":"npx","args":["-y"`);
  });

  test.each(CLIENT_IDS)(
    '%s: a snippet that is what --write writes, and changes nothing itself',
    async client => {
      const store = join(home, "it's a store");
      const printed = await setup('--client', client, '--launch', 'npx', '--store', store, '--json');
      expect([printed.code, printed.stderr]).toEqual([0, '']);
      const { file, snippet } = JSON.parse(printed.stdout) as { file: string; snippet: string };
      expect(existsSync(file)).toBe(false);
      expect(readdirSync(home)).toEqual([]);

      const written = await setup(
        '--client',
        client,
        '--launch',
        'npx',
        '--store',
        store,
        '--write',
        '--json',
      );
      expect(JSON.parse(written.stdout)).toMatchObject({ outcome: 'created', backup: null });
      expect(readFileSync(file, 'utf8').trimEnd()).toBe(snippet);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(snippet).toContain(JSON.stringify(store).slice(1, -1));

      const again = await setup('--client', client, '--launch', 'npx', '--store', store, '--write', '--json');
      expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'unchanged', backup: null });
      expect(readdirSync(dirname(file)).filter(f => f.includes('backup'))).toEqual([]);
    },
  );

  test('this installation by its path where it is a checkout', async () => {
    expect(likelyLauncher()).toBe('path');
    const kindAt = (path: string) => findInstallation(join(home, path)).kind;
    expect(kindAt('.npm/_npx/1a2b/node_modules/mcp-vector-server')).toBe('npx');
    expect(kindAt('lib/node_modules/mcp-vector-server')).toBe('global');
    write('project/package.json', '{}');
    expect(kindAt('project/node_modules/mcp-vector-server')).toBe('project');
    expect((['npx', 'project', 'global', 'managed'] as const).map(kind => likelyLauncher({ kind }))).toEqual([
      'npx',
      'npx',
      'path',
      'path',
    ]);
    // Of versions side by side, the way that leads to the one that counts.
    write('service/installation.json', '{}');
    write('service/versions/1.0.0/package.json', '{}');
    const managed = join(home, 'service/versions/1.0.0/node_modules/mcp-vector-server');
    const found = findInstallation(managed);
    expect(found.kind).toBe('managed');
    const { args } = serverCommand('path', undefined, 'linux', managed);
    expect(args).toEqual([join(home, 'service/current/node_modules/mcp-vector-server/dist/src/cli/main.js')]);
    expect(otherWay(found)).toContain('update --apply');
    expect(howToBuild('hnswlib-node', found)).toMatch(
      /npm --prefix ".*versions\/1\.0\.0" install hnswlib-node.*after each update/i,
    );
    expect(serverCommand('path', undefined)).toEqual({
      command: process.execPath,
      args: [MAIN],
      env: {},
      isSlowAtFirst: false,
    });
    expect(serverCommand('npx', undefined, 'win32')).toMatchObject({
      command: 'cmd',
      args: ['/c', 'npx', ...NPX],
    });
  });
});

describe('setup --write', () => {
  test('keeps everything else in the file, backs it up, keeps its mode', async () => {
    const before =
      '{\n\t"theme": "dark",\n\t"mcpServers": {\n\t\t"theirs": {"command": "x"}\n\t},\n\t"n": 1.0\n}\n';
    write('.cursor/mcp.json', before, 0o640);
    const { code, stdout } = await setup('--client', 'cursor', '--launch', 'npx', '--write');
    expect(code).toBe(0);
    expect(stdout).toContain(`Put "vector-memory" into ${join(home, '.cursor/mcp.json')}.`);
    const entry =
      '"vector-memory": {\n\t\t\t"command": "npx",\n\t\t\t"args": [\n\t\t\t\t"-y",\n\t\t\t\t"mcp-vector-server"\n\t\t\t]\n\t\t}';
    expect(read('.cursor/mcp.json')).toBe(before.replace('"x"}', `"x"},\n\t\t${entry}`));
    expect(statSync(join(home, '.cursor/mcp.json')).mode & 0o777).toBe(0o640);
    expect(backups('.cursor')).toHaveLength(1);
    expect(read(`.cursor/${backups('.cursor')[0]}`)).toBe(before);
  });

  test('keeps what the user added to an earlier entry', async () => {
    write(
      '.cursor/mcp.json',
      JSON.stringify({
        mcpServers: {
          'vector-memory': {
            command: 'old',
            disabled: true,
            env: { VECTOR_LOG_LEVEL: 'debug', VECTOR_DB_PATH: '/old' },
          },
        },
      }),
    );
    await setup('--client', 'cursor', '--launch', 'npx', '--store', '/new', '--write');
    expect(JSON.parse(read('.cursor/mcp.json')).mcpServers['vector-memory']).toEqual({
      command: 'npx',
      args: NPX,
      disabled: true,
      env: { VECTOR_LOG_LEVEL: 'debug', VECTOR_DB_PATH: '/new' },
    });
  });

  test('writes into the project for clients that have such a file, and says so for those that have none', async () => {
    await setup('--client', 'claude-code', '--project', '--write');
    expect(Object.keys(JSON.parse(read('.mcp.json')).mcpServers)).toEqual(['vector-memory']);
    await setup('--client', 'vscode', '--project', '--name', 'notes', '--write');
    expect(JSON.parse(read('.vscode/mcp.json')).servers.notes.type).toBe('stdio');
    await setup('--client', 'codex', '--project', '--launch', 'npx', '--write');
    expect(read('.codex/config.toml')).toContain('startup_timeout_sec = 120');
    const refused = await setup('--client', 'windsurf', '--project', '--write');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('error INVALID_ARGUMENT: --project: Windsurf has no configuration');
  });

  test('follows a symbolic link instead of replacing it', async () => {
    write('dotfiles/mcp.json', '{"mcpServers":{}}');
    mkdirSync(join(home, '.cursor'));
    symlinkSync(join(home, 'dotfiles/mcp.json'), join(home, '.cursor/mcp.json'));
    await setup('--client', 'cursor', '--write');
    expect(lstatSync(join(home, '.cursor/mcp.json')).isSymbolicLink()).toBe(true);
    expect(read('dotfiles/mcp.json')).toContain('vector-memory');
    expect(backups('dotfiles')).toHaveLength(1);
  });

  test.each([
    ['comments', '{\n  // mine\n  "servers": {}\n}\n'],
    ['half a document', '{"servers": {'],
    ['no object', '[]'],
    ['servers that are no object', '{"servers": []}'],
  ])('refuses %s and leaves the file alone', async (_what, text) => {
    write('.vscode/mcp.json', text);
    const { code, stderr, stdout } = await setup('--client', 'vscode', '--project', '--write');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error CONFIG_UNREADABLE: /);
    expect(stderr).toContain('\nwhat to do: Nothing was changed.');
    expect(read('.vscode/mcp.json')).toBe(text);
    expect(backups('.vscode')).toEqual([]);
  });

  test('refuses bytes that are no UTF-8', async () => {
    mkdirSync(join(home, '.cursor'));
    writeFileSync(join(home, '.cursor/mcp.json'), Buffer.from([0x7b, 0xff, 0x7d]));
    const { code, stderr } = await setup('--client', 'cursor', '--write');
    expect(code).toBe(2);
    expect(stderr).toContain('CONFIG_UNREADABLE');
  });
});

describe('setup --rules', () => {
  test('prints the block', async () => {
    const { stdout } = await setup('--rules');
    expect(stdout).toMatch(
      /^<!-- mcp-vector-server:begin .*-->\n## Memory\n[\s\S]*`vector_search`[\s\S]*:end -->\n$/,
    );
  });

  test('appends it, replaces it when run again, and keeps the rest', async () => {
    write('CLAUDE.md', '# Mine\n\nRule one.\n');
    const first = await setup('--rules', '--write', 'CLAUDE.md');
    expect(first.code).toBe(0);
    const after = read('CLAUDE.md');
    expect(after.startsWith('# Mine\n\nRule one.\n\n<!-- mcp-vector-server:begin')).toBe(true);
    expect((await setup('--rules', '--write', 'CLAUDE.md')).stdout).toContain('nothing changed');
    write('CLAUDE.md', `${after.replace('## Memory', '## Old words')}\nRule two.\n`);
    await setup('--rules', '--write', 'CLAUDE.md');
    expect(read('CLAUDE.md')).toBe(`${after}\nRule two.\n`);
  });

  test('refuses a file whose markers are not one pair', async () => {
    for (const text of [
      '<!-- mcp-vector-server:begin -->\nno end\n',
      'no begin\n<!-- mcp-vector-server:end -->\n',
      '<!-- mcp-vector-server:begin -->\na\n<!-- mcp-vector-server:end -->\n<!-- mcp-vector-server:begin -->\nb\n<!-- mcp-vector-server:end -->\n',
    ]) {
      write('AGENTS.md', text);
      expect((await setup('--rules', '--write', 'AGENTS.md')).code).toBe(2);
      expect(read('AGENTS.md')).toBe(text);
    }
  });

  test('asks for the file, and names the one that is there', async () => {
    write('CLAUDE.md', 'x');
    const { code, stderr } = await setup('--rules', '--write');
    expect(code).toBe(2);
    expect(stderr).toContain('setup --rules --write CLAUDE.md');
  });
});
