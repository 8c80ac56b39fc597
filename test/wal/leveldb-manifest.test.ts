/**
 * The MANIFEST, made field by field, and what the look makes of it and of the files beside it. What LevelDB refuses, or ends the process for, is a
 * finding; what it opens is none.
 */
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { look } from '#wal/leveldb/look.js';
import { readManifest } from '#wal/leveldb/version-edit.js';
import { flip } from '../helpers/damage.js';
import {
  batchOf,
  batchPut,
  type DatabaseTable,
  edit,
  eventValue,
  internalKey,
  logOf,
  physical,
  putsOf,
  RecordKind,
  tableFile,
  varint,
  writeDatabase,
} from '../helpers/leveldb-files.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
let manifest: string;
beforeEach(() => {
  dir = dirname(directories.path());
  manifest = join(dir, 'MANIFEST-000002');
});

const NUMBERS = [edit.logNumber(3), edit.nextFileNumber(9), edit.lastStamp(70)];
const BASE = Buffer.concat([edit.comparator(), ...NUMBERS]);
const [A, B] = [internalKey(1, 1), internalKey(6, 6)];

async function read(...edits: Buffer[]) {
  writeFileSync(manifest, logOf(...edits));
  return readManifest(manifest);
}

describe('edits', () => {
  test('add up', async () => {
    const { tables, problems, scan, ...numbers } = await read(
      BASE,
      Buffer.concat([
        edit.newFile(0, 5, 100, A, B),
        edit.newFile(1, 6, 200, A, A),
        edit.newFile(1, 7, 300, B, B),
      ]),
      Buffer.concat([edit.deletedFile(0, 5), edit.compactPointer(1, A), edit.previousLogNumber(2)]),
      Buffer.concat([edit.logNumber(8), edit.nextFileNumber(2 ** 33), edit.lastStamp(2 ** 52)]),
    );
    expect(problems).toEqual([]);
    expect(scan).toMatchObject({ records: 4, damage: [], tornTail: undefined });
    expect(tables).toEqual([
      { level: 1, number: 6, sizeBytes: 200, smallest: A, largest: A },
      { level: 1, number: 7, sizeBytes: 300, smallest: B, largest: B },
    ]);
    expect(numbers).toEqual({
      logNumber: 8,
      previousLogNumber: 2,
      nextFileNumber: 2 ** 33,
      lastStamp: 2 ** 52,
    });
  });

  test('that delete and add the same table leave it, as a move to the same level does', async () => {
    const added = edit.newFile(2, 5, 100, A, B);
    const { tables } = await read(BASE, added, Buffer.concat([added, edit.deletedFile(2, 5)]));
    expect(tables).toHaveLength(1);
    expect((await read(BASE, added, edit.deletedFile(1, 5))).tables).toHaveLength(1);
    expect((await read(BASE, added, edit.deletedFile(2, 5))).tables).toEqual([]);
  });

  test('give tables in order: by level, by first key, by number', async () => {
    const { tables, problems } = await read(
      BASE,
      edit.newFile(1, 4, 1, A, A),
      edit.newFile(0, 9, 1, A, B),
      edit.newFile(0, 7, 1, A, B),
      edit.newFile(0, 8, 1, internalKey(1, 2), B),
      edit.newFile(0, 6, 1, B, B),
    );
    expect(problems).toEqual([]);
    expect(tables.map(({ number }) => number)).toEqual([8, 7, 9, 6, 4]);
  });

  test('of more than a block of the file are read whole', async () => {
    const many = Array.from({ length: 900 }, (_, i) =>
      edit.newFile(1, 10 + i, 1, internalKey(2 * i + 1, 1), internalKey(2 * i + 2, 1)),
    );
    const { tables, problems } = await read(BASE, Buffer.concat(many));
    expect([tables.length, problems]).toEqual([900, []]);
  });

  test.each<[string, Buffer, problem: string]>([
    ['a field that nobody knows', varint(8), 'has an unknown field 8'],
    [
      'another order of keys',
      edit.comparator('other'),
      'names the comparator other, not leveldb.BytewiseComparator',
    ],
    ['a level that there is not', edit.newFile(7, 5, 1, A, B), 'names level 7 of 7'],
    ['a level that there is not, of a table that goes', edit.deletedFile(7, 5), 'names level 7 of 7'],
    ['a level that there is not, to go on from', edit.compactPointer(9, A), 'names level 9 of 7'],
    [
      'a first key of seven bytes',
      edit.newFile(0, 5, 1, Buffer.alloc(7), B),
      'has an internal key of 7 bytes',
    ],
    [
      'a last key of seven bytes',
      edit.newFile(0, 5, 1, A, Buffer.alloc(7)),
      'has an internal key of 7 bytes',
    ],
    ['half a field', edit.newFile(0, 5, 1, A, B).subarray(0, -1), 'a length of 16 exceeds the 15 bytes left'],
    ['a number without an end', Buffer.alloc(12, 0xff), 'a variable-length number is too long'],
  ])('with %s are none', async (_, bad, problem) => {
    const { problems, tables } = await read(
      BASE,
      edit.newFile(3, 5, 1, A, B),
      bad,
      edit.newFile(4, 6, 1, A, B),
    );
    const at = 7 + BASE.length + 7 + edit.newFile(3, 5, 1, A, B).length;
    expect(problems).toEqual([`the edit at byte ${at} ${problem}`]);
    expect(tables.map(({ number }) => number)).toEqual([5, 6]);
  });

  test('with keys of a trailer alone are read', async () => {
    const [table] = (await read(BASE, edit.newFile(0, 5, 1, Buffer.alloc(8), Buffer.alloc(8, 1)))).tables;
    expect([table?.smallest, table?.largest]).toEqual([Buffer.alloc(8), Buffer.alloc(8, 1)]);
  });

  test('at level 6, the last one, are read', async () => {
    expect(await read(BASE, edit.newFile(6, 5, 1, A, B))).toMatchObject({
      problems: [],
      tables: [{ level: 6 }],
    });
  });

  test.each([
    [0, 'it names no log number'],
    [1, 'it names no next file number'],
    [2, 'it names no last write'],
  ])('without a number that LevelDB needs (%i)', async (left, problem) => {
    const { problems, ...numbers } = await read(...NUMBERS.filter((_, i) => i !== left));
    expect(problems).toEqual([problem]);
    expect([numbers.logNumber, numbers.nextFileNumber, numbers.lastStamp]).toEqual(
      [3, 9, 70].map((number, i) => (i === left ? 0 : number)),
    );
  });

  test.each<[string, number, Buffer, Buffer, overlap: boolean]>([
    ['touch', 1, internalKey(6, 6), internalKey(9, 9), true],
    ['overlap', 1, internalKey(4, 4), internalKey(9, 9), true],
    ['share a key, of which one has the newer write', 1, internalKey(6, 5), internalKey(9, 9), false],
    ['follow one another', 1, internalKey(7, 7), internalKey(9, 9), false],
    ['overlap in level 0', 0, internalKey(4, 4), internalKey(9, 9), false],
  ])('whose tables %s', async (_, level, smallest, largest, overlap) => {
    const { problems } = await read(
      BASE,
      edit.newFile(level, 5, 1, A, B),
      edit.newFile(level, 6, 1, smallest, largest),
    );
    expect(problems).toEqual(overlap ? ['tables 5 and 6 overlap in level 1'] : []);
    const apart = await read(BASE, edit.newFile(1, 5, 1, A, B), edit.newFile(2, 6, 1, smallest, largest));
    expect(apart.problems).toEqual([]);
  });

  test('cut off silently are none that count; otherwise LevelDB refuses them', async () => {
    const added = physical(RecordKind.full, edit.newFile(0, 5, 1, A, B));
    const sound = logOf(BASE);
    writeFileSync(manifest, Buffer.concat([sound, added.subarray(0, -1)]));
    expect(await readManifest(manifest)).toMatchObject({
      problems: [],
      tables: [],
      scan: { tornTail: { silent: true } },
    });
    writeFileSync(manifest, Buffer.concat([sound, added]));
    flip(manifest, sound.length + 12, 1);
    expect((await readManifest(manifest)).problems).toEqual([
      `at byte ${sound.length} a record fails its checksum`,
    ]);
    writeFileSync(manifest, Buffer.concat([sound, added, added]));
    flip(manifest, sound.length + 12, 1);
    expect((await readManifest(manifest)).problems).toEqual([
      `at byte ${sound.length} a record fails its checksum, and an intact record follows at ${sound.length + added.length}`,
    ]);
  });
});

describe('the look', () => {
  const table = () => tableFile(5, [putsOf(1, 3), putsOf(4, 6)]);
  const FILE = '000005.ldb';
  const found = async () => (await look(dir)).findings;
  const dirAt = (name: string) => {
    rmSync(join(dir, name), { force: true });
    mkdirSync(join(dir, name));
    // As large as a footer, whatever the file system says of directories.
    for (const child of ['a', 'b', 'c']) writeFileSync(join(dir, name, child), '');
    return statSync(join(dir, name)).size;
  };

  test('of what is no directory is the error of the file system', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expect(look(join(dir, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  test('counts the bytes that it reads', async () => {
    writeDatabase(dir, { tables: [table()], logs: { 7: logOf(batchOf(7, [batchPut(7, eventValue(7))])) } });
    const { bytesRead, files, indexes } = await look(dir);
    const read = files.filter(({ kind }) => ['current', 'manifest', 'table', 'log'].includes(kind));
    const whole = read.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    // The block with the last key is read besides, to see whether that was deleted, and the index of its table again.
    const again = table().bytes.length + 3 * (3 + 16 + 120) + 8;
    expect(bytesRead).toBe(whole + again);
    expect([...indexes.keys()]).toEqual([FILE]);
  });

  test.each([
    ['names nothing', '\n'],
    ['has no end of line', 'MANIFEST-000002'],
    ['has more than a line', 'MANIFEST-000002\n\n'],
    ['names another kind of file', '000002.log\n'],
    ['names something in another place', 'x/MANIFEST-000002\n'],
  ])('where CURRENT %s', async (_, text) => {
    writeDatabase(dir, { tables: [table()] });
    writeFileSync(join(dir, 'CURRENT'), text);
    const { state, findings, evidence, overwritable } = await look(dir);
    expect([state, findings]).toEqual([
      'damaged',
      [{ code: 'CURRENT_DAMAGED', file: 'CURRENT', message: 'CURRENT does not name a MANIFEST' }],
    ]);
    expect([evidence, overwritable]).toEqual([
      ['000005.ldb', 'CURRENT', 'MANIFEST-000002'],
      ['000005.ldb', 'MANIFEST-000002'],
    ]);
  });

  test.each(['000005.ldb', '000007.log'])('where CURRENT is missing beside %s alone', async name => {
    writeFileSync(manifest, '');
    expect(await look(dir)).toMatchObject({ state: 'absent', findings: [] });
    writeFileSync(join(dir, name), '');
    expect(await look(dir)).toMatchObject({
      state: 'damaged',
      findings: [{ code: 'CURRENT_MISSING', file: 'CURRENT' }],
    });
  });

  test('where CURRENT names a MANIFEST that is not there', async () => {
    writeDatabase(dir, { tables: [table()] });
    rmSync(manifest);
    expect(await look(dir)).toMatchObject({
      state: 'damaged',
      headSeq: 0,
      findings: [
        { code: 'MANIFEST_MISSING', message: 'CURRENT names MANIFEST-000002, which does not exist' },
      ],
    });
  });

  test.each([
    ['CURRENT', ['UNREADABLE']],
    ['MANIFEST-000002', ['UNREADABLE']],
  ])('where the disk refuses %s', async (name, codes) => {
    writeDatabase(dir, { tables: [table()] });
    dirAt(name);
    const { state, findings } = await look(dir);
    expect([state, findings.map(({ code }) => code)]).toEqual(['damaged', codes]);
    expect(findings[0]!.message).toMatch(new RegExp(`^${name} cannot be read: EISDIR`));
  });

  test('where the disk refuses a table', async () => {
    const sizeBytes = dirAt(FILE);
    writeDatabase(dir, { tables: [{ ...table(), number: 6 }] });
    rmSync(join(dir, '000006.ldb'));
    symlinkSync(FILE, join(dir, '000006.ldb'));
    writeFileSync(manifest, logOf(BASE, edit.newFile(0, 6, sizeBytes, A, B)));
    rmSync(join(dir, '000003.log'), { force: true });
    writeFileSync(join(dir, '000003.log'), '');
    const { findings, headSeq } = await look(dir);
    expect(findings).toEqual([
      {
        code: 'UNREADABLE',
        file: '000006.ldb',
        message: expect.stringMatching(/^000006\.ldb cannot be read: EISDIR/),
      },
    ]);
    // What the MANIFEST says of it is not missing as well.
    expect(headSeq).toBe(6);
  });

  test('of a MANIFEST that is damaged tells each problem', async () => {
    writeDatabase(dir, { tables: [table()], edits: [varint(8), edit.compactPointer(8, A)] });
    const first = readFileSync(manifest).length - 2 * 7 - 1 - edit.compactPointer(8, A).length;
    expect(await found()).toEqual([
      {
        code: 'MANIFEST_DAMAGED',
        file: 'MANIFEST-000002',
        message: `MANIFEST-000002: the edit at byte ${first} has an unknown field 8`,
      },
      {
        code: 'MANIFEST_DAMAGED',
        file: 'MANIFEST-000002',
        message: `MANIFEST-000002: the edit at byte ${first + 8} names level 8 of 7`,
      },
    ]);
  });

  test.each<[string, Partial<DatabaseTable>, object]>([
    ['is shorter than it should be', { sizeBytes: 1_000_000 }, { code: 'TABLE_TRUNCATED', seq: 1 }],
    ['is longer than it should be', { sizeBytes: 100 }, { code: 'TABLE_DAMAGED', seq: 1 }],
    [
      'begins with a key of nobody',
      { smallest: internalKey(Buffer.from('key'), 1) },
      { code: 'FOREIGN_KEYS', message: '000005.ldb holds keys that are no sequence numbers' },
    ],
    ['ends with a key of nobody', { largest: internalKey(Buffer.alloc(9, 1), 1) }, { code: 'FOREIGN_KEYS' }],
    [
      'begins behind what the index says',
      { smallest: internalKey(4, 4) },
      { code: 'TABLE_DAMAGED', message: '000005.ldb holds other keys than the MANIFEST says', seq: 4 },
    ],
  ])('of a table that %s', async (_, change, finding) => {
    writeDatabase(dir, { tables: [{ ...table(), ...change }] });
    expect((await found())[0]).toMatchObject({ file: FILE, ...finding });
  });

  test('of tables that hold what LevelDB would not show', async () => {
    writeDatabase(dir, { tables: [table()], lastStamp: 5 });
    expect(await found()).toEqual([
      {
        code: 'WRITES_HIDDEN',
        file: FILE,
        message: '000005.ldb holds writes up to 6, but MANIFEST and logs end at 5',
        seq: 6,
      },
    ]);
    writeDatabase(dir, { tables: [table()], lastStamp: 6 });
    expect(await found()).toEqual([]);
    // What the log holds counts as well.
    writeDatabase(dir, {
      tables: [table()],
      logs: { 7: logOf(batchOf(6, [batchPut(7, eventValue(7))])) },
      lastStamp: 5,
    });
    expect(await found()).toEqual([]);
  });

  test('of records that no file holds', async () => {
    writeDatabase(dir, { tables: [tableFile(5, [putsOf(2, 3)]), tableFile(6, [putsOf(6, 8)])] });
    const gap = (message: string, seq: number) => ({
      code: 'KEY_GAP',
      file: 'MANIFEST-000002',
      message,
      seq,
    });
    expect(await found()).toEqual([
      gap('event 1 is in no live table or log', 1),
      gap('events 4 to 5 are in no live table or log', 4),
    ]);
  });

  test('names what an opening would overwrite', async () => {
    writeDatabase(dir, { tables: [table()], logs: { 7: logOf(batchOf(7, [batchPut(7, eventValue(7))])) } });
    for (const name of [
      '000999.ldb',
      '001000.ldb',
      'MANIFEST-000999',
      'MANIFEST-001000',
      '001000.log',
      '001000.dbtmp',
      'LOCK',
    ])
      writeFileSync(join(dir, name), '');
    const { evidence, overwritable } = await look(dir);
    expect(evidence).toEqual([
      '000007.log',
      '000999.ldb',
      '001000.ldb',
      '001000.log',
      'CURRENT',
      'MANIFEST-000002',
      'MANIFEST-000999',
      'MANIFEST-001000',
    ]);
    expect(overwritable).toEqual(['001000.ldb', 'MANIFEST-001000']);
  });
});
