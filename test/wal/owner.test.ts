/** Who owns a store: the lock, its note, and what stands in the way of either. */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Level } from '#wal/level.js';
import { readOwner, takeOwnership } from '#wal/owner.js';
import { PATHS } from '#wal/paths.js';
import { truncate } from '../helpers/damage.js';
import { beforeLevelDbOpens } from '../helpers/leveldb-opening.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
const lock = () => join(storeDir, PATHS.ownerLock);
const note = () => join(storeDir, PATHS.ownerNote);

beforeEach(() => {
  storeDir = directories.path();
  mkdirSync(storeDir);
});

test('the note is the owner’s alone, says who it is, and goes with it', async () => {
  const before = Date.now();
  const { nonce, release } = await takeOwnership(storeDir);
  const owner = readOwner(storeDir)!;
  expect(owner).toMatchObject({ pid: process.pid, host: hostname(), nonce });
  expect(nonce).toMatch(/^[0-9a-f]{32}$/);
  expect(Date.parse(owner.startedAt)).toBeGreaterThanOrEqual(before);
  expect(statSync(note()).mode & 0o777).toBe(0o600);
  expect(statSync(lock()).mode & 0o777).toBe(0o700);
  await release();
  expect(readdirSync(storeDir)).toEqual([PATHS.ownerLock]);
  const next = await takeOwnership(storeDir);
  expect(next.nonce).not.toBe(nonce);
  await next.release();
});

describe('a lock that somebody holds', () => {
  const held = async (work: () => Promise<void>) => {
    mkdirSync(lock());
    const other = new Level(lock());
    await other.open();
    await work();
    await other.close();
  };
  const refusal = () =>
    takeOwnership(storeDir).then(
      () => expect.fail('it was taken'),
      error => error,
    );

  test.each([
    ['without a note', () => {}],
    [
      'with the note of a process that is gone',
      () =>
        writeFileSync(
          note(),
          JSON.stringify({ pid: 2 ** 22 + 1, nonce: 'n', host: hostname(), startedAt: 'then' }),
        ),
    ],
  ])('%s: that it is in use is all that can be said', async (_, leave) => {
    leave();
    await held(async () => {
      const { code, message, details } = await refusal();
      expect({ code, message, details }).toEqual({
        code: 'STORE_IN_USE',
        message: `${storeDir} is in use by another process`,
        details: {},
      });
    });
  });

  test('with a note that comes a moment later: whose it is is said', async () => {
    await held(async () => {
      const refused = refusal();
      await new Promise(resolve => setTimeout(resolve, 50));
      const owner = { pid: process.pid, nonce: 'n', host: hostname(), startedAt: 'now' };
      writeFileSync(note(), JSON.stringify(owner));
      expect(await refused).toMatchObject({
        code: 'STORE_IN_USE',
        message: `${storeDir} is in use by process ${process.pid} on ${hostname()} since now`,
        details: { pid: process.pid },
      });
    });
  });

  test('on another machine: nobody here can ask whether that process lives', async () => {
    const owner = { pid: 2 ** 22 + 1, nonce: 'n', host: 'elsewhere', startedAt: 'then' };
    writeFileSync(note(), JSON.stringify(owner));
    await held(async () => {
      expect((await refusal()).message).toContain(`process ${owner.pid} on elsewhere`);
    });
  });
});

test('of two processes that meet at a torn lock one has it', async () => {
  await (await takeOwnership(storeDir)).release();
  for (const name of readdirSync(lock())) truncate(join(lock(), name), 0);
  let openings = 0;
  let other: Level | undefined;
  const error = await beforeLevelDbOpens(
    // The first opening finds it torn, the second comes after it has been cleared away.
    dir => dir === lock() && ++openings === 2,
    async dir => {
      other = new Level(dir);
      await other.open();
    },
    () => takeOwnership(storeDir).catch(error => error),
  );
  expect(error).toMatchObject({ code: 'STORE_IN_USE' });
  await other!.close();
  await (await takeOwnership(storeDir)).release();
});

test.each(['nonce', 'host', 'startedAt', 'pid'])('a note without %s is no note', key => {
  const owner = { pid: 1, nonce: 'n', host: 'h', startedAt: 'then' };
  writeFileSync(note(), JSON.stringify(owner));
  expect(readOwner(storeDir)).toEqual(owner);
  writeFileSync(note(), JSON.stringify({ ...owner, [key]: undefined }));
  expect(readOwner(storeDir)).toBeUndefined();
});

test('a note that is no object is no note', () => {
  writeFileSync(note(), 'null');
  expect(readOwner(storeDir)).toBeUndefined();
});

test('a note that cannot be read is not taken for none', () => {
  mkdirSync(note());
  expect(() => readOwner(storeDir)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
});

describe('a disk that refuses', () => {
  test('the note: nobody has the store then', async () => {
    mkdirSync(note());
    await expect(takeOwnership(storeDir)).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('EISDIR'),
    });
    rmSync(note(), { recursive: true });
    await (await takeOwnership(storeDir)).release();
  });
});
