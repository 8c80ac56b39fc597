import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '#src/cli/commands.js';
import { VARIABLES } from '#src/variables.js';
import { runCli } from '../helpers/run-cli.js';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

describe('help', () => {
  test('names every command and every variable', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const { name } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    for (const { name } of VARIABLES) expect(stdout).toContain(`  ${name}`);
    expect(stdout).toContain('Exit codes: 0');
  });

  test.each(COMMANDS.map(c => c.name))('%s --help and --version', async name => {
    for (const args of [
      [name, '--help'],
      [name, '-h'],
      ['help', name],
    ]) {
      const { code, stdout, stderr } = await runCli(args);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain('Usage: ');
      expect(stdout).toContain(name);
    }
    expect(await runCli([name, '--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('--version', async () => {
    expect(await runCli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong usage exits with 2 and says what would be right', () => {
  test.each([
    [['serch', 'x'], 'serch: unknown command, did you mean search?'],
    [['--hlep'], '--hlep: unknown option, did you mean --help?'],
    [['frobnicate'], 'frobnicate: unknown command\n'],
    [['search', 'x', '--colection', 'y'], '--colection: unknown option, did you mean --collection?'],
    [['search', 'x', '-z'], '-z: unknown option'],
    [['search'], 'search: something is missing: search <query>'],
    [['search', 'a', 'b'], '"b" is one argument too many'],
    [['search', 'a', '-k', '1000'], '--k: "1000" is not a whole number from 1 to 100'],
    [
      ['search', 'a', '--mode', 'hybird'],
      '"hybird" is not one of hybrid, semantic, keyword, did you mean hybrid?',
    ],
    [['search', 'a', '--mode'], '--mode needs a value'],
    [['search', 'a', '--json=yes'], '--json takes no value'],
    [['search', 'a', '--mode', 'hybrid', '--mode', 'keyword'], '--mode is given twice'],
    [['search', 'a', '--where', '{'], '--where: '],
    [['list', '--where', '[]'], '--where: is JSON, but not an object'],
    [['delete'], 'delete: which items?'],
    [['delete', 'a', '--where', '{"a":1}'], 'delete: ids and --where at once'],
    [['setup', '--client', 'cusor'], 'did you mean cursor?'],
    [['setup', '--write'], '--write needs to know which client'],
    [['setup', '--name', '__proto__'], '--name: "__proto__" is no name for a server'],
    [['status', '__proto__'], 'one argument too many'],
    [['status', '--__proto__'], '--__proto__: unknown option'],
    [['__proto__'], '__proto__: unknown command'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('error INVALID_ARGUMENT: ');
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/\nwhat to do: .+\n$/);
  });

  test('in JSON where JSON is asked for', async () => {
    const { code, stderr } = await runCli(['status', '--json', '--stroe', 'x']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'INVALID_ARGUMENT',
        message: '--stroe: unknown option, did you mean --store?',
        wayOut: 'See `mcp-vector-server status --help`.',
      },
    });
  });

  test('a misspelt variable', async () => {
    const { code, stderr } = await runCli(['status'], { env: { VECTOR_DB_PAHT: '/x' } });
    expect(code).toBe(2);
    expect(stderr).toContain('did you mean VECTOR_DB_PATH?');
  });

  test('a store that is not there is not made by looking at it', async () => {
    for (const args of [['status'], ['search', 'x'], ['get', 'x'], ['list'], ['delete', 'x']]) {
      const { code, stderr } = await runCli([...args, '--store', '/nonexistent/store']);
      expect(code).toBe(2);
      expect(stderr).toContain('error STORE_MISSING: ');
    }
  });
});

test('control characters of an argument do not reach the terminal', async () => {
  const { stderr } = await runCli(['\u001b[2J\u202ex']);
  expect(stderr).not.toMatch(/[\u001b\u202e]/);
});
