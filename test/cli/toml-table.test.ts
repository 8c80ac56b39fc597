import { describe, expect, test } from 'vitest';
import { hasTable, readKey, setTable, UnsupportedToml } from '#src/cli/setup/toml-table.js';

const TABLE = 'mcp_servers.ours';
const KEYS = { command: 'npx', args: ['-y', 'it'], startup_timeout_sec: 120 };
const BLOCK = '[mcp_servers.ours]\ncommand = "npx"\nargs = ["-y", "it"]\nstartup_timeout_sec = 120\n';

describe('setTable', () => {
  test('appends a table that is not there, and changes nothing when run again', () => {
    for (const before of ['', 'model = "o3"\n', 'model = "o3"', '[a]\nb = 1\n\n']) {
      const after = setTable(before, TABLE, KEYS, undefined);
      expect(after.startsWith(before)).toBe(true);
      expect(after.endsWith(BLOCK)).toBe(true);
      expect(setTable(after, TABLE, KEYS, undefined)).toBe(after);
    }
  });

  test('changes only the keys that differ, in place, and keeps comments, other keys and other tables', () => {
    const before = [
      '# mine',
      '[mcp_servers.ours] # here',
      'args = [',
      '  "old", # with ] a bracket',
      ']',
      'command = "npx" # fine',
      'enabled = false',
      '',
      '[mcp_servers.theirs]',
      'command = "npx"',
      '',
    ].join('\n');
    const after = setTable(before, TABLE, KEYS, undefined);
    expect(after).toBe(
      before
        .replace('args = [\n  "old", # with ] a bracket\n]', 'args = ["-y", "it"]')
        .replace('enabled = false\n', 'enabled = false\nstartup_timeout_sec = 120\n'),
    );
  });

  test('puts env into a table of its own and keeps what else stands there', () => {
    const first = setTable('', TABLE, KEYS, { VECTOR_DB_PATH: '/a "b"\\c' });
    expect(first).toBe(`${BLOCK}\n[mcp_servers.ours.env]\nVECTOR_DB_PATH = "/a \\"b\\"\\\\c"\n`);
    const theirs = `${first}HTTPS_PROXY = "http://x"\n`;
    const second = setTable(theirs, TABLE, KEYS, { VECTOR_DB_PATH: '/new' });
    expect(second).toBe(theirs.replace('"/a \\"b\\"\\\\c"', '"/new"'));
    expect(setTable(second, TABLE, KEYS, undefined)).toBe(second);
  });

  test('is not misled by headers and keys inside strings', () => {
    const before = [
      'notes = """',
      '[mcp_servers.ours]',
      'command = "evil"',
      '"""',
      "raw = '''",
      '[mcp_servers.ours]',
      "'''",
      'path = "C:\\\\ # [no comment"',
      '',
    ].join('\n');
    expect(hasTable(before, TABLE)).toBe(false);
    expect(setTable(before, TABLE, KEYS, undefined)).toBe(`${before}\n${BLOCK}`);
  });

  test('keeps Windows line ends', () => {
    const before = '[mcp_servers.ours]\r\ncommand = "old"\r\n';
    expect(setTable(before, TABLE, { command: 'npx' }, undefined)).toBe(before.replace('old', 'npx'));
    expect(setTable('a = 1\r\n', TABLE, { command: 'npx' }, undefined)).toBe(
      'a = 1\r\n\r\n[mcp_servers.ours]\r\ncommand = "npx"\r\n',
    );
  });

  test('reads quoted names', () => {
    const text = '[ mcp_servers . "ours" ]\n"command" = "x"\n';
    expect(readKey(text, TABLE, 'command')).toBe('"x"');
    expect(setTable(text, TABLE, { command: 'y' }, undefined)).toBe(
      '[ mcp_servers . "ours" ]\ncommand = "y"\n',
    );
  });

  test.each([
    ['an inline table', '[mcp_servers]\nours = { command = "x" }\n'],
    ['an inline parent', 'mcp_servers = { ours = { command = "x" } }\n'],
    ['dotted keys', 'mcp_servers.ours.command = "x"\n'],
    ['dotted keys below the parent', '[mcp_servers]\nours.command = "x"\n'],
    ['the table twice', '[mcp_servers.ours]\na = 1\n[mcp_servers.ours]\nb = 1\n'],
  ])('refuses %s rather than make the file invalid', (_form, text) => {
    expect(() => setTable(text, TABLE, KEYS, undefined)).toThrow(UnsupportedToml);
  });

  test('refuses an inline env where it would have to change it', () => {
    const text = '[mcp_servers.ours]\ncommand = "x"\nenv = { A = "b" }\n';
    expect(() => setTable(text, TABLE, KEYS, { VECTOR_DB_PATH: '/x' })).toThrow(UnsupportedToml);
    expect(setTable(text, TABLE, { command: 'x' }, undefined)).toBe(text);
  });
});
