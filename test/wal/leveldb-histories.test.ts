/**
 * Which keys the live tables hold, read as little as can be: against a map that plays what was put, put again and deleted, in whatever tables LevelDB
 * may make of it.
 */
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Findings } from '#wal/leveldb/findings.js';
import { KeyRanges } from '#wal/leveldb/key-ranges.js';
import { readLiveTables } from '#wal/leveldb/live-tables.js';
import { readLiveValuesAt } from '#wal/leveldb/live-value.js';
import { readLiveValues } from '#wal/leveldb/live-values.js';
import { look } from '#wal/leveldb/look.js';
import { readTableBlocks, type TableBlocks } from '#wal/leveldb/table-blocks.js';
import { TableGuard } from '#wal/leveldb/table-guard.js';
import { applyRuns, keysByReading } from '#wal/leveldb/table-keys.js';
import { readManifest } from '#wal/leveldb/version-edit.js';
import { flip, refuse, seeded } from '../helpers/damage.js';
import { DatabaseProcess } from '../helpers/database-process.js';
import {
  batchDeletion,
  batchOf,
  batchPut,
  type Database,
  type DatabaseTable,
  deletionOf,
  eventValue,
  internalKey,
  logOf,
  putOf,
  putsOf,
  type TableEntry,
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

const nameOf = (number: number) => `${String(number).padStart(6, '0')}.ldb`;
const pathOf = (number: number) => join(dir, nameOf(number));

interface Write {
  readonly seq: number;
  readonly stamp: number;
  /** Undefined for a deletion. */
  readonly version: number | undefined;
}

const entryOf = ({ seq, stamp, version }: Write): TableEntry =>
  version === undefined ? deletionOf(seq, stamp) : putOf(seq, stamp, eventValue(seq, version, 30));
const inLog = ({ seq, version }: Write): Buffer =>
  version === undefined ? batchDeletion(seq) : batchPut(seq, eventValue(seq, version, 30));
/** By key, the newest write of one first. */
const inOrder = (writes: readonly Write[]): Write[] =>
  writes.toSorted((a, b) => a.seq - b.seq || b.stamp - a.stamp);

/** A history as this program makes one: appends, records written again, tails deleted downwards. And the tables and the log that hold it. */
function history(random: () => number): { database: Database; versions: Map<number, number> } {
  const below = (n: number) => Math.floor(random() * n);
  const versions = new Map<number, number>();
  let memory: Write[] = [];
  let tables: { number: number; level: number; writes: Write[] }[] = [];
  let stamp = 0;
  let number = 5;
  const write = (seq: number, version: number | undefined) => {
    memory.push({ seq, stamp: ++stamp, version });
    if (version === undefined) versions.delete(seq);
    else versions.set(seq, version);
  };
  for (let step = 5 + below(25); step > 0; step--) {
    const kind = random();
    const head = versions.size;
    if (kind < 0.45 || head === 0) for (let n = 1 + below(12); n > 0; n--) write(versions.size + 1, 0);
    else if (kind < 0.6) for (let n = 1 + below(4); n > 0; n--) write(1 + below(head), 1 + below(9));
    else if (kind < 0.75)
      for (let n = 1 + below(Math.min(8, head)); n > 0; n--) write(versions.size, undefined);
    else if (kind < 0.93) {
      if (memory.length > 0) tables.push({ number: number++, level: 0, writes: memory });
      memory = [];
    } else {
      // A merge of all of it: what is covered by a newer write goes, and so do deletions.
      const all = inOrder(tables.flatMap(({ writes }) => writes));
      const writes = all.filter(({ seq, version }, i) => seq !== all[i - 1]?.seq && version !== undefined);
      tables = writes.length > 0 ? [{ number: number++, level: 2, writes }] : [];
    }
  }
  const cut = (entries: TableEntry[]): TableEntry[][] => {
    const blocks: TableEntry[][] = [];
    const most = 1 + below(7);
    for (let at = 0; at < entries.length; at += blocks.at(-1)!.length)
      blocks.push(entries.slice(at, at + 1 + below(most)));
    return blocks;
  };
  const made: DatabaseTable[] = tables.map(({ number, level, writes }) => {
    const blocks = cut(inOrder(writes).map(entryOf));
    // LevelDB shortens the last separator.
    const separators = [
      ...blocks.slice(0, -1).map(block => block.at(-1)!.key),
      internalKey(Buffer.from([1]), 2 ** 50),
    ];
    return tableFile(number, blocks, { separators }, level);
  });
  const first = memory[0]?.stamp ?? stamp + 1;
  return {
    database: {
      tables: made,
      logs: { [number]: logOf(batchOf(first, memory.map(inLog))) },
      lastStamp: stamp,
    },
    versions,
  };
}

test(`random histories (seed ${SEED})`, { timeout: 300_000 }, async () => {
  const random = seeded(SEED);
  for (let run = 0; run < 120; run++) {
    const { database, versions } = history(random);
    dir = dirname(directories.path());
    writeDatabase(dir, database);
    const what = `run ${run}, seed ${SEED}`;
    const looked = await look(dir);
    expect(looked.findings, what).toEqual([]);
    expect(looked.headSeq, what).toBe(versions.size);
    const expected = [...versions].sort(([a], [b]) => a - b);
    const read: [number, number][] = [];
    const findings = new Findings();
    for await (const piece of readLiveValues(dir, looked, findings))
      read.push(...piece.map(([seq, value]): [number, number] => [seq, value.readUInt32LE(4)]));
    expect(read, what).toEqual(expected);
    const wanted = new Set([
      1,
      versions.size,
      versions.size + 1,
      1 + Math.floor(random() * (versions.size + 3)),
    ]);
    const some = await readLiveValuesAt(dir, looked, wanted, findings);
    expect(
      [...some].map(([seq, value]) => [seq, value.readUInt32LE(4)]).sort(([a], [b]) => a! - b!),
      what,
    ).toEqual(expected.filter(([seq]) => wanted.has(seq)));
    expect(findings.list).toEqual([]);
    rmSync(dir, { recursive: true });
  }
});

test('what the histories are made of is what LevelDB reads', { timeout: 60_000 }, async () => {
  const random = seeded(SEED + 1);
  for (let run = 0; run < 3; run++) {
    const { database, versions } = history(random);
    dir = dirname(directories.path());
    writeDatabase(dir, database);
    const { last, missing } = await databases.must('read', { dir, head: versions.size, sizeBytes: 30 });
    expect([last, missing]).toEqual([versions.size, 0]);
  }
});

describe('a tail that was put and deleted while in memory', () => {
  /** The index names the put, and so do the bounds. */
  const hidden = [
    ...putsOf(1, 3),
    deletionOf(4, 9),
    putOf(4, 4),
    deletionOf(5, 8),
    putOf(5, 5),
    deletionOf(6, 7),
    putOf(6, 6),
  ];

  test('is gone, as LevelDB has it', async () => {
    writeDatabase(dir, { tables: [tableFile(5, [hidden])] });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 3, findings: [] });
    expect(await databases.must('read', { dir, head: 6 })).toMatchObject({ last: 3, missing: 3, wrong: 0 });
  });

  test('is not gone where a newer table has it again', async () => {
    writeDatabase(dir, { tables: [tableFile(5, [hidden]), tableFile(7, [putsOf(4, 6, 6)])] });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 6, findings: [] });
  });

  test('is gone in whichever of two tables it was deleted last', async () => {
    // The older one deletes 6 as well; of it nothing else has to be read.
    const older = [...putsOf(1, 5), deletionOf(6, 7), putOf(6, 6)];
    const newer = [deletionOf(5, 13), putOf(5, 9), deletionOf(6, 12), putOf(6, 10)];
    writeDatabase(dir, { tables: [tableFile(5, [older]), tableFile(7, [newer])] });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 4, findings: [] });
  });

  test('is gone, whichever of those tables comes first', async () => {
    const tables = [
      tableFile(4, [putsOf(1, 3)]),
      tableFile(5, [[putOf(4, 4), putOf(5, 5), deletionOf(6, 7), putOf(6, 6)]]),
      tableFile(7, [[putOf(1, 8), deletionOf(6, 10), putOf(6, 9)]]),
    ];
    writeDatabase(dir, { tables });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 5, findings: [] });
    expect(await databases.must('read', { dir, head: 6 })).toMatchObject({ last: 5, missing: 1 });
  });

  test('and of which the table cannot be read is told as damaged, once', async () => {
    writeDatabase(dir, { tables: [tableFile(5, [hidden.slice(0, 3), hidden.slice(3)])] });
    flip(pathOf(5), 600, 2);
    const { findings, headSeq } = await look(dir);
    expect(headSeq).toBe(6);
    expect(findings).toMatchObject([
      { code: 'TABLE_DAMAGED', message: expect.stringContaining('fails its checksum'), seq: 3 },
    ]);
  });
});

describe('blocks that the index does not tell of', () => {
  test('are read: what is not there is missing', async () => {
    writeDatabase(dir, {
      tables: [
        tableFile(5, [
          [putOf(1, 1), putOf(3, 3)],
          [putOf(4, 4), putOf(6, 9)],
        ]),
      ],
    });
    const { findings, headSeq } = await look(dir);
    expect(headSeq).toBe(6);
    // Between 1 and 3 the counter goes as the keys do; but where one is missing, all that may hold it is read.
    expect(findings.map(({ message }) => message)).toEqual([
      'event 2 is in no live table or log',
      'event 5 is in no live table or log',
    ]);
  });

  test('of which one is damaged is told once, however often it is read', async () => {
    const blocks = [
      [putOf(1, 1)],
      [putOf(2, 20), putOf(3, 31)],
      [putOf(4, 12), deletionOf(5, 40), putOf(5, 13)],
    ];
    writeDatabase(dir, {
      tables: [
        tableFile(5, blocks, {
          separators: [1, 3, 5].map(seq => internalKey(seq, [0, 1, 0, 31, 0, 13][seq]!)),
        }),
      ],
    });
    flip(pathOf(5), 200, 2);
    const { findings } = await look(dir);
    const damaged = findings.filter(({ code }) => code === 'TABLE_DAMAGED');
    expect(damaged).toEqual([
      {
        code: 'TABLE_DAMAGED',
        file: nameOf(5),
        message: expect.stringMatching(/^000005\.ldb: the block at byte 152 fails/),
        seq: 1,
      },
    ]);
  });

  test.each<[string, (path: string) => void, object]>([
    ['the disk refuses', refuse, { code: 'UNREADABLE', message: expect.stringContaining('EISDIR') }],
    [
      'is cut off meanwhile',
      path => truncateSync(path, 30),
      { code: 'TABLE_DAMAGED', message: '000005.ldb is shorter than a footer' },
    ],
  ])('of a table that %s are told once', async (_, harm, finding) => {
    const blocks = [
      [putOf(1, 1), putOf(2, 9)],
      [putOf(3, 3), putOf(4, 17)],
    ];
    writeDatabase(dir, { tables: [tableFile(5, blocks)] });
    const manifest = await readManifest(join(dir, 'MANIFEST-000002'));
    /** Between the index and the blocks. */
    class Harming extends Map<string, TableBlocks> {
      override set(name: string, blocks: TableBlocks): this {
        harm(join(dir, name));
        return super.set(name, blocks);
      }
    }
    const findings = new Findings();
    const { size } = statSync(pathOf(5));
    const file = { name: nameOf(5), kind: 'table', number: 5, sizeBytes: size, live: false } as const;
    await readLiveTables(dir, manifest.tables, [file], new KeyRanges(), findings, new Harming());
    expect(findings.list).toMatchObject([{ file: nameOf(5), ...finding }]);
  });

  test('are known by those around them where LevelDB shortened a separator', async () => {
    const all = Array.from({ length: 1100 }, (_, i) => putOf(i + 1, i + 1, Buffer.alloc(1)));
    const again = [
      [putOf(2, 2001), putOf(3, 2002)],
      [putOf(1024, 2003), putOf(1025, 2005)],
      [putOf(1100, 2006)],
    ];
    const separators = [
      internalKey(Buffer.from([0, 0, 0, 0, 0, 0, 1]), 2 ** 50),
      internalKey(1025, 2005),
      internalKey(Buffer.from([1]), 2 ** 50),
    ];
    writeDatabase(dir, { tables: [tableFile(5, [all]), tableFile(6, again, { separators })] });
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 1100, findings: [] });
    const ranges: [number, number][] = [];
    const { runs, damaged } = await keysByReading(pathOf(6), ({ first, last }) => {
      ranges.push([first, last]);
      return last > 1025;
    });
    expect(ranges).toEqual([
      [0, Infinity],
      [0, 1025],
      [1025, Infinity],
    ]);
    expect(runs).toEqual([
      { first: 2, last: 3, stamp: 2001, deleted: false },
      { first: 1100, last: 1100, stamp: 2006, deleted: false },
    ]);
    expect(damaged).toEqual([]);
    const { runs: whole } = await keysByReading(pathOf(6), () => true);
    expect(whole.map(({ first, last }) => [first, last])).toEqual([
      [2, 3],
      [1024, 1024],
      [1025, 1025],
      [1100, 1100],
    ]);
  });
});

describe('more tables than indexes are kept of', () => {
  const COUNT = 70;
  /** Of each table the records 1 to 6, on top of those of the tables before. */
  const made = () => {
    const tables = Array.from({ length: COUNT }, (_, i) =>
      tableFile(
        5 + i,
        [1, 3, 5].map(first => putsOf(6 * i + first, 6 * i + first + 1)),
      ),
    );
    writeDatabase(dir, { tables });
  };

  test('keep those of the last ones', async () => {
    made();
    const { headSeq, indexes, state } = await look(dir);
    expect([state, headSeq, indexes.size]).toEqual(['sound', 6 * COUNT, 64]);
    expect([...indexes.keys()]).toEqual(Array.from({ length: 64 }, (_, i) => nameOf(5 + 6 + i)));
  });

  test('are guarded all the same', async () => {
    made();
    const looked = await look(dir);
    flip(pathOf(5 + 2), 20, 1);
    const guard = new TableGuard(dir, { ...looked, indexes: new Map() });
    // One block of each, so that none is done with and all indexes are wanted.
    for (let i = 0; i < COUNT; i++) guard.assertReadable(6 * i + 6, 6 * i + 6);
    for (let i = 0; i < COUNT; i++) {
      const read = () => guard.assertReadable(6 * i + 1, 6 * i + 6);
      if (i === 2)
        expect(read).toThrow(
          expect.objectContaining({ code: 'WAL_BAD_RECORD', details: { seq: 13, to: 14 } }),
        );
      else read();
    }
    for (let i = 3; i < COUNT; i++) guard.assertReadable(6 * i + 1, 6 * i + 6);
  });
});

describe('guarded tables', () => {
  const blocks = [putsOf(1, 3), putsOf(4, 6), putsOf(7, 9)];
  const BLOCK = 3 * (3 + 16 + 120) + 8 + 5;
  const guardOf = async (database: Database = { tables: [tableFile(5, blocks)] }) => {
    writeDatabase(dir, database);
    return new TableGuard(dir, await look(dir));
  };
  const bad = (seq: number, to: number) =>
    expect.objectContaining({ code: 'WAL_BAD_RECORD', details: { seq, to } });

  test('that were cut off since the look are refused whole', async () => {
    const guard = await guardOf();
    truncateSync(pathOf(5), BLOCK + 5);
    guard.assertReadable(1, 1);
    expect(() => guard.assertReadable(8, 8)).toThrow(bad(1, 9));
    expect(() => guard.assertReadable(1, 1)).toThrow(bad(1, 9));
    guard.assertReadable(10, 12);
  });

  test('that LevelDB has merged since are none any more', async () => {
    const guard = await guardOf();
    rmSync(pathOf(5));
    guard.assertReadable(1, 9);
    guard.assertSound(1, 9);
    guard.assertMergeable(1, 9);
  });

  test('that the disk refuses are its answer', async () => {
    const guard = await guardOf();
    refuse(pathOf(5));
    expect(() => guard.assertReadable(1, 9)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  });

  test('may be merged where what stays is sound', async () => {
    // The tail from record 8 on goes: of its block record 7 stays.
    for (const [block, isMergeable] of [
      [0, false],
      [1, false],
      [2, false],
    ] as const) {
      const guard = await guardOf();
      flip(pathOf(5), block * BLOCK + 20, 1);
      const merge = () => guard.assertMergeable(8, 9);
      if (isMergeable) merge();
      else expect(merge).toThrow(bad([1, 3, 6][block]!, [3, 6, 9][block]!));
    }
    const guard = await guardOf();
    flip(pathOf(5), 2 * BLOCK + 20, 1);
    // From record 6 on: the block begins behind the one that the index names before it.
    guard.assertMergeable(6, 9);
    expect(() => guard.assertSound(1, 1)).toThrow(bad(6, 9));
    const first = await guardOf();
    flip(pathOf(5), 20, 1);
    first.assertMergeable(1, 9);
    expect(() => first.assertMergeable(2, 9)).toThrow(bad(1, 3));
  });

  test('of a merge are those that overlap one another', async () => {
    const tables = [
      tableFile(5, [putsOf(1, 3)]),
      tableFile(6, [putsOf(3, 5, 9)]),
      tableFile(7, [putsOf(5, 8, 20)]),
      tableFile(8, [putsOf(9, 12, 20)]),
    ];
    for (const [number, from, isRefused] of [
      [7, 2, true],
      [8, 2, false],
      [5, 8, true],
      [5, 9, false],
      [8, 9, true],
    ] as const) {
      const guard = await guardOf({ tables });
      flip(pathOf(number), 20, 1);
      const merge = () => guard.assertSound(from, from);
      if (isRefused) expect(merge, `${number}`).toThrow(expect.objectContaining({ code: 'WAL_BAD_RECORD' }));
      else merge();
      expect(guardRefuses(guard, number === 8 ? 9 : number === 7 ? 6 : 1)).toBe(true);
    }
  });

  const guardRefuses = (guard: TableGuard, seq: number): boolean => {
    try {
      guard.assertReadable(seq, seq);
      return false;
    } catch {
      return true;
    }
  };

  test('beside a reading are not in its way', async () => {
    const tables = [
      tableFile(5, [putsOf(1, 9)]),
      tableFile(6, [putsOf(4, 4, 20)]),
      tableFile(7, [putsOf(10, 12, 20)]),
    ];
    const guard = await guardOf({ tables });
    flip(pathOf(6), 20, 1);
    writeFileSync(pathOf(7), Buffer.alloc(3));
    guard.assertReadable(6, 9);
    guard.assertReadable(1, 2);
    guard.assertReadable(3, 3);
    expect(() => guard.assertReadable(4, 4)).toThrow(bad(4, 4));
    guard.assertReadable(5, 5);
  });
});

test('an index is told by columns', async () => {
  writeDatabase(dir, { tables: [tableFile(5, [putsOf(1, 2), [deletionOf(3, 9), putOf(3, 3)]])] });
  const { seqs, deleted } = readTableBlocks(pathOf(5));
  expect([[...seqs], [...deleted]]).toEqual([
    [2, 3],
    [0, 0],
  ]);
});

test('what was written last counts, whichever of two tables is applied first', () => {
  const put = { first: 1, last: 9, stamp: 10, deleted: false };
  const deletion = { first: 4, last: 9, stamp: 30, deleted: true };
  const again = { first: 6, last: 7, stamp: 40, deleted: false };
  for (const runs of [
    [put, deletion, again],
    [again, deletion, put],
    [deletion, again, put],
  ]) {
    const keys = new KeyRanges();
    applyRuns(runs, keys);
    expect([...keys]).toEqual([
      { first: 1, last: 3 },
      { first: 6, last: 7 },
    ]);
  }
});
