import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { look } from '#wal/leveldb/look.js';
import { checkTableBlocks } from '#wal/leveldb/table-file.js';
import { copyStore, flip, seeded, truncate, zero } from '../helpers/damage.js';
import { DatabaseProcess } from '../helpers/database-process.js';

const databases = new DatabaseProcess();
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'look-'));
});

afterEach(() => rmSync(dir, { recursive: true }));
afterAll(() => databases.kill());

const filesOf = (suffix: string) => readdirSync(dir).filter(name => name.endsWith(suffix));
const logOf = () => join(dir, filesOf('.log').at(-1)!);
const manifestOf = () => readFileSync(join(dir, 'CURRENT'), 'utf8').trim();

/** The highest event that LevelDB shows, asked on a copy; all below it must be there. */
async function headByLevelDb(): Promise<number> {
  const copy = copyStore(dir);
  try {
    const beyond = 1_000_000;
    const { last, missing } = await databases.must('read', { dir: copy, head: beyond });
    expect(missing).toBe(beyond - last);
    return last;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function expectSound(headSeq: number): Promise<void> {
  expect(await look(dir)).toMatchObject({ state: 'sound', headSeq, findings: [], tornTail: undefined });
}

describe('what a database goes through', () => {
  test('grows over many reopenings, flushes and compactions', async () => {
    let head = 0;
    for (const [count, perBatch, sizeBytes] of [
      [1, 1, 8],
      [7, 2, 40],
      [600, 20, 300],
      [900, 64, 120],
      [120, 1, 2000],
      [30, 30, 40_000],
      [2000, 500, 100],
    ] as const) {
      await databases.must('put', { dir, first: head + 1, last: head + count, perBatch, sizeBytes });
      head += count;
      await expectSound(head);
      if (head % 2 === 0) await databases.must('compact', { dir, first: 1, last: head });
      await expectSound(head);
    }
    expect(filesOf('.ldb').length).toBeGreaterThan(1);
  });

  test('events are written again under their keys', async () => {
    await databases.must('put', { dir, first: 1, last: 1500 });
    const random = seeded(7);
    for (let round = 0; round < 6; round++) {
      const seqs = Array.from({ length: 1 + round * 40 }, () => 1 + Math.floor(random() * 1500));
      await databases.must('rewrite', { dir, seqs });
      await expectSound(1500);
      if (round === 3) await databases.must('compact', { dir, first: 1, last: 1500 });
      await expectSound(1500);
    }
    await databases.must('put', { dir, first: 1501, last: 1600 });
    await expectSound(1600);
  });

  test.each([
    { flushed: false, why: 'the deletions are in the log' },
    { flushed: true, why: 'the deletions are in a table' },
  ])('the tail is deleted and written anew: $why', async ({ flushed }) => {
    await databases.must('put', { dir, first: 1, last: 400, writeBufferSize: flushed ? 65536 : 1 << 20 });
    await databases.must('del', { dir, first: 351, last: 400, writeBufferSize: 1 << 20 });
    await expectSound(350);
    await databases.must('put', { dir, first: 351, last: 352 });
    await expectSound(352);
    await databases.must('compact', { dir, first: 1, last: 1000 });
    await expectSound(352);
    await databases.must('put', { dir, first: 353, last: 900 });
    await expectSound(900);
  });

  test('is killed in mid-write, again and again', async () => {
    const random = seeded(Number(process.env.LOOK_SEED ?? 20));
    let head = 0;
    for (let cycle = 0; cycle < 10; cycle++) {
      const writer = new DatabaseProcess();
      const perBatch = 1 + Math.floor(random() * 60);
      let batchesLeft = Math.floor(random() * 60);
      const delayMs = random() * 4;
      writer.onAcknowledged = () => {
        if (batchesLeft-- === 0) setTimeout(() => writer.kill(), delayMs);
      };
      const end = await writer.run('put', {
        dir,
        first: head + 1,
        last: head + 1e6,
        perBatch,
        sizeBytes: 120,
      });
      expect(end).toMatchObject({ died: 'SIGKILL' });
      const report = await look(dir);
      expect(report).toMatchObject({ state: 'sound', findings: [] });
      expect(report.headSeq).toBeGreaterThanOrEqual(writer.acknowledged);
      expect(report.headSeq).toBe(await headByLevelDb());
      head = report.headSeq;
    }
    expect(head).toBeGreaterThan(0);
  });
});

describe('what a crash leaves is not damage', () => {
  test('an empty newer log, files of an unfinished open and files not yet deleted', async () => {
    await databases.must('put', { dir, first: 1, last: 80 });
    await databases.must('put', { dir, first: 81, last: 100 });
    writeFileSync(join(dir, '000090.log'), '');
    writeFileSync(join(dir, '000091.dbtmp'), 'MANIFEST-000091');
    writeFileSync(join(dir, 'MANIFEST-000091'), 'half of it');
    writeFileSync(join(dir, '000092.ldb'), 'half a table');
    copyFileSync(join(dir, filesOf('.log')[0]!), join(dir, '000001.log'));
    const report = await look(dir);
    expect(report).toMatchObject({ state: 'sound', headSeq: 100, findings: [] });
    expect(report.evidence).toEqual(
      expect.arrayContaining([
        '000001.log',
        '000090.log',
        '000092.ldb',
        'MANIFEST-000091',
        'CURRENT',
        manifestOf(),
      ]),
    );
    expect(report.overwritable).toEqual(['000092.ldb', 'MANIFEST-000091']);
    expect(report.files.find(({ name }) => name === '000001.log')).toMatchObject({
      kind: 'log',
      live: false,
    });
    expect(await headByLevelDb()).toBe(100);
  });

  test('a last batch that is cut off at any byte, and an empty log after it', async () => {
    await databases.must('put', { dir, first: 1, last: 4, perBatch: 2 });
    const start = statSync(logOf()).size / 2;
    const log = logOf();
    for (let to = start * 2 - 1; to > start; to -= 5) {
      truncate(log, to);
      expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 2, tornTail: { offset: start } });
    }
    writeFileSync(join(dir, '000090.log'), '');
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 2, tornTail: { offset: start } });
    rmSync(join(dir, '000090.log'));
    truncate(log, start);
    await expectSound(2);
  });

  test('a last batch of several blocks of which some never reached the disk', async () => {
    const start = await twoBatchesOfSeveralBlocks();
    zero(logOf(), start + 3000, 9000);
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 3, tornTail: { offset: start } });
    zero(logOf(), start, 32768);
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 3, tornTail: { offset: start } });
    zero(logOf(), start, start);
    expect(await look(dir)).toMatchObject({ state: 'sound', headSeq: 3, tornTail: { offset: start } });
    expect(await headByLevelDb()).toBe(3);
  });

  test('a database whose creation was cut off', async () => {
    expect(await look(join(dir, 'nowhere'))).toMatchObject({ state: 'absent', headSeq: 0, files: [] });
    expect(await look(dir)).toMatchObject({ state: 'absent' });
    for (const name of ['LOCK', 'LOG', 'MANIFEST-000001', '000001.dbtmp']) writeFileSync(join(dir, name), '');
    expect(await look(dir)).toMatchObject({ state: 'absent', findings: [] });
  });
});

/** Events 1..3 and 4..6, each batch spread over three blocks of the log. Returns where the second one begins. */
async function twoBatchesOfSeveralBlocks(): Promise<number> {
  await databases.must('put', {
    dir,
    first: 1,
    last: 6,
    perBatch: 3,
    sizeBytes: 24_000,
    writeBufferSize: 1 << 20,
  });
  // A batch is 12 bytes, an event 13 and its value; a header of 7 goes before each part of a record.
  return 12 + 3 * (13 + 24_000) + 3 * 7;
}

describe('what no crash leaves is damage', () => {
  const codes = async () => (await look(dir)).findings.map(({ code }) => code);

  test('a bad batch that others follow', async () => {
    await databases.must('put', { dir, first: 1, last: 60, perBatch: 20 });
    flip(logOf(), 100, 3);
    expect(await codes()).toEqual(['LOG_DAMAGED', 'KEY_GAP']);
  });

  test('a bad length, which hides every batch after it from LevelDB', async () => {
    await databases.must('put', { dir, first: 1, last: 60, perBatch: 20 });
    flip(logOf(), 5, 6);
    expect(await headByLevelDb()).toBe(0);
    expect(await codes()).toEqual(['LOG_DAMAGED', 'KEY_GAP']);
  });

  test('zeros in a batch of several blocks, and a batch after it', async () => {
    await twoBatchesOfSeveralBlocks();
    zero(logOf(), 20_000, 30_000);
    expect(await codes()).toEqual(['LOG_DAMAGED', 'KEY_GAP']);
  });

  test('a torn log that a later one goes on from', async () => {
    await databases.must('put', { dir, first: 1, last: 40, perBatch: 20 });
    const log = logOf();
    copyFileSync(log, join(dir, '000090.log'));
    truncate(log, statSync(log).size - 1);
    expect(await codes()).toEqual(['LOG_DAMAGED']);
  });

  test('a log that the MANIFEST names and nobody finds', async () => {
    await databases.must('put', { dir, first: 1, last: 40 });
    await databases.must('put', { dir, first: 41, last: 60 });
    rmSync(logOf());
    expect(await look(dir)).toMatchObject({ headSeq: 40, findings: [{ code: 'LOG_MISSING', seq: 41 }] });
  });

  test('a MANIFEST cut off at any byte is never taken for an older state of the database', async () => {
    for (let round = 0; round < 3; round++) {
      await databases.must('put', { dir, first: 1 + round * 700, last: 700 + round * 700 });
    }
    const manifest = join(dir, manifestOf());
    const { size } = statSync(manifest);
    for (let to = size - 1; to >= 0; to -= 3) {
      truncate(manifest, to);
      expect((await look(dir)).state).toBe('damaged');
    }
  });

  test('a table without its neighbour names the events that are gone', async () => {
    await databases.must('put', { dir, first: 1, last: 2000 });
    const [first] = filesOf('.ldb');
    rmSync(join(dir, first!));
    const { findings } = await look(dir);
    expect(findings.map(({ code, seq }) => ({ code, seq }))).toEqual([
      { code: 'TABLE_MISSING', seq: 1 },
      { code: 'KEY_GAP', seq: 1 },
    ]);
  });

  test("another program's keys", async () => {
    writeFileSync(join(dir, 'README'), 'not a database file');
    await databases.must('put', { dir, first: 1, last: 10 });
    expect((await look(dir)).files.find(({ name }) => name === 'README')?.kind).toBe('other');
    await databases.must('rewrite', { dir, seqs: [0] });
    expect(await codes()).toEqual(['FOREIGN_KEYS']);
  });

  test('a missing CURRENT beside tables and logs', async () => {
    await databases.must('put', { dir, first: 1, last: 10 });
    rmSync(join(dir, 'CURRENT'));
    expect(await codes()).toEqual(['CURRENT_MISSING']);
  });
});

describe('checkTableBlocks', () => {
  test('names the events of every block, and those in a damaged one', async () => {
    await databases.must('put', { dir, first: 1, last: 700 });
    const [name] = filesOf('.ldb');
    const path = join(dir, name!);
    const sound = [];
    for await (const block of checkTableBlocks(path)) sound.push(block);
    expect(sound.length).toBeGreaterThan(3);
    const seqs = sound.flatMap(({ entries }) => entries.map(({ seq }) => seq));
    expect(seqs).toEqual(Array.from(seqs, (_, i) => i + 1));
    const victim = sound[2]!;
    flip(path, victim.offset + 50, 1);
    expect((await look(dir)).state).toBe('sound');
    const damaged = [];
    for await (const block of checkTableBlocks(path)) if (block.problem !== undefined) damaged.push(block);
    expect(damaged).toHaveLength(1);
    expect(damaged[0]).toMatchObject({ offset: victim.offset, problem: 'fails its checksum', entries: [] });
    expect(damaged[0]!.firstSeq).toBeLessThanOrEqual(victim.firstSeq!);
    expect(damaged[0]!.lastSeq).toBeGreaterThanOrEqual(victim.lastSeq!);
  });
});
