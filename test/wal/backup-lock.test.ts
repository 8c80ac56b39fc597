/** The lock of a directory of backups: one at a time, however many come at one instant over a lock that a killed process left. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { isLock, withLock } from '#wal/backup/lock.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
beforeEach(() => {
  dir = directories.path('backups');
  mkdirSync(dir);
});

const hold = (pid: number, host = hostname()) =>
  writeFileSync(join(dir, `1767225600000-${pid}-0123456789abcdef-${encodeURIComponent(host)}.lock`), '');
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('the lock', () => {
  test('is there while the work is done, and goes with it, also where the work fails', async () => {
    expect(await withLock(dir, () => readdirSync(dir).filter(isLock).length)).toBe(1);
    await expect(withLock(dir, () => Promise.reject(new Error('of the work')))).rejects.toThrow(
      'of the work',
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  test('is refused beside another, of this process or of one on another machine, which is named', async () => {
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'BACKUP_BUSY', message: expect.stringMatching(message) });
    await withLock(dir, () =>
      expect(withLock(dir, () => {})).rejects.toEqual(refused(new RegExp(`^process ${process.pid} on `))),
    );
    hold(deadPid(), 'elsewhere');
    const since = /on elsewhere is at work on these backups since 2026-01-01T00:00:00\.000Z$/;
    await expect(withLock(dir, () => {})).rejects.toEqual(refused(since));
    expect(readdirSync(dir)).toHaveLength(1);
  });

  test('that could not be removed is left over, and not held', async () => {
    let path = '';
    const failed = withLock(dir, () => {
      path = join(dir, readdirSync(dir)[0]!);
      // A directory in its place is not to be removed as a file.
      rmSync(path);
      mkdirSync(path);
    });
    await expect(failed).rejects.toThrow();
    rmdirSync(path);
    writeFileSync(path, '');
    expect(await withLock(dir, () => readdirSync(dir).length)).toBe(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  test.each([
    ['a process that is gone', deadPid],
    // In a container the server is the first process, each time anew.
    ['an earlier process that had this number', () => process.pid],
  ])('of %s is taken over', async (_, pid) => {
    hold(pid());
    expect(await withLock(dir, () => readdirSync(dir).length)).toBe(1);
    expect(readdirSync(dir)).toEqual([]);
  });
});

/** Waits for a line, then tries to get in; inside, it makes a file that only one at a time can make. */
const RIVAL = `
import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
const { withLock } = await import(process.argv[1]);
const dir = process.argv[2];
console.log('ready');
for await (const _ of createInterface({ input: process.stdin })) {
  const said = await withLock(dir, async () => {
    try { mkdirSync(dir + '-inside'); } catch { return 'NOT ALONE'; }
    await new Promise(resolve => setTimeout(resolve, 3));
    rmdirSync(dir + '-inside');
    return 'alone';
  }).catch(error => error.code ?? String(error));
  console.log(said);
}`;

test('of many that come at one instant over a lock that was left, never two are in', async () => {
  const lock = fileURLToPath(import.meta.resolve('#wal/backup/lock.js'));
  const rivals = Array.from({ length: 5 }, () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', RIVAL, lock, dir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, next: async () => (await lines.next()).value as string };
  });
  const answers = () => Promise.all(rivals.map(({ next }) => next()));
  expect(await answers()).toEqual(rivals.map(() => 'ready'));
  const dead = deadPid();
  let got = 0;
  for (let round = 0; round < 150; round++) {
    hold(dead);
    for (const { child } of rivals) child.stdin.write('go\n');
    for (const answer of await answers()) {
      expect(['alone', 'BACKUP_BUSY']).toContain(answer);
      if (answer === 'alone') got++;
    }
  }
  // All of them may draw back in a round; that they mostly do not is what trying again is for.
  expect(got).toBeGreaterThan(150);
  for (const { child } of rivals) child.stdin.end();
  await Promise.all(rivals.map(({ child }) => once(child, 'exit')));
  expect(readdirSync(dir)).toEqual([]);
});
