/** Which files a repair reads, and what it takes them for: the store's, that the MANIFEST vouches for or not, and those of its backups. */
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SEGMENTS } from '#wal/backup/manifest.js';
import { UNFINISHED } from '#wal/backup/sealed.js';
import { backUp } from '#wal/backup/write.js';
import { readHeadFile } from '#wal/head-file.js';
import type { LevelLog } from '#wal/level-log.js';
import { type OpenLogOptions, openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { PlaceReader } from '#wal/repair/read-place.js';
import { repairLog } from '#wal/repair/repair.js';
import { type Salvage, salvage } from '#wal/repair/salvage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

async function session(
  storeDir: string,
  work: (log: LevelLog) => Promise<unknown>,
  options: Partial<OpenLogOptions> = {},
) {
  const log = await openLog({ storeDir, create: true, ...options });
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}

/** Three tables and a live log. */
let made: string;
let storeDir: string;
beforeAll(async () => {
  const origin = directories.path();
  made = directories.path();
  for (const name of ['one', 'two', 'three'])
    await session(origin, async log => {
      await log.append([event(`${name} a`), event(`${name} b`)]).durable;
      // As a crash in the last session leaves it.
      if (name === 'three') cpSync(origin, made, { recursive: true });
    });
  rmSync(join(made, PATHS.evidence), { recursive: true });
});
beforeEach(() => {
  storeDir = directories.path();
  cpSync(made, storeDir, { recursive: true });
});

const logDir = () => join(storeDir, PATHS.log);
const namesOf = (suffix: string) =>
  readdirSync(logDir())
    .filter(name => name.endsWith(suffix))
    .sort();
const proofOf = (dir: string) => readHeadFile(join(dir, PATHS.head))!.proof;

const read = (given: Partial<Parameters<typeof salvage>[0]> = {}): Promise<Salvage> =>
  salvage({ storeDir, backups: [], lineage: proofOf(made), ...given });

/** Paths below the store, with whether they are vouched for; a log is there twice. */
const filesOf = ({ candidates, vouched }: Salvage) =>
  candidates.files.map(({ path }, number) => [path.slice(storeDir.length + 1), vouched.has(number)] as const);

describe('the store’s own files', () => {
  const TABLES = ['000005.ldb', '000008.ldb', '000011.ldb'];
  const LOG = '000012.log';
  const inLog = (name: string) => join(PATHS.log, name);
  const VOUCHED = [...TABLES, LOG, LOG].map(name => [inLog(name), true] as const);

  test('that the MANIFEST names are vouched for, and come first', async () => {
    expect([namesOf('.ldb'), namesOf('.log')]).toEqual([TABLES, [LOG]]);
    expect(filesOf(await read())).toEqual(VOUCHED);
    // As LevelDB leaves them behind, with names before those that count and behind them.
    const [table] = TABLES;
    for (const name of ['000001.ldb', '000002.log', '000999.ldb'])
      cpSync(join(logDir(), table!), join(logDir(), name));
    writeFileSync(join(logDir(), '000009.dbtmp'), 'nothing');
    const told: [number, number][] = [];
    const found = await read({ onFile: (done, total) => told.push([done, total]) });
    expect(filesOf(found)).toEqual([
      ...VOUCHED,
      ...['000001.ldb', '000002.log', '000002.log', '000999.ldb'].map(name => [inLog(name), false]),
    ]);
    expect(told).toEqual(Array.from({ length: 8 }, (_, i) => [i, 7]));
    expect(found.candidates.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect([found.backupEpoch, found.backupStoreId, found.unreadable]).toEqual([0, undefined, []]);
  });

  test('that hold other records than the MANIFEST says are not vouched for', async () => {
    const [first, second] = TABLES.map(name => join(logDir(), name));
    renameSync(first!, `${first}.aside`);
    renameSync(second!, first!);
    renameSync(`${first}.aside`, second!);
    expect(filesOf(await read()).filter(([, vouched]) => vouched)).toEqual(VOUCHED.slice(2));
  });

  test('may all be of the log where no MANIFEST tells', async () => {
    cpSync(join(logDir(), TABLES[0]!), join(logDir(), '000999.ldb'));
    rmSync(join(logDir(), 'CURRENT'));
    const all = [...VOUCHED, [inLog('000999.ldb'), true]];
    expect(filesOf(await read())).toEqual(all);
    writeFileSync(join(logDir(), 'CURRENT'), 'MANIFEST-999999\n');
    expect(filesOf(await read())).toEqual(all);
  });

  test('that were kept aside are read, whatever stands beside them', async () => {
    const aside = join(storeDir, PATHS.evidence, 'then', 'log');
    mkdirSync(aside, { recursive: true });
    mkdirSync(join(aside, '000007.ldb'));
    for (const name of TABLES) renameSync(join(logDir(), name), join(aside, name));
    cpSync(join(logDir(), LOG), join(aside, '000099.log'));
    for (const name of ['CURRENT', 'MANIFEST-000004', '000007.dbtmp']) writeFileSync(join(aside, name), '');
    const found = await read();
    expect(found.candidates.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(filesOf(found).toSorted()).toEqual(
      [
        ...VOUCHED.slice(3),
        ...[...TABLES, '000099.log', '000099.log'].map(name => [
          join(PATHS.evidence, 'then', 'log', name),
          false,
        ]),
      ].toSorted(),
    );
  });

  test('that are gone, all of them, are none', async () => {
    rmSync(logDir(), { recursive: true });
    expect(filesOf(await read())).toEqual([]);
  });

  test('of which the disk refuses one are the others', async () => {
    const [table] = namesOf('.ldb');
    rmSync(join(logDir(), table!));
    mkdirSync(join(logDir(), table!));
    const found = await read();
    expect(found.unreadable).toEqual([
      { path: join(logDir(), table!), message: expect.stringContaining('EISDIR') },
    ]);
    expect(found.candidates.numbers().at(-1)).toBe(7);
  });

  test('give their records again, from one file after the other', async () => {
    const { candidates } = await read();
    const reader = new PlaceReader(candidates);
    for (const seq of [1, 2, 4, 1, 6, 3]) {
      const [row] = candidates.of(seq);
      expect(reader.value(row!).readUInt32LE(8)).toBe(seq);
    }
    reader.close();
    reader.close();
    for (const name of namesOf('.ldb')) rmSync(join(logDir(), name));
    expect(() => reader.value(candidates.of(1)[0]!)).toThrow('ENOENT');
  });
});

describe('backups', () => {
  /** Of a store that was cut after the first backup, and went on in a second epoch: both branches. */
  let backups: string;
  let first: string;
  let second: string;
  beforeAll(async () => {
    backups = directories.path('backups');
    [first, second] = [directories.path(), directories.path()];
    const made = directories.path();
    await session(made, async log => {
      for (let n = 0; n < 9; n++) await put(log, `record ${n}`);
    });
    await session(made, log => backUp(log, backups, { clock: Date.now }));
    cpSync(made, first, { recursive: true });
    const { after, head } = (await session(made, async log => ({
      after: { seq: 5, hash: log.get(5).hash },
      head: { seq: log.head.seq, hash: log.head.hash },
    }))) as { after: { seq: number; hash: bigint }; head: { seq: number; hash: bigint } };
    await session(made, log => put(log, 'after the cut'), { cut: { after, head } });
    await session(made, async log => {
      await put(log, 'and later');
      await backUp(log, backups, { clock: () => Date.now() + 60_000 });
    });
    cpSync(made, second, { recursive: true });
  });

  const numbersIn = async (lineage: ReturnType<typeof proofOf> | undefined) => {
    storeDir = directories.path('none');
    const found = await read({ backups: [backups], lineage });
    expect([found.backupEpoch, found.backupStoreId]).toEqual([2, proofOf(first).storeId]);
    const { candidates } = found;
    return candidates.numbers().map(seq => candidates.of(seq).length);
  };

  test('of a later epoch are of another branch', async () => {
    // Records 1 to 10 once each; of the second epoch record 6 began it, and 7 and 8 followed.
    expect(await numbersIn(proofOf(first))).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    expect(await numbersIn(proofOf(second))).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 1, 1]);
    expect(await numbersIn(undefined)).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 1, 1]);
  });

  test('of each branch repair it, whatever the other one holds', async () => {
    for (const origin of [first, second]) {
      storeDir = directories.path();
      cpSync(origin, storeDir, { recursive: true });
      const { seq, hash } = proofOf(storeDir);
      rmSync(logDir(), { recursive: true });
      const { plan } = await repairLog(storeDir, { program: 'test', apply: true, backups: [backups] });
      expect(plan).toMatchObject({ lost: [], kept: seq, endProven: true });
      const log = await openLog({ storeDir });
      expect(log.get(seq).hash).toBe(hash);
      await log.close();
    }
  });

  test('are segments that were finished', async () => {
    const copy = directories.path('backups');
    cpSync(backups, copy, { recursive: true });
    for (const segment of readdirSync(join(copy, SEGMENTS)))
      if (/^0*1-/.test(segment))
        renameSync(join(copy, SEGMENTS, segment), join(copy, SEGMENTS, `${segment}${UNFINISHED}`));
    storeDir = directories.path('none');
    const { candidates } = await read({ backups: [copy], lineage: undefined });
    expect(
      candidates.files.map(({ path, source }) => [path.startsWith(join(copy, SEGMENTS)), source]),
    ).toEqual(candidates.files.map(() => [true, copy]));
    expect(candidates.files.some(({ path }) => path.endsWith(UNFINISHED))).toBe(false);
    expect(candidates.numbers()).not.toContain(1);
  });

  test('without their segments are none', async () => {
    const copy = directories.path('backups');
    cpSync(backups, copy, { recursive: true });
    rmSync(join(copy, SEGMENTS), { recursive: true });
    await expect(read({ backups: [copy] })).rejects.toMatchObject({
      code: 'BACKUP_MISSING',
      message: `${copy} holds no backup`,
    });
  });

  test('of two stores are refused, and named', async () => {
    const other = directories.path();
    await session(other, log => put(log, 'other'));
    const others = directories.path('backups');
    await session(other, log => backUp(log, others, { clock: Date.now }));
    const ids = [proofOf(first).storeId, proofOf(other).storeId];
    const refused = {
      code: 'BACKUP_FOREIGN',
      message: `the backups are not all of this store: ${ids.join(', ')}`,
    };
    await expect(read({ backups: [backups, others], lineage: undefined })).rejects.toMatchObject(refused);
    await expect(read({ backups: [others], lineage: proofOf(first) })).rejects.toMatchObject(refused);
    await expect(read({ backups: [others], lineage: proofOf(other) })).resolves.toMatchObject({
      backupEpoch: 1,
    });
  });
});
