/** backup --with-config and restore --config-to: what goes along, what does not, and what a person gets back. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { collectConfig } from '#src/cli/config/collect.js';
import { NOT_SAVED, savedEntry, savedVariable } from '#src/cli/config/mask.js';
import { writeOutConfig } from '#src/cli/config/write-out.js';
import { CLIENTS } from '#src/cli/setup/clients.js';
import { RULES } from '#src/cli/setup/rules.js';
import { RawServer } from '../e2e/raw-server.js';
import { openTestEngine, temporaryDirectory } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

// Shaped as keys are, and drawn for this test.
const KEY = 'sk-proj-Zx8Qm4Lr2Vt6Yb9Nc3Hd7Kf5Wg1Sj0PqUaEo';
const FOREIGN = 'ghp_f3Kq9ZtX7mB2vN8cR5wL1yHd6JsP4gAoUe0i';

let home: string;
let store: string;
let backups: string;
beforeEach(() => {
  home = temporaryDirectory();
  store = join(home, 'store');
  backups = join(home, 'backups');
});

const write = (file: string, text: string): string => {
  const path = join(home, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const machine = () => ({ platform: 'linux' as const, home, cwd: join(home, 'project') });
const everyByte = (dir: string): string =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map(name => join(dir, name))
    .filter(path => statSync(path).isFile())
    .map(path => readFileSync(path, 'latin1'))
    .join('\n');

/** Another server of the user's beside ours, in every client. */
function writeClients(): void {
  const ours = {
    command: 'npx',
    args: ['-y', 'mcp-vector-server'],
    env: { VECTOR_DB_PATH: '/data/memory', VECTOR_EMBEDDER: 'openai', VECTOR_EMBEDDER_KEY: KEY },
  };
  const other = { command: 'npx', args: ['-y', 'github-server'], env: { GITHUB_TOKEN: FOREIGN } };
  for (const client of CLIENTS) {
    const files = [client.userFile(machine(), {})];
    if (client.projectFile !== undefined) files.push(join(machine().cwd, client.projectFile));
    for (const file of files) {
      mkdirSync(dirname(file), { recursive: true });
      const json = JSON.stringify({ [client.section]: { memory: ours, github: other }, session: FOREIGN });
      const toml = `
token = "${FOREIGN}" # ours
[mcp_servers.memory]
command = "npx"
args = [ "-y", 'mcp-vector-server', # the package
]
startup_timeout_sec = 120
enabled = true
[mcp_servers.memory.env]
VECTOR_DB_PATH = "/data/memory"
VECTOR_EMBEDDER_KEY = "${KEY}"
[mcp_servers.github]
command = "npx"
env = { GITHUB_TOKEN = "${FOREIGN}" }
`;
      writeFileSync(file, client.format === 'json' ? json : toml);
    }
  }
}

const cli = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runCli(args, { cwd: machine().cwd, env: { HOME: home, ...env } });

describe('a backup with the configuration', () => {
  test('has along what makes the server known everywhere, and no secret in any byte', async () => {
    writeClients();
    write('project/AGENTS.md', `# Ours\n${FOREIGN}\n\n${RULES}\n\nMore.\n`);
    await (await openTestEngine(store)).close();
    const env = { VECTOR_METRIC: 'l2', VECTOR_EMBEDDER_KEY: '', OPENAI_API_KEY: KEY, UNRELATED: 'x' };
    const made = await cli(['backup', '--to', backups, '--with-config', '--store', store, '--json'], env);
    expect([made.code, made.stderr]).toEqual([0, '']);
    const { id, config } = JSON.parse(made.stdout);
    const saved = JSON.parse(readFileSync(join(backups, 'config', config), 'utf8'));
    expect(saved.settings).toEqual({ VECTOR_METRIC: 'l2', OPENAI_API_KEY: NOT_SAVED });
    expect(saved.store).toBe(store);
    expect(saved.clients).toHaveLength(CLIENTS.length + CLIENTS.filter(c => c.projectFile).length);
    for (const { client, name, entry } of saved.clients) {
      expect([client, name, entry.args]).toEqual([client, 'memory', ['-y', 'mcp-vector-server']]);
      expect(entry.env).toMatchObject({ VECTOR_DB_PATH: '/data/memory', VECTOR_EMBEDDER_KEY: NOT_SAVED });
    }
    expect(saved.rules).toEqual([{ file: join(home, 'project', 'AGENTS.md'), text: RULES }]);
    const bytes = everyByte(backups);
    for (const secret of [KEY, FOREIGN, 'github', 'Ours']) expect(bytes).not.toContain(secret);

    // The same again is nothing new; another setting is.
    const repeat = (more: NodeJS.ProcessEnv) =>
      cli(['backup', '--to', backups, '--with-config', '--store', store, '--json'], { ...env, ...more });
    expect(JSON.parse((await repeat({})).stdout)).toMatchObject({ id, is_unchanged: true });
    const changed = JSON.parse((await repeat({ VECTOR_METRIC: 'ip' })).stdout);
    expect(changed).toMatchObject({ is_unchanged: false, written_records: 0 });
    const listed = await cli(['backup', 'list', backups]);
    expect(listed.stdout.match(/with configuration/g)).toHaveLength(2);
    expect((await cli(['backup', 'verify', backups])).code).toBe(0);

    const out = join(home, 'out');
    const restored = await cli(['restore', '--from', backups, '--backup', id, '--config-to', out]);
    expect(restored.code).toBe(0);
    expect(restored.stdout).toContain(join('clients', 'cursor-user.json'));
    expect(readFileSync(join(out, 'settings.env'), 'utf8')).toBe(
      `VECTOR_DB_PATH='${store}'\n# OPENAI_API_KEY= was set; its value is not in the backup\nVECTOR_METRIC='l2'\n`,
    );
    expect(JSON.parse(readFileSync(join(out, 'clients', 'vscode-project.json'), 'utf8'))).toMatchObject({
      servers: { memory: { command: 'npx', env: { VECTOR_DB_PATH: '/data/memory' } } },
    });
    const toml = readFileSync(join(out, 'clients', 'codex-user.toml'), 'utf8');
    expect(toml).toContain('[mcp_servers.memory]\ncommand = "npx"\nargs = ["-y", "mcp-vector-server"]\n');
    expect(toml).toContain('startup_timeout_sec = 120\nenabled = true\n');
    expect(toml).toContain(`[mcp_servers.memory.env]\nVECTOR_DB_PATH = "/data/memory"\n`);
    expect(readFileSync(join(out, 'rules', '1-AGENTS.md'), 'utf8')).toBe(`${RULES}\n`);
    expect(statSync(join(out, 'config.json')).mode & 0o077).toBe(0);
  });

  test('of a store that a server has takes the configuration from here and the records from there', async () => {
    mkdirSync(machine().cwd);
    writeClients();
    const server = new RawServer(store);
    await server.initialize();
    await server.call('vector_upsert', { items: [{ id: 'one', text: 'Written by the server.' }] });
    const made = await cli(['backup', '--to', backups, '--with-config', '--store', store]);
    expect(made.stdout).toMatch(/^config {3}config\/[0-9a-f]{64}\.json$/m);
    await server.end();
    const restored = [
      'restore',
      '--from',
      backups,
      '--to',
      join(home, 'new'),
      '--config-to',
      join(home, 'out'),
    ];
    const dry = await cli([...restored, '--dry-run']);
    expect([dry.code, existsSync(join(home, 'out'))]).toEqual([0, false]);
    expect(dry.stdout).toContain('it would be written to');
    const { code, stdout } = await cli([...restored, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verified: { sound: true },
      config: { to: join(home, 'out') },
    });
    // A client's file of today is the user's.
    const cursor = readFileSync(join(home, '.cursor', 'mcp.json'), 'utf8');
    expect(cursor).toContain(FOREIGN);
  });

  test('tells of a file that it cannot read, without a word of what is in it', async () => {
    write('.cursor/mcp.json', `{"mcpServers": {"memory": "${FOREIGN}`);
    mkdirSync(machine().cwd);
    await (await openTestEngine(store)).close();
    const made = await cli(['backup', '--to', backups, '--with-config', '--store', store]);
    expect([made.code, made.stderr]).toEqual([0, expect.stringMatching(/^not taken along: .*mcp\.json/)]);
    expect(everyByte(backups)).toContain('mcp.json');
    expect(everyByte(backups)).not.toContain(FOREIGN.slice(0, 8));
  });

  test('is not taken for one that has none, nor written over what is there', async () => {
    mkdirSync(machine().cwd);
    await (await openTestEngine(store)).close();
    const plain = JSON.parse((await cli(['backup', '--to', backups, '--store', store, '--json'])).stdout);
    const from = ['restore', '--from', backups, '--config-to'];
    const none = await cli([...from, join(home, 'out'), '--to', join(home, 'new')]);
    expect(none.stderr).toMatch(/BACKUP_MISSING: .* has no configuration along\n.*None there has one/);
    expect(existsSync(join(home, 'new'))).toBe(false);
    const made = await cli(['backup', '--to', backups, '--with-config', '--store', store, '--json']);
    const { id, config } = JSON.parse(made.stdout);
    const older = await cli([...from, join(home, 'out'), '--backup', plain.id]);
    expect(older.stderr).toContain(`the latest is ${id}`);
    expect((await cli([...from, machine().cwd])).code).toBe(0);
    expect((await cli([...from, machine().cwd])).stderr).toContain('STORE_FOREIGN');
    chmodSync(join(backups, 'config', config), 0o600);
    writeFileSync(join(backups, 'config', config), '{}');
    expect((await cli([...from, join(home, 'out')])).stderr).toMatch(/BACKUP_DAMAGED: config\/.*sha256/);
    const report = await cli(['backup', 'verify', backups, '--json']);
    expect(report.code).toBe(1);
    expect(JSON.parse(report.stdout).findings).toEqual([
      { backups: [id], message: expect.stringContaining(`config/${config}`) },
    ]);
    for (const [args, said] of [
      [['restore', '--from', backups], '--to is missing'],
      [
        ['restore', '--from', backups, '--config-to', join(home, 'x'), '--until', '3'],
        '--until goes with --to',
      ],
      [['backup', 'verify', backups, '--with-config'], '--with-config does not go with verify'],
    ] as const)
      expect((await cli(args)).stderr).toContain(said);
  });
});

describe('what may be saved', () => {
  test.each([
    ['VECTOR_DB_PATH', '/data/memory', true],
    ['VECTOR_EMBEDDER_URL', 'http://localhost:11434', true],
    ['VECTOR_EMBEDDER_URL', 'https://me:secret@host/v1', false],
    ['VECTOR_EMBEDDER_URL', 'https://host/v1?api-key=abc', false],
    ['VECTOR_EMBEDDER_KEY', 'anything', false],
    ['VECTOR_EMBEDDER_MODEL', KEY, false],
    ['VECTOR_UNHEARD_OF', 'x', false],
    ['OPENAI_API_KEY', 'x', false],
    ['PATH', '/bin', false],
  ])('%s=%s: %s', (name, value, isSaved) => {
    expect(savedVariable(name, value)).toBe(isSaved ? value : NOT_SAVED);
  });

  test('of an entry is what starts the server; the rest by name', () => {
    expect(
      savedEntry({
        type: 'stdio',
        command: 'sh',
        args: ['-c', 'API_KEY=abc mcp-vector-server', '--api-key', 'abc', '--token=abc', '--store', '/x'],
        cwd: '/work',
        env: { VECTOR_METRIC: 'l2', VECTOR_EMBEDDER_KEY: 'k', OTHER: 'x', NUMBER: 3 },
        headers: { Authorization: 'Bearer abc' },
        url: 'https://host/mcp',
        disabled: false,
        timeout: 30,
        alwaysAllow: ['vector_search'],
        autoApprove: [{ deep: KEY }],
      }),
    ).toEqual({
      type: 'stdio',
      command: 'sh',
      args: ['-c', NOT_SAVED, '--api-key', NOT_SAVED, NOT_SAVED, '--store', '/x'],
      cwd: '/work',
      env: { VECTOR_METRIC: 'l2', VECTOR_EMBEDDER_KEY: NOT_SAVED, OTHER: NOT_SAVED, NUMBER: NOT_SAVED },
      headers: NOT_SAVED,
      url: NOT_SAVED,
      disabled: false,
      timeout: 30,
      alwaysAllow: ['vector_search'],
      autoApprove: NOT_SAVED,
    });
  });

  test('of TOML are the own tables, values of other forms by name', () => {
    write(
      '.codex/config.toml',
      `[mcp_servers."our own"]
command = '/opt/dist/src/cli/main.js'
cwd = """
several"""
args = []
[mcp_servers."our own".env]
VECTOR_METRIC = "l\\u0032" # two
VECTOR_ROOTS = "\\U0000002F"
[mcp_servers.inline]
command = "mcp-vector-server"
env = { VECTOR_METRIC = "l2" }
[other]
command = "mcp-vector-server"
`,
    );
    const { config } = collectConfig(machine(), {}, store);
    expect(config.clients.map(({ name, entry }) => [name, entry])).toEqual([
      [
        'our own',
        {
          command: '/opt/dist/src/cli/main.js',
          cwd: NOT_SAVED,
          args: [],
          env: { VECTOR_METRIC: 'l2', VECTOR_ROOTS: NOT_SAVED },
        },
      ],
      ['inline', { command: 'mcp-vector-server', env: NOT_SAVED }],
    ]);
    const out = join(home, 'out');
    writeOutConfig(JSON.stringify(config), out);
    const toml = readFileSync(join(out, 'clients', 'codex-user.toml'), 'utf8');
    expect(toml).toContain('[mcp_servers."our own"]\n');
    expect(toml).toContain(`[mcp_servers.inline]\ncommand = "mcp-vector-server"\nenv = "${NOT_SAVED}"\n`);
    expect(() => writeOutConfig('{"format":2}', join(home, 'later'))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});
