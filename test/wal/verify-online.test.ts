/**
 * The log of a running store verified beside its work: what has rotted on the disk since it was opened is found, the rate is held, and nothing that
 * is met ends the log.
 */
import { mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { compactRange } from '#wal/level.js';
import type { LevelLog } from '#wal/level-log.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { openLog } from '#wal/open.js';
import { Pace, type PaceClock } from '#wal/pace.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey, encodeRecord } from '#wal/record.js';
import { type OnlineOptions, verifyOnline } from '#wal/verify-online.js';
import { bitsOf, flip, remove } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());
const SEED = Number(process.env.VERIFY_SEED ?? 9);

let storeDir: string;
let log: LevelLog;

beforeEach(async () => {
  storeDir = directories.path();
  for (let session = 0; session < 3; session++) {
    const filled = await openLog({ storeDir, create: true });
    await filled.append(Array.from({ length: 20 }, (_, i) => event(`record ${session} ${i}`, 4000))).durable;
    await filled.close();
  }
  log = await openLog({ storeDir });
  await put(log, 'in the live log');
  return () => log.close();
});

const tables = () =>
  readdirSync(join(storeDir, PATHS.log))
    .filter(name => name.endsWith('.ldb'))
    .sort()
    .map(name => join(storeDir, PATHS.log, name));

/** Time that passes only while somebody sleeps. */
class Clock implements PaceClock {
  ms = 0;
  nowMs = () => this.ms;
  async sleep(ms: number): Promise<void> {
    this.ms += ms;
  }
}

const fast = new Pace(Number.POSITIVE_INFINITY);
const online = (options: Partial<OnlineOptions> = {}) =>
  verifyOnline(log, storeDir, {
    ...{ after: 0, to: log.head.seq, pace: fast, signal: new AbortController().signal },
    ...options,
  });

test('a sound log is read whole, on the disk and through LevelDB', async () => {
  const seqs: number[] = [];
  const result = await online({ onVerified: record => seqs.push(record?.seq ?? 0) });
  expect(result).toMatchObject({ range: { first: 1, last: 62 }, records: 62, tables: 4, findings: [] });
  const onDisk = tables().reduce((sum, file) => sum + statSync(file).size, 0);
  expect(result.bytes).toBeGreaterThan(2 * onDisk * 0.95);
  expect(seqs.at(-1)).toBe(62);
});

test('goes on behind a record; of the tail it reads the newest table alone', async () => {
  const tail = { range: { first: 42, last: 62 }, records: 21, tables: 1, findings: [] };
  expect(await online({ after: 41 })).toMatchObject(tail);
  expect(await online({ tailOnly: true })).toMatchObject(tail);
  expect(await online({ after: 61 })).toMatchObject({
    range: { first: 62, last: 62 },
    records: 1,
    tables: 0,
  });
});

test.each([1_000_000, 8_000_000])('holds to %i bytes a second', async bytesPerSecond => {
  const clock = new Clock();
  const read: [ms: number, bytes: number][] = [];
  const result = await online({
    pace: new Pace(bytesPerSecond, clock),
    onVerified: (_, bytes) => read.push([clock.ms, bytes]),
  });
  // All that was read had its time.
  expect(clock.ms).toBeCloseTo((result.bytes / bytesPerSecond) * 1000, 3);
  for (const [ms, bytes] of read) expect(bytes).toBeLessThanOrEqual((ms / 1000) * bytesPerSecond + 1);
});

test('a pause is not made up for', async () => {
  const clock = new Clock();
  const pace = new Pace(1000, clock);
  await pace.spend(500);
  clock.ms += 60_000;
  const start = clock.ms;
  for (let i = 0; i < 10; i++) await pace.spend(100);
  expect(clock.ms - start).toBeCloseTo(1000, 6);
});

test('stops at once when it is told to', async () => {
  const stop = new AbortController();
  const pace = new Pace(1);
  const running = online({ pace, signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

describe('damage that comes after the opening', () => {
  test('a flipped bit anywhere in any table is found, and the log goes on', async () => {
    // Every block is checked once by those who read it, and never again.
    await online();
    for (const table of tables())
      for (const { offset, bit } of bitsOf(table, 4999, SEED)) {
        flip(table, offset, bit);
        const { findings } = await online();
        expect(findings, `${table} byte ${offset} bit ${bit} seed ${SEED}`).not.toEqual([]);
        flip(table, offset, bit);
      }
    expect((await online()).findings).toEqual([]);
    await put(log, 'still writing');
    expect(log.head.seq).toBe(63);
  });

  test('is named with the records that it concerns, and all others are read', async () => {
    // The first holds the genesis record alone.
    const [, table] = tables();
    const { offsets, seqs } = readTableBlocks(table!);
    flip(table!, offsets[1]! + 40, 2);
    const { findings, records } = await online();
    expect(findings[0]).toMatchObject({
      code: 'TABLE_DAMAGED',
      seq: seqs[0],
      message: expect.stringContaining(`the block at byte ${offsets[1]} fails its checksum`),
    });
    expect(records).toBeGreaterThanOrEqual(62 - (seqs[1]! - seqs[0]! + 2));
    expect(records).toBeLessThan(62);
  });

  test('a table that is gone', async () => {
    const [, table] = tables();
    remove(table!);
    expect((await online()).findings).toContainEqual(
      expect.objectContaining({ code: 'TABLE_MISSING', file: expect.stringContaining('.ldb') }),
    );
  });

  test('a table that cannot be read', async () => {
    const [, table] = tables();
    remove(table!);
    symlinkSync(table!, table!);
    const { findings, records, range } = await online();
    expect(findings).toMatchObject([
      { code: 'UNREADABLE', message: expect.stringContaining('cannot be read') },
    ]);
    // Those of the other tables and of the live log.
    expect([records, range]).toEqual([42, { first: 1, last: 62 }]);
  });

  test('without CURRENT no table is known: the records are read all the same', async () => {
    remove(join(storeDir, PATHS.log, 'CURRENT'));
    const { findings, records, tables } = await online();
    expect(findings).toMatchObject([{ code: 'MANIFEST_MISSING', file: expect.stringContaining('CURRENT') }]);
    expect([records, tables]).toEqual([62, 0]);
  });

  test('without CURRENT there is no newest table: its tail is all of it', async () => {
    remove(join(storeDir, PATHS.log, 'CURRENT'));
    expect((await online({ tailOnly: true })).range).toEqual({ first: 1, last: 62 });
  });

  test('a log file that cannot be read, and one that LevelDB has replaced', async () => {
    const [name] = readdirSync(join(storeDir, PATHS.log)).filter(file => file.endsWith('.log'));
    const path = join(storeDir, PATHS.log, name!);
    remove(path);
    expect((await online()).findings).toEqual([]);
    mkdirSync(path);
    expect((await online()).findings).toMatchObject([
      { code: 'UNREADABLE', message: expect.stringContaining(`${name} cannot be read`) },
    ]);
  });

  test('in the live log file', async () => {
    for (let i = 0; i < 5; i++) await put(log, `more ${i}`);
    const [name] = readdirSync(join(storeDir, PATHS.log)).filter(file => file.endsWith('.log'));
    flip(join(storeDir, PATHS.log, name!), 100, 4);
    expect((await online()).findings).toMatchObject([{ code: 'LOG_DAMAGED' }]);
  });
});

describe('what LevelDB gives and its files do not explain', () => {
  type Database = {
    put(key: Buffer, value: Uint8Array, options: { sync: true }): Promise<void>;
    del(key: Buffer): Promise<void>;
    get(key: Buffer): Promise<Uint8Array | undefined>;
  };
  const database = () => (log as unknown as { database: Database }).database;
  const put = (seq: number, value: Uint8Array) => database().put(encodeKey(seq), value, { sync: true });
  const stored = async (seq: number) => Buffer.from((await database().get(encodeKey(seq)))!);
  const told = async () => (await online()).findings.map(({ code, seq }) => [code, seq]);

  async function alter(seq: number): Promise<void> {
    const value = await stored(seq);
    value[100]! ^= 1;
    await put(seq, value);
  }

  test('a record that is altered, and every other one is read', async () => {
    await alter(30);
    const { findings, records, range } = await online();
    expect(findings).toMatchObject([{ code: 'WAL_BAD_RECORD', seq: 30 }]);
    expect([records, range]).toEqual([61, { first: 1, last: 62 }]);
  });

  test('the first and the last', async () => {
    await alter(1);
    await alter(62);
    expect(await told()).toEqual([
      ['WAL_BAD_RECORD', 1],
      ['WAL_BAD_RECORD', 62],
    ]);
  });

  test('a record that is gone', async () => {
    await database().del(encodeKey(25));
    expect(await told()).toEqual([['WAL_GAP', 25]]);
  });

  test('one of another history', async () => {
    const { bytes } = encodeRecord({ ...log.get(40), body: Buffer.from('another') });
    await put(40, bytes);
    expect(await told()).toEqual([['WAL_CHAIN_BROKEN', 41]]);
    const strange = encodeRecord({ ...log.get(30), prevHash: 1n, body: Buffer.from('another') });
    await put(30, strange.bytes);
    expect((await told()).map(String).sort()).toEqual(
      ['WAL_CHAIN_BROKEN,30', 'WAL_CHAIN_BROKEN,31', 'WAL_CHAIN_BROKEN,41'].sort(),
    );
  });

  test('so many that a hundred say enough', async () => {
    await log.append(Array.from({ length: 120 }, (_, i) => event(`more ${i}`, 200))).durable;
    for (let seq = 63; seq <= 182; seq++) await alter(seq);
    const findings: unknown[] = [];
    const result = await online({ onFinding: finding => findings.push(finding) });
    expect([result.findings.length, findings.length, result.range!.last]).toEqual([100, 100, 182]);
  });

  test('is no damage where the log is closed meanwhile', async () => {
    // Waited for from the start: it may be refused before the log has closed.
    const refused = expect(online({ pace: new Pace(4_000_000) })).rejects.toMatchObject({
      code: 'WAL_CLOSED',
    });
    await log.close();
    await refused;
  });
});

test('of a log without a table the tail is all there is', async () => {
  await log.close();
  storeDir = directories.path();
  log = await openLog({ storeDir, create: true });
  await put(log, 'a', 'b');
  for (const name of tables()) remove(name);
  expect(await online({ tailOnly: true })).toMatchObject({ range: { last: 3 } });
  expect(await online({ after: 3 })).toMatchObject({ range: undefined, records: 0 });
});

test('a table that LevelDB merges with another while it is read is no longer needed', async () => {
  const { database } = log as unknown as { database: Parameters<typeof compactRange>[0] };
  let isMerged = false;
  const pace = new (class extends Pace {
    override async spend(): Promise<void> {
      if (isMerged) return;
      isMerged = true;
      await compactRange(database, encodeKey(1), encodeKey(62));
    }
  })(Number.POSITIVE_INFINITY);
  const before = tables();
  const result = await online({ pace });
  expect(result).toMatchObject({ range: { first: 1, last: 62 }, records: 62, findings: [] });
  expect(before.filter(table => !tables().includes(table))).not.toEqual([]);
  // Those that it was merged into were read on the disk as well.
  expect(result.tables).toBeGreaterThanOrEqual(tables().length);
});

test('what goes wrong with LevelDB while records are read one by one is told as it is', async () => {
  const value = Buffer.from(log.get(30).body!);
  const { bytes } = encodeRecord({ ...log.get(30), prevHash: 1n, body: value });
  const { database } = log as unknown as {
    database: {
      put(key: Buffer, value: Uint8Array): Promise<void>;
      getSync(key: Buffer): Uint8Array | undefined;
      iterator(range: { gte: Buffer; lte: Buffer }): { nextv(size: number): Promise<unknown> };
    };
  };
  await database.put(encodeKey(30), bytes);
  const own = database.getSync.bind(database);
  const answer = (error: Error) => {
    database.getSync = key => {
      if (key.equals(encodeKey(33))) throw error;
      return own(key);
    };
  };
  answer(Object.assign(new Error('IO error: 000005.ldb: Input/output error')));
  await expect(online()).rejects.toMatchObject({ code: 'WAL_IO' });
  // As the log itself gives it: of a block that LevelDB takes for damaged no number is known.
  answer(Object.assign(new Error('Corruption: bad block type'), { code: 'LEVEL_CORRUPTION' }));
  expect((await online()).findings.map(({ code, seq }) => [code, seq])).toEqual(
    expect.arrayContaining([
      ['WAL_CHAIN_BROKEN', 30],
      ['WAL_BAD_RECORD', 33],
    ]),
  );
  database.getSync = own;
  const iterate = database.iterator.bind(database);
  database.iterator = range => {
    const iterator = iterate(range);
    if (Buffer.compare(range.gte, encodeKey(41)) <= 0 && Buffer.compare(range.lte, encodeKey(41)) >= 0)
      iterator.nextv = () =>
        Promise.reject(Object.assign(new Error('Corruption: bad block'), { code: 'LEVEL_CORRUPTION' }));
    return iterator;
  };
  const { findings, records } = await online();
  expect(findings).toContainEqual({
    ...{ code: 'WAL_BAD_RECORD', seq: 22, message: expect.stringContaining('Corruption: bad block') },
  });
  expect(records).toBe(62);
});

test('beside writes and merges of tables nothing is amiss', async () => {
  let isWriting = true;
  const writing = (async () => {
    for (let i = 0; isWriting; i++)
      await log.append(Array.from({ length: 40 }, (_, n) => event(`beside ${i} ${n}`, 3000))).durable;
  })();
  const { database } = log as unknown as { database: Parameters<typeof compactRange>[0] };
  let merges = 0;
  for (let round = 0; round < 4; round++) {
    const to = log.head.seq;
    const result = await online({
      to,
      onVerified: () => {
        if (merges++ === 2 * round) void compactRange(database, encodeKey(1), encodeKey(to));
      },
    });
    expect(result).toMatchObject({ range: { first: 1, last: to }, records: to, findings: [] });
  }
  isWriting = false;
  await writing;
});

test('every byte that is read is counted, and few at once', async () => {
  const pieces: number[] = [];
  const pace = new (class extends Pace {
    override async spend(bytes: number, signal?: AbortSignal): Promise<void> {
      pieces.push(bytes);
      return super.spend(bytes, signal);
    }
  })(Number.POSITIVE_INFINITY);
  const { bytes } = await online({ pace });
  expect(bytes).toBe(pieces.reduce((sum, piece) => sum + piece, 0));
  // What is read at once is little, so that neither the rate nor the event loop suffers.
  expect(Math.max(...pieces)).toBeLessThan(1024 * 1024 + 20_000);
});
