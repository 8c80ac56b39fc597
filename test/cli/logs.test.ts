import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { renderLogLine } from '#src/cli/log-line.js';
import { LogTail, lastLines } from '#src/log/read.js';
import { rotatedName } from '#src/log/rotated.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

const NOW_MS = Date.now();
const HOUR_MS = 3_600_000;

const line = (msg: string, level: number, hoursAgo: number, more: object = {}) =>
  `${JSON.stringify({ level, time: new Date(NOW_MS - hoursAgo * HOUR_MS).toISOString(), pid: 7, ...more, msg })}\n`;

/** A log with what logrotate, this program and nobody has put beside it. */
function plantedLog(): string {
  const path = join(temporaryDirectory('logs-'), 'server.log');
  const aside = (hoursAgo: number) => rotatedName(path, NOW_MS - hoursAgo * HOUR_MS, 7, 0);
  writeFileSync(`${aside(30)}.gz`, gzipSync(line('one', 30, 31) + line('two', 50, 30)));
  writeFileSync(aside(20), line('three', 30, 20));
  // Compressed, and the file itself not removed yet.
  writeFileSync(`${aside(20)}.gz`, gzipSync(line('three', 30, 20)));
  // Cut off while it was written.
  writeFileSync(`${aside(10)}.gz`, gzipSync(line('four', 40, 11)).subarray(0, -8));
  writeFileSync(
    path,
    `${line('five', 30, 2)}no line of ours\n${line('six', 40, 1, { tool: 'vector_search' })}`,
  );
  writeFileSync(`${path}.backup`, line('of nobody', 60, 1));
  return path;
}

test('the lines of all files are shown in order, by level, time and number', async () => {
  const VECTOR_LOG_FILE = plantedLog();
  const run = async (...args: string[]) => {
    const { code, stdout } = await runCli(['logs', '--json', ...args], { env: { VECTOR_LOG_FILE } });
    const lines = stdout
      .trim()
      .split('\n')
      .filter(text => text !== '');
    return [code, ...lines.map(text => JSON.parse(text).msg)];
  };
  expect(await run()).toEqual([0, 'one', 'two', 'three', 'four', 'five', 'six']);
  expect(await run('--level', 'warn', '-n', '2')).toEqual([0, 'four', 'six']);
  expect(await run('--since', '12 hours ago', '--level', 'info')).toEqual([0, 'four', 'five', 'six']);
  expect(await run('--since', '12 hours ago', '-n', '1')).toEqual([0, 'six']);
  const { stdout } = await runCli(['logs', '-n', '2'], { env: { VECTOR_LOG_FILE } });
  expect(stdout).toMatch(
    /^no line of ours\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warn {2}six tool=vector_search\n$/,
  );
});

test.each<[string[], string | undefined, number, RegExp]>([
  [['logs'], undefined, 2, /CONFIG_INVALID: VECTOR_LOG_FILE: is not set/],
  [['logs'], '/nowhere/server.log', 1, /There is no log yet/],
  [['logs', '--since', '42'], '/nowhere/server.log', 2, /MOMENT_INVALID/],
  [['stats', '--store', '/nowhere'], undefined, 2, /STORE_MISSING/],
])('%j with log file %s ends with %s', async (args, logFile, code, said) => {
  const result = await runCli(args, { env: { ...(logFile && { VECTOR_LOG_FILE: logFile }) } });
  expect(result.stderr).toMatch(said);
  expect(result.code).toBe(code);
});

test('what comes is told exactly once, from the moment on that the last lines ended, whoever puts the file aside', async () => {
  const path = join(temporaryDirectory('logs-'), 'server.log');
  let n = 0;
  const write = () => appendFileSync(path, `line ${++n}\n`);
  write();
  const tail = new LogTail(path);
  // Written between the two looks, and then put aside.
  write();
  renameSync(path, `${path}.1`);
  write();
  const earlier = await lastLines(path, 10, { passes: () => true, until: tail });
  expect(earlier).toEqual(['line 1']);
  const ending = new AbortController();
  const found: string[] = [];
  for await (const text of tail.lines(ending.signal)) {
    found.push(text);
    if (n === 3) {
      write();
      renameSync(path, `${path}.2`);
      write();
      appendFileSync(path, 'not whole');
    }
    if (found.length === 4) ending.abort();
  }
  expect(found).toEqual(['line 2', 'line 3', 'line 4', 'line 5']);
});

test('a line as people read it has nothing that acts on a terminal, and colours only where they are wanted', () => {
  const record = {
    level: 50,
    time: 'x',
    msg: 'a\u001b[2Jb',
    k: '\u202e\u0007',
    err: { type: 'E', message: 'm\u001b', stack: 'at x\u009b\nat y' },
  };
  expect(renderLogLine(JSON.stringify(record), (_style, text) => text, true)).toBe(
    'error a[2Jb k="\\u0007"\n    E m\n    at x\n    at y',
  );
  expect(renderLogLine(JSON.stringify(record), (style, text) => `<${style}>${text}`, true)).toContain(
    '<red>error',
  );
});

test('serve --debug shows what it logs on stderr, beside the file; stats tells of what was asked', async () => {
  const dir = temporaryDirectory('logs-');
  const env = { HOME: dir, VECTOR_DB_PATH: join(dir, 'store'), VECTOR_LOG_FILE: join(dir, 'server.log') };
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--debug'], {
    env: { PATH: process.env.PATH, ...env },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  try {
    await expect.poll(() => stderr, { timeout: 20_000 }).toMatch(/debug listening for other processes/);
    expect(stderr).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} info {2}serving MCP at http:\/\/127\.0\.0\.1:\d+\/mcp host=127\.0\.0\.1 port=\d+$/m,
    );
    expect(readFileSync(env.VECTOR_LOG_FILE, 'utf8')).toMatch(/^\{"level":30,.*"msg":"serving MCP at/m);
    await runCli(['upsert', 'a first text', '-c', 'notes'], { env });
    const { code, stdout } = await runCli(['stats', '--json', '--period', 'day'], { env });
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.writes).toMatchObject({ total: 1, by_collection: [{ name: 'notes', created: 1 }] });
    expect(report.memory.percent).toBeGreaterThan(0);
    expect(report.verification.schedule).toBe('30 3 * * *');
    // What is asked is noted once operations have begun, which this waits for.
    await runCli(['health'], { env });
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  const to = join(dir, 'report.html');
  const written = await runCli(['stats', '--format', 'html', '--to', to], { env });
  expect(written).toMatchObject({ code: 0, stdout: `written to ${to}\n` });
  expect(statSync(to).mode & 0o777).toBe(0o600);
  // The server has noted what it was asked.
  expect(readFileSync(to, 'utf8')).toMatch(/<th scope="row">upsert<\/th><td class="n">1<\/td>/);
  const kept = { ...env, VECTOR_BACKUP_DIR: join(dir, 'backups') };
  const { stdout } = await runCli(['stats', '--json'], { env: kept });
  expect(JSON.parse(stdout).backup).toEqual({ path: kept.VECTOR_BACKUP_DIR, count: 0, damaged: 0 });
  const failed = await runCli(['stats', '--to', join(dir, 'none', 'report')], { env });
  expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining('OUTPUT_FAILED')]);
  expect(existsSync(join(dir, 'none'))).toBe(false);
}, 60_000);
