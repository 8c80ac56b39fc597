/**
 * Values read from LevelDB's files without LevelDB: all of them in order, or a few by their numbers. The newest write of a key counts, wherever it
 * stands, and what cannot be read is told.
 */
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Findings } from '#wal/leveldb/findings.js';
import { readLiveValuesAt } from '#wal/leveldb/live-value.js';
import { readLiveValues, readLogEntries } from '#wal/leveldb/live-values.js';
import { look } from '#wal/leveldb/look.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { TableGuard } from '#wal/leveldb/table-guard.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { decodeRecord } from '#wal/record.js';
import { flip, refuse } from '../helpers/damage.js';
import { DatabaseProcess } from '../helpers/database-process.js';
import {
  batchDeletion,
  batchOf,
  batchPut,
  type Database,
  deletionOf,
  eventValue,
  internalKey,
  logOf,
  putOf,
  putsOf,
  tableFile,
  writeDatabase,
} from '../helpers/leveldb-files.js';
import { Directories, event } from '../helpers/wal.js';

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

const pathOf = (number: number, extension = 'ldb') =>
  join(dir, `${String(number).padStart(6, '0')}.${extension}`);

/** All values, and what was found on the way. @param onPiece called after each piece */
async function all(onPiece: (count: number) => void = () => {}) {
  const findings = new Findings();
  const pieces: [number, Buffer][][] = [];
  for await (const piece of readLiveValues(dir, await look(dir), findings)) {
    pieces.push(piece.map(([seq, value]) => [seq, Buffer.from(value)]));
    onPiece(pieces.length);
  }
  return { pieces, values: pieces.flat(), findings: findings.list };
}

async function some(...seqs: number[]) {
  const findings = new Findings();
  const values = await readLiveValuesAt(dir, await look(dir), new Set(seqs), findings);
  return { values: [...values].sort(([a], [b]) => a - b), findings: findings.list };
}

const versionsOf = (...versions: [seq: number, version?: number][]) =>
  versions.map(([seq, version]) => [seq, eventValue(seq, version)]);

describe('records that were erased, at numbers far apart', () => {
  /** Four stubs of this size fill a block. */
  const ERASED = [5, 1300, 2600].flatMap(seq => [seq, seq + 1, seq + 2, seq + 3]);
  let storeDir: string;

  /** Between blocks whose keys are so far apart LevelDB shortens the separator to seven bytes. */
  beforeEach(async () => {
    storeDir = directories.path();
    let log = await openLog({ storeDir, create: true });
    for (let first = 1; first <= 2700; first += 300)
      await log.append(Array.from({ length: 300 }, (_, i) => event(`record ${first + i}`))).durable;
    await log.close();
    log = await openLog({ storeDir });
    await log.erase(ERASED.map(seq => ({ seq, residue: Buffer.alloc(4096, `left of ${seq};`) })));
    await log.close();
    // The next opening makes a table of the log.
    log = await openLog({ storeDir });
    await log.close();
    dir = join(storeDir, PATHS.log);
  });

  const erasedTable = async () => {
    const looked = await look(dir);
    const { name } = looked.files.find(({ live, range }) => live && range?.first === ERASED[0])!;
    return { looked, name, blocks: readTableBlocks(join(dir, name)) };
  };

  test('are found by their numbers as they are now', async () => {
    const { blocks } = await erasedTable();
    expect(blocks.seqs.length).toBe(3);
    expect([...blocks.otherSeparators.values()].map(({ length }) => length)).toEqual([15, 15, 9]);
    const { values, findings } = await some(...ERASED, 9);
    expect(findings).toEqual([]);
    expect(values.map(([seq]) => seq)).toEqual([...ERASED, 9].sort((a, b) => a - b));
    for (const [seq, value] of values) {
      const { body, residue } = decodeRecord(value, seq);
      const left = Buffer.alloc(4096, `left of ${seq};`);
      if (seq === 9) expect(Buffer.from(body!).toString()).toBe('record 8');
      else expect([body, Buffer.compare(left, residue!)]).toEqual([undefined, 0]);
    }
  });

  test('are read before LevelDB reads them, each block', async () => {
    const { looked, name, blocks } = await erasedTable();
    flip(join(dir, name), blocks.offsets[1]! + 50, 1);
    const guard = new TableGuard(dir, looked);
    guard.assertReadable(2, 3);
    // Nothing tells which of them the damaged block held.
    for (const seq of ERASED)
      expect(() => guard.assertReadable(seq, seq)).toThrow(
        `${name} is damaged at byte ${blocks.offsets[1]}: records 5 to 2603 cannot be read`,
      );
  });
});

describe('of several writes of a key the newest counts', () => {
  /** Records 1 to 6 in a table; 2 and 5 written again, and 6 deleted, in another; 3 and 5 again, and 4 deleted, in the log. */
  const WRITES: Database = {
    tables: [
      tableFile(5, [putsOf(1, 3), putsOf(4, 6)]),
      tableFile(7, [[putOf(2, 7, eventValue(2, 1))], [putOf(5, 8, eventValue(5, 1)), deletionOf(6, 9)]]),
    ],
    logs: {
      9: logOf(
        batchOf(10, [batchPut(3, eventValue(3, 2)), batchDeletion(4)]),
        batchOf(12, [batchPut(5, eventValue(5, 1)), batchPut(5, eventValue(5, 2))]),
      ),
    },
  };
  const COUNT = versionsOf([1], [2, 1], [3, 2], [5, 2]);

  test('in tables and logs', async () => {
    writeDatabase(dir, WRITES);
    expect(await all()).toMatchObject({ values: COUNT, findings: [] });
    expect(await some(1, 2, 3, 4, 5, 6, 7)).toEqual({ values: COUNT, findings: [] });
    expect(await some(2, 6)).toEqual({ values: versionsOf([2, 1]), findings: [] });
  });

  test('of those that the MANIFEST names: tables and logs of before it hold nothing that counts', async () => {
    const before = batchOf(60, [batchPut(2, eventValue(2, 8)), batchPut(8, eventValue(8, 8))]);
    writeDatabase(dir, { ...WRITES, logs: { ...WRITES.logs, 8: logOf(before) }, logNumber: 9 });
    const table = tableFile(11, [[putOf(1, 50, eventValue(1, 7)), putOf(7, 51, eventValue(7, 7))]]);
    writeFileSync(pathOf(11), table.bytes);
    expect(await all()).toMatchObject({ values: COUNT, findings: [] });
    expect(await some(1, 2, 3, 4, 5, 6, 7, 8)).toEqual({ values: COUNT, findings: [] });
  });

  test('whichever table is read first', async () => {
    const [old, again] = WRITES.tables!;
    writeDatabase(dir, {
      ...WRITES,
      tables: [
        { ...old!, number: 8 },
        { ...again!, number: 6 },
      ],
    });
    expect((await all()).values).toEqual(COUNT);
    expect((await some(1, 2, 3, 4, 5, 6)).values).toEqual(COUNT);
  });

  test('whichever log is read first, as LevelDB has it', async () => {
    writeDatabase(dir, {
      logs: {
        3: logOf(batchOf(4, [batchPut(1, eventValue(1, 1)), batchPut(2, eventValue(2, 1))])),
        4: logOf(
          batchOf(1, [batchPut(1, eventValue(1)), batchPut(2, eventValue(2)), batchPut(3, eventValue(3))]),
        ),
      },
    });
    expect((await all()).values).toEqual(versionsOf([1, 1], [2, 1], [3]));
    const read = await databases.must('read', { dir, head: 3, rewritten: [1, 2] });
    expect(read).toMatchObject({ last: 3, missing: 0, wrong: 0 });
  });

  test('and comes before the others within a block', async () => {
    writeDatabase(dir, {
      tables: [
        tableFile(5, [
          [putOf(1, 1), putOf(2, 9, eventValue(2, 1)), putOf(2, 2)],
          [deletionOf(3, 8), putOf(3, 3)],
        ]),
      ],
    });
    expect((await all()).values).toEqual(versionsOf([1], [2, 1]));
    expect((await some(1, 2, 3)).values).toEqual(versionsOf([1], [2, 1]));
  });

  test('and may stand in another block than the others', async () => {
    writeDatabase(dir, {
      tables: [
        tableFile(5, [
          [putOf(1, 1), putOf(2, 9, eventValue(2, 1))],
          [putOf(2, 2), putOf(3, 3)],
        ]),
      ],
    });
    expect((await all()).values).toEqual(versionsOf([1], [2, 1], [3]));
    expect((await some(2)).values).toEqual(versionsOf([2, 1]));
  });
});

test('pieces are in order, and end where the next block of any table begins', async () => {
  writeDatabase(dir, {
    tables: [tableFile(5, [putsOf(1, 2), putsOf(3, 4)]), tableFile(6, [putsOf(5, 6), putsOf(7, 8)])],
    logs: { 9: logOf(batchOf(9, [batchPut(9, eventValue(9)), batchPut(10, eventValue(10))])) },
  });
  const { pieces, values } = await all();
  expect(values).toEqual(versionsOf(...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seq): [number] => [seq])));
  // What a separator names may go on in the next block; the first block of a table may begin anywhere.
  expect(pieces.map(piece => piece.map(([seq]) => seq))).toEqual([[1], [2, 3, 4, 5], [6, 7, 8, 9, 10]]);
});

test('a database that holds nothing gives nothing', async () => {
  writeDatabase(dir, { logs: { 3: Buffer.alloc(0) } });
  expect(await all()).toMatchObject({ pieces: [], findings: [] });
  expect(await some(1)).toEqual({ values: [], findings: [] });
});

describe('keys that are none of ours', () => {
  const SHORT = Buffer.from('short');

  test('in a log are passed over, and so is a batch from where it cannot be read', async () => {
    const broken = batchOf(3, [batchPut(2, eventValue(2)), Buffer.from([1, 8, 0])]);
    writeDatabase(dir, {
      logs: {
        3: logOf(
          batchOf(1, [batchPut(SHORT, eventValue(1)), batchPut(1, eventValue(1))]),
          broken,
          batchOf(5, [batchPut(3, eventValue(3))]),
        ),
      },
    });
    expect((await all()).values).toEqual(versionsOf([1], [2], [3]));
  });

  test('between blocks do not hide a block', async () => {
    const blocks = [putsOf(1, 2), putsOf(3, 4), putsOf(5, 6)];
    const separators = [internalKey(Buffer.alloc(7), 9), internalKey(4, 4), internalKey(6, 6)];
    writeDatabase(dir, { tables: [tableFile(5, blocks, { separators })] });
    expect((await all()).values).toEqual(versionsOf([1], [2], [3], [4], [5], [6]));
    expect(await some(2, 3)).toEqual({ values: versionsOf([2], [3]), findings: [] });
  });

  test('in a block of a table make it a damaged one', async () => {
    const blocks = [putsOf(1, 2), [putOf(3, 3), { key: internalKey(SHORT, 5), value: SHORT }], putsOf(5, 6)];
    writeDatabase(dir, {
      tables: [tableFile(5, blocks, { separators: [2, 4, 6].map(seq => internalKey(seq, seq)) })],
    });
    const { values, findings } = await all();
    expect(values).toEqual(versionsOf([1], [2], [3], [5], [6]));
    expect(findings).toEqual([
      {
        code: 'TABLE_DAMAGED',
        file: '000005.ldb',
        message:
          '000005.ldb: the block at byte 291 holds a key that is no sequence number; it held records 2 to 4',
        seq: 2,
      },
    ]);
    // Whoever asks for a record beside it gets that.
    expect(await some(3, 5)).toEqual({ values: versionsOf([3], [5]), findings: [] });
  });
});

describe('what cannot be read', () => {
  const blocks = Array.from({ length: 4 }, (_, i) => putsOf(2 * i + 1, 2 * i + 2));
  const BLOCK = 2 * (3 + 16 + 120) + 8 + 5;
  /** A block that fails its checksum, and what it held as the finding says it. */
  const failed = (block: number, held: string, seq?: number) => ({
    code: 'TABLE_DAMAGED',
    file: '000005.ldb',
    message: `000005.ldb: the block at byte ${block * BLOCK} fails its checksum; ${held}`,
    ...(seq !== undefined && { seq }),
  });

  beforeEach(() => writeDatabase(dir, { tables: [tableFile(5, blocks)] }));
  const flipBlock = (block: number) => flip(pathOf(5), block * BLOCK + 40, 3);

  test('of single values is told of those that were asked for', async () => {
    for (const block of [0, 2]) flipBlock(block);
    expect(await some(3)).toEqual({ values: versionsOf([3]), findings: [] });
    expect(await some(1, 5, 7)).toEqual({
      values: versionsOf([7]),
      findings: [failed(0, 'it held records up to 2'), failed(2, 'it held records 4 to 6', 4)],
    });
  });

  test('behind a separator that is none of ours is told by what is known', async () => {
    const separators = [
      internalKey(2, 2),
      internalKey(Buffer.alloc(7), 9),
      internalKey(6, 6),
      Buffer.alloc(9, 1),
    ];
    writeDatabase(dir, {
      tables: [
        tableFile(5, blocks, { separators: [separators[1]!, ...separators.slice(2), Buffer.alloc(9, 2)] }),
      ],
    });
    for (const block of [1, 3]) flipBlock(block);
    expect((await some(1)).findings).toEqual([
      failed(1, 'it held records up to 6'),
      failed(3, 'nothing tells which records it held'),
    ]);
  });

  test('of all values is told as well, and all else is given', async () => {
    for (const block of [0, 3]) flipBlock(block);
    expect(await all()).toMatchObject({
      values: versionsOf([3], [4], [5], [6]),
      findings: [failed(0, 'it held records up to 2'), failed(3, 'it held records 6 to 8', 6)],
    });
  });

  test('of which the index is damaged is among what the look found, and not told again', async () => {
    truncateSync(pathOf(5), 4 * BLOCK);
    expect(await all()).toMatchObject({ values: [], findings: [] });
    expect(await some(1)).toEqual({ values: [], findings: [] });
  });

  test('is a table that the disk refuses at once', async () => {
    const looked = await look(dir);
    refuse(pathOf(5));
    const findings = new Findings();
    for await (const piece of readLiveValues(dir, looked, findings)) expect(piece).toEqual([]);
    expect(findings.list).toEqual([
      {
        code: 'UNREADABLE',
        file: '000005.ldb',
        message: expect.stringMatching(/^000005\.ldb cannot be read: EISDIR/),
      },
    ]);
  });

  /** Of the second table all blocks come behind those of the first: so it can go while the first is read. */
  describe.each<[string, () => void, code: string, what: RegExp]>([
    ['cut off', () => truncateSync(pathOf(6), 10), 'TABLE_DAMAGED', /^ends before a block does$/],
    ['deleted', () => rmSync(pathOf(6)), 'UNREADABLE', /^cannot be read: ENOENT: /],
    ['refused by the disk', () => refuse(pathOf(6)), 'UNREADABLE', /^cannot be read: EISDIR: /],
  ])('is a table that is %s', (_, harm, code, what) => {
    beforeEach(() =>
      writeDatabase(dir, { tables: [tableFile(5, blocks), tableFile(6, [putsOf(9, 9), putsOf(10, 12)])] }),
    );

    test('while it is read', async () => {
      const { values, findings } = await all(count => {
        if (count === 2) harm();
      });
      // Nothing tells where the first block of a table begins, so it is read before.
      expect(values).toEqual(versionsOf([1], [2], [3], [4], [5], [6], [7], [8], [9]));
      const told = findings.map(({ message, ...rest }) => ({
        ...rest,
        what: /byte \d+ (.*); it held/.exec(message)?.[1],
      }));
      expect(told.at(-1)).toEqual({ code, file: '000006.ldb', seq: 9, what: expect.stringMatching(what) });
    });

    test('between the look and the reading', async () => {
      const looked = await look(dir);
      harm();
      const findings = new Findings();
      const values = await readLiveValuesAt(dir, looked, new Set([1, 9]), findings);
      expect([...values.keys()]).toEqual([1]);
      // That it is too short is what the next look finds.
      const expected =
        code === 'UNREADABLE'
          ? [
              {
                code,
                file: '000006.ldb',
                message: expect.stringMatching(`^000006.ldb ${what.source.slice(1)}`),
              },
            ]
          : [];
      expect(findings.list).toEqual(expected);
      const again = new Findings();
      const told = {
        ...looked,
        findings: [{ code: 'UNREADABLE', file: '000006.ldb', message: 'told' }] as const,
      };
      await readLiveValuesAt(dir, told, new Set([9]), again);
      expect(again.list).toEqual([]);
    });
  });

  test('is a log that the disk refuses', async () => {
    writeDatabase(dir, {
      tables: [tableFile(5, blocks)],
      logs: { 9: logOf(batchOf(9, [batchPut(9, eventValue(9))])) },
    });
    const looked = await look(dir);
    refuse(pathOf(9, 'log'));
    const findings = new Findings();
    expect([...(await readLiveValuesAt(dir, looked, new Set([8, 9]), findings)).keys()]).toEqual([8]);
    expect(findings.list).toMatchObject([{ code: 'UNREADABLE', file: '000009.log' }]);
    await expect(readLogEntries(dir, looked)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});
