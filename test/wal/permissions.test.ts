/** What is refused to an ordinary user. In a file of its own: threads, in which mutants are tried, cannot be another user. */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeDirectory } from '#wal/directory.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { asOrdinaryUser } from '../helpers/nobody.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
beforeEach(() => {
  dir = directories.path();
  mkdirSync(dir);
});

describe('a directory in one that may be passed but not read', () => {
  const inUnreadable = (work: (made: string) => void) =>
    asOrdinaryUser([dirname(dir), dir], () => {
      mkdirSync(join(dir, 'there'));
      chmodSync(dir, 0o300);
      try {
        work(join(dir, 'there'));
      } finally {
        chmodSync(dir, 0o700);
      }
    });

  test('is somebody else’s matter where it is there already', () =>
    inUnreadable(there => {
      expect(() => makeDirectory(there)).not.toThrow();
    }));

  test('is not taken for made where its entry cannot be flushed', () =>
    inUnreadable(there => {
      expect(() => makeDirectory(`${there}-not`)).toThrow(expect.objectContaining({ code: 'EACCES' }));
    }));
});

test('a store whose lock is not writable by its user cannot be owned', async () => {
  await (await openLog({ storeDir: dir, create: true })).close();
  const lock = join(dir, PATHS.ownerLock);
  for (const name of readdirSync(lock)) chmodSync(join(lock, name), 0o400);
  await asOrdinaryUser([dirname(dir), dir, lock], async () => {
    chmodSync(lock, 0o500);
    const error = await openLog({ storeDir: dir }).catch(error => error);
    chmodSync(lock, 0o700);
    expect(error).toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining(`the lock of ${dir} cannot be taken`),
      wayOut: expect.stringContaining('writable by you'),
    });
  });
});
