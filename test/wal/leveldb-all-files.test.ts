/**
 * Every file of a LevelDB directory read whole: what is wrong with one that counts is a finding, with one that does not a note, and each is told
 * once. And what files are called, and what is told of an error.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { checkAllFiles } from '#wal/leveldb/all-files.js';
import { parseFileName } from '#wal/leveldb/file-names.js';
import { describeHeld, describeRead, type Finding, Findings } from '#wal/leveldb/findings.js';
import { look } from '#wal/leveldb/look.js';
import { flip } from '../helpers/damage.js';
import {
  batchOf,
  batchPut,
  edit,
  eventValue,
  footerOf,
  handleOf,
  logOf,
  putsOf,
  tableFile,
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

describe('every file', () => {
  const all = async (...known: Parameters<typeof checkAllFiles>[2]) => {
    const told: string[] = [];
    const { findings, notes } = await checkAllFiles(dir, await look(dir), known, name => told.push(name));
    return { findings, notes, told };
  };
  const log = logOf(batchOf(7, [batchPut(7, eventValue(7))]), batchOf(8, [batchPut(8, eventValue(8))]));
  const unreferenced = (file: string) => ({
    ...{ code: 'UNREFERENCED_FILE', file },
    message: `${file} does not count: LevelDB removes it when it opens the log the next time`,
  });
  const torn = (file: string, offset: number) => ({
    ...{ code: 'TORN_TAIL', file },
    message: `the last entry of ${file} is cut off at byte ${offset}: what a crash leaves`,
  });

  beforeEach(() =>
    writeDatabase(dir, { tables: [tableFile(5, [putsOf(1, 3), putsOf(4, 6)])], logs: { 7: log } }),
  );

  test('of a sound database is read, but for what holds nothing', async () => {
    for (const name of ['LOG', 'LOG.old', 'LOCK']) writeFileSync(join(dir, name), '');
    expect(await all()).toEqual({
      ...{ findings: [], notes: [] },
      told: ['000005.ldb', '000007.log', 'CURRENT', 'MANIFEST-000002'],
    });
  });

  test('that does not count is a note, and what is wrong with it another', async () => {
    writeFileSync(join(dir, '000003.log'), log.subarray(0, -1));
    writeFileSync(join(dir, '000004.ldb'), 'half a table');
    writeFileSync(join(dir, '000009.dbtmp'), '');
    writeFileSync(join(dir, 'README'), '');
    const half = log.length / 2;
    const { findings, notes } = await all();
    expect(findings).toEqual([]);
    expect(notes).toEqual([
      torn('000003.log', half),
      unreferenced('000003.log'),
      unreferenced('000004.ldb'),
      { code: 'UNREFERENCED_DAMAGED', file: '000004.ldb', message: '000004.ldb is shorter than a footer' },
      {
        code: 'UNREFERENCED_FILE',
        file: '000009.dbtmp',
        message: '000009.dbtmp is no file that the log needs',
      },
      { code: 'UNKNOWN_FILE', file: 'README', message: 'README is no file that the log needs' },
    ]);
  });

  test('that the disk refuses is told, whether it counts or not', async () => {
    mkdirSync(join(dir, '000003.log'));
    const { findings, notes } = await all();
    expect(findings).toEqual([]);
    expect(notes.map(({ code, file }) => [code, file])).toEqual([
      ['UNREFERENCED_FILE', '000003.log'],
      ['UNREFERENCED_DAMAGED', '000003.log'],
    ]);
  });

  test('of which the end is cut off: of the MANIFEST and of a log that does not count it is told here', async () => {
    writeFileSync(manifest, Buffer.concat([readFileSync(manifest), Buffer.alloc(3, 1)]));
    writeFileSync(join(dir, '000007.log'), log.subarray(0, -1));
    expect(await all()).toMatchObject({
      findings: [],
      notes: [torn('MANIFEST-000002', readFileSync(manifest).length - 3)],
    });
  });

  test('that is damaged is told once', async () => {
    flip(join(dir, '000005.ldb'), 20, 1);
    flip(join(dir, '000007.log'), 20, 1);
    const block: Finding = {
      code: 'TABLE_DAMAGED',
      file: '000005.ldb',
      message: '000005.ldb: the block at byte 0 fails its checksum',
    };
    // The look has told of the log.
    expect((await all()).findings).toEqual([block]);
    expect(
      (await all({ ...block, message: '000005.ldb: the block at byte 0 holds what it should not' })).findings,
    ).toEqual([]);
    expect((await all({ ...block, message: '000005.ldb: the block at byte 01 fails' })).findings).toEqual([
      block,
    ]);
    expect((await all({ ...block, file: '000006.ldb' })).findings).toEqual([block]);
    const looked = await look(dir);
    const { findings } = await checkAllFiles(dir, { ...looked, findings: [] }, []);
    expect(findings.map(({ file, code }) => [file, code])).toEqual([
      ['000005.ldb', 'TABLE_DAMAGED'],
      ['000007.log', 'LOG_DAMAGED'],
    ]);
  });

  test('whose footer LevelDB would have written otherwise is no table of its', async () => {
    const otherwise = tableFile(5, [putsOf(1, 6)], {
      footer: (metaindex, index) =>
        Buffer.concat([
          handleOf(metaindex).subarray(0, -1),
          Buffer.from([handleOf(metaindex).at(-1)! | 0x80, 0]),
          footerOf(metaindex, index).subarray(handleOf(metaindex).length),
        ]),
    });
    writeDatabase(dir, { tables: [otherwise], logs: { 7: log } });
    expect((await look(dir)).findings).toEqual([]);
    expect((await all()).findings).toEqual([
      {
        code: 'TABLE_DAMAGED',
        file: '000005.ldb',
        message: '000005.ldb has a footer that LevelDB would have written otherwise',
      },
    ]);
  });

  test('which is a MANIFEST that does not count is read as one', async () => {
    writeFileSync(join(dir, 'MANIFEST-000001'), logOf(edit.logNumber(1)));
    expect((await all()).notes.map(({ message }) => message)).toEqual([
      unreferenced('MANIFEST-000001').message,
      'MANIFEST-000001: it names no next file number',
      'MANIFEST-000001: it names no last write',
    ]);
  });
});

test.each([
  ['CURRENT', 'current', 0],
  ['LOCK', 'lock', 0],
  ['LOG', 'info', 0],
  ['LOG.old', 'info', 0],
  ['MANIFEST-000012', 'manifest', 12],
  ['MANIFEST-', 'other', 0],
  ['MANIFEST-1x', 'other', 0],
  ['xMANIFEST-1', 'other', 0],
  ['MANIFEST-1234567890123456', 'other', 0],
  ['000007.log', 'log', 7],
  ['7.ldb', 'table', 7],
  ['000007.sst', 'table', 7],
  ['000007.dbtmp', 'temp', 7],
  ['000007.log.old', 'other', 0],
  ['x000007.log', 'other', 0],
  ['.log', 'other', 0],
  ['log', 'other', 0],
])('%s is a file of the kind %s', (name, kind, number) => {
  expect(parseFileName(name)).toEqual({ kind, number });
});

describe('what is told of an error', () => {
  test('of the file system, and of nothing else', async () => {
    const findings = new Findings();
    const refused = async () => statSync(join(dir, 'nowhere'));
    expect(await findings.attempt('name', refused)).toBeUndefined();
    expect(findings.list).toEqual([
      { code: 'UNREADABLE', file: 'name', message: expect.stringMatching(/^name cannot be read: ENOENT/) },
    ]);
    expect(await findings.attempt('name', async () => 5)).toBe(5);
    // A mistake in the program is none.
    const mistake = async () => (undefined as unknown as string).length;
    await expect(findings.attempt('name', mistake)).rejects.toThrow(TypeError);
    expect(() => describeRead(new TypeError('a mistake'))).toThrow('a mistake');
  });

  test.each([
    [1, 9, 'it held records 1 to 9'],
    [0, 9, 'it held records up to 9'],
    [undefined, 9, 'it held records up to 9'],
    [3, 0, 'it held records from 3 on'],
    [3, undefined, 'it held records from 3 on'],
    [0, 0, 'nothing tells which records it held'],
  ])('of a block between %s and %s', (first, last, words) => expect(describeHeld(first, last)).toBe(words));
});
