/** A store made of another log's records: what is refused, what attempts that were killed leave, and a disk that says no. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { forkLog } from '#wal/fork.js';
import { MemoryLog } from '#wal/memory-log.js';
import { openLog } from '#wal/open.js';
import { verifyLog } from '#wal/verify.js';
import { beforeLevelDbOpens } from '../helpers/leveldb-opening.js';
import { allTexts, Directories, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let source: MemoryLog;
let target: string;

beforeEach(async () => {
  source = new MemoryLog();
  await put(source, 'a');
  await put(source, 'b', 'c');
  target = directories.path('made');
});

const fork = (untilSeq = source.head.seq) => forkLog(source, untilSeq, target, { clock: Date.now });
const beside = () => readdirSync(dirname(target)).sort();

async function expectTexts(...texts: string[]): Promise<void> {
  const log = await openLog({ storeDir: target });
  expect(await allTexts(log)).toEqual(texts);
  await log.close();
  expect((await verifyLog(target)).findings).toEqual([]);
}

test('ends with a transaction, never within one', async () => {
  await expect(fork(2)).rejects.toThrow(RangeError);
  expect(beside()).toEqual([]);
  await fork(1);
  await expectTexts('a');
});

test('tells how far it has come, and is stamped with the time of its making, which never runs backwards', async () => {
  const told: number[] = [];
  const { seq, storeId } = await forkLog(source, 3, target, {
    clock: () => 1000,
    onProgress: records => told.push(records),
  });
  expect(told).toEqual([3]);
  const log = await openLog({ storeDir: target });
  expect(log.lineage).toEqual({ storeId, epoch: 1, epochSeq: 0, lineageSeq: seq });
  expect(log.get(seq)).toMatchObject({ seq: 4, wallMs: 1000, logicalMs: source.get(3).logicalMs });
  await log.close();
});

test.each([
  ['an empty directory', () => mkdirSync(target)],
  ['nothing', () => {}],
])('takes the place of %s', async (_, stand) => {
  stand();
  await fork();
  await expectTexts('a', 'b', 'c');
});

test.each([
  ['a file', () => writeFileSync(target, 'mine')],
  [
    'a directory with something in it',
    () => {
      mkdirSync(target);
      writeFileSync(join(target, 'thesis.txt'), 'mine');
    },
  ],
])('does not take the place of %s', async (_, stand) => {
  stand();
  await expect(fork()).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
  expect(beside()).toEqual(['made']);
});

describe('beside it', () => {
  const leave = (suffix: string) => {
    mkdirSync(`${target}${suffix}`);
    writeFileSync(join(`${target}${suffix}`, 'file'), suffix);
  };

  test('what attempts left goes, but not those of processes that live, and nothing of another name', async () => {
    const { pid: dead } = spawnSync(process.execPath, ['-e', '']);
    leave(`.partial-${dead}`);
    leave(`.partial-${process.pid}`);
    const stay = [`.partial-${process.ppid}`, '.partial-notes', `-partial-${dead}`, '2', '.partial'];
    for (const suffix of stay) leave(suffix);
    await fork();
    expect(beside()).toEqual(['made', ...stay.map(suffix => `made${suffix}`)].sort());
    // What a former process of the same number left is no part of it.
    expect(readdirSync(target)).not.toContain('file');
    for (const suffix of stay) expect(readFileSync(join(`${target}${suffix}`, 'file'), 'utf8')).toBe(suffix);
    await expectTexts('a', 'b', 'c');
  });

  test('nothing is left of one that fails, and it can be made again', async () => {
    const error = await beforeLevelDbOpens(
      dir => dir.startsWith(target),
      dir => mkdirSync(join(dir, 'CURRENT')),
      () => fork().catch(error => error),
    );
    expect(error).toMatchObject({ code: 'WAL_IO', message: expect.stringContaining('IO error') });
    expect(beside()).toEqual([]);
    await fork();
    await expectTexts('a', 'b', 'c');
  });

  test('what is wrong with the source is told as it is', async () => {
    const stored = (source as unknown as { stored: Uint8Array[] }).stored;
    stored[1] = Uint8Array.from(stored[1]!, byte => byte ^ 1);
    await expect(fork()).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
    expect(beside()).toEqual([]);
  });
});

test('directories above it are made', async () => {
  target = join(target, 'further', 'below');
  await fork();
  await expectTexts('a', 'b', 'c');
});

test('a path that cannot be made is a coded error', async () => {
  writeFileSync(target, '');
  target = join(target, 'below');
  await expect(fork()).rejects.toMatchObject({ code: 'WAL_IO', message: expect.stringContaining('ENOTDIR') });
});
