/**
 * What each level of verify finds, what quick may miss, and that none of them changes the store.
 */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compareWithLevelDb } from '#wal/compare-leveldb.js';
import { HeadFile, readHeadFile } from '#wal/head-file.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import { crc32c } from '#wal/leveldb/crc32c.js';
import { look } from '#wal/leveldb/look.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey } from '#wal/record.js';
import { seededIndexes } from '#wal/sample.js';
import { type LogReport, verifyLog } from '#wal/verify.js';
import { bitsOf, flip, remove, truncate } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());
const SEED = Number(process.env.VERIFY_SEED ?? 5);

let sound: string;
let storeDir: string;

/** Each opening moves the log of the one before into a table. */
async function fill(path: string, sessions: number): Promise<void> {
  for (let session = 0; session < sessions; session++) {
    const log = await openLog({ storeDir: path, create: true });
    for (let i = 0; i < 12; i++) await put(log, `record ${session} ${i}`);
    await log.append([event('of more than a block', 17_000)]).durable;
    await log.close();
  }
}

beforeAll(async () => {
  sound = directories.path();
  await fill(sound, 4);
});

beforeEach(() => {
  storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
});

const logDir = () => join(storeDir, PATHS.log);
const files = (pattern: RegExp) =>
  readdirSync(logDir())
    .filter(name => pattern.test(name))
    .sort()
    .map(name => join(logDir(), name));
const codesOf = (report: LogReport) => report.findings.map(({ code }) => code);
const verify = (level: 'quick' | 'full' | 'deep') => verifyLog(storeDir, { level, compareSeed: SEED });

/** Every byte of the store but what LevelDB writes its diary to. */
function bytesOf(dir: string): Record<string, string> {
  const names = (readdirSync(dir, { recursive: true }) as string[]).sort();
  return Object.fromEntries(
    names
      .filter(name => statSync(join(dir, name)).isFile())
      .map(name => [name, readFileSync(join(dir, name), 'latin1')]),
  );
}

describe('a sound store', () => {
  test.each(['quick', 'full', 'deep'] as const)('is sound at the level %s, and not changed', async level => {
    const before = bytesOf(storeDir);
    const report = await verify(level);
    expect(report).toMatchObject({ level, findings: [], head: { seq: 53 } });
    expect(bytesOf(storeDir)).toEqual(before);
  });

  test('quick says which records it checked, and does not claim the others', async () => {
    const { first, head, records, whole, compared } = await verify('quick');
    expect([first!.seq, head!.seq, records]).toEqual([28, 53, 26]);
    expect([whole, compared]).toEqual([undefined, undefined]);
  });

  test('full asks LevelDB for a sample, deep for all', async () => {
    expect(await verify('deep')).toMatchObject({ compared: 53, whole: { seq: 53 } });
    // Of so few blocks a sample is all as well.
    expect(await verify('full')).toMatchObject({ compared: 53, whole: { seq: 53 } });
  });

  test('of one session is checked whole at every level', async () => {
    storeDir = directories.path();
    await fill(storeDir, 1);
    expect(await verify('quick')).toMatchObject({ records: 14, whole: { seq: 14 }, findings: [] });
  });

  test('HEAD may be behind the newest table, as a crash leaves it', async () => {
    const path = join(storeDir, PATHS.head);
    const { proof } = readHeadFile(path)!;
    const log = await openLog({ storeDir });
    const { hash } = log.get(20);
    await log.close();
    HeadFile.create(path, { ...proof, seq: 20, hash, intent: 0 });
    expect(codesOf(await verify('quick'))).toEqual([]);
    HeadFile.create(path, { ...proof, seq: 20, hash: hash ^ 1n, intent: 0 });
    expect(codesOf(await verify('quick'))).toEqual(['WAL_HEAD_MISMATCH']);
    HeadFile.create(path, { ...proof, storeId: '0'.repeat(32) });
    expect(codesOf(await verify('quick'))).toEqual(['WAL_HEAD_MISMATCH']);
  });
});

test('quick compares the epoch with the record that began it, in whatever table that lies', async () => {
  storeDir = directories.path();
  await fill(storeDir, 1);
  const log = await openLog({ storeDir });
  const cut = { after: { seq: 10, hash: log.get(10).hash }, head: log.head };
  await log.close();
  await (await openLog({ storeDir, cut })).close();
  await fill(storeDir, 3);
  const path = join(storeDir, PATHS.head);
  const { proof } = readHeadFile(path)!;
  const report = await verify('quick');
  expect([proof.epoch, proof.epochSeq, codesOf(report)]).toEqual([2, 11, []]);
  expect(report.first!.seq).toBeGreaterThan(11);
  HeadFile.create(path, { ...proof, epoch: 3 });
  expect(codesOf(await verify('quick'))).toEqual(['WAL_HEAD_MISMATCH']);
});

describe('quick', () => {
  test('finds a flipped bit anywhere but in a data block of an older table', async () => {
    const [oldest] = files(/\.ldb$/);
    const data = readTableBlocks(oldest!).offsets.at(-1)!;
    let missed = 0;
    for (const file of [...files(/ldb$|log$|MANIFEST|CURRENT/), join(storeDir, PATHS.head)]) {
      const isOlder = file.endsWith('.ldb') && file !== files(/\.ldb$/).at(-1);
      const end = isOlder ? readTableBlocks(file).offsets.at(-1)! : 0;
      for (const { offset, bit } of bitsOf(file, Math.max(61, statSync(file).size >> 5), SEED)) {
        flip(file, offset, bit);
        const found = (await verify('quick')).findings;
        const isPadding = file.endsWith(PATHS.head) && offset >= 128 && offset < 4096;
        if (isPadding) expect(found).toEqual([]);
        else if (offset >= end)
          expect(found, `${file} byte ${offset} bit ${bit} seed ${SEED}`).not.toEqual([]);
        else if (found.length === 0) {
          missed += 1;
          expect((await verify('full')).findings, `byte ${offset}, seed ${SEED}`).not.toEqual([]);
        }
        flip(file, offset, bit);
      }
    }
    expect(data).toBeGreaterThan(0);
    expect(missed).toBeGreaterThan(10);
  });

  test('without HEAD says so, and checks the tail all the same', async () => {
    remove(join(storeDir, PATHS.head));
    const report = await verify('quick');
    expect(codesOf(report)).toEqual(['WAL_HEAD_MISSING']);
    expect(report).toMatchObject({ records: 26, head: { seq: 53 }, storeId: undefined });
  });

  test('passes over a record that was written again behind the tail', async () => {
    const rewrite = async (change: (database: Level<Buffer, Uint8Array>) => Promise<void>) => {
      const database = new Level<Buffer, Uint8Array>(logDir(), { ...LOG_OPTIONS });
      await database.open();
      await change(database);
      await database.close();
    };
    const again = (seq: number) => async (database: Level<Buffer, Uint8Array>) =>
      database.put(encodeKey(seq), (await database.get(encodeKey(seq)))!, { sync: true });
    // In the live log first, then in the newest table.
    await rewrite(again(20));
    expect(await verify('quick')).toMatchObject({ findings: [], first: { seq: 41 }, head: { seq: 53 } });
    await rewrite(again(5));
    expect(await verify('quick')).toMatchObject({ findings: [], first: { seq: 41 }, head: { seq: 53 } });
  });

  test('finds a missing file, a lost tail, and a record that does not follow the one before the tail', async () => {
    const [oldest] = files(/\.ldb$/);
    remove(oldest!);
    expect(codesOf(await verify('quick'))).toContain('TABLE_MISSING');
    cpSync(sound, storeDir, { recursive: true });
    const [log] = files(/\.log$/);
    truncate(log!, 0);
    expect(codesOf(await verify('quick'))).toContain('WAL_LOST_TAIL');
  });
});

describe('deep', () => {
  test('reports a flipped bit in any byte of any file that holds anything', async () => {
    const head = join(storeDir, PATHS.head);
    for (const file of [...files(/ldb$|log$|MANIFEST|CURRENT/), head])
      for (const { offset, bit } of bitsOf(file, Math.max(37, statSync(file).size >> 5), SEED + 1)) {
        flip(file, offset, bit);
        const { findings, notes } = await verify('deep');
        expect(
          findings.length + notes.length,
          `${file} byte ${offset} bit ${bit}, seed ${SEED}`,
        ).toBeGreaterThan(0);
        // Between the slots of HEAD is nothing; what is not there is no damage of what is.
        const isPadding = file === head && offset >= 128 && offset < 4096;
        if (!isPadding) expect(findings, `${file} byte ${offset} bit ${bit}, seed ${SEED}`).not.toEqual([]);
        else expect(notes).toMatchObject([{ code: 'HEAD_PADDING' }]);
        flip(file, offset, bit);
      }
    expect(await verify('deep')).toMatchObject({ findings: [], notes: [] });
  });

  test('finds every byte of a footer, though other bytes may read alike', async () => {
    const [table] = files(/\.ldb$/);
    const { size } = statSync(table!);
    for (let offset = size - 48; offset < size; offset++)
      for (const bit of [0, 7]) {
        flip(table!, offset, bit);
        expect((await verify('deep')).findings, `byte ${offset} bit ${bit}`).not.toEqual([]);
        flip(table!, offset, bit);
      }
  });

  test('notes files that do not count, damaged or not, and does not fail for them', async () => {
    const [table] = files(/\.ldb$/);
    const [log] = files(/\.log$/);
    const [manifest] = files(/MANIFEST/);
    const copies = [
      [table, '000001.ldb'],
      [log, '000002.log'],
      [manifest, 'MANIFEST-000001'],
    ] as const;
    for (const [from, to] of copies) cpSync(from!, join(logDir(), to));
    writeFileSync(join(logDir(), 'notes.txt'), 'a stranger');
    const { findings, notes } = await verify('deep');
    expect(findings).toEqual([]);
    expect(notes.map(({ code, file }) => `${code} ${file}`).sort()).toEqual([
      'UNKNOWN_FILE log/notes.txt',
      'UNREFERENCED_FILE log/000001.ldb',
      'UNREFERENCED_FILE log/000002.log',
      'UNREFERENCED_FILE log/MANIFEST-000001',
    ]);
    flip(join(logDir(), '000001.ldb'), 200, 3);
    const damaged = await verify('deep');
    expect(damaged.findings).toEqual([]);
    expect(damaged.notes).toContainEqual(
      expect.objectContaining({ code: 'UNREFERENCED_DAMAGED', file: 'log/000001.ldb' }),
    );
  });
});

test('a torn tail is a note, as no acknowledged write is in it', async () => {
  const log = await openLog({ storeDir });
  await put(log, 'acknowledged');
  await log.close();
  const [file] = files(/\.log$/);
  writeFileSync(file!, Buffer.from([1, 2, 3, 4, 5, 0, 1, 9]), { flag: 'a' });
  expect(await verify('full')).toMatchObject({ findings: [], notes: [{ code: 'TORN_TAIL' }] });
});

describe('what LevelDB gives', () => {
  /** Empties the Bloom filter of a table, every checksum right: LevelDB's point reads then find nothing in it. */
  function emptyFilter(table: string): void {
    const bytes = readFileSync(table);
    const start = readTableBlocks(table).offsets.at(-1)!;
    const footer = bytes.subarray(bytes.length - 48);
    const end = readVarint(footer) - 5;
    const offsetsAt = bytes.readUInt32LE(end - 5);
    // The last byte of each filter says how often its bits are probed.
    for (let at = start; at < start + offsetsAt; at++) if (bytes[at] !== 6) bytes[at] = 0;
    const crc = crc32c(bytes, start, end + 1);
    bytes.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, end + 1);
    writeFileSync(table, bytes);
  }
  const readVarint = (bytes: Buffer): number => {
    let value = 0;
    for (let i = 0, scale = 1; ; i++, scale *= 128) {
      value += (bytes[i]! & 127) * scale;
      if (bytes[i]! < 128) return value;
    }
  };

  /** Exchanges what the index of a table says of two blocks that follow each other, every checksum right. */
  function swapBlocks(table: string): void {
    const bytes = readFileSync(table);
    const start = indexOf(bytes);
    // Each entry: three lengths of a byte each (what of the key is shared, the rest of it, the value), the rest of the key, and as value the place.
    const places: Buffer[] = [];
    for (let at = start; places.length < 2 || places.at(-1)!.length !== places.at(-2)!.length; ) {
      const [unshared, length] = [bytes[at + 1]!, bytes[at + 2]!];
      places.push(bytes.subarray(at + 3 + unshared, at + 3 + unshared + length));
      at += 3 + unshared + length;
    }
    const [one, other] = places.slice(-2) as [Buffer, Buffer];
    const copy = Buffer.from(one);
    other.copy(one);
    copy.copy(other);
    const end = bytes.length - 48 - 5;
    const crc = crc32c(bytes, start, end + 1);
    bytes.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, end + 1);
    writeFileSync(table, bytes);
  }

  /** Where the index of a table begins: the third number of its footer. The index is its last block. */
  function indexOf(bytes: Buffer): number {
    let at = bytes.length - 48;
    for (let n = 0; n < 2; n++) while (bytes[at++]! >= 128);
    return readVarint(bytes.subarray(at));
  }

  test.each(['full', 'deep'] as const)('by key is compared with what its files hold: %s', async level => {
    const [oldest] = files(/\.ldb$/);
    emptyFilter(oldest!);
    const { findings } = await verify(level);
    expect(findings[0]).toMatchObject({
      code: 'LEVELDB_DIFFERS',
      message: expect.stringContaining('by its key'),
    });
    // Nothing else can tell: the files are sound, and iteration does not ask the filter.
    expect(codesOf(await verifyLog(storeDir))).toEqual([]);
  });

  test('is not asked for where files are damaged', async () => {
    flip(files(/\.ldb$/)[0]!, 100, 1);
    const { findings, notes } = await verify('full');
    expect(findings.length).toBeGreaterThan(0);
    expect(notes).toMatchObject([{ code: 'LEVELDB_NOT_COMPARED' }]);
  });

  test('is nothing where it does not open what was sound a moment ago', async () => {
    const looked = await look(logDir());
    flip(files(/MANIFEST/)[0]!, 20, 1);
    const { records, findings } = await compareWithLevelDb(storeDir, looked, { every: true, seed: SEED });
    expect([records, findings]).toMatchObject([
      0,
      [{ code: 'LEVELDB_DIFFERS', message: expect.stringContaining('does not open') }],
    ]);
  });

  test('in another order than its files hold it: what their index says is not what it was', async () => {
    storeDir = directories.path();
    for (let session = 0; session < 2; session++) {
      const log = await openLog({ storeDir, create: true });
      await log.append(Array.from({ length: 60 }, (_, i) => event(`record ${session} ${i}`, 1000))).durable;
      await log.close();
    }
    const looked = await look(logDir());
    swapBlocks(files(/\.ldb$/).at(-1)!);
    const { findings } = await compareWithLevelDb(storeDir, looked, { every: true, seed: SEED });
    const messages = findings.map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringContaining('by iteration'));
    expect(messages).toContainEqual(expect.stringContaining('the record behind it is another one'));
    // So many say enough.
    expect(messages).toHaveLength(20);
  });

  test('is all compared where the last record is deleted', async () => {
    const database = new Level<Buffer, Uint8Array>(logDir(), { ...LOG_OPTIONS });
    await database.open();
    await database.del(encodeKey(53));
    await database.close();
    const looked = await look(logDir());
    const options = { every: false, seed: SEED };
    expect(await compareWithLevelDb(storeDir, looked, options)).toEqual({ records: 52, findings: [] });
  });

  test('is all compared where a record lies in two files', async () => {
    const database = new Level<Buffer, Uint8Array>(logDir(), { ...LOG_OPTIONS });
    await database.open();
    await database.put(encodeKey(20), (await database.get(encodeKey(20)))!);
    await database.close();
    const looked = await look(logDir());
    const options = { every: false, seed: SEED };
    expect(await compareWithLevelDb(storeDir, looked, options)).toEqual({ records: 53, findings: [] });
  });
});

test('a sample has the first, the last, and what lies at equal distances from where the seed says', () => {
  expect(seededIndexes(0, 5, 1)).toEqual([]);
  expect(seededIndexes(1, 5, 1)).toEqual([0]);
  expect(seededIndexes(10, 3, 1)).toEqual([0, 1, 5, 9]);
  expect(seededIndexes(10, 3, 6)).toEqual([0, 2, 6, 9]);
  const all = new Set<number>();
  for (let seed = 0; seed < 50; seed++) for (const index of seededIndexes(1000, 20, seed)) all.add(index);
  expect(all.size).toBe(1000);
});
