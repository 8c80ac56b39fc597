/** The lock of a directory of backups: one at a time. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
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

  test('is for its user alone, and leaves alone what is none', async () => {
    const [mine] = await withLock(dir, () =>
      readdirSync(dir).map(name => statSync(join(dir, name)).mode & 0o777),
    );
    expect(mine).toBe(0o600);
    const dead = `1767225600000-${deadPid()}-0123456789abcdef-${encodeURIComponent(hostname())}.lock`;
    const others = [`x${dead}`, `${dead}x`, dead.slice(1), dead.replace('abcdef', 'abcdeg'), `1${dead}`];
    for (const name of [dead, ...others]) writeFileSync(join(dir, name), '');
    expect(others.map(isLock)).toEqual(others.map(() => false));
    expect(await withLock(dir, () => readdirSync(dir).length)).toBe(others.length + 1);
    expect(readdirSync(dir).sort()).toEqual(others.sort());
  });

  test('of others is named with its process, and with the file to remove if there is none', async () => {
    // The first process of a container has the number of the first one of any other.
    hold(process.pid, 'elsewhere');
    await expect(withLock(dir, () => {})).rejects.toThrow(`process ${process.pid} on elsewhere `);
    for (const name of readdirSync(dir)) rmSync(join(dir, name));
    hold(4711, 'other host');
    await expect(withLock(dir, () => {})).rejects.toMatchObject({
      code: 'BACKUP_BUSY',
      details: { pid: 4711 },
      wayOut: expect.stringContaining(join(dir, '1767225600000-4711-0123456789abcdef-other%20host.lock')),
    });
    // While there is one that lives, what dead ones left goes all the same.
    hold(deadPid());
    await expect(withLock(dir, () => {})).rejects.toThrow(/^process 4711 on /);
    expect(readdirSync(dir)).toHaveLength(1);
  });

  test('of another process of this machine, while that one lives, is left where it is', async () => {
    hold(process.ppid);
    await expect(withLock(dir, () => {})).rejects.toMatchObject({
      code: 'BACKUP_BUSY',
      details: { pid: process.ppid },
    });
    expect(readdirSync(dir)).toHaveLength(1);
  });

  test('that is let go of while another waits is had by that one', async () => {
    let second: Promise<string> | undefined;
    await withLock(dir, async () => {
      second = withLock(dir, () => 'had');
      // It has looked by then, and seen this one.
      await new Promise(setImmediate);
    });
    expect(await second).toBe('had');
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
