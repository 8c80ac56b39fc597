/**
 * Opening a store: what is refused and by which code, what an interrupted creation leaves, who owns it, what is kept aside.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { xxh64 } from '#wal/hash.js';
import { encodeSlot, HeadFile, type HeadProof, Intent, readHeadFile } from '#wal/head-file.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import type { LevelLog } from '#wal/level-log.js';
import { type OpenLogOptions, openLog, storeState } from '#wal/open.js';
import { readOwner } from '#wal/owner.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey, RecordType } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { verifyLog } from '#wal/verify.js';
import { flip, overwriteWith, truncate } from '../helpers/damage.js';
import { StoreProcess } from '../helpers/store-process.js';
import { allTexts, Directories, event, put, textsOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const SLOT = [0, 4096] as const;
let storeDir: string;
const at = (...names: string[]) => join(storeDir, ...names);

beforeEach(() => {
  storeDir = directories.path();
});

const open = (options: Partial<OpenLogOptions> = {}): Promise<LevelLog> => openLog({ storeDir, ...options });

/** A closed store with these texts. */
async function made(...texts: string[]): Promise<void> {
  const log = await open({ create: true });
  for (const text of texts) await put(log, text);
  await log.close();
}

async function expectTexts(...texts: string[]): Promise<void> {
  const log = await open();
  try {
    expect(await allTexts(log)).toEqual(texts);
    await put(log, 'on');
  } finally {
    await log.close();
  }
}

/** The refusal, and that it changed nothing of what counts. */
async function expectRefusal(code: string, options: Partial<OpenLogOptions> = {}): Promise<Error> {
  const before = contents();
  const error = await open(options).then(
    () => expect.fail('it opened'),
    error => error,
  );
  expect(error).toMatchObject({ code, wayOut: expect.any(String) });
  expect(contents()).toEqual(before);
  return error;
}

/** Every file but the owner's and LevelDB's diary. */
function contents(): Record<string, string> {
  if (!existsSync(storeDir)) return {};
  const files = readdirSync(storeDir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !path.startsWith(at('owner')) && !/\/LOG(\.old)?$/.test(path));
  return Object.fromEntries(files.map(path => [path, readFileSync(path, 'hex')]));
}

function crashedCopy(): string {
  const copy = directories.path();
  cpSync(storeDir, copy, { recursive: true });
  return copy;
}

describe('what is there', () => {
  test('a store is made only where one is asked for', async () => {
    await expectRefusal('STORE_MISSING');
    expect(existsSync(storeDir)).toBe(false);
    mkdirSync(storeDir);
    await expectRefusal('STORE_MISSING');
    await (await open({ create: true })).close();
    expect(storeState(storeDir)).toBe('store');
    await expectTexts();
  });

  test('a directory with something else in it is left alone', async () => {
    mkdirSync(storeDir);
    writeFileSync(at('thesis.txt'), 'years of work');
    await expectRefusal('STORE_FOREIGN', { create: true });
    expect(readdirSync(storeDir)).toEqual(['thesis.txt']);
  });

  test.each([
    ['a bare git repository', { HEAD: 'ref: refs/heads/main\n', config: '[core]\n' }],
    ['a project with a folder log', { 'log/production.log': 'GET /', Gemfile: '' }],
  ])('%s is no store, though names agree', async (_, files) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(at(name)), { recursive: true });
      writeFileSync(at(name), text);
    }
    const before = readdirSync(storeDir, { recursive: true });
    await expectRefusal('STORE_FOREIGN', { create: true });
    expect(readdirSync(storeDir, { recursive: true })).toEqual(before);
  });

  test('a file in the place of the directory', async () => {
    writeFileSync(storeDir, '');
    await expect(open({ create: true })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
  });

  test('what a file system puts into a fresh volume does not hinder', async () => {
    mkdirSync(at('lost+found'), { recursive: true });
    await made('a');
    writeFileSync(at('notes.txt'), 'left by somebody');
    await expectTexts('a');
  });

  test('a path that cannot be made is a coded error', async () => {
    writeFileSync(storeDir, '');
    storeDir = at('below', 'a', 'file');
    await expect(open({ create: true })).rejects.toMatchObject({ code: 'WAL_IO' });
  });
});

describe('HEAD', () => {
  test('missing', async () => {
    await made('a');
    rmSync(at(PATHS.head));
    await expectRefusal('WAL_HEAD_MISSING', { create: true });
  });

  test('both slots bad', async () => {
    await made('a');
    for (const slot of SLOT) flip(at(PATHS.head), slot + 50, 3);
    await expectRefusal('WAL_HEAD_DAMAGED', { create: true });
  });

  test.each([0, 1])('emptied, or cut short before slot %i', async slot => {
    await made('a');
    truncate(at(PATHS.head), SLOT[slot]!);
    if (slot === 0) await expectRefusal('WAL_HEAD_DAMAGED', { create: true });
    else await expectTexts('a');
  });

  test.each([0, 1])('slot %i bad: the other one counts, and the next writes mend it', async slot => {
    await made('a', 'b');
    flip(at(PATHS.head), SLOT[slot]! + 17, 0);
    expect(readHeadFile(at(PATHS.head))).toMatchObject({ damagedSlots: 1, proof: { seq: 3 } });
    await expectTexts('a', 'b');
    expect(readHeadFile(at(PATHS.head))).toMatchObject({ damagedSlots: 0, proof: { seq: 4 } });
  });

  test('every single flipped bit leaves a store that opens with everything, or a newer version that is refused', async () => {
    await made('a', 'b');
    const path = at(PATHS.head);
    for (const slot of SLOT)
      for (let bit = 0; bit < 128 * 8; bit++) {
        flip(path, slot + (bit >> 3), bit & 7);
        expect(readHeadFile(path)).toMatchObject({
          damagedSlots: 1,
          proof: { seq: 3, intent: Intent.closed },
        });
        flip(path, slot + (bit >> 3), bit & 7);
      }
  });

  test('a slot of zeros is damage once both have been written', async () => {
    await made('a');
    overwriteWith(at(PATHS.head), SLOT[1], Buffer.alloc(128));
    expect(readHeadFile(at(PATHS.head))).toMatchObject({ damagedSlots: 1 });
  });

  test('a newer version is refused by name', async () => {
    await made('a');
    const slot = encodeSlot(readHeadFile(at(PATHS.head))!.proof);
    slot.writeUInt32LE(3, 8);
    slot.writeBigUInt64LE(xxh64(slot.subarray(0, 120)), 120);
    overwriteWith(at(PATHS.head), SLOT[0], slot);
    const error = await expectRefusal('WAL_NEWER_FORMAT');
    expect(error.message).toMatch(/version 3.*versions 1 and 2/);
  });

  test('of another store', async () => {
    await made('a');
    const mine = storeDir;
    storeDir = directories.path();
    await made('x');
    copyFileSync(at(PATHS.head), join(mine, PATHS.head));
    storeDir = mine;
    await expect(open({ create: true })).rejects.toMatchObject({ code: 'WAL_HEAD_MISMATCH' });
  });

  test('of another store, though all else that it says is true', async () => {
    await made('a');
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, storeId: '0'.repeat(32) });
    await expect(open()).rejects.toMatchObject({
      code: 'WAL_HEAD_MISMATCH',
      message: `the log belongs to store ${proof.storeId}, HEAD to store ${'0'.repeat(32)}`,
    });
  });

  test('of another history of the same store', async () => {
    await made('a');
    const copy = crashedCopy();
    await reopenAndPut('one way');
    const oneWay = storeDir;
    storeDir = copy;
    await reopenAndPut('another way');
    copyFileSync(join(oneWay, PATHS.head), at(PATHS.head));
    await expect(open()).rejects.toMatchObject({ code: 'WAL_HEAD_MISMATCH' });
    expect((await verifyLog(storeDir)).findings).toMatchObject([{ code: 'WAL_HEAD_MISMATCH', seq: 3 }]);
  });

  test('ahead of an older copy of the log: how many records are lost is said', async () => {
    await made('a');
    const older = crashedCopy();
    for (const text of ['b', 'c', 'd']) await reopenAndPut(text);
    rmSync(at(PATHS.log), { recursive: true });
    cpSync(join(older, PATHS.log), at(PATHS.log), { recursive: true });
    const error = await expectRefusal('WAL_LOST_TAIL');
    expect(error).toMatchObject({ details: { found: 2, proven: 5 } });
    expect(error.message).toContain('3 acknowledged records are lost');
  });

  test('behind the log is what a crash leaves in interval mode', async () => {
    const log = await open({ create: true, intervalMs: 1_000_000 });
    await put(log, 'a');
    await put(log, 'b');
    const crashed = crashedCopy();
    await log.close();
    storeDir = crashed;
    expect(readHeadFile(at(PATHS.head))!.proof.seq).toBe(1);
    await expectTexts('a', 'b');
  });

  test('in strict mode it never lags behind an acknowledgement', async () => {
    const log = await open({ create: true, durability: 'strict', intervalMs: 1 });
    for (let i = 0; i < 50; i++) {
      const appended = log.append([event(`${i}`)]);
      await appended.durable;
      expect(readHeadFile(at(PATHS.head))!.proof).toMatchObject({
        seq: appended.lastSeq,
        hash: appended.hash,
      });
    }
    await log.close();
  });

  test('the log is gone', async () => {
    await made('a');
    rmSync(at(PATHS.log), { recursive: true });
    const error = await expectRefusal('WAL_FILES_DAMAGED', { create: true });
    expect(error.message).toContain('record 2');
  });
});

async function reopenAndPut(text: string): Promise<void> {
  const log = await open();
  await put(log, text);
  await log.close();
}

describe('an interrupted creation is finished, from every state that a crash can leave', () => {
  const create = {
    intent: Intent.create,
    epoch: 1,
    seq: 0,
    hash: 0n,
    wallMs: 1,
    lineageSeq: 1,
    epochSeq: 0,
  } as const;
  const storeId = 'ab'.repeat(16);
  const beginHead = () => HeadFile.create(at(PATHS.head), { ...create, storeId, nonce: '0'.repeat(32) });
  const states: [string, () => void | Promise<void>][] = [
    ['an empty directory', () => {}],
    ['the owner lock', () => mkdirSync(at(PATHS.ownerLock))],
    ['half of HEAD', () => writeFileSync(at(`${PATHS.head}.tmp`), 'MVSH')],
    ['HEAD with its intent', beginHead],
    [
      'an empty log directory',
      () => {
        beginHead();
        mkdirSync(at(PATHS.log));
      },
    ],
    [
      'a database without CURRENT',
      () => {
        beginHead();
        mkdirSync(at(PATHS.log));
        writeFileSync(at(PATHS.log, 'LOCK'), '');
        writeFileSync(at(PATHS.log, 'MANIFEST-000001'), '');
      },
    ],
    [
      'an empty database',
      async () => {
        beginHead();
        mkdirSync(at(PATHS.log));
        const database = new Level<Buffer, Uint8Array>(at(PATHS.log), { ...LOG_OPTIONS });
        await database.open();
        await database.close();
      },
    ],
    [
      'a database whose files a power loss emptied',
      async () => {
        beginHead();
        mkdirSync(at(PATHS.log));
        const database = new Level<Buffer, Uint8Array>(at(PATHS.log), { ...LOG_OPTIONS });
        await database.open();
        await database.close();
        for (const name of readdirSync(at(PATHS.log))) truncate(at(PATHS.log, name), 0);
      },
    ],
    [
      'the genesis record, but not yet in HEAD',
      async () => {
        await made();
        const { storeId, lineageSeq } = readHeadFile(at(PATHS.head))!.proof;
        HeadFile.create(at(PATHS.head), { ...create, storeId, lineageSeq, nonce: '0'.repeat(32) });
      },
    ],
  ];

  test.each(states)('%s', async (_, leave) => {
    mkdirSync(storeDir);
    await leave();
    const log = await open({ create: true });
    expect(log.head.seq).toBe(1);
    expect(log.get(1).type).toBe(RecordType.genesis);
    await put(log, 'a');
    await log.close();
    await expectTexts('a');
    expect((await verifyLog(storeDir)).findings).toEqual([]);
  });

  test('but a log with more in it than a creation leaves is damage, not a fresh start', async () => {
    await made('x'.repeat(5000));
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...create, storeId: proof.storeId, nonce: proof.nonce });
    rmSync(at(PATHS.log, 'CURRENT'));
    await expectRefusal('WAL_FILES_DAMAGED', { create: true });
  });
});

describe('one owner', () => {
  function forOwnerFiles(damage: (path: string) => void): void {
    for (const name of readdirSync(at(PATHS.ownerLock))) damage(at(PATHS.ownerLock, name));
  }

  test('a second process is told whose the store is, and by its end it is free', async () => {
    const owner = await StoreProcess.start(storeDir, { create: true });
    await owner.append('a');
    const error = await expectRefusal('STORE_IN_USE');
    expect(error).toMatchObject({ details: { pid: owner.pid } });
    expect(error.message).toContain(`process ${owner.pid}`);
    await owner.append('b');
    await owner.kill();
    expect(readOwner(storeDir)).toMatchObject({ pid: owner.pid });
    await expectTexts('a', 'b');
    expect(readOwner(storeDir)).toBeUndefined();
  });

  test('the same process cannot open it twice, and the first goes on', async () => {
    const log = await open({ create: true });
    await expect(open()).rejects.toMatchObject({ code: 'STORE_IN_USE', details: { pid: process.pid } });
    await put(log, 'a');
    await log.close();
    await expectTexts('a');
  });

  test.each([
    ['deleted', () => rmSync(at(PATHS.ownerLock), { recursive: true })],
    ['emptied', () => forOwnerFiles(path => truncate(path, 0))],
    ['garbage', () => forOwnerFiles(path => writeFileSync(path, 'no database'))],
    [
      'a file',
      () => {
        rmSync(at(PATHS.ownerLock), { recursive: true });
        writeFileSync(at(PATHS.ownerLock), '');
      },
    ],
  ])('a lock that is %s holds nothing and is made anew', async (_, damage) => {
    await made('a');
    damage();
    await expectTexts('a');
  });

  test('the log itself is a second barrier, should the lock be deleted under its owner', async () => {
    const owner = await StoreProcess.start(storeDir, { create: true });
    await owner.append('a');
    rmSync(at(PATHS.ownerLock), { recursive: true });
    await expect(open()).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await owner.append('b');
    expect(await owner.texts()).toEqual(['a', 'b']);
    await owner.kill();
    await expectTexts('a', 'b');
  });

  test.each(['', '{', 'null', '7', '{"pid":"x"}'])('an owner note that reads %j is no note', async note => {
    await made();
    writeFileSync(at(PATHS.ownerNote), note);
    expect(readOwner(storeDir)).toBeUndefined();
    await expectTexts();
  });

  test.each(['interval', 'strict'] as const)(
    'another owner in HEAD stops a log for good (%s)',
    async durability => {
      const states: unknown[] = [];
      const log = await open({
        create: true,
        durability,
        intervalMs: 10,
        onState: failure => states.push(failure?.code),
      });
      await put(log, 'a');
      await log.drained();
      const { proof } = readHeadFile(at(PATHS.head))!;
      const foreign: HeadProof = { ...proof, counter: proof.counter + 1, nonce: 'f'.repeat(32) };
      overwriteWith(at(PATHS.head), foreign.counter % 2 === 0 ? SLOT[0] : SLOT[1], encodeSlot(foreign));
      const last = log.append([event('b')]).durable;
      if (durability === 'strict') await expect(last).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
      else await last;
      await expect.poll(() => log.failure?.code).toBe('WAL_FOREIGN_OWNER');
      expect(() => log.append([event('c')])).toThrow(expect.objectContaining({ code: 'WAL_FOREIGN_OWNER' }));
      await new Promise(resolve => setTimeout(resolve, 50));
      expect(states).toEqual(['WAL_FOREIGN_OWNER']);
      expect((await allTexts(log))[0]).toBe('a');
      await log.close();
      expect(readHeadFile(at(PATHS.head))!.proof.nonce).toBe(foreign.nonce);
    },
  );
});

describe('evidence', () => {
  const kept = () => (existsSync(at(PATHS.evidence)) ? readdirSync(at(PATHS.evidence)) : []);

  test('nothing stays of a sound opening', async () => {
    await made('a');
    await expectTexts('a');
    expect(kept()).toEqual([]);
  });

  test('what LevelDB would delete is kept when something turns out to be off, and a later sound opening leaves it', async () => {
    await made('a');
    const good = crashedCopy();
    const log = await open();
    await put(log, 'b');
    await log.close();
    // The head's hash is not what the log holds: found only with the database open.
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, hash: proof.hash ^ 1n });
    const logs = readdirSync(at(PATHS.log)).filter(name => name.endsWith('.log'));
    await expect(open()).rejects.toMatchObject({ code: 'WAL_HEAD_MISMATCH' });
    expect(kept()).toHaveLength(1);
    expect(readdirSync(at(PATHS.evidence, kept()[0]!))).toEqual(expect.arrayContaining([...logs, 'CURRENT']));
    for (const name of [PATHS.head, PATHS.log]) {
      rmSync(at(name), { recursive: true });
      cpSync(join(good, name), at(name), { recursive: true });
    }
    await expectTexts('a');
    expect(kept()).toHaveLength(1);
  });

  test('what a crash during an opening left goes with the next sound one', async () => {
    await made('a');
    mkdirSync(at(PATHS.evidence, '2026-01-01T00-00-00-000Z-7.opening'), { recursive: true });
    await expectTexts('a');
    expect(kept()).toEqual([]);
  });

  test('damage that the look sees is refused before anything is touched', async () => {
    await made('a', 'b');
    const name = readdirSync(at(PATHS.log)).find(name => name.startsWith('MANIFEST'))!;
    flip(at(PATHS.log, name), 12, 1);
    await expectRefusal('WAL_FILES_DAMAGED');
    expect(kept()).toEqual([]);
  });
});

describe('a long transaction that a crash cut off', () => {
  test('is voided by an abort record, does not count, and the log goes on behind it', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `long ${i}`.padEnd(100, '.'));
    await made('before');
    const whole = directories.path();
    const log = await open({ limits: { maxBatchBytes: 500 } });
    const { durable, firstSeq, lastSeq } = log.append(texts.map(text => event(text)));
    await durable;
    await log.close();
    renameSync(storeDir, whole);
    for (const cutSeq of [firstSeq, firstSeq + 17, lastSeq - 1]) {
      storeDir = directories.path();
      cpSync(whole, storeDir, { recursive: true });
      await cutBehind(cutSeq);
      const unfinished = await verifyLog(storeDir);
      expect(unfinished.findings).toEqual([]);
      const reopened = await open();
      expect(reopened.head.seq).toBe(cutSeq + 1);
      expect(reopened.get(cutSeq + 1)).toMatchObject({
        type: RecordType.abort,
        last: true,
        txFirst: firstSeq,
      });
      await put(reopened, 'after');
      const committed = () => textsOf(readCommitted(reopened, 1, reopened.head.seq));
      expect(await committed()).toEqual(['before', 'after']);
      await reopened.close();
      expect(await verifyLog(storeDir)).toMatchObject({ voided: 1, findings: [] });
    }
  });

  test('half of a transaction of one batch is damage: no crash leaves that', async () => {
    const log = await open({ create: true });
    await put(log, 'a', 'b', 'c');
    await log.close();
    await cutBehind(3);
    const error = await open().catch(error => error);
    expect(error).toMatchObject({ code: 'WAL_CHAIN_BROKEN', details: { seq: 3 } });
    expect((await verifyLog(storeDir)).findings).toMatchObject([{ code: 'WAL_CHAIN_BROKEN', seq: 3 }]);
  });

  /** Takes away the records behind `seq`, and with them from HEAD, as if they had never been written. */
  async function cutBehind(seq: number): Promise<void> {
    const database = new Level<Buffer, Uint8Array>(at(PATHS.log), { ...LOG_OPTIONS });
    await database.open();
    const keys = await database.keys({ gt: encodeKey(seq) }).all();
    await database.batch(keys.map(key => ({ type: 'del', key })));
    await compact(database);
    await database.close();
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, seq: 0, hash: 0n, intent: Intent.none });
  }
});

/** What is deleted goes from the files as well. (`level` types itself by its abstract interface, which leaves this out.) */
async function compact(database: Level<Buffer, Uint8Array>): Promise<void> {
  const { compactRange } = database as unknown as { compactRange(from: Buffer, to: Buffer): Promise<void> };
  await compactRange.call(database, encodeKey(1), encodeKey(1_000_000));
}

test('all that the store creates is for the user alone, in a directory that the user made as well', async () => {
  mkdirSync(storeDir);
  chmodSync(storeDir, 0o755);
  const umask = process.umask(0o022);
  try {
    const log = await open({ create: true, durability: 'strict' });
    await put(log, 'a');
    for (const name of readdirSync(storeDir)) {
      const stat = statSync(at(name));
      expect([name, (stat.mode & 0o777).toString(8)]).toEqual([name, stat.isDirectory() ? '700' : '600']);
    }
    await log.close();
  } finally {
    process.umask(umask);
  }
  storeDir = directories.path();
  await made();
  expect(statSync(storeDir).mode & 0o777).toBe(0o700);
});

test('kill -9 in the middle of writing, again and again, loses nothing acknowledged', async () => {
  const acked: string[] = [];
  for (let round = 0; round < 6; round++) {
    const durability = round % 2 === 0 ? 'interval' : 'strict';
    const writer = await StoreProcess.start(storeDir, { create: true, durability });
    expect(writer.opened.failed).toBeUndefined();
    for (let i = 0; i < 20 + round * 7; i++) {
      const text = `${round}.${i}`;
      expect(await writer.append(text)).toHaveProperty('acked');
      acked.push(text);
    }
    for (let i = 0; i < 20; i++) writer.send(`${round} in flight ${i}`);
    await writer.kill();
  }
  const log = await open();
  const texts = await allTexts(log);
  expect(texts.filter(text => !text.includes('in flight'))).toEqual(acked);
  await log.close();
  expect((await verifyLog(storeDir)).findings).toEqual([]);
});
