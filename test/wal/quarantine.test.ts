/** The export of a log's tail: what it refuses, and what it leaves alone in the folder of quarantines. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import type { LogDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import {
  exportTail,
  listQuarantines,
  MANIFEST,
  putBackReplaced,
  RECORDS,
  REPLACED,
} from '#wal/quarantine.js';
import { encodeKey } from '#wal/record.js';
import { Directories, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
let log: LevelLog;
const parent = () => join(storeDir, PATHS.quarantine);
const database = () => (log as unknown as { database: LogDatabase }).database;
const TIME = Date.UTC(2026, 10, 27, 12, 30, 15, 250);
const FOLDER = '2026-11-27T12-30-15-250Z-3-6';

beforeEach(async () => {
  storeDir = directories.path();
  log = await openLog({ storeDir, create: true });
  for (const text of ['a', 'b', 'c']) await put(log, text);
  await put(log, 'd', 'e');
});
afterEach(() => log.close());

const exported = (after = 2) => exportTail(log, storeDir, after, { reason: 'a test', clock: () => TIME });

test('names what it holds and why', async () => {
  const { path, manifest } = await exported();
  expect(path).toBe(join(parent(), FOLDER));
  expect(manifest).toMatchObject({
    ...{ format: 1, epoch: 1, nextEpoch: 2, storeId: log.lineage.storeId, records: 4, reason: 'a test' },
    ...{ after: { seq: 2 }, first: { seq: 3 }, last: { seq: 6 }, time: new Date(TIME).toISOString() },
  });
  expect(manifest.sizeBytes).toBe(readFileSync(join(path, RECORDS)).length);
  expect(JSON.parse(readFileSync(join(path, MANIFEST), 'utf8'))).toEqual(manifest);
  expect(listQuarantines(storeDir)).toEqual([{ path, manifest, problem: undefined }]);
});

test('tells of each step', async () => {
  const steps: unknown[] = [];
  await exportTail(log, storeDir, 3, {
    reason: '',
    clock: Date.now,
    onStep: (...step) => steps.push(step),
  });
  expect(steps).toEqual([
    ['export', 3, 3],
    ...[1, 2, 3].map(done => ['read back', done, 3]),
    ['exported', 3, 3],
  ]);
});

test.each([
  ['nothing', 6],
  ['what is not there', 7],
  ['half of a transaction', 5],
])('%s is not exported', async (_, after) => {
  await expect(exported(after)).rejects.toThrow(RangeError);
  expect(listQuarantines(storeDir)).toEqual([]);
});

describe('a tail that is not whole', () => {
  const left = () => readdirSync(parent());

  test('at its end', async () => {
    await database().del(encodeKey(6));
    await expect(exported()).rejects.toMatchObject({ code: 'WAL_GAP', details: { from: 6, to: 6 } });
    expect(left()).toEqual([]);
  });

  test('at all', async () => {
    await database().batch([3, 4, 5, 6].map(seq => ({ type: 'del', key: encodeKey(seq) })));
    await expect(exported()).rejects.toMatchObject({ code: 'WAL_GAP', details: { from: 3, to: 6 } });
    expect(left()).toEqual([]);
  });

  test('in the middle', async () => {
    await database().del(encodeKey(4));
    await expect(exported()).rejects.toMatchObject({ code: 'WAL_GAP', details: { from: 4, to: 4 } });
    expect(left()).toEqual([]);
  });

  test('as it was written', async () => {
    const value = Buffer.from((await database().get(encodeKey(4)))!);
    value[value.length - 1]! ^= 1;
    await database().put(encodeKey(4), value);
    await expect(exported()).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
    expect(left()).toEqual([]);
  });
});

test('a disk that refuses is a coded error', async () => {
  writeFileSync(parent(), '');
  await expect(exported()).rejects.toMatchObject({
    code: 'WAL_IO',
    message: expect.stringContaining('could not be exported'),
  });
});

describe('what stands there already stays', () => {
  /** A folder with the manifest of an export that this log still holds all of, changed. */
  async function leave(name: string, change: object): Promise<void> {
    const { path, manifest } = await exported();
    mkdirSync(join(parent(), name));
    writeFileSync(join(parent(), name, MANIFEST), JSON.stringify({ ...manifest, ...change }));
    expect(path).toContain(FOLDER);
  }

  test.each<[string, object]>([
    ['of another store', { storeId: 'ab'.repeat(16) }],
    ['of a cut that was done', { nextEpoch: 1 }],
    ['of records that the log does not reach', { last: { seq: 7, hash: '0'.repeat(16) } }],
    ['of other records than the log has', { last: { seq: 6, hash: '0'.repeat(16) } }],
    ['that cannot be read', { format: 9 }],
  ])('%s', async (_, change) => {
    await leave('another', change);
    // The one that was made on the way is of this very tail, and makes way.
    const { path } = await exported(3);
    expect(readdirSync(parent()).sort()).toEqual([path.split('/').at(-1), 'another'].sort());
  });

  test('where it is not of this tail: else it makes way', async () => {
    await leave('another', {});
    const { path } = await exported(3);
    expect(readdirSync(parent())).toEqual([path.split('/').at(-1)]);
  });
});

test('a folder whose replacement never came has its name back, and one whose replacement stands has not', () => {
  for (const name of [`a${REPLACED}`, `b${REPLACED}`, 'b', 'c']) {
    mkdirSync(join(parent(), name), { recursive: true });
    writeFileSync(join(parent(), name, 'name'), name);
  }
  putBackReplaced(parent());
  expect(readdirSync(parent()).sort()).toEqual(['a', 'b', `b${REPLACED}`, 'c']);
  expect(readFileSync(join(parent(), 'a', 'name'), 'utf8')).toBe(`a${REPLACED}`);
  expect(readFileSync(join(parent(), 'b', 'name'), 'utf8')).toBe('b');
});

test('a manifest in which anything is missing, or of another kind, is none', async () => {
  const { path, manifest } = await exported();
  const problemWith = (change: object) => {
    writeFileSync(join(path, MANIFEST), JSON.stringify({ ...manifest, ...change }));
    return listQuarantines(storeDir)[0]!.problem;
  };
  expect(problemWith({})).toBeUndefined();
  const texts = ['storeId', 'sha256', 'reason', 'time'];
  const numbers = ['format', 'epoch', 'nextEpoch', 'records', 'sizeBytes'];
  const records = ['after', 'first', 'last'];
  for (const key of [...texts, ...numbers, ...records])
    expect(problemWith({ [key]: undefined }), key).toMatch(/is not one of format/);
  for (const key of texts) expect(problemWith({ [key]: 1 }), key).toMatch(/is not one of format/);
  for (const key of numbers) expect(problemWith({ [key]: '1' }), key).toMatch(/is not one of format/);
  for (const key of records)
    for (const change of [{ seq: 1 }, { hash: '0' }, { seq: 1, hash: 0 }, { seq: 1.5, hash: '0' }, null])
      expect(problemWith({ [key]: change }), key).toMatch(/is not one of format/);
});
