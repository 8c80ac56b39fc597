/** Reading a log in LevelDB: in pieces, over holes that must not be there, from a disk that refuses, and while the log closes. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LevelLog } from '#wal/level-log.js';
import { look } from '#wal/leveldb/look.js';
import { openLog } from '#wal/open.js';
import type { LogDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey } from '#wal/record.js';
import { allTexts, Directories, put, textOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
let log: LevelLog;

beforeEach(async () => {
  storeDir = directories.path();
  log = await openLog({ storeDir, create: true });
});
afterEach(() => log.close());

const database = () => (log as unknown as { database: LogDatabase }).database;
const texts = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

async function drain(pieces: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of pieces);
}

describe('records that are missing', () => {
  const deleteRecords = (first: number, last: number) =>
    database().batch(
      Array.from({ length: last - first + 1 }, (_, i) => ({
        type: 'del' as const,
        key: encodeKey(first + i),
      })),
    );
  const gap = (from: number, to: number) => ({ code: 'WAL_GAP', details: { from, to } });

  beforeEach(() => put(log, ...texts(3500)));

  test.each([
    ['one', 1700, 1700],
    ['some, across pieces', 990, 1010],
    ['more than a piece', 600, 2900],
    ['the first ones', 1, 1500],
    ['the last ones', 2400, 3501],
  ])('are named by whoever reads, in either direction: %s', async (_, first, last) => {
    await deleteRecords(first, last);
    await expect(drain(log.read())).rejects.toMatchObject(gap(first, last));
    await expect(drain(log.read({ reverse: true }))).rejects.toMatchObject(gap(first, last));
    expect(() => log.get(last)).toThrow(expect.objectContaining(gap(last, last)));
    const what = first === last ? `record ${first} is missing` : `records ${first} to ${last} are missing`;
    await expect(drain(log.read())).rejects.toThrow(what);
  });

  test('are left out of what is read as it is stored', async () => {
    await deleteRecords(600, 2900);
    const seqs: number[] = [];
    for await (const piece of log.raw(500, 3000)) seqs.push(...piece.map(([seq]) => seq));
    expect(seqs).toEqual([
      ...Array.from({ length: 100 }, (_, i) => 500 + i),
      ...Array.from({ length: 100 }, (_, i) => 2901 + i),
    ]);
  });
});

test('a log that was closed meanwhile is closed, and not damaged, for whoever reads on', async () => {
  await put(log, ...texts(4500));
  const reading = log.raw(1, log.head.seq)[Symbol.asyncIterator]();
  await reading.next();
  await log.close();
  await expect(drain({ [Symbol.asyncIterator]: () => reading })).rejects.toMatchObject({
    code: 'WAL_CLOSED',
  });
});

test('nor is it damaged where it is closed in the middle of a seek', async () => {
  await put(log, ...texts(10));
  const own = database().iterator.bind(database()) as () => { nextv(size: number): Promise<unknown> };
  database().iterator = ((...args: []) => {
    const iterator = own(...args);
    const nextv = iterator.nextv.bind(iterator);
    iterator.nextv = async size => {
      await log.close();
      return nextv(size);
    };
    return iterator;
  }) as never;
  await expect(drain(log.raw(1, log.head.seq))).rejects.toMatchObject({ code: 'WAL_CLOSED' });
});

describe('a table that LevelDB cannot open', () => {
  const TEXTS = ['a', 'b', 'c', 'd'].map(text => text.repeat(1_200_000));

  beforeEach(async () => {
    for (const text of TEXTS) {
      // So much is made a table at the close, which LevelDB does not open before it is asked for what is in it.
      await put(log, text);
      await log.close();
      log = await openLog({ storeDir });
    }
  });

  /** Puts a directory, which can be opened and not read, in the place of the table with `seq` right before LevelDB is asked for it. */
  async function refuseTable(seq: number, call: 'getSync' | 'iterator'): Promise<() => void> {
    const { files } = await look(join(storeDir, PATHS.log));
    const { name } = files.find(({ live, range }) => live && range?.first === seq)!;
    const table = join(storeDir, PATHS.log, name);
    const aside = join(storeDir, 'aside');
    const own = database()[call].bind(database()) as (...args: unknown[]) => unknown;
    database()[call] = ((...args: unknown[]) => {
      if (existsSync(table) && !existsSync(aside)) {
        renameSync(table, aside);
        mkdirSync(table);
      }
      return own(...args);
    }) as never;
    return () => {
      rmSync(table, { recursive: true });
      renameSync(aside, table);
      database()[call] = own as never;
    };
  }

  test('by a record of it is no damage: the disk may answer again', async () => {
    const undo = await refuseTable(3, 'getSync');
    expect(() => log.get(3)).toThrow(expect.objectContaining({ code: 'WAL_IO' }));
    undo();
    expect(textOf(log.get(3))).toBe(TEXTS[1]);
  });

  test('in the middle of reading is no damage: the disk may answer again', async () => {
    const undo = await refuseTable(3, 'iterator');
    await expect(allTexts(log)).rejects.toMatchObject({ code: 'WAL_IO' });
    undo();
    expect(await allTexts(log)).toEqual(TEXTS);
  });

  test.each([false, true])(
    'between others that a piece is read of is no damage either (reverse: %s)',
    async reverse => {
      // 6 to 16, 17 to 27, 28 to 38.
      for (let session = 0; session < 3; session++) {
        await put(log, ...Array.from({ length: 11 }, (_, i) => `${session} ${i}`.padEnd(100_000, '.')));
        await log.close();
        log = await openLog({ storeDir });
      }
      const undo = await refuseTable(17, 'iterator');
      // More than a piece: at the end of a range LevelDB would tell.
      const read = () => drain(log.read(reverse ? { to: 29, reverse } : { from: 15 }));
      await expect(read()).rejects.toMatchObject({
        code: 'WAL_IO',
        message: expect.stringContaining('IO error'),
      });
      undo();
      await read();
    },
  );
});
