/**
 * Tables that say under right checksums what LevelDB never writes: each form of it has its finding, from whoever reads the table, and nothing of
 * it is taken for records.
 */
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Findings } from '#wal/leveldb/findings.js';
import { readLiveValues } from '#wal/leveldb/live-values.js';
import { look } from '#wal/leveldb/look.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { assertCanonicalFooter, checkTableBlocks, readTableIndex } from '#wal/leveldb/table-file.js';
import { DatabaseProcess } from '../helpers/database-process.js';
import {
  blockEntry,
  blockOf,
  type DatabaseTable,
  deletionOf,
  eventValue,
  footerOf,
  handleOf,
  indexOf,
  internalKey,
  metaindexOf,
  putOf,
  putsOf,
  type TableChange,
  tableFile,
  varint,
  writeDatabase,
} from '../helpers/leveldb-files.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
const databases = new DatabaseProcess();
afterAll(() => {
  databases.kill();
  directories.remove();
});

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

/** What is wrong with table 5 itself, as each of the two readers of an index says it. */
async function problemsOf(): Promise<[columns: string, entries: string]> {
  const file = await open(pathOf(5));
  try {
    const { size } = await file.stat();
    const entries = await readTableIndex(file, size).then(
      () => 'is sound',
      (error: Error) => `${error.name}: ${error.message}`,
    );
    try {
      readTableBlocks(pathOf(5));
      return ['is sound', entries];
    } catch (error) {
      return [`${(error as Error).name}: ${(error as Error).message}`, entries];
    }
  } finally {
    await file.close();
  }
}

async function blockProblems(): Promise<(string | undefined)[]> {
  const problems: (string | undefined)[] = [];
  for await (const { problem } of checkTableBlocks(pathOf(5))) problems.push(problem);
  return problems;
}

async function valuesOf(findings = new Findings()): Promise<Map<number, Buffer>> {
  const values = new Map<number, Buffer>();
  for await (const piece of readLiveValues(dir, await look(dir), findings))
    for (const [seq, value] of piece) values.set(seq, value);
  return values;
}

test('what the helper makes is what LevelDB reads', async () => {
  write({});
  expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 6, findings: [] });
  expect([...(await valuesOf())]).toEqual([1, 2, 3, 4, 5, 6].map(seq => [seq, eventValue(seq)]));
  expect(await blockProblems()).toEqual([undefined, undefined]);
  const read = await databases.must('read', { dir, head: 6 });
  expect(read).toEqual({ last: 6, missing: 0, wrong: 0, foreign: 0, getMisses: 0 });
});

const FOREIGN = Buffer.from('key');

describe('the index', () => {
  type Blocks = Parameters<typeof indexOf>[0];
  const entriesOf = (blocks: Blocks) => blocks.map(block => blockEntry(block.separator, handleOf(block)));
  const indexWith = (entries: (blocks: Blocks) => Buffer[]) => (blocks: Blocks) =>
    blockOf(entries(blocks), blocks.length);
  /** The index as it would be if the handles were others. */
  const moved = (change: (block: Blocks[number], i: number) => Partial<Blocks[number]>) => (blocks: Blocks) =>
    indexOf(blocks.map((block, i) => ({ ...block, ...change(block, i) })));
  const same = 'the same';

  test.each<[string, (blocks: Blocks) => Buffer, columns: string, entries: string]>([
    ['of three bytes', () => Buffer.alloc(3), 'has a block that is too short', same],
    ['without restarts', () => Buffer.alloc(4), 'has a block with an impossible restart count', same],
    [
      'with more restarts than bytes',
      () => Buffer.from([0, 0, 0, 0, 2, 0, 0, 0]),
      'has a block with an impossible restart count',
      same,
    ],
    ['without entries', () => blockOf([]), 'ends inside a value', 'has an empty index'],
    [
      'whose entries share bytes',
      blocks => {
        const [first, second] = blocks;
        return blockOf(
          [
            blockEntry(first!.separator, handleOf(first!)),
            blockEntry(second!.separator.subarray(4), handleOf(second!), 4),
          ],
          2,
        );
      },
      'has an index whose keys share bytes',
      'is sound',
    ],
    [
      'with a key of seven bytes',
      moved((_, i) => (i === 0 ? { separator: Buffer.alloc(7) } : {})),
      'has an index key that is too short',
      same,
    ],
    [
      'with an entry that is longer than the index',
      indexWith(blocks => [entriesOf(blocks)[0]!, Buffer.from([0, 16, 3, ...internalKey(6, 6), 1])]),
      'has an index entry beyond its end',
      'a length of 3 exceeds the 1 bytes left',
    ],
    [
      'with the same key twice',
      moved(() => ({ separator: internalKey(6, 6) })),
      'has an index whose keys do not ascend',
      same,
    ],
    [
      'with an older write of a key before a newer one',
      moved((_, i) => ({ separator: internalKey(6, 6 + i) })),
      'has an index whose keys do not ascend',
      same,
    ],
    [
      'with a higher key before a lower one',
      moved((_, i) => ({ separator: internalKey(7 - i, 9) })),
      'has an index whose keys do not ascend',
      same,
    ],
    [
      'with keys of nobody that do not ascend',
      moved((_, i) => ({ separator: Buffer.alloc(9, 3 - i) })),
      'has an index whose keys do not ascend',
      same,
    ],
    [
      'with a key of nobody before a lower one of ours',
      moved((_, i) => (i === 0 ? { separator: Buffer.alloc(9, 0xff) } : {})),
      'has an index whose keys do not ascend',
      same,
    ],
    [
      'whose first block begins behind the first byte',
      moved(({ offset, sizeBytes }, i) => (i === 0 ? { offset: 1, sizeBytes: sizeBytes - 1 } : { offset })),
      'has an index that leaves a gap at byte 0',
      same,
    ],
    [
      'that leaves bytes out between two blocks',
      moved(({ sizeBytes }, i) => (i === 0 ? { sizeBytes: sizeBytes - 1 } : {})),
      `has an index that leaves a gap at byte ${BLOCK - 1}`,
      same,
    ],
    [
      'whose last block ends before the filter',
      moved(({ sizeBytes }, i) => (i === 1 ? { sizeBytes: sizeBytes - 1 } : {})),
      'has an index that does not reach the filter',
      same,
    ],
    [
      'with bytes behind a handle',
      indexWith(blocks =>
        blocks.map(block => blockEntry(block.separator, Buffer.concat([handleOf(block), Buffer.from([0])]))),
      ),
      'has an index entry of another length',
      'is sound',
    ],
    [
      'with a handle that goes on in the next entry',
      indexWith(blocks => [
        blockEntry(blocks[0]!.separator, varint(blocks[0]!.offset)),
        ...entriesOf(blocks).slice(1),
      ]),
      'has an index entry of another length',
      'ends inside a value',
    ],
    [
      'with more entries than restarts',
      blocks => blockOf(entriesOf(blocks), 1),
      'has an index with more entries than restarts',
      'is sound',
    ],
    [
      'with a number that never ends',
      () => blockOf([Buffer.alloc(20, 0xff)]),
      'a variable-length number is too long',
      same,
    ],
    [
      'with a number above all that a double counts',
      () => blockOf([Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])]),
      'a variable-length number is too long',
      same,
    ],
  ])('%s', async (_, index, columns, entries) => {
    write({ index });
    const inWords = (problem: string) => (problem === 'is sound' ? problem : `FormatError: ${problem}`);
    expect(await problemsOf()).toEqual([inWords(columns), inWords(entries === same ? columns : entries)]);
    expect(await look(dir)).toMatchObject({
      state: 'damaged',
      headSeq: 6,
      findings: [{ code: 'TABLE_DAMAGED', file: '000005.ldb', message: `000005.ldb ${columns}`, seq: 1 }],
    });
  });

  test.each([
    ['of seven bytes', 2 ** 48 + 1, 2 ** 50],
    ['as high as a double counts', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ])('a number %s is one', async (_, seq, stamp) => {
    write({}, [[putOf(seq, stamp, eventValue(1))]]);
    expect(await problemsOf()).toEqual(['is sound', 'is sound']);
    const { seqs, stamps, otherSeparators } = readTableBlocks(pathOf(5));
    expect([[...seqs], [...stamps], otherSeparators.size]).toEqual([[seq], [stamp], 0]);
  });

  test.each([
    ['a number beyond 2^53', 1, internalKey(Buffer.from([0, 32, 0, 0, 0, 0, 0, 0]), 1)],
    ['a stamp beyond 2^53', 1, internalKey(4, 2 ** 53)],
    ['a kind that is neither put nor deletion', 1, internalKey(4, 1, 2)],
    ['sequence number 0', 0, internalKey(0, 1)],
    ['another length', 1, Buffer.alloc(9, 1)],
    // Of eight bytes nothing is left for the user's part of it: the lowest key of all.
    ['the shortest length', 0, Buffer.alloc(8, 1)],
  ])('a separator that is none of ours, for %s, is kept as it stands', async (_, at, separator) => {
    write({ separators: at === 0 ? [separator, internalKey(6, 6)] : [internalKey(3, 3), separator] });
    expect(await problemsOf()).toEqual(['is sound', 'is sound']);
    const columns = readTableBlocks(pathOf(5));
    expect([columns.seqs[at], [...columns.otherSeparators]]).toEqual([0, [[at, separator]]]);
  });

  test('deletions are told from puts', async () => {
    write({}, [[putOf(1, 1)], [deletionOf(2, 9)], [putOf(3, 4)]]);
    const { seqs, stamps, deleted, offsets } = readTableBlocks(pathOf(5));
    expect([[...seqs], [...stamps], [...deleted]]).toEqual([
      [1, 2, 3],
      [1, 9, 4],
      [0, 1, 0],
    ]);
    expect([...offsets].map((offset, i, all) => (all[i + 1] ?? 0) - offset > 0)).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('what is behind the index', () => {
  test.each<[string, TableChange, problem: string]>([
    ['a metaindex of three bytes', { metaindex: () => Buffer.alloc(3) }, 'has a block that is too short'],
    [
      'a metaindex without an entry',
      { metaindex: () => blockOf([]) },
      'has a metaindex that names no Bloom filter',
    ],
    [
      'a metaindex with two entries',
      {
        metaindex: filter =>
          blockOf([
            blockEntry(Buffer.from('filter.leveldb.BuiltinBloomFilter2'), handleOf(filter)),
            blockEntry(Buffer.from('other'), handleOf(filter)),
          ]),
      },
      'has a metaindex that names no Bloom filter',
    ],
    [
      'another filter',
      { metaindex: filter => metaindexOf(filter, 'filter.leveldb.BuiltinBloomFilter3') },
      'has a metaindex that names no Bloom filter',
    ],
    [
      'a filter that ends elsewhere',
      { metaindex: ({ offset, sizeBytes }) => metaindexOf({ offset, sizeBytes: sizeBytes + 1 }) },
      'has a metaindex that points outside the table',
    ],
    ['a filter of four bytes', { filter: Buffer.alloc(4) }, 'has a filter that is too short'],
    [
      'a filter whose offsets begin behind it',
      { filter: Buffer.from([0, 2, 0, 0, 0, 11]) },
      'has a filter that points outside itself',
    ],
    [
      'a footer whose metaindex ends elsewhere',
      { footer: ({ offset, sizeBytes }, index) => footerOf({ offset, sizeBytes: sizeBytes - 1 }, index) },
      'has a footer that does not match the size of the file',
    ],
    [
      'a footer whose index ends elsewhere',
      {
        footer: (metaindex, { offset, sizeBytes }) =>
          footerOf(metaindex, { offset, sizeBytes: sizeBytes + 1 }),
      },
      'has a footer that does not match the size of the file',
    ],
    [
      'a footer with more in it than two places',
      { footer: (metaindex, index) => Buffer.concat([footerOf(metaindex, index), Buffer.from([0, 1])]) },
      'has padding in its footer that is not zero',
    ],
  ])('%s', async (_, change, problem) => {
    write(change);
    expect(await problemsOf()).toEqual([`FormatError: ${problem}`, `FormatError: ${problem}`]);
    expect(await look(dir)).toMatchObject({
      state: 'damaged',
      findings: [{ code: 'TABLE_DAMAGED', message: `000005.ldb ${problem}`, seq: 1 }],
    });
  });

  test('a filter without a byte of filters is one', async () => {
    write({ filter: Buffer.from([0, 1, 0, 0, 0, 11]) });
    expect(await problemsOf()).toEqual(['is sound', 'is sound']);
  });

  test.each(['index', 'metaindex', 'filter'])('of a wrong checksum the %s is named', async name => {
    const starts = new Map<string, number>();
    const { bytes } = write({
      metaindex: filter => {
        starts.set('filter', filter.offset);
        return metaindexOf(filter);
      },
      footer: (metaindex, index) => {
        starts.set('metaindex', metaindex.offset).set('index', index.offset);
        return footerOf(metaindex, index);
      },
    });
    bytes[starts.get(name)!]! ^= 1;
    writeFileSync(pathOf(5), bytes);
    const problem = `FormatError: its ${name} block fails its checksum`;
    expect(await problemsOf()).toEqual([problem, problem]);
  });

  test('a file that is shorter than a footer', async () => {
    writeDatabase(dir, {
      tables: [
        { number: 5, bytes: Buffer.alloc(47), smallest: internalKey(1, 1), largest: internalKey(6, 6) },
      ],
    });
    const problem = 'is shorter than a footer';
    expect(await problemsOf()).toEqual([`FormatError: ${problem}`, `FormatError: ${problem}`]);
    expect((await look(dir)).findings).toMatchObject([
      { code: 'TABLE_DAMAGED', message: `000005.ldb ${problem}`, seq: 1 },
    ]);
  });

  test('a footer alone, without the number that tables end in', async () => {
    writeFileSync(pathOf(5), Buffer.alloc(48));
    const problem = 'FormatError: does not end in the magic number of a table';
    expect(await problemsOf()).toEqual([problem, problem]);
  });

  test('filters that the first read of a table does not reach are read and checked', async () => {
    // Many short records to a block: what is told of them is short beside the filter.
    const filter = Buffer.concat([Buffer.alloc(200_000, 7), Buffer.from([0, 0, 0, 0, 11])]);
    filter.writeUInt32LE(200_000, 200_000);
    const { bytes } = write({ filter });
    expect(await problemsOf()).toEqual(['is sound', 'is sound']);
    expect(readTableBlocks(pathOf(5)).bytesRead).toBeGreaterThan(200_000);
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 6 });
    bytes[bytes.length - 150_000]! ^= 1;
    writeFileSync(pathOf(5), bytes);
    const problem = 'FormatError: its filter block fails its checksum';
    expect(await problemsOf()).toEqual([problem, problem]);
  });

  test('an index that the first read of a table does not reach is read and checked', async () => {
    const blocks = Array.from({ length: 4000 }, (_, i) => [putOf(i + 1, i + 1, Buffer.alloc(1))]);
    const { bytes } = write({}, blocks);
    expect(await problemsOf()).toEqual(['is sound', 'is sound']);
    const { seqs } = readTableBlocks(pathOf(5));
    expect([seqs.length, seqs[3999]]).toEqual([4000, 4000]);
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 4000 });
    bytes[bytes.length - 80_000]! ^= 1;
    writeFileSync(pathOf(5), bytes);
    const problem = 'FormatError: its index block fails its checksum';
    expect(await problemsOf()).toEqual([problem, problem]);
  });

  test('of numbers in a footer that read alike the shortest is right', () => {
    const footer = (...bytes: number[]) => Buffer.from([...bytes, ...Buffer.alloc(48 - bytes.length)]);
    assertCanonicalFooter(footer(1, 2, 3, 4));
    assertCanonicalFooter(footer(0x81, 1, 0, 0x80, 1, 0));
    const otherwise = 'has a footer that LevelDB would have written otherwise';
    expect(() => assertCanonicalFooter(footer(0x81, 0, 2, 3, 4))).toThrow(otherwise);
    expect(() => assertCanonicalFooter(footer(1, 2, 3, 0x84, 0))).toThrow(otherwise);
  });
});

describe('data blocks', () => {
  const put3 = (seq: number) => blockEntry(internalKey(seq, seq), eventValue(seq));
  /** The second of two blocks. */
  const second = (contents: Buffer): TableChange => ({ data: ([first]) => [first!, contents] });

  test.each<[string, TableChange, problem: string]>([
    ['too short', second(Buffer.alloc(3)), 'has a block that is too short'],
    ['without restarts', second(Buffer.alloc(4)), 'has a block with an impossible restart count'],
    [
      'with more restarts than bytes',
      second(Buffer.from([0, 0, 0, 0, 2, 0, 0, 0])),
      'has a block with an impossible restart count',
    ],
    [
      'whose first entry shares bytes',
      second(blockOf([blockEntry(internalKey(4, 4), eventValue(4), 1)])),
      'has a block entry that shares more than there is',
    ],
    [
      'with a key that is longer than the block',
      second(blockOf([Buffer.from([0, 16, 0, 1, 2, 3])])),
      'a length of 16 exceeds the 3 bytes left',
    ],
    [
      'with a value that is longer than the block',
      second(blockOf([blockEntry(internalKey(4, 4), eventValue(4)).subarray(0, -1)])),
      'a length of 120 exceeds the 119 bytes left',
    ],
    [
      'with a key that is no sequence number',
      second(blockOf([blockEntry(FOREIGN, eventValue(4))])),
      'holds a key that is no sequence number',
    ],
    ['with the same key twice', second(blockOf([put3(4), put3(4)])), 'has keys out of order'],
    ['with a lower key behind a higher one', second(blockOf([put3(5), put3(4)])), 'has keys out of order'],
    ['with a key of the block before', second(blockOf([put3(3), put3(4)])), 'has keys out of order'],
    [
      'with a key that the index puts into the next',
      second(blockOf([put3(4), put3(7)])),
      'has keys beyond the index',
    ],
  ])('%s', async (_, change, problem) => {
    write(change);
    expect(await blockProblems()).toEqual([undefined, problem]);
    for await (const { offset, firstSeq, lastSeq, entries } of checkTableBlocks(pathOf(5)))
      if (offset > 0) expect([firstSeq, lastSeq, entries]).toEqual([3, 6, []]);
  });

  test('of which the first cannot be trusted: nothing tells what it began with', async () => {
    write({ data: ([, second]) => [Buffer.alloc(3), second!] });
    const reports = [];
    for await (const report of checkTableBlocks(pathOf(5))) reports.push(report);
    expect(reports).toMatchObject([
      { offset: 0, sizeBytes: 3, firstSeq: undefined, lastSeq: 3, problem: 'has a block that is too short' },
      { offset: 8, firstSeq: 4, lastSeq: 6, problem: undefined },
    ]);
  });

  test('of which the last cannot be trusted, under a separator that is none of ours: nothing tells what it ended with', async () => {
    write({ ...second(Buffer.alloc(3)), separators: [internalKey(3, 3), Buffer.alloc(9, 0xff)] });
    const reports = [];
    for await (const report of checkTableBlocks(pathOf(5))) reports.push(report);
    expect(reports).toMatchObject([
      { problem: undefined },
      { problem: 'has a block that is too short', firstSeq: 3, lastSeq: undefined },
    ]);
  });

  test('without an entry hold nothing', async () => {
    write({ data: ([, second]) => [blockOf([]), second!] });
    const reports = [];
    for await (const report of checkTableBlocks(pathOf(5))) reports.push(report);
    expect(reports).toMatchObject([
      { problem: undefined, entries: [], firstSeq: undefined, lastSeq: undefined },
      { problem: undefined, firstSeq: 4, lastSeq: 6 },
    ]);
  });

  test('that are compressed', async () => {
    write({ compression: 1 });
    const problem = 'is compressed, which this program never asks for';
    expect(await blockProblems()).toEqual([problem, problem]);
    const findings = new Findings();
    expect((await valuesOf(findings)).size).toBe(0);
    expect(findings.list).toEqual([
      {
        code: 'TABLE_DAMAGED',
        file: '000005.ldb',
        message: `000005.ldb: the block at byte 0 ${problem}; it held records up to 3`,
      },
      {
        code: 'TABLE_DAMAGED',
        file: '000005.ldb',
        message: `000005.ldb: the block at byte ${BLOCK} ${problem}; it held records 3 to 6`,
        seq: 3,
      },
    ]);
  });

  test('with keys of which each shares what it can', async () => {
    const keys = [4, 5, 6].map(seq => internalKey(seq, seq));
    const entries = keys.map((key, i) =>
      i === 0 ? blockEntry(key, eventValue(4)) : blockEntry(key.subarray(7), eventValue(4 + i), 7),
    );
    write(second(blockOf(entries)));
    expect(await blockProblems()).toEqual([undefined, undefined]);
    expect([...(await valuesOf())]).toEqual([1, 2, 3, 4, 5, 6].map(seq => [seq, eventValue(seq)]));
  });
});
