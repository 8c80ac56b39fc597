import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { LogFile, type LogFileOptions } from '#src/log/log-file.js';
import { earlierFiles, rotatedFiles, rotatedName } from '#src/log/rotated.js';
import { tidy } from '#src/log/tidy.js';
import { createLogger } from '#src/log.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { fileLimitDisk, tmpfsDisk } from '../helpers/small-disk.js';

const DAY_MS = 86_400_000;
const UNBOUNDED = { files: Infinity, days: Infinity, bytes: Infinity };

const logFile = (path: string, options: Partial<LogFileOptions> = {}) =>
  new LogFile({ path, rotation: { maxBytes: 100, daily: true }, keep: UNBOUNDED, ...options });

const newPath = () => join(temporaryDirectory('log-file-'), 'server.log');

/** Every line that was ever written, the oldest file first. */
const linesOf = (path: string): string[] =>
  [...earlierFiles(path).map(file => file.path), path].flatMap(name => {
    const bytes = readFileSync(name);
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n').slice(0, -1);
  });

const line = (n: number) => `line ${n} ${'.'.repeat(30)}\n`;

test('two processes write into one file and put it aside: every line is there exactly once', async () => {
  const path = newPath();
  const [count, maxBytes] = [3000, 8000];
  const script = fileURLToPath(new URL('writer.mjs', import.meta.url));
  const writers = ['a', 'b'].map(name =>
    spawn(process.execPath, [script, path, name, String(count), String(maxBytes)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  await Promise.all(writers.map(writer => once(writer.stdout, 'data')));
  for (const writer of writers) writer.stdin.write('go');
  const codes = await Promise.all(
    writers.map(async writer => (await once(writer as ChildProcess, 'exit'))[0]),
  );
  expect(codes).toEqual([0, 0]);
  const lines = linesOf(path);
  // In order as well, since each process writes its own one after the other.
  for (const name of ['a', 'b'])
    expect(lines.filter(text => text.startsWith(name)).map(text => Number(text.split(' ')[1]))).toEqual(
      Array.from({ length: count }, (_, n) => n),
    );
  expect(lines).toHaveLength(2 * count);
  const files = rotatedFiles(path);
  // Not one after the other by both: each file is about as large as it may be.
  expect(files.length).toBeGreaterThan(15);
  expect(files.length).toBeLessThan(35);
  expect(files.filter(file => file.isCompressed).length).toBeGreaterThan(0);
  expect(readdirSync(join(path, '..')).filter(name => name.endsWith('.lock'))).toEqual([]);
});

test('a file is put aside before it grows beyond its size, and compressed once nobody can be writing into it', async () => {
  const path = newPath();
  const file = logFile(path);
  for (let n = 0; n < 5; n++) file.write(line(n));
  expect(rotatedFiles(path)).toHaveLength(2);
  for (const { path: aside } of rotatedFiles(path)) expect(statSync(aside).mode & 0o777).toBe(0o600);
  expect(statSync(path).size).toBeLessThanOrEqual(100);
  expect(await tidy(path, { keep: UNBOUNDED, settleMs: 60_000 })).toBe(true);
  expect(rotatedFiles(path).some(({ isCompressed }) => isCompressed)).toBe(false);
  expect(await tidy(path, { keep: UNBOUNDED, settleMs: 0 })).toBe(false);
  expect(rotatedFiles(path).every(({ isCompressed }) => isCompressed)).toBe(true);
  expect(statSync(rotatedFiles(path)[0]!.path).mode & 0o777).toBe(0o600);
  expect(linesOf(path)).toEqual([0, 1, 2, 3, 4].map(n => line(n).trimEnd()));
});

test('a file of another day is put aside, once', () => {
  const path = newPath();
  writeFileSync(path, 'yesterday\n');
  const yesterday = new Date(Date.now() - DAY_MS);
  utimesSync(path, yesterday, yesterday);
  const file = logFile(path);
  file.write('today\n');
  expect(readFileSync(path, 'utf8')).toBe('today\n');
  // A disk whose times stand still must not give a file for each line.
  utimesSync(path, yesterday, yesterday);
  file.write('still today\n');
  expect(readFileSync(path, 'utf8')).toBe('today\nstill today\n');
  expect(linesOf(path)).toEqual(['yesterday', 'today', 'still today']);
});

test('what another program puts aside is noticed, and reopen makes the file at once', () => {
  const path = newPath();
  const logger = createLogger({ logLevel: 'info', logFile: path });
  logger.info('one');
  renameSync(path, `${path}.1`);
  logger.reopen();
  expect(existsSync(path)).toBe(true);
  logger.info('two');
  renameSync(path, `${path}.2`);
  logger.info('three');
  const messages = (name: string) => readFileSync(name, 'utf8').match(/"msg":"[a-z]+"/g);
  expect([`${path}.1`, `${path}.2`, path].map(messages)).toEqual([
    ['"msg":"one"'],
    ['"msg":"two"'],
    ['"msg":"three"'],
  ]);
});

test('a lock that was left behind does not keep the file for ever; one that is held does for the moment', () => {
  const path = newPath();
  const file = logFile(path);
  writeFileSync(`${path}.lock`, '');
  for (let n = 0; n < 4; n++) file.write(line(n));
  expect(rotatedFiles(path)).toEqual([]);
  const longAgo = new Date(Date.now() - DAY_MS);
  utimesSync(`${path}.lock`, longAgo, longAgo);
  file.write(line(4));
  file.write(line(5));
  expect(rotatedFiles(path)).toHaveLength(1);
  expect(existsSync(`${path}.lock`)).toBe(false);
  expect(linesOf(path)).toHaveLength(6);
});

test('files beyond count, age or total size are deleted, those of others never', async () => {
  const aside = (path: string, ages: readonly number[], bytes = 10) =>
    ages.map((days, n) => {
      const name = `${rotatedName(path, Date.now() - days * DAY_MS, 7, n)}.gz`;
      writeFileSync(name, Buffer.alloc(bytes));
      return name;
    });
  const left = async (keep: Partial<typeof UNBOUNDED>, ages: readonly number[]) => {
    const path = newPath();
    const names = aside(path, ages);
    appendFileSync(`${path}.1`, 'of logrotate');
    appendFileSync(`${path}.notes.gz`, 'of nobody');
    await tidy(path, { keep: { ...UNBOUNDED, ...keep }, settleMs: 0 });
    expect(existsSync(`${path}.1`) && existsSync(`${path}.notes.gz`)).toBe(true);
    return names.map(name => existsSync(name));
  };
  expect(await left({ files: 2 }, [3, 2, 1])).toEqual([false, true, true]);
  expect(await left({ days: 2.5 }, [3, 2, 1])).toEqual([false, true, true]);
  expect(await left({ bytes: 25 }, [3, 2, 1])).toEqual([false, true, true]);
  expect(await left({ files: 0 }, [3, 2, 1])).toEqual([false, false, false]);
});

test('a full disk costs lines and nothing else, and the log says how many', async () => {
  const disk = tmpfsDisk() ?? fileLimitDisk();
  const path = join(disk.dir, 'server.log');
  const count = 200;
  const script = fileURLToPath(new URL('full-disk.mjs', import.meta.url));
  const process_ = spawn(process.execPath, [script, path, String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(process_.stdout, 'data');
    disk.fill(process_.pid!, 0);
    process_.stdin.write('full\n');
    await once(process_.stdout, 'data');
    disk.free(process_.pid!);
    process_.stdin.end('free\n');
    expect((await once(process_, 'exit'))[0]).toBe(0);
    const lines = readFileSync(path, 'utf8').split('\n').flatMap(parsed);
    const written = lines.filter(({ msg }) => msg === 'while it is full').length;
    const told = lines.flatMap(({ msg }) => /^(\d+) log lines before this one/.exec(msg)?.[1] ?? []);
    expect(told.map(Number)).toEqual([count - written]);
    expect(count - written).toBeGreaterThan(0);
    expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['before', 'after', 'and after']));
  } finally {
    process_.kill('SIGKILL');
    disk.dispose();
  }
});

/** None for a line that broke off. */
function parsed(text: string): { msg: string }[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}
