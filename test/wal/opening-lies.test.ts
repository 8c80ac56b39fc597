/**
 * A disk that gives LevelDB something else than it gave the look at the files a moment before: LevelDB then lets go of records, says nothing,
 * and deletes the files that held them. The opening is refused, and what LevelDB did is taken back, so that the store opens with all of
 * it once the disk is well.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { HeadFile, Intent, readHeadFile } from '#wal/head-file.js';
import { Level, LOG_OPTIONS } from '#wal/level.js';
import { look } from '#wal/leveldb/look.js';
import { type OpenLogOptions, openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey } from '#wal/record.js';
import { verifyLog } from '#wal/verify.js';
import { flip, truncate } from '../helpers/damage.js';
import { beforeLevelDbOpens } from '../helpers/leveldb-opening.js';
import { allTexts, Directories, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
const at = (...names: string[]) => join(storeDir, ...names);
const inLog = (pattern: RegExp) =>
  readdirSync(at(PATHS.log))
    .filter(name => pattern.test(name))
    .sort()
    .map(name => at(PATHS.log, name));
const evidence = () => readdirSync(at(PATHS.evidence));
/** What is for people to judge; the next sound opening removes what bears the name of one that was cut off. */
const kept = () => evidence().filter(name => !name.endsWith('.opening'));

async function session(...texts: string[]): Promise<void> {
  const log = await openLog({ storeDir, create: true });
  for (const text of texts) await put(log, text);
  await log.close();
}

/** The first session's records are in a table, those of the second in the live log. */
beforeEach(async () => {
  storeDir = directories.path();
  await session('a', 'b');
  await session('c', 'd', 'e');
});

async function expectTexts(...texts: string[]): Promise<void> {
  expect(kept()).toEqual([]);
  const log = await openLog({ storeDir });
  expect(evidence()).toEqual([]);
  expect(await allTexts(log)).toEqual(texts);
  await log.close();
  expect((await verifyLog(storeDir)).findings).toEqual([]);
}

/** Another file takes the place, with other bytes; whoever has a link to the old one keeps that. */
function replaced(path: string, change: (copy: string) => void): void {
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  change(copy);
  renameSync(copy, path);
}

/** The refusal of an opening, when right before LevelDB's own something happens to the files. */
async function refusal(change: () => void, options: Partial<OpenLogOptions> = {}): Promise<Error> {
  return beforeLevelDbOpens(
    dir => dir === at(PATHS.log),
    change,
    () =>
      openLog({ storeDir, ...options }).then(
        () => expect.fail('it opened'),
        (error: Error) => error,
      ),
  );
}

const liveLog = () => inLog(/\.log$/).at(-1)!;

describe('is refused, and nothing is lost', () => {
  test('where LevelDB drops a batch that it takes for damaged', async () => {
    const error = await refusal(() =>
      replaced(liveLog(), copy => flip(copy, Math.floor(statSync(copy).size / 2), 2)),
    );
    expect(error).toMatchObject({ code: 'WAL_IO', message: expect.stringContaining('dropping') });
    expect(inLog(/\.log\.copy$/)).toEqual([]);
    await expectTexts('a', 'b', 'c', 'd', 'e');
  });

  test('where LevelDB drops more of a log that a crash cut off than the crash did', async () => {
    // In the middle of its last batch, of which HEAD does not know: that one may be dropped.
    const torn = liveLog();
    truncate(torn, statSync(torn).size - 20);
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, seq: 0, hash: 0n, intent: Intent.none });
    const error = await refusal(() => replaced(torn, copy => flip(copy, 30, 2)));
    expect(error).toMatchObject({ code: 'WAL_IO', message: expect.stringContaining('up to 5') });
    await expectTexts('a', 'b', 'c', 'd');
  });

  test('where LevelDB ends before the files do', async () => {
    const error = await refusal(() => replaced(liveLog(), copy => truncate(copy, 0)));
    expect(error).toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('the files hold records up to 6, but LevelDB opened with 3'),
    });
    await expectTexts('a', 'b', 'c', 'd', 'e');
  });

  test('where the disk does not answer', async () => {
    const manifest = inLog(/MANIFEST/)[0]!;
    const aside = at('aside');
    const error = await refusal(() => {
      renameSync(manifest, aside);
      mkdirSync(manifest);
    });
    expect(error).toMatchObject({ code: 'WAL_IO', message: expect.stringContaining('IO error') });
    expect(existsSync(aside)).toBe(true);
    rmSync(manifest, { recursive: true });
    renameSync(aside, manifest);
    await expectTexts('a', 'b', 'c', 'd', 'e');
  });
});

describe('what cannot be taken back', () => {
  test('is damage, and what LevelDB dropped is kept: it has deleted a table', async () => {
    const before = readFileSync(liveLog());
    const name = liveLog().split('/').at(-1)!;
    const empty = directories.path();
    const database = new Level<Buffer, Uint8Array>(empty, LOG_OPTIONS);
    await database.open();
    await database.close();
    // CURRENT leads to a database that knows of no table: LevelDB deletes those that are there.
    const error = await refusal(() => {
      const [manifest] = readdirSync(empty).filter(name => name.startsWith('MANIFEST'));
      for (const old of inLog(/MANIFEST/)) rmSync(old);
      copyFileSync(join(empty, manifest!), at(PATHS.log, manifest!));
      replaced(at(PATHS.log, 'CURRENT'), copy => copyFileSync(join(empty, 'CURRENT'), copy));
      for (const log of inLog(/\.log$/)) rmSync(log);
    });
    expect(error).toMatchObject({
      code: 'WAL_FILES_DAMAGED',
      message: expect.stringMatching(/LevelDB opened with 0; and .* could not be undone: .*\.ldb is gone/),
      wayOut: expect.stringContaining(at(PATHS.evidence, kept()[0]!)),
    });
    expect(kept()).toHaveLength(1);
    expect(readFileSync(at(PATHS.evidence, kept()[0]!, name)).equals(before)).toBe(true);
  });
});

describe('the record that HEAD has seen', () => {
  test('is missing where its neighbours are there', async () => {
    // Between the look and the opening as well: no look lets it pass.
    const other = directories.path();
    const database = new Level<Buffer, Uint8Array>(other, LOG_OPTIONS);
    await database.open();
    const log = await openLog({ storeDir });
    const values: [number, Uint8Array][] = [];
    for await (const piece of log.raw(1, log.head.seq)) values.push(...piece);
    await log.close();
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, seq: 5, hash: 1n, intent: Intent.none });
    for (const [seq, value] of values)
      if (seq !== 5) await database.put(encodeKey(seq), value, { sync: true });
    await database.close();
    const error = await refusal(() => {
      rmSync(at(PATHS.log), { recursive: true });
      renameSync(other, at(PATHS.log));
    });
    expect(error).toMatchObject({ code: 'WAL_GAP', details: { from: 5, to: 5 } });
    expect(kept()).toHaveLength(1);
  });

  test('is none where HEAD is that of a store which has only begun, and the log of another one', async () => {
    const { proof } = readHeadFile(at(PATHS.head))!;
    const begun = { ...proof, storeId: 'ef'.repeat(16), seq: 0, hash: 0n, intent: Intent.create };
    HeadFile.create(at(PATHS.head), begun);
    await expect(openLog({ storeDir })).rejects.toMatchObject({
      code: 'WAL_HEAD_MISMATCH',
      message: expect.stringContaining(`store ${proof.storeId}, HEAD to store ${begun.storeId}`),
    });
    expect((await look(at(PATHS.log))).headSeq).toBe(6);
  });

  test('is none, nor is any other, where a log is empty that must hold at least who it is', async () => {
    const { proof } = readHeadFile(at(PATHS.head))!;
    HeadFile.create(at(PATHS.head), { ...proof, seq: 0, hash: 0n, intent: Intent.none });
    rmSync(at(PATHS.log), { recursive: true });
    const database = new Level<Buffer, Uint8Array>(at(PATHS.log), LOG_OPTIONS);
    await database.open();
    await database.close();
    await expect(openLog({ storeDir })).rejects.toMatchObject({
      code: 'WAL_HEAD_MISMATCH',
      message: expect.stringContaining('store unknown'),
    });
  });
});
