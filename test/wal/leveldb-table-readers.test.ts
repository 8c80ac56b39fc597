/**
 * Tables read whole: at once, as the log’s own appends leave them, and from the disk while LevelDB has them open.
 */
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { readTableOnDisk } from '#wal/leveldb/table-on-disk.js';
import { readTableValues } from '#wal/leveldb/table-values.js';
import { refuse } from '../helpers/damage.js';
import {
  type DatabaseTable,
  deletionOf,
  eventValue,
  internalKey,
  putOf,
  putsOf,
  type TableChange,
  tableFile,
  writeDatabase,
} from '../helpers/leveldb-files.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
beforeEach(() => {
  dir = dirname(directories.path());
});

const pathOf = (number: number) => join(dir, `${String(number).padStart(6, '0')}.ldb`);

/** Two blocks of three records each. */
const SIX = [putsOf(1, 3), putsOf(4, 6)];
/** Bytes of each: three entries, a restart and their number, compression and checksum. */
const BLOCK = 3 * (3 + 16 + 120) + 8 + 5;

function write(change: TableChange, blocks = SIX): DatabaseTable {
  const table = tableFile(5, blocks, change);
  writeDatabase(dir, { tables: [table] });
  return table;
}

const FOREIGN = Buffer.from('key');

describe('tables of the log’s own appends, read at once', () => {
  async function read(range = { first: 1, last: 6 }): Promise<[number, Buffer][]> {
    const values: [number, Buffer][] = [];
    await readTableValues(pathOf(5), range, (seq, value) => values.push([seq, Buffer.from(value)]));
    return values;
  }

  test('give every value in order', async () => {
    write({});
    expect(await read()).toEqual([1, 2, 3, 4, 5, 6].map(seq => [seq, eventValue(seq)]));
  });

  test.each([
    ['a record that is deleted', [putsOf(1, 3), [putOf(4, 4), deletionOf(5, 9), putOf(6, 6)]]],
    ['a record that is missing', [putsOf(1, 3), [putOf(4, 4), putOf(6, 6)]]],
    ['a record that is there twice', [putsOf(1, 3), [putOf(4, 9), putOf(4, 4), putOf(5, 5), putOf(6, 6)]]],
    ['a key of nobody', [putsOf(1, 3), [...putsOf(4, 5), { key: FOREIGN, value: eventValue(6) }]]],
  ])('but not with %s', async (_, blocks) => {
    write({ separators: [internalKey(3, 3), internalKey(7, 7)] }, blocks);
    await expect(read()).rejects.toThrow('holds other keys than consecutive ones');
  });

  test.each([
    { first: 1, last: 7 },
    { first: 1, last: 5 },
  ])('but not with others than $first to $last', async range => {
    write({});
    await expect(read(range)).rejects.toThrow('does not hold the keys that the MANIFEST says');
  });

  test('in pieces, of which one may be cut off meanwhile', async () => {
    const big = Array.from({ length: 6 }, (_, i) => [putOf(i + 1, i + 1, eventValue(i + 1, 0, 400_000))]);
    write({}, big);
    const values = await read();
    expect(values.map(([seq, value]) => [seq, value.equals(big[seq - 1]![0]!.value)])).toEqual(
      big.map((_, i) => [i + 1, true]),
    );
    const half = statSync(pathOf(5)).size / 2;
    const cut = readTableValues(pathOf(5), { first: 1, last: 6 }, seq => {
      if (seq === 1) truncateSync(pathOf(5), half);
    });
    await expect(cut).rejects.toThrow('ends before a block does');
  });
});

describe('a table that LevelDB has open, read from the disk', () => {
  const range = { first: 1, last: 6 };
  const onDisk = (
    sizeBytes = statSync(pathOf(5)).size,
    onRead = async (_bytes: number) => {},
    held = range,
  ) => readTableOnDisk(pathOf(5), { name: '000005.ldb', range: held, sizeBytes }, onRead);

  test('sound, with its bytes told', async () => {
    write({});
    let bytes = 0;
    expect(
      await onDisk(undefined, async read => {
        bytes += read;
      }),
    ).toEqual([]);
    // Of so short a table the end holds all of it.
    expect(bytes).toBe(statSync(pathOf(5)).size + 2 * BLOCK);
  });

  test('of another size than the MANIFEST says', async () => {
    write({});
    const { size } = statSync(pathOf(5));
    expect(await onDisk(size + 1)).toEqual([
      { problem: `000005.ldb has ${size} bytes, not ${size + 1}`, range },
    ]);
  });

  test('with bad blocks, first and last', async () => {
    write({ compression: 1 });
    const problem = 'is compressed, which this program never asks for; it holds records';
    expect(await onDisk()).toEqual([
      { problem: `000005.ldb: the block at byte 0 ${problem} 1 to 3`, range: { first: 1, last: 3 } },
      { problem: `000005.ldb: the block at byte ${BLOCK} ${problem} 3 to 6`, range: { first: 3, last: 6 } },
    ]);
  });

  test('in pieces, and what a block held where separators are shortened', async () => {
    const blocks = Array.from({ length: 9 }, (_, i) => [putOf(i + 1, i + 1, eventValue(i + 1, 0, 100_000))]);
    const separators = [...blocks.slice(0, -1).map(([entry]) => entry!.key), Buffer.alloc(9, 1)];
    const { bytes } = write({ separators }, blocks);
    const pieces: number[] = [];
    const keep = async (read: number) => {
      pieces.push(read);
    };
    expect(await onDisk(undefined, keep)).toEqual([]);
    const block = 100_000 + 3 + 16 + 2 + 8 + 5;
    expect(pieces.slice(1)).toEqual([2 * block, 2 * block, 2 * block, 2 * block, block]);
    bytes[9 * block - 100]! ^= 1;
    writeFileSync(pathOf(5), bytes);
    expect(await onDisk(bytes.length, keep, { first: 1, last: 9 })).toMatchObject([
      { range: { first: 8, last: 9 } },
    ]);
  });

  test('that is gone, or that the disk refuses', async () => {
    write({});
    const { size } = statSync(pathOf(5));
    rmSync(pathOf(5));
    await expect(onDisk(size)).rejects.toMatchObject({ code: 'ENOENT' });
    refuse(pathOf(5));
    await expect(onDisk(statSync(pathOf(5)).size)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});
