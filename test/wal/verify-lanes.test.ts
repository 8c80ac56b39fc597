/**
 * A log checked by threads comes to what a walk comes to, sound or damaged in any way; and a sound one is really checked by them.
 */
import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HeadFile, readHeadFile } from '#wal/head-file.js';
import { compactRange, Level, LOG_OPTIONS } from '#wal/level.js';
import { look } from '#wal/leveldb/look.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey, encodeRecord, eraseRecord, type LogRecord } from '#wal/record.js';
import { type LogReport, verifyLog } from '#wal/verify.js';
import { checkInLanes } from '#wal/verify-lanes.js';
import { flip, overwriteWith, remove, seeded, truncate } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const module = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;
const NO_CHECK = module('export function checkRecord() {}');
/** As the engine would have it: some bodies mean nothing. */
const CHECK = module(
  `export function checkRecord({ seq }) { if (seq === 77) throw Object.assign(new Error('means nothing'), { code: 'EVENT_MALFORMED' }); }`,
);

let sound: string;
let storeDir: string;

beforeAll(async () => {
  sound = directories.path();
  // Each opening moves the log of the one before into a table.
  for (let session = 0; session < 6; session++) {
    const log = await openLog({ storeDir: sound, create: true });
    for (let i = 0; i < 20; i++) await put(log, `record ${session} ${i}`);
    // Of more than a block of LevelDB's, and one of more than a piece that is read at once.
    await log.append([event('big', session === 3 ? 1_500_000 : 9000), event('beside it')]).durable;
    await log.close();
  }
});

beforeEach(() => {
  storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
});

const textOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();

const logDir = () => join(storeDir, PATHS.log);

/** Both reports, and what `onRecord` found on the way. */
async function reports(url: string, threads: number): Promise<[walked: unknown, checked: unknown]> {
  const both: unknown[] = [];
  const { checkRecord } = (await import(url)) as { checkRecord(record: LogRecord): void };
  for (const check of [undefined, { url, asked: [3, 60], threads }]) {
    const found: unknown[] = [];
    const asked: unknown[] = [];
    const report: LogReport = await verifyLog(storeDir, {
      ...(check && { check }),
      onRecord(record) {
        if (record.seq === 3 || record.seq === 60)
          asked.push([record.seq, record.hash, textOf(record.body), textOf(record.residue)]);
        try {
          checkRecord(record);
        } catch (error) {
          found.push(record.seq, (error as Error).message);
        }
      },
    });
    both.push({ report, found, asked });
  }
  return [both[0], both[1]];
}

async function edit(change: (database: Level<Buffer, Uint8Array>) => Promise<unknown>): Promise<void> {
  const database = new Level<Buffer, Uint8Array>(logDir(), { ...LOG_OPTIONS });
  await database.open();
  await change(database);
  await database.close();
}

test('a sound log of several tables and a live log is proved by threads alone', async () => {
  const looked = await look(logDir());
  expect(looked.files.filter(({ kind, live }) => kind === 'table' && live).length).toBeGreaterThan(3);
  for (const threads of [1, 2, 3]) {
    const stretches = await checkInLanes(logDir(), looked, { url: NO_CHECK, asked: [60], threads }, () => {});
    expect(stretches!.reduce((sum, { records }) => sum + records, 0)).toBe(133);
    expect(stretches!.at(-1)!.last.seq).toBe(133);
    const [walked, checked] = await reports(NO_CHECK, threads);
    expect(checked).toEqual(walked);
  }
});

test.each([1, 2])(
  'the contents of records that are asked for, whole or erased, are those of the log, %i threads',
  async threads => {
    // A table that is read in several pieces after the record that is erased.
    const log = await openLog({ storeDir });
    for (let i = 0; i < 4; i++) await log.append([event('large', 600_000)]).durable;
    await log.close();
    await edit(async database => {
      const value = (await database.get(encodeKey(60)))!;
      await database.put(encodeKey(60), eraseRecord(value, 60, Buffer.from('what is left of it')));
      await compactRange(database, encodeKey(1), encodeKey(137));
    });
    const check = { url: NO_CHECK, asked: [], threads };
    expect(await checkInLanes(logDir(), await look(logDir()), check, () => {})).toBeDefined();
    const [walked, checked] = await reports(NO_CHECK, threads);
    expect(walked).toMatchObject({
      asked: [
        [3, expect.anything(), expect.anything(), undefined],
        [60, expect.anything(), undefined, 'what is left of it'],
      ],
    });
    expect(checked).toEqual(walked);
  },
);

describe('a fault of the check itself is nobody’s damage', () => {
  const check = (source: string) => ({ url: module(source), asked: [], threads: 2 });
  const verify = (source: string) => verifyLog(storeDir, { check: check(source) });

  test('in a thread of its own that it ends', async () => {
    const source = `import { isMainThread } from 'node:worker_threads';
      export function checkRecord() {
        if (!isMainThread) process.exit(7);
        const end = Date.now() + 5;
        while (Date.now() < end);
      }`;
    await expect(verify(source)).rejects.toThrow('a thread of verify ended with code 7');
  });

  test('in any thread', async () => {
    await expect(verify(`export function checkRecord() { throw new Error('a mistake'); }`)).rejects.toThrow(
      'a mistake',
    );
  });

  test('in the walk that follows where something is damaged', async () => {
    const table = join(logDir(), readdirSync(logDir()).find(name => name.endsWith('.ldb'))!);
    // In its footer, so that no thread begins.
    flip(table, statSync(table).size - 5, 1);
    const summed = (what: string) => ({
      ...check(`export function checkRecord() { throw ${what}; }
        export const beginSummary = () => ({ take() {}, result: () => 0 });`),
      summary: 1,
    });
    await expect(verifyLog(storeDir, { check: summed(`new Error('a mistake')`) })).rejects.toThrow(
      'a mistake',
    );
    // What is wrong with a body is for onRecord to say.
    const coded = summed(`Object.assign(new Error('means nothing'), { code: 'EVENT_MALFORMED' })`);
    expect((await verifyLog(storeDir, { check: coded })).findings).not.toEqual([]);
  });
});

test('progress reaches the end and names records', async () => {
  const steps: number[][] = [];
  const onProgress = (done: number, total: number) => steps.push([done, total]);
  await verifyLog(storeDir, { onProgress, check: { url: NO_CHECK, asked: [], threads: 2 } });
  expect(steps.at(-1)).toEqual([133, 133]);
});

test.each([1, 2])('a body that means nothing is named as by a walk, %i threads', async threads => {
  const [walked, checked] = await reports(CHECK, threads);
  expect(walked).toMatchObject({ found: [77, 'means nothing'] });
  expect(checked).toEqual(walked);
});

test.each([1, 2])('a fault of the check itself is an error, %i threads', async threads => {
  const url = module(`export function checkRecord() { throw new Error('a fault'); }`);
  const check = { url, asked: [], threads };
  await expect(verifyLog(storeDir, { check })).rejects.toThrow('a fault');
  const missing = { url: module('export {}'), asked: [], threads };
  await expect(verifyLog(storeDir, { check: missing })).rejects.toThrow(TypeError);
});

test('records written again, deleted, or put in another’s place, by LevelDB itself', async () => {
  const { bytes } = encodeRecord({
    ...{ type: 40, seq: 45, wallMs: 1, logicalMs: 1, txFirst: 45, txIndex: 0, last: true, long: false },
    ...{ actor: 0, prevHash: 1n, body: Buffer.from('forged') },
  });
  const changes: ((database: Level<Buffer, Uint8Array>) => Promise<unknown>)[] = [
    async database => database.put(encodeKey(45), (await database.get(encodeKey(45)))!),
    database => database.put(encodeKey(45), bytes),
    database => database.del(encodeKey(90)),
    database => database.del(encodeKey(133)),
    database => database.put(encodeKey(140), bytes),
  ];
  for (const change of changes) {
    storeDir = directories.path();
    cpSync(sound, storeDir, { recursive: true });
    // In the live log first; then, as another opening moves it, in a table that overlaps others.
    for (const next of [change, async () => {}]) {
      await edit(next);
      const [walked, checked] = await reports(NO_CHECK, 2);
      expect(checked).toEqual(walked);
    }
  }
});

test('a chain that breaks where two tables meet', async () => {
  const tables = (await look(logDir())).files.filter(({ kind, live }) => kind === 'table' && live);
  const { first } = tables.map(({ range }) => range!).sort((a, b) => a.first - b.first)[2]!;
  const { bytes } = encodeRecord({
    ...{ type: 40, seq: first, wallMs: 1, logicalMs: 1e13, txFirst: first, txIndex: 0, last: true },
    ...{ long: false, actor: 0, prevHash: 1n, body: Buffer.from('forged') },
  });
  await edit(async database => {
    await database.put(encodeKey(first), bytes);
  });
  await edit(database =>
    (database as unknown as { compactRange(a: Buffer, b: Buffer): Promise<void> }).compactRange(
      encodeKey(1),
      encodeKey(200),
    ),
  );
  const [walked, checked] = await reports(NO_CHECK, 2);
  expect(walked).toMatchObject({
    report: { findings: [{ code: 'WAL_CHAIN_BROKEN', seq: first }, { code: 'WAL_CHAIN_BROKEN' }] },
  });
  expect(checked).toEqual(walked);
});

test('HEAD that has seen another hash or another store', async () => {
  const path = join(storeDir, PATHS.head);
  const { proof } = readHeadFile(path)!;
  for (const over of [
    { hash: proof.hash ^ 1n, intent: 0 },
    { seq: 50, intent: 0 },
    { storeId: '0'.repeat(32) },
    { seq: 500 },
    { epoch: 3, epochSeq: 20 },
  ]) {
    HeadFile.create(path, { ...proof, ...over });
    const [walked, checked] = await reports(NO_CHECK, 2);
    expect((walked as { report: LogReport }).report.findings.length).toBeGreaterThan(0);
    expect(checked).toEqual(walked);
  }
});

test('any damage to any file', async () => {
  const seed = Number(process.env.VERIFY_SEED ?? 11);
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  let damaged = 0;
  for (let trial = 0; trial < 80; trial++) {
    storeDir = directories.path();
    cpSync(sound, storeDir, { recursive: true });
    const names = readdirSync(logDir()).filter(name => /ldb$|log$|MANIFEST|CURRENT/.test(name));
    // Mostly one damage, sometimes several at once.
    const what: string[] = [];
    for (let n = random() < 0.7 ? 1 : 3; n > 0; n--) {
      const name = names[below(names.length)]!;
      const file = join(logDir(), name);
      const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
      const offset = below(size || 1);
      const kind = size === 0 ? 'nothing' : ['flip', 'flip', 'flip', 'zeros', 'cut', 'delete'][below(6)]!;
      if (kind === 'flip') flip(file, offset, below(8));
      if (kind === 'zeros') overwriteWith(file, offset, new Uint8Array(Math.min(64, size - offset)));
      if (kind === 'cut') truncate(file, offset);
      if (kind === 'delete') remove(file);
      what.push(`${kind} ${name} at ${offset}`);
    }
    const [walked, checked] = await reports(CHECK, 1 + (trial % 2));
    expect(checked, `${what.join(', ')}; trial ${trial}, seed ${seed}`).toEqual(walked);
    if ((walked as { report: LogReport }).report.findings.length > 0) damaged += 1;
  }
  expect(damaged).toBeGreaterThan(50);
});
