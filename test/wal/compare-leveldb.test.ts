/** LevelDB asked for what its files hold: what it must not be taken for damage, what is, and what is asked of all records instead of a sample. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compareWithLevelDb } from '#wal/compare-leveldb.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import { type LookReport, look } from '#wal/leveldb/look.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey } from '#wal/record.js';
import { verifyLog } from '#wal/verify.js';
import { flip, overwriteWith } from '../helpers/damage.js';
import { beforeLevelDbOpens } from '../helpers/leveldb-opening.js';
import { Directories, event } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let sound: string;
let storeDir: string;
const HEAD = 61;

/** Three tables of several blocks each, which LevelDB does not open before it is asked for what is in them. */
beforeAll(async () => {
  sound = directories.path();
  for (let session = 0; session < 3; session++) {
    const log = await openLog({ storeDir: sound, create: true });
    await log.append(Array.from({ length: 20 }, (_, i) => event(`${session} ${i}`, 60_000))).durable;
    await log.close();
  }
});

beforeEach(() => {
  storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
});

const logDir = () => join(storeDir, PATHS.log);
const tables = (dir = logDir()) =>
  readdirSync(dir)
    .filter(name => name.endsWith('.ldb'))
    .sort()
    .map(name => join(dir, name));
const compare = async (every: boolean, looked?: LookReport) =>
  compareWithLevelDb(storeDir, looked ?? (await look(logDir())), { every, seed: 3 });

/** What verify says when right before LevelDB opens its copy something happens. */
const verifyWhile = (change: (copyDir: string) => unknown) =>
  beforeLevelDbOpens(
    dir => dir.startsWith(join(storeDir, PATHS.scratch)),
    change,
    () => verifyLog(storeDir, { level: 'full', compareSeed: 3 }),
  );

/** Another file in the place of a table in the copy, so that the store's own stays as it is. */
function changed(table: string, change: (path: string) => void): void {
  copyFileSync(table, `${table}.own`);
  renameSync(`${table}.own`, table);
  change(table);
}

describe('what the disk refuses says nothing about the log', () => {
  test.each([
    ['the MANIFEST', (dir: string) => readdirSync(dir).find(name => name.startsWith('MANIFEST'))!],
    ['the first table', (dir: string) => tables(dir)[0]!.split('/').at(-1)!],
    ['the last table', (dir: string) => tables(dir).at(-1)!.split('/').at(-1)!],
  ])('%s', async (_, nameOf) => {
    const report = await verifyWhile(dir => {
      const path = join(dir, nameOf(dir));
      rmSync(path);
      mkdirSync(path);
    });
    expect(report).toMatchObject({
      findings: [],
      compared: undefined,
      notes: [{ code: 'LEVELDB_NOT_COMPARED', message: expect.stringContaining('IO error') }],
    });
  });
});

test('what LevelDB takes for damage, and the files do not show, is a finding of each record', async () => {
  const report = await verifyWhile(dir => {
    const table = tables(dir)[1]!;
    const { offsets } = readTableBlocks(table);
    // A kind of compression that there is not, behind each block.
    for (const end of offsets.slice(1)) changed(table, path => overwriteWith(path, end - 5, Buffer.of(7)));
  });
  for (const { code, file, seq, message } of report.findings) {
    expect([code, file]).toEqual(['LEVELDB_DIFFERS', PATHS.log]);
    expect(message).toContain(`LevelDB does not give record ${seq} as its files hold it, by `);
  }
  const messages = report.findings.map(({ message }) => message);
  expect(messages).toContainEqual(expect.stringContaining('by its key'));
  expect(messages).toContainEqual(expect.stringContaining('by iteration'));
});

test('a block that rots between the reading and the comparison is a finding, and all is compared', async () => {
  const report = await verifyWhile(() => {
    const [table] = tables();
    changed(table!, path => flip(path, 100, 3));
  });
  expect(report.findings).toContainEqual(
    expect.objectContaining({ code: 'TABLE_DAMAGED', file: expect.stringContaining('.ldb') }),
  );
  expect(report.compared).toBeLessThan(HEAD);
});

test('of more tables than indexes are kept of, indexes are read again', async () => {
  const looked = await look(logDir());
  const kept = await compare(false, looked);
  expect(await compare(false, { ...looked, indexes: new Map() })).toEqual(kept);
  expect(kept).toEqual({ records: HEAD, findings: [] });
});

describe('is all compared', () => {
  async function edit(change: (database: Level<Buffer, Uint8Array>) => Promise<void>): Promise<void> {
    const database = new Level<Buffer, Uint8Array>(logDir(), { ...LOG_OPTIONS });
    await database.open();
    await change(database);
    await database.close();
  }
  const putAndDelete = (database: Level<Buffer, Uint8Array>) =>
    database
      .put(encodeKey(HEAD + 1), Buffer.from('cut off'), { sync: true })
      .then(() => database.del(encodeKey(HEAD + 1), { sync: true }));

  test('where the live log deletes what it wrote', async () => {
    await edit(putAndDelete);
    expect(await compare(false)).toEqual({ records: HEAD, findings: [] });
  });

  test('where a table deletes what it holds', async () => {
    await edit(putAndDelete);
    await edit(async () => {});
    expect(await compare(false)).toEqual({ records: HEAD, findings: [] });
  });
});

test('copies that a process left which was killed go, and nothing else of the folder', async () => {
  const scratch = join(storeDir, PATHS.scratch);
  for (const name of ['verify-killed', 'notes']) {
    mkdirSync(join(scratch, name), { recursive: true });
    writeFileSync(join(scratch, name, 'file'), '');
  }
  await compare(true);
  expect(readdirSync(scratch)).toEqual(['notes']);
});

test('tells how far it has come', async () => {
  const looked = await look(logDir());
  for (const every of [true, false]) {
    const told: [number, number][] = [];
    await compareWithLevelDb(storeDir, looked, {
      every,
      seed: 3,
      onProgress: (done, total) => told.push([done, total]),
    });
    const total = every ? HEAD : tables().length;
    expect(told.at(-1)).toEqual([total, total]);
  }
});
