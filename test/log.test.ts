import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '#src/log.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'config-test-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('the log file is for the user alone, even where it was there before', () => {
  const fresh = join(directory, 'deep', 'fresh.log');
  const open = join(directory, 'open.log');
  writeFileSync(open, 'before\n');
  chmodSync(open, 0o644);
  for (const logFile of [fresh, open]) {
    const logger = createLogger({ logLevel: 'info', logFile });
    logger.info({ seq: 7 }, 'hello');
    logger.debug('too fine');
    expect(statSync(logFile).mode & 0o777).toBe(0o600);
  }
  expect(readFileSync(open, 'utf8')).toMatch(/^before\n\{.*"seq":7,"msg":"hello"\}\n$/);
});

test('a log file that cannot be written is refused by name', () => {
  expect(() => createLogger({ logLevel: 'info', logFile: directory })).toThrowError(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('VECTOR_LOG_FILE') }),
  );
});

const logFrom = (logFile: string | undefined) =>
  spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createLogger } from '#src/log.js';
       createLogger({ logLevel: 'info', logFile: ${JSON.stringify(logFile)} }).warn('a line');`,
    ],
    { encoding: 'utf8', cwd: process.cwd() },
  );

test('without a file the log goes to stderr, and nothing to stdout', () => {
  const { status, stdout, stderr } = logFrom(undefined);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  expect(JSON.parse(stderr)).toMatchObject({ msg: 'a line', level: 40 });
});

test('stdout by another name is refused', () => {
  const target = join(directory, 'stdout');
  // spawnSync would make stdout a socket, which cannot be opened by name at all: let a shell redirect it.
  const script = `import { createLogger } from '#src/log.js';
    createLogger({ logLevel: 'info', logFile: ${JSON.stringify(target)} });`;
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', `"$0" --input-type=module --eval "$1" > "$2"`, process.execPath, script, target],
    { encoding: 'utf8', cwd: process.cwd() },
  );
  expect(status).toBe(1);
  expect(stderr).toContain('belongs to MCP');
  expect(readFileSync(target, 'utf8')).toBe('');
});
