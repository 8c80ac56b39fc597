/**
 * verifyLog names each planted damage by its code and number, and changes nothing.
 */
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HeadFile, Intent, readHeadFile } from '#wal/head-file.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey, encodeRecord, eraseRecord, type LogRecord } from '#wal/record.js';
import { verifyLog } from '#wal/verify.js';
import { bitsOf, flip, remove, truncate } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const NO_CHECK = 'data:text/javascript,export function checkRecord() {}';

/** Seqs: 1 genesis, 2..301 single, 302..304 one transaction, 305..326 a long one with its commit. */
const HEAD = 326;
let sound: string;
let storeDir: string;

beforeAll(async () => {
  sound = directories.path();
  const log = await openLog({ storeDir: sound, create: true, limits: { maxBatchBytes: 3000 } });
  for (let i = 2; i <= 301; i++) await put(log, `record ${i}`);
  await put(log, 'x', 'y', 'z');
  await log.append(Array.from({ length: 21 }, (_, i) => event(`long ${i}`, 200))).durable;
  expect(log.head.seq).toBe(HEAD);
  await log.close();
  // Reopened once, so that there are tables as well as a log.
  await (await openLog({ storeDir: sound })).close();
});

beforeEach(() => {
  storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
});

const at = (...names: string[]) => join(storeDir, ...names);
const fileOf = (suffix: RegExp) =>
  at(
    PATHS.log,
    readdirSync(at(PATHS.log))
      .filter(name => suffix.test(name))
      .sort()
      .at(-1)!,
  );
/** By a walk and by threads, which must come to the same. */
const verify = async () => {
  const report = await verifyLog(storeDir);
  expect(await verifyLog(storeDir, { check: { url: NO_CHECK, asked: [], threads: 1 } })).toEqual(report);
  return report.findings;
};

/** Changes values through LevelDB, as no damage of files can: checksums of blocks are right then. */
async function edit(change: (database: Level<Buffer, Uint8Array>) => Promise<unknown>): Promise<void> {
  const database = new Level<Buffer, Uint8Array>(at(PATHS.log), { ...LOG_OPTIONS });
  await database.open();
  await change(database);
  await database.close();
}

const read = async (seq: number): Promise<Buffer> => {
  let value: Uint8Array | undefined;
  await edit(async database => {
    value = await database.get(encodeKey(seq));
  });
  return Buffer.from(value!);
};

test('a sound store has no findings, and every record is given, in order', async () => {
  const seqs: number[] = [];
  const progress: number[] = [];
  const report = await verifyLog(storeDir, {
    onRecord: (record: LogRecord) => seqs.push(record.seq),
    onProgress: done => progress.push(done),
  });
  expect(report).toMatchObject({ records: HEAD, transactions: 303, voided: 0, erased: 0, findings: [] });
  expect(report.head).toMatchObject({ seq: HEAD });
  expect(report.storeId).toBe(readHeadFile(at(PATHS.head))!.proof.storeId);
  expect(seqs).toEqual(Array.from({ length: HEAD }, (_, i) => i + 1));
  expect(progress.at(-1)).toBe(HEAD);
});

describe('records', () => {
  test('altered', async () => {
    const value = await read(57);
    value[90]! ^= 4;
    await edit(database => database.put(encodeKey(57), value));
    expect(await verify()).toMatchObject([{ code: 'WAL_BAD_RECORD', seq: 57 }]);
  });

  test('swapped', async () => {
    const [a, b] = [await read(20), await read(30)];
    await edit(database =>
      database.batch([
        { type: 'put', key: encodeKey(20), value: b },
        { type: 'put', key: encodeKey(30), value: a },
      ]),
    );
    expect(await verify()).toMatchObject([
      { code: 'WAL_BAD_RECORD', seq: 20 },
      { code: 'WAL_BAD_RECORD', seq: 30 },
    ]);
  });

  test('put in the place of another, sound in itself', async () => {
    const { bytes } = encodeRecord({
      ...{ type: 40, seq: 100, wallMs: 1, logicalMs: 1, txFirst: 100, txIndex: 0, last: true, long: false },
      ...{ actor: 0, prevHash: 1n, body: Buffer.from('forged') },
    });
    await edit(database => database.put(encodeKey(100), bytes));
    // It does not follow 99, and 101 does not follow it.
    expect(await verify()).toMatchObject([
      { code: 'WAL_CHAIN_BROKEN', seq: 100 },
      { code: 'WAL_CHAIN_BROKEN', seq: 101 },
    ]);
  });

  test('dropped in the middle', async () => {
    await edit(database => database.batch([70, 71, 72].map(seq => ({ type: 'del', key: encodeKey(seq) }))));
    const findings = await verify();
    expect(findings).toContainEqual(expect.objectContaining({ code: 'WAL_GAP', seq: 70 }));
    expect(findings.find(({ code }) => code === 'WAL_GAP')!.message).toBe('records 70 to 72 are missing');
  });

  test('dropped at the end', async () => {
    const seqs = Array.from({ length: 10 }, (_, i) => HEAD - i);
    await edit(database => database.batch(seqs.map(seq => ({ type: 'del', key: encodeKey(seq) }))));
    expect(await verify()).toContainEqual(
      expect.objectContaining({
        code: 'WAL_LOST_TAIL',
        seq: HEAD - 9,
        message: expect.stringContaining('10 acknowledged records are lost'),
      }),
    );
  });

  test('erased are no damage, but half an erasure is', async () => {
    const value = await read(57);
    const stub = eraseRecord(value, 57);
    await edit(database => database.put(encodeKey(57), stub));
    expect(await verifyLog(storeDir)).toMatchObject({ erased: 1, findings: [] });
    await edit(database => database.put(encodeKey(57), stub.subarray(0, 80)));
    expect(await verify()).toMatchObject([{ code: 'WAL_BAD_RECORD', seq: 57 }]);
  });

  test('every damage is listed, not the first alone', async () => {
    for (const seq of [5, 6, 200, 310]) {
      const value = await read(seq);
      value[60]! ^= 1;
      await edit(database => database.put(encodeKey(seq), value));
    }
    const findings = await verify();
    expect(findings.map(({ code, seq }) => [code, seq])).toEqual(
      [5, 6, 200, 310].map(seq => ['WAL_BAD_RECORD', seq]),
    );
  });
});

describe('HEAD', () => {
  test('missing, damaged in one slot, damaged in both', async () => {
    const head = at(PATHS.head);
    flip(head, 30, 1);
    expect(await verify()).toMatchObject([
      { code: 'WAL_HEAD_DAMAGED', message: expect.stringContaining('one of') },
    ]);
    flip(head, 4096 + 30, 1);
    expect(await verify()).toMatchObject([{ code: 'WAL_HEAD_DAMAGED' }]);
    remove(head);
    expect(await verify()).toMatchObject([{ code: 'WAL_HEAD_MISSING' }]);
  });

  test('that has seen another hash, more records, or another store', async () => {
    const { proof } = readHeadFile(at(PATHS.head))!;
    const set = (over: object) => HeadFile.create(at(PATHS.head), { ...proof, ...over });
    set({ hash: proof.hash ^ 1n, intent: Intent.none });
    expect(await verify()).toMatchObject([{ code: 'WAL_HEAD_MISMATCH', seq: HEAD }]);
    set({ seq: HEAD + 5 });
    expect(await verify()).toMatchObject([{ code: 'WAL_LOST_TAIL', seq: HEAD + 1 }]);
    set({ storeId: '0'.repeat(32) });
    expect(await verify()).toMatchObject([{ code: 'WAL_HEAD_MISMATCH', seq: 1 }]);
    set({ seq: 50, hash: (await read(50)).readBigUInt64LE(72) });
    expect(await verify()).toEqual([]);
  });
});

describe('files of LevelDB', () => {
  test.each([
    ['CURRENT', /^CURRENT$/],
    ['the MANIFEST', /^MANIFEST/],
    ['a table', /\.ldb$/],
  ])('%s deleted, or cut short', async (_, name) => {
    const file = fileOf(name);
    const bytes = readFileSync(file);
    truncate(file, bytes.length >> 1);
    expect((await verify()).length).toBeGreaterThan(0);
    remove(file);
    expect((await verify()).length).toBeGreaterThan(0);
  });

  test('the whole log deleted', async () => {
    rmSync(at(PATHS.log), { recursive: true });
    const codes = (await verify()).map(({ code }) => code);
    expect(codes).toEqual(['WAL_FILES_DAMAGED', 'WAL_LOST_TAIL']);
  });

  test('one flipped bit anywhere in a table is found, and the bytes stay as they are', async () => {
    const file = fileOf(/\.ldb$/);
    const seed = Number(process.env.VERIFY_SEED ?? 7);
    let trials = 0;
    for (const { offset, bit } of bitsOf(file, 512, seed)) {
      flip(file, offset, bit);
      const before = readFileSync(file);
      const findings = await verify();
      expect(findings, `byte ${offset}, bit ${bit}, seed ${seed}`).not.toEqual([]);
      expect(readFileSync(file).equals(before)).toBe(true);
      flip(file, offset, bit);
      trials++;
    }
    expect(trials).toBeGreaterThan(20);
    expect(await verify()).toEqual([]);
  });
});

test('a bit that flipped in the footer of a table, and changes nothing, is found, and the store opens all the same', async () => {
  const table = fileOf(/\.ldb$/);
  const bytes = readFileSync(table);
  const footer = bytes.length - 48;
  // Four numbers, seven bits a byte, the highest bit of their last byte being zero; behind them zeros, which may be taken for more of the last.
  let end = footer;
  for (let numbers = 0; numbers < 4; end++) if (bytes[end]! < 0x80) numbers++;
  flip(table, end - 1, 7);
  const name = basename(table);
  expect(await verify()).toEqual([
    {
      code: 'TABLE_DAMAGED',
      file: join(PATHS.log, name),
      message: `${name} has a footer that LevelDB would have written otherwise`,
    },
  ]);
  const log = await openLog({ storeDir });
  expect(log.head.seq).toBe(HEAD);
  await log.close();
});
