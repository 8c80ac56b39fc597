/** The batches in LevelDB's logs: their keys, however a record is divided, and what of them counts for the database. */
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { look } from '#wal/leveldb/look.js';
import { BatchKeyReader, type BatchKeys } from '#wal/leveldb/write-batch.js';
import { refuse, seeded } from '../helpers/damage.js';
import { DatabaseProcess } from '../helpers/database-process.js';
import {
  batchDeletion,
  batchOf,
  batchPut,
  edit,
  eventValue,
  logOf,
  putsOf,
  tableFile,
  writeDatabase,
} from '../helpers/leveldb-files.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
const databases = new DatabaseProcess();
afterAll(() => {
  databases.kill();
  directories.remove();
});
const SEED = Number(process.env.LOOK_SEED ?? 20);

let dir: string;
beforeEach(() => {
  dir = dirname(directories.path());
});

describe('the keys of a batch', () => {
  /** @param cuts where the parts of the record end */
  function keysOf(payload: Buffer, ...cuts: number[]): BatchKeys {
    const batches: BatchKeys[] = [];
    const reader = new BatchKeyReader(batch => batches.push(batch));
    reader.begin(77);
    for (const [i, cut] of [...cuts, payload.length].entries())
      reader.part(payload.subarray(cuts[i - 1] ?? 0, cut));
    reader.end();
    expect(batches).toHaveLength(1);
    return batches[0]!;
  }

  const value = (length: number) => Buffer.alloc(length, 1);

  test('are the same however the record is divided', () => {
    const entries = [
      batchPut(300, value(0)),
      batchPut(301, value(40)),
      batchDeletion(301),
      batchDeletion(300),
      batchPut(2 ** 40, value(1000)),
      batchDeletion(9),
      batchDeletion(7),
      batchPut(8, value(1)),
      batchPut(9, value(130)),
    ];
    const payload = batchOf(2 ** 50 + 3, entries);
    const expected = {
      offset: 77,
      stamp: 2 ** 50 + 3,
      count: entries.length,
      runs: [
        { first: 300, last: 301, deleted: false },
        { first: 300, last: 301, deleted: true },
        { first: 2 ** 40, last: 2 ** 40, deleted: false },
        { first: 9, last: 9, deleted: true },
        { first: 7, last: 7, deleted: true },
        { first: 8, last: 9, deleted: false },
      ],
      malformed: undefined,
    };
    expect(keysOf(payload)).toEqual(expected);
    for (let cut = 0; cut <= payload.length; cut++)
      expect(keysOf(payload, cut), `cut at ${cut}`).toEqual(expected);
    const random = seeded(SEED);
    for (let run = 0; run < 300; run++) {
      const cuts = Array.from({ length: 5 }, () => Math.floor(random() * payload.length)).sort(
        (a, b) => a - b,
      );
      expect(keysOf(payload, ...cuts), `cut at ${cuts}`).toEqual(expected);
    }
  });

  test('of a batch without entries are none', () => {
    expect(keysOf(batchOf(5, []))).toEqual({
      offset: 77,
      stamp: 5,
      count: 0,
      runs: [],
      malformed: undefined,
    });
  });

  const begun = [batchPut(1, value(50)), batchPut(2, value(50))];
  const two = { first: 1, last: 2, deleted: false };
  test.each<[string, Buffer, reason: string, message: string, runs?: object[]]>([
    ['nothing', Buffer.alloc(0), 'format', 'a batch shorter than its header', []],
    ['half a header', Buffer.alloc(11), 'format', 'a batch shorter than its header', []],
    ['fewer entries than it says', batchOf(1, begun, 3), 'format', 'a batch of 3 entries holds 2'],
    ['more entries than it says', batchOf(1, begun, 1), 'format', 'a batch of 1 entries holds 2'],
    [
      'an entry of an unknown kind',
      batchOf(1, [...begun, Buffer.from([2, ...value(60)])]),
      'format',
      'a batch entry of unknown kind 2',
    ],
    [
      'a key of nine bytes',
      batchOf(1, [...begun, batchPut(Buffer.alloc(9, 1), value(50))]),
      'foreign',
      'a key that is no sequence number (9 bytes)',
    ],
    [
      'a long key of somebody',
      batchOf(1, [...begun, batchPut(Buffer.alloc(500, 1), value(50))]),
      'foreign',
      'a key that is no sequence number (500 bytes)',
    ],
    [
      'sequence number 0',
      batchOf(1, [...begun, batchPut(0, value(50))]),
      'foreign',
      'a key that is no sequence number (8 bytes)',
    ],
    [
      'a value that is cut off',
      batchOf(1, [...begun, batchPut(3, value(50))], 3).subarray(0, -1),
      'format',
      'a batch ends inside a value',
      [{ ...two, last: 3 }],
    ],
    [
      'a key that is cut off',
      batchOf(1, [...begun, batchPut(3, value(50)).subarray(0, 6)], 3),
      'format',
      'a batch entry that a length of 8 exceeds the 4 bytes left',
    ],
    [
      'a length that is cut off',
      batchOf(1, [...begun, Buffer.from([1])], 3),
      'format',
      'a batch entry that ends inside a value',
    ],
    [
      'a length without an end',
      batchOf(1, [...begun, Buffer.alloc(40, 0xff).fill(1, 0, 1)], 3),
      'format',
      'a batch entry that a variable-length number is too long',
    ],
  ])('of one with %s', (_, payload, reason, message, runs = [two]) => {
    const [stamp, count] = payload.length < 12 ? [0, 0] : [1, payload.readUInt32LE(8)];
    for (let cut = 0; cut <= payload.length; cut += Math.max(1, Math.floor(payload.length / 40))) {
      const batch = keysOf(payload, cut);
      expect(batch.malformed, `cut at ${cut}`).toEqual({ reason, message });
      expect([batch.stamp, batch.count, batch.runs], `cut at ${cut}`).toEqual([stamp, count, runs]);
    }
  });

  test('do not stay from a record that was abandoned', () => {
    const batches: BatchKeys[] = [];
    const reader = new BatchKeyReader(batch => batches.push(batch));
    reader.begin(0);
    reader.part(batchOf(1, [batchPut(5, value(100))]).subarray(0, 60));
    reader.abandon();
    reader.begin(9);
    reader.part(batchOf(2, [batchPut(6, value(1))]));
    reader.end();
    expect(batches).toEqual([
      { offset: 9, stamp: 2, count: 1, runs: [{ first: 6, last: 6, deleted: false }], malformed: undefined },
    ]);
  });
});

describe('live logs', () => {
  const puts = (stamp: number, from: number, to: number) =>
    batchOf(
      stamp,
      Array.from({ length: to - from + 1 }, (_, i) => batchPut(from + i, eventValue(from + i))),
    );

  test('are those from the number on that the MANIFEST says, and the one before it names', async () => {
    const logs = { 3: logOf(puts(1, 1, 3)), 5: logOf(puts(4, 4, 5)), 9: logOf(puts(6, 6, 6)) };
    const liveOf = async (database: Parameters<typeof writeDatabase>[1]) => {
      writeDatabase(dir, { logs, ...database });
      const { files, findings, headSeq } = await look(dir);
      const live = files.filter(file => file.kind === 'log' && file.live).map(({ name }) => name);
      return { live, headSeq, codes: findings.map(({ code }) => code) };
    };
    const all = ['000003.log', '000005.log', '000009.log'];
    expect(await liveOf({})).toEqual({ live: all, headSeq: 6, codes: [] });
    expect(await liveOf({ logNumber: 5 })).toEqual({ live: all.slice(1), headSeq: 6, codes: ['KEY_GAP'] });
    expect(await liveOf({ logNumber: 5, edits: [edit.previousLogNumber(3)] })).toEqual({
      live: all,
      headSeq: 6,
      codes: [],
    });
    expect(await liveOf({ logNumber: 9, edits: [edit.previousLogNumber(3)] })).toEqual({
      live: [all[0], all[2]],
      headSeq: 6,
      codes: ['KEY_GAP'],
    });
    expect(await liveOf({ logNumber: 0 })).toEqual({ live: all, headSeq: 6, codes: [] });
    expect(await liveOf({ logNumber: 4 })).toEqual({
      live: all.slice(1),
      headSeq: 6,
      codes: ['LOG_MISSING', 'KEY_GAP'],
    });
    rmSync(join(dir, all[2]!));
    expect(await liveOf({ logs: {}, logNumber: 9, edits: [edit.previousLogNumber(3)] })).toEqual({
      live: [all[0]],
      headSeq: 3,
      codes: ['LOG_MISSING'],
    });
    writeDatabase(dir, { logs: { 0: logOf(puts(7, 1, 9)) }, logNumber: 3 });
    expect((await look(dir)).headSeq).toBe(5);
  });

  test('whose MANIFEST names one as the one before are read by LevelDB too', async () => {
    writeDatabase(dir, {
      logs: { 3: logOf(puts(1, 1, 3)), 5: logOf(puts(4, 4, 5)) },
      logNumber: 5,
      edits: [edit.previousLogNumber(3)],
    });
    expect(await databases.must('read', { dir, head: 5 })).toMatchObject({ last: 5, missing: 0, wrong: 0 });
  });

  test('hold what was put and deleted, in that order', async () => {
    writeDatabase(dir, {
      logs: {
        3: logOf(puts(1, 1, 5), batchOf(6, [batchDeletion(5), batchDeletion(4)])),
        4: logOf(puts(8, 4, 4), puts(9, 5, 7), batchOf(12, [batchDeletion(7)])),
      },
      lastStamp: 0,
    });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 6, findings: [], tornTail: undefined });
  });

  test('are read in the order of their numbers, not of their names', async () => {
    writeDatabase(dir, {
      logs: { 999999: logOf(puts(1, 1, 5)), 1000000: logOf(batchOf(6, [batchDeletion(5)])) },
    });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 4 });
  });

  test('of which one is missing are told, with the first record that is gone', async () => {
    writeDatabase(dir, { tables: [tableFile(5, [putsOf(1, 6)])], logNumber: 9 });
    expect((await look(dir)).findings).toEqual([
      {
        code: 'LOG_MISSING',
        file: '000009.log',
        message: '000009.log is missing: writes since the last flush are gone',
        seq: 7,
      },
    ]);
  });

  test('say how many writes there were', async () => {
    writeDatabase(dir, {
      tables: [tableFile(5, [putsOf(1, 6, 2)])],
      logs: { 7: logOf(puts(6, 7, 7), puts(7, 8, 8)) },
      lastStamp: 0,
    });
    expect((await look(dir)).findings).toMatchObject([
      { code: 'WRITES_HIDDEN', message: '000005.ldb holds writes up to 8, but MANIFEST and logs end at 7' },
    ]);
  });

  test('that are damaged are told, with the place', async () => {
    const log = logOf(puts(1, 1, 2), puts(3, 3, 4));
    log[20]! ^= 1;
    writeDatabase(dir, { logs: { 3: log } });
    expect((await look(dir)).findings[0]).toEqual({
      code: 'LOG_DAMAGED',
      file: '000003.log',
      message: `000003.log: at byte 0 a record fails its checksum, and an intact record follows at ${log.length / 2}`,
    });
  });

  test('that are not what LevelDB writes are told, by the batch', async () => {
    const findingsOf = async (...payloads: Buffer[]) => {
      writeDatabase(dir, { logs: { 3: logOf(...payloads) } });
      return (await look(dir)).findings;
    };
    const start = puts(1, 1, 2);
    const at = start.length + 7;
    const told = (code: string, message: string, seq?: number) => ({
      ...{ code, file: '000003.log', message: `000003.log: ${message}` },
      ...(seq !== undefined && { seq }),
    });
    expect(await findingsOf(start, puts(3, 3, 4))).toEqual([]);
    expect(await findingsOf(start, puts(4, 3, 4))).toEqual([
      told('LOG_DAMAGED', `a batch is missing before the one at byte ${at}`, 3),
    ]);
    expect(await findingsOf(start, batchOf(9, []))).toEqual([
      told('LOG_DAMAGED', `a batch is missing before the one at byte ${at}`),
    ]);
    expect(await findingsOf(start, batchOf(3, [batchPut(Buffer.from('key'), Buffer.alloc(30))]))).toEqual([
      told('FOREIGN_KEYS', `at byte ${at} a key that is no sequence number (3 bytes)`),
    ]);
    expect(await findingsOf(start, batchOf(3, [], 1))).toEqual([
      told('LOG_DAMAGED', `at byte ${at} a batch of 1 entries holds 0`),
    ]);
  });

  test('that are cut off are the last, or damaged', async () => {
    const torn = logOf(puts(1, 1, 3)).subarray(0, -1);
    const whole = logOf(puts(1, 1, 3));
    writeDatabase(dir, { logs: { 3: torn, 4: Buffer.alloc(0) } });
    const tornTail = { file: '000003.log', offset: 0 };
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 0, tornTail });
    writeDatabase(dir, { logs: { 3: torn, 4: whole } });
    expect(await look(dir)).toMatchObject({
      headSeq: 3,
      tornTail: undefined,
      findings: [
        {
          code: 'LOG_DAMAGED',
          file: '000003.log',
          message: '000003.log is cut off at byte 0, but 000004.log goes on',
        },
      ],
    });
    writeDatabase(dir, { logs: { 3: whole, 4: torn } });
    expect(await look(dir)).toMatchObject({ headSeq: 3, tornTail: { file: '000004.log' }, findings: [] });
  });

  test('that the disk refuses are told, and the others read', async () => {
    const logs = { 3: logOf(puts(1, 1, 3)), 4: logOf(puts(4, 4, 5)) };
    writeDatabase(dir, { logs });
    refuse(join(dir, '000003.log'));
    const { findings, headSeq, bytesRead } = await look(dir);
    expect([headSeq, findings.map(({ code }) => code)]).toEqual([5, ['UNREADABLE', 'KEY_GAP']]);
    expect(findings[0]!.message).toMatch(/^000003\.log cannot be read: EISDIR/);
    expect(bytesRead).toBeGreaterThan(logs[4].length);
  });
});
