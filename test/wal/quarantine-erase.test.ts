/** Payloads erased in what was cut off a log: the folder stays one that reads back, or it stays as it was. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { exportTail, inspectQuarantines, listQuarantines, readManifest } from '#wal/quarantine.js';
import { eraseInQuarantine, readQuarantine, settleQuarantines } from '#wal/quarantine-erase.js';
import type { LogRecord } from '#wal/record.js';
import { flip, truncate } from '../helpers/damage.js';
import { Directories, put, textOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let sound: string;
let storeDir: string;
let folder: string;
const RESIDUE = Buffer.from('what is left');
const erase = (...seqs: number[]) =>
  eraseInQuarantine(folder, ({ seq }) => (seqs.includes(seq) ? RESIDUE : undefined));

beforeAll(async () => {
  sound = directories.path();
  const log = await openLog({ storeDir: sound, create: true });
  await put(log, 'stays', 'cut 3', 'cut 4', 'cut 5');
  await put(log, 'cut 6');
  await exportTail(log, sound, 1, { reason: 'a test', clock: Date.now });
  await log.close();
});

beforeEach(() => {
  storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
  folder = listQuarantines(storeDir)[0]!.path;
});

const parent = () => join(storeDir, PATHS.quarantine);
const bytesOf = () => ['manifest.json', 'records'].map(name => readFileSync(join(folder, name)));
const names = () => readdirSync(parent());

async function recordsOf(): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of readQuarantine(listQuarantines(storeDir)[0]!))
    records.push({ ...record, body: record.body && Buffer.from(record.body) });
  return records;
}

test('what is erased is gone, what is left is told, and everything else is as it was', async () => {
  const before = await recordsOf();
  const { manifest } = readManifest(folder);
  expect(before.map(textOf)).toEqual(['stays', 'cut 3', 'cut 4', 'cut 5', 'cut 6']);
  expect(await erase(3, 5)).toBe(2);
  expect(await inspectQuarantines(storeDir)).toMatchObject([{ path: folder, problem: undefined }]);
  expect(readFileSync(join(folder, 'records')).includes('cut 3')).toBe(false);
  const after = await recordsOf();
  expect(after.map(({ hash }) => hash)).toEqual(before.map(({ hash }) => hash));
  expect(after.map(textOf)).toEqual(['stays', '', 'cut 4', '', 'cut 6']);
  expect(after.flatMap(({ seq, residue }) => (residue ? [[seq, Buffer.from(residue)]] : []))).toEqual([
    [3, RESIDUE],
    [5, RESIDUE],
  ]);
  const [changed] = listQuarantines(storeDir);
  const { sizeBytes, sha256, ...same } = changed!.manifest!;
  expect({ ...manifest, ...same }).toEqual(manifest);
  expect(sizeBytes).toBe(readFileSync(join(folder, 'records')).length);
  expect(sha256).not.toBe(manifest!.sha256);
  expect(names()).toEqual([basename(folder)]);
});

test('where there is nothing to erase the folder is not touched', async () => {
  const before = bytesOf();
  expect(await erase(99)).toBe(0);
  expect(bytesOf()).toEqual(before);
  expect(names()).toEqual([basename(folder)]);
});

test('what an attempt before left is taken away', async () => {
  mkdirSync(`${folder}.unfinished`);
  writeFileSync(join(`${folder}.unfinished`, 'records'), 'half');
  expect(await erase(4)).toBe(1);
  expect(names()).toEqual([basename(folder)]);
});

describe('a folder that is not what it says is refused, and as it was', () => {
  test.each<[string, string, () => void]>([
    ['no manifest', 'WAL_IO', () => writeFileSync(join(folder, 'manifest.json'), '{}')],
    ['records cut short', 'WAL_IO', () => truncate(join(folder, 'records'), 150)],
    ['a damaged record', 'WAL_BAD_RECORD', () => flip(join(folder, 'records'), 90, 1)],
    ['a record too few', 'WAL_IO', () => truncate(join(folder, 'records'), 4 + 80 + 8 + 5)],
    [
      'another digest',
      'WAL_IO',
      () => {
        const path = join(folder, 'manifest.json');
        const text = readFileSync(path, 'utf8');
        writeFileSync(path, text.replace(/"sha256": "../, '"sha256": "zz'));
      },
    ],
  ])('%s', async (_, code, damage) => {
    damage();
    const before = bytesOf();
    await expect(erase(2, 3)).rejects.toMatchObject({ code });
    expect(bytesOf()).toEqual(before);
    expect(names()).toEqual([basename(folder)]);
  });

  test('nor is one read that has no manifest', async () => {
    writeFileSync(join(folder, 'manifest.json'), '{}');
    expect(await recordsOf()).toEqual([]);
  });

  test('records that are cut short are read up to there', async () => {
    truncate(join(folder, 'records'), 150);
    await expect(recordsOf()).rejects.toMatchObject({ code: 'WAL_IO' });
  });
});

describe('interrupted', () => {
  test('before the new folder stood in its place: the old one is back', async () => {
    const before = bytesOf();
    renameSync(folder, `${folder}.replaced.unfinished`);
    expect(listQuarantines(storeDir)).toEqual([]);
    settleQuarantines(storeDir);
    expect(bytesOf()).toEqual(before);
    expect(names()).toEqual([basename(folder)]);
  });

  test('afterwards: the old one goes, which still holds what was erased', async () => {
    expect(await erase(4)).toBe(1);
    cpSync(join(sound, PATHS.quarantine, basename(folder)), `${folder}.replaced.unfinished`, {
      recursive: true,
    });
    settleQuarantines(storeDir);
    expect(names()).toEqual([basename(folder)]);
    expect((await recordsOf())[2]!.body).toBeUndefined();
  });

  test('a store without quarantine has nothing to settle', () => {
    const elsewhere = directories.path();
    settleQuarantines(elsewhere);
    expect(existsSync(elsewhere)).toBe(false);
  });
});
