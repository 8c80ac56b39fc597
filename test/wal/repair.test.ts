/**
 * Repair against what was written: whatever is damaged, every record that a file or a backup still holds byte for byte is kept, every
 * other one is named, and nothing else is in the log.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackupLog } from '#wal/backup/backup-log.js';
import { listBackups, SEGMENTS } from '#wal/backup/manifest.js';
import { restoreLog } from '#wal/backup/restore.js';
import { backUp } from '#wal/backup/write.js';
import { forkLog } from '#wal/fork.js';
import { xxh64 } from '#wal/hash.js';
import { readHeadFile } from '#wal/head-file.js';
import type { LevelLog } from '#wal/level-log.js';
import { isLost, repairNoteOf } from '#wal/lost.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { decodeRecord, type LogRecord, RecordType } from '#wal/record.js';
import { type RepairOptions, repairLog } from '#wal/repair/repair.js';
import { isSwapping } from '#wal/repair/swap.js';
import { readCommitted } from '#wal/transactions.js';
import { verifyLog } from '#wal/verify.js';
import { bitsOf, flip, overwriteWith, remove, seeded, truncate, zero } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';
import { makeRepairStore, type RepairStore, readableIn } from './repair-store.js';

const SEED = Number(process.env.REPAIR_SEED ?? 20_261_127);
/** How many times more damage than by default. */
const EFFORT = Number(process.env.REPAIR_EFFORT ?? 1);

const directories = new Directories();
let whole: RepairStore;
let crashed: RepairStore;
beforeAll(async () => {
  whole = await makeRepairStore(directories.path(), directories.path('backups'));
  crashed = await makeRepairStore(directories.path(), directories.path('backups'), { isCrashed: true });
});
afterAll(() => directories.remove());

function copyOf({ dir }: RepairStore): string {
  const copy = directories.path();
  cpSync(dir, copy, { recursive: true });
  return copy;
}

const repair = (dir: string, options: Partial<RepairOptions> = {}) =>
  repairLog(dir, { program: 'test', apply: true, ...options });

const numbersOf = (ranges: readonly { from: number; to: number }[]): number[] =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));

/** What counts of the records that survive, by their numbers: what was aborted, or may have been, does not. */
function expectedCommitted(
  records: ReadonlyMap<number, Buffer>,
  lost: ReadonlySet<number>,
  end: number,
): number[] {
  const decoded = [...records]
    .map(([seq, value]) => decodeRecord(value, seq))
    .filter(({ seq }) => seq <= end);
  const ends = new Map(decoded.filter(({ last }) => last).map(record => [record.txFirst, record]));
  const counts = ({ long, txFirst }: LogRecord) => {
    const last = ends.get(txFirst)!;
    return !long || (last.type === RecordType.commit && !lost.has(last.seq));
  };
  return decoded.filter(record => !lost.has(record.seq) && counts(record)).map(({ seq }) => seq);
}

/** The whole judgement on a repaired store. @param mayKeep the numbers that anybody still had */
async function judge(
  dir: string,
  store: RepairStore,
  mayKeep: ReadonlySet<number>,
  end = store.end,
): Promise<void> {
  const report = await verifyLog(dir);
  expect(report.findings).toEqual([]);
  const lost = new Set([...store.records.keys()].filter(seq => seq <= end && !mayKeep.has(seq)));
  expect(numbersOf(report.gaps)).toEqual([...lost]);
  const log = await openLog({ storeDir: dir });
  try {
    const tail: number[] = [];
    for await (const piece of log.raw(1, log.head.seq))
      for (const [seq, value] of piece) {
        if (seq > end) tail.push(decodeRecord(value, seq).type);
        else if (lost.has(seq)) expect(isLost(decodeRecord(value, seq))).toBe(true);
        else expect(Buffer.compare(store.records.get(seq)!, value), `record ${seq}`).toBe(0);
      }
    expect(tail).toEqual([RecordType.epoch, RecordType.repair]);
    expect(numbersOf(repairNoteOf(log.get(log.head.seq))!.lost)).toEqual([...lost]);
    const committed: number[] = [];
    for await (const piece of readCommitted(log, 1, end))
      committed.push(...piece.filter(record => !isLost(record)).map(({ seq }) => seq));
    expect(committed).toEqual(expectedCommitted(store.records, lost, end));
    await put(log, 'goes on');
  } finally {
    await log.close();
  }
  expect((await verifyLog(dir)).findings).toEqual([]);
}

const filesOf = (dir: string, pattern: RegExp): string[] =>
  readdirSync(join(dir, PATHS.log))
    .filter(name => pattern.test(name))
    .map(name => join(dir, PATHS.log, name));

/** The table that holds a record, and where. */
function placeOf(dir: string, value: Buffer): { file: string; at: number } {
  for (const file of filesOf(dir, /\.ldb$/)) {
    const at = readFileSync(file).indexOf(value);
    if (at >= 0) return { file, at };
  }
  throw new Error('no table holds it');
}

const everything = (): Set<number> => new Set(whole.records.keys());
const upTo = (last: number): Set<number> => new Set(Array.from({ length: last }, (_, i) => i + 1));

test('a store that is sound is left alone', async () => {
  const dir = copyOf(whole);
  const before = filesOf(dir, /./).map(file => [file, statSync(file).mtimeMs]);
  expect(await repair(dir)).toMatchObject({ state: 'sound', findings: [] });
  expect(filesOf(dir, /./).map(file => [file, statSync(file).mtimeMs])).toEqual(before);
  expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
});

test('a dry run tells what would be done, and changes nothing', async () => {
  const dir = copyOf(whole);
  const [table] = filesOf(dir, /\.ldb$/);
  remove(table!);
  const plan = await repair(dir, { apply: false });
  expect(plan).toMatchObject({ state: 'planned', head: 'sound', plan: { endProven: true, filled: [] } });
  expect(plan.plan!.lost).toHaveLength(1);
  expect(existsSync(join(dir, PATHS.repairing))).toBe(false);
  expect(existsSync(table!)).toBe(false);
  const filled = await repair(dir, { apply: false, backups: [whole.backups] });
  expect(filled.plan!.lostRecords).toBeLessThan(plan.plan!.lostRecords);
});

describe.each([
  ['closed', () => whole],
  ['crashed', () => crashed],
] as const)('a %s store', (_, storeOf) => {
  test(`bits flipped in every file of the log (seed ${SEED})`, { timeout: 600_000 }, async () => {
    const { dir } = storeOf();
    for (const [index, file] of filesOf(dir, /\.(ldb|log)$|^MANIFEST|^CURRENT$/).entries())
      for (const { offset, bit } of bitsOf(
        file,
        Math.ceil(statSync(file).size / (3 * EFFORT)),
        SEED + index,
      )) {
        const copy = copyOf(storeOf());
        flip(file.replace(dir, copy), offset, bit);
        const readable = readableIn(copy, storeOf());
        expect(readable.size).toBeGreaterThanOrEqual(storeOf().records.size - 1);
        const { state } = await repair(copy);
        if (state === 'sound') expect(readable.size).toBe(storeOf().records.size);
        else await judge(copy, storeOf(), readable);
        rmSync(copy, { recursive: true });
      }
  });

  test('files cut short, zeroed and deleted', { timeout: 600_000 }, async () => {
    const { dir } = storeOf();
    for (const file of filesOf(dir, /\.(ldb|log)$|^MANIFEST|^CURRENT$/))
      for (const damage of [
        (path: string) => remove(path),
        (path: string) => truncate(path, Math.floor(statSync(path).size / 3)),
        (path: string) =>
          zero(path, Math.floor(statSync(path).size / 3), Math.min(9_000, statSync(path).size / 3)),
      ]) {
        const copy = copyOf(storeOf());
        damage(file.replace(dir, copy));
        const readable = readableIn(copy, storeOf());
        const { state } = await repair(copy);
        if (state === 'sound') expect(readable.size).toBe(storeOf().records.size);
        else await judge(copy, storeOf(), readable);
        rmSync(copy, { recursive: true });
      }
  });
});

describe('with a backup', () => {
  test('a table that is gone is filled from it, and the backups go on', async () => {
    const dir = copyOf(whole);
    const backups = directories.path('backups');
    cpSync(whole.backups, backups, { recursive: true });
    for (const file of filesOf(dir, /\.ldb$/)) remove(file);
    const { plan, damaged } = await repair(dir, { backups: [backups] });
    const readable = upTo(whole.backedUp);
    for (const seq of readableIn(join(dir, damaged!), whole)) readable.add(seq);
    expect(plan!.filled.map(({ source }) => source)).toEqual([backups]);
    await judge(dir, whole, readable);
    const log = await openLog({ storeDir: dir });
    const { manifest } = await backUp(log, backups, { clock: Date.now });
    expect(manifest).toMatchObject({
      kind: 'incremental',
      last: { seq: log.head.seq },
      lineage: { epoch: 2 },
    });
    await log.close();
    // And the log of the backup is restored, gaps and all.
    const [, backup] = listBackups(backups).backups;
    const restored = directories.path('restored');
    const source = await BackupLog.open(backups, backup!);
    await restoreLog(source, backup!.manifest.last.seq, restored, { epoch: 3, clock: Date.now });
    source.close();
    expect(await verifyLog(restored)).toMatchObject({ findings: [], gaps: (await verifyLog(dir)).gaps });
  });

  test('a lost tail is filled as far as the backup reaches, and the rest acknowledged', async () => {
    const dir = copyOf(whole);
    const all = filesOf(dir, /\.ldb$/);
    for (const file of all.slice(1)) remove(file);
    for (const file of filesOf(dir, /^MANIFEST|^CURRENT$|\.log$/)) remove(file);
    await repair(dir, { backups: [whole.backups] });
    const readable = upTo(whole.backedUp);
    expect(readable.size).toBeLessThan(whole.end);
    await judge(dir, whole, readable);
  });

  test('all of the log is gone', async () => {
    const dir = copyOf(whole);
    rmSync(join(dir, PATHS.log), { recursive: true });
    await expect(repair(dir)).rejects.toMatchObject({ code: 'REPAIR_IMPOSSIBLE' });
    await repair(dir, { backups: [whole.backups] });
    await judge(dir, whole, upTo(whole.backedUp));
  });

  test('what a damaged segment still holds is used, and nothing else of it', async () => {
    const dir = copyOf(whole);
    const backups = directories.path('backups');
    cpSync(whole.backups, backups, { recursive: true });
    const [segment] = readdirSync(join(backups, SEGMENTS));
    const path = join(backups, SEGMENTS, segment!);
    flip(path, Math.floor(statSync(path).size / 2), 3);
    rmSync(join(dir, PATHS.log), { recursive: true });
    await repair(dir, { backups: [backups] });
    const bytes = readFileSync(path);
    const readable = new Set(
      [...whole.records].filter(([, value]) => bytes.includes(value)).map(([seq]) => seq),
    );
    expect(readable.size).toBe(whole.backedUp - 1);
    await judge(dir, whole, readable);
  });

  test('what was erased stays erased, with what is left of it', async () => {
    const dir = copyOf(whole);
    const log = await openLog({ storeDir: dir });
    // Residues of any length: nothing in a stub says how long it is.
    const residues = new Map(
      [0, 1, 300, 4096].map((size, at) => [10 + at, Buffer.alloc(size, `left of ${at};`)]),
    );
    await log.erase([...residues].map(([seq, residue]) => ({ seq, residue })));
    await log.reclaim(10, 13);
    await log.close();
    remove(join(dir, PATHS.log, 'CURRENT'));
    const repaired = await repair(dir, { backups: [whole.backups] });
    expect(repaired).toMatchObject({ state: 'repaired', plan: { lost: [], filled: [] } });
    expect(await verifyLog(dir)).toMatchObject({ findings: [], gaps: [], erased: 4 });
    const again = await openLog({ storeDir: dir });
    for (const [seq, residue] of residues) {
      const record = again.get(seq);
      expect(record.body).toBeUndefined();
      expect(Buffer.from(record.residue!).equals(residue)).toBe(true);
    }
    await again.close();
  });

  test('another store’s are refused', async () => {
    const dir = copyOf(whole);
    remove(filesOf(dir, /\.ldb$/)[0]!);
    await expect(repair(dir, { backups: [crashed.backups] })).rejects.toMatchObject({
      code: 'BACKUP_FOREIGN',
    });
    expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
  });

  test('a gap that was acknowledged is filled later', async () => {
    const dir = copyOf(whole);
    remove(filesOf(dir, /\.ldb$/)[0]!);
    await repair(dir);
    expect(numbersOf((await verifyLog(dir)).gaps)).not.toEqual([]);
    expect(await repair(dir)).toMatchObject({ state: 'sound' });
    const later = directories.path('backups');
    const backUpNow = async () => {
      const log = await openLog({ storeDir: dir });
      const made = await backUp(log, later, { clock: Date.now });
      await log.close();
      return made;
    };
    const gapped = await backUpNow();
    const filled = await repair(dir, { backups: [whole.backups], choice: 'fill' });
    expect(filled).toMatchObject({ state: 'repaired', plan: { lost: [] } });
    const report = await verifyLog(dir);
    expect(report).toMatchObject({ findings: [], gaps: [] });
    expect(report.epochs.map(({ epoch }) => epoch)).toEqual([2, 3]);
    // The backup of then has its gap still, and the one of now none.
    for (const [backup, gaps] of [
      [gapped, 1],
      [await backUpNow(), 0],
    ] as const) {
      const source = await BackupLog.open(later, backup);
      const restored = directories.path('restored');
      await restoreLog(source, source.head.seq, restored, { epoch: 9, clock: Date.now });
      source.close();
      expect((await verifyLog(restored)).gaps).toHaveLength(gaps);
    }
  });

  test('fill refuses where something stays lost', async () => {
    const dir = copyOf(whole);
    for (const file of filesOf(dir, /./)) remove(file);
    await expect(repair(dir, { backups: [whole.backups], choice: 'fill' })).rejects.toMatchObject({
      code: 'REPAIR_IMPOSSIBLE',
    });
    expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
  });
});

describe('HEAD', () => {
  test.each([
    ['missing', (path: string) => remove(path)],
    ['damaged', (path: string) => zero(path, 0, statSync(path).size)],
    ['of another history', (path: string) => cpSync(join(crashed.dir, PATHS.head), path)],
  ] as const)('%s: it is made anew, and nobody claims that the end is proved', async (state, damage) => {
    const dir = copyOf(whole);
    damage(join(dir, PATHS.head));
    const { head, plan } = await repair(dir);
    expect(head).toBe(state);
    expect(plan).toMatchObject({ endProven: false, lost: [] });
    await judge(dir, whole, everything());
    const { proof } = readHeadFile(join(dir, PATHS.head))!;
    expect(proof.storeId).toBe(readHeadFile(join(whole.dir, PATHS.head))!.proof.storeId);
  });

  test('and the log are those of two stores: the store that the log is of stays', async () => {
    const dir = copyOf(whole);
    remove(join(dir, PATHS.head));
    remove(filesOf(dir, /\.ldb$/)[1]!);
    const readable = readableIn(dir, whole);
    await repair(dir);
    await judge(dir, whole, readable);
  });
});

test('the record that names the store is lost: the repair record names it', async () => {
  const dir = copyOf(whole);
  const [table] = filesOf(dir, /\.ldb$/);
  const at = readFileSync(table!).indexOf(whole.records.get(1)!);
  flip(table!, at + 85, 0);
  await repair(dir);
  await judge(dir, whole, new Set([...everything()].filter(seq => seq !== 1)));
  const { proof } = readHeadFile(join(dir, PATHS.head))!;
  expect(proof).toMatchObject({
    storeId: readHeadFile(join(whole.dir, PATHS.head))!.proof.storeId,
    lineageSeq: whole.end + 2,
  });
});

test('tables that changed places are read all the same; another store’s is not taken for this one’s', async () => {
  const swapped = copyOf(whole);
  const [one, other] = filesOf(swapped, /\.ldb$/);
  renameSync(one!, `${one}.tmp`);
  renameSync(other!, one!);
  renameSync(`${one}.tmp`, other!);
  await repair(swapped);
  await judge(swapped, whole, everything());

  const foreign = copyOf(whole);
  const [first] = filesOf(foreign, /\.ldb$/);
  cpSync(filesOf(crashed.dir, /\.ldb$/)[0]!, first!);
  const readable = readableIn(foreign, whole);
  expect(readable.size).toBeLessThan(whole.records.size);
  await repair(foreign);
  await judge(foreign, whole, readable);
});

test('cut: the log ends before the first record that is lost', async () => {
  const dir = copyOf(whole);
  const file = filesOf(dir, /\.ldb$/)[1]!;
  flip(file, Math.floor(statSync(file).size / 2), 5);
  const { plan, damaged } = await repair(dir, { choice: 'cut' });
  const last = plan!.cut!.last;
  expect(last).toBeLessThan(plan!.lost[0]!.from);
  expect(readableIn(join(dir, damaged!), whole).size).toBe(whole.records.size - 1);
  await judge(dir, whole, upTo(last), last);
});

test('records of before a cut do not come back', async () => {
  const dir = copyOf(whole);
  const old = directories.path('old');
  cpSync(join(dir, PATHS.log), old, { recursive: true });
  const before = await openLog({ storeDir: dir });
  const after = { seq: 20, hash: before.get(20).hash };
  const { seq, hash } = before.head;
  expect(before.get(20).last).toBe(true);
  await before.close();
  const cut = await openLog({ storeDir: dir, cut: { after, head: { seq, hash } } });
  await put(cut, 'a', 'b', 'c');
  await put(cut, 'd');
  await cut.close();
  // The tables of then lie about, and the record behind the cut that would tell them apart by its hash is damaged, header and all.
  for (const name of readdirSync(old))
    if (/\.ldb$/.test(name)) cpSync(join(old, name), join(dir, PATHS.log, `9${name}`));
  const files = filesOf(dir, /^[^9].*\.(ldb|log)$/);
  for (const file of files) {
    const bytes = readFileSync(file);
    for (let i = 0; i + 80 < bytes.length; i++)
      if (
        bytes[i] === 1 &&
        bytes[i + 1] === 1 &&
        bytes.readUInt32LE(i + 8) === 23 &&
        bytes.readUInt32LE(i + 32) === 22
      )
        zero(file, i, 80);
  }
  const { plan } = await repair(dir);
  expect(plan!.lost.map(({ from, to }) => [from, to])).toEqual([[23, 23]]);
  expect(plan!.end).toBe(25);
  const report = await verifyLog(dir);
  expect(report).toMatchObject({ findings: [], gaps: [{ from: 23, to: 23 }] });
  expect(report.epochs.map(({ epoch, seq }) => [epoch, seq])).toEqual([
    [2, 21],
    [3, 26],
  ]);
});

test('a cut that was interrupted is done', async () => {
  const dir = copyOf(whole);
  const log = await openLog({ storeDir: dir });
  const { seq, hash } = log.head;
  const after = { seq: 20, hash: log.get(20).hash };
  await log.close();
  const interrupted = openLog({
    storeDir: dir,
    cut: { after, head: { seq, hash } },
    onCutStep: (step, done, total) => {
      if (step === 'intent' && done === total) throw new Error('killed');
    },
  });
  await expect(interrupted).rejects.toThrow('killed');
  const { file, at } = placeOf(dir, whole.records.get(7)!);
  flip(file, at + 90, 1);
  const { plan } = await repair(dir);
  expect(plan!.lost.map(({ from, to }) => [from, to])).toEqual([[7, 7]]);
  const kept = upTo(20);
  kept.delete(7);
  await judge(dir, whole, kept, 20);
});

test('a record of a later version is not taken for a lost one', async () => {
  const dir = copyOf(whole);
  const value = Buffer.from(whole.records.get(7)!);
  const { file, at } = placeOf(dir, value);
  value[0] = 2;
  value[1] = 0;
  value.writeBigUInt64LE(xxh64(value.subarray(0, 72)), 72);
  value[1] = 1;
  overwriteWith(file, at, value.subarray(0, 80));
  await expect(repair(dir)).rejects.toMatchObject({ code: 'WAL_NEWER_FORMAT' });
});

test('a fork takes gaps along', async () => {
  const dir = copyOf(whole);
  remove(filesOf(dir, /\.ldb$/)[0]!);
  await repair(dir);
  const log = await openLog({ storeDir: dir });
  const target = directories.path('fork');
  await forkLog(log, log.head.seq, target, { clock: Date.now });
  await log.close();
  expect(await verifyLog(target)).toMatchObject({ findings: [], gaps: (await verifyLog(dir)).gaps });
});

describe('a crash, and damage besides', () => {
  /** A copy of a store as it is while its log is open, HEAD where it was at the beginning, and the log's values. */
  async function crashedIn(work: (log: LevelLog) => Promise<unknown>) {
    const origin = directories.path();
    const log = await openLog({ storeDir: origin, create: true, intervalMs: 1e9 });
    await work(log);
    const values = new Map<number, Buffer>();
    const dir = directories.path();
    cpSync(origin, dir, { recursive: true });
    for await (const piece of log.raw(1, log.nextSeq - 1))
      for (const [seq, value] of piece) values.set(seq, Buffer.from(value));
    await log.close();
    return { dir, values };
  }

  /** Takes every trace of a record from the live log. */
  function wipe(dir: string, value: Buffer): void {
    const [file] = filesOf(dir, /\.log$/);
    zero(file!, readFileSync(file!).indexOf(value), value.length);
  }

  async function keptIn(dir: string): Promise<{ gaps: unknown; seqs: number[]; types: number[] }> {
    const { findings, gaps } = await verifyLog(dir);
    expect(findings).toEqual([]);
    const log = await openLog({ storeDir: dir });
    const records: LogRecord[] = [];
    for await (const piece of readCommitted(log, 1, log.head.seq)) records.push(...piece);
    await log.close();
    return { gaps, seqs: records.map(({ seq }) => seq), types: records.slice(-2).map(({ type }) => type) };
  }

  test('behind HEAD: what lies behind a hole there is kept as well', async () => {
    const { dir, values } = await crashedIn(async log => {
      for (let n = 0; n < 12; n++) await put(log, `record ${n}`);
    });
    expect(readHeadFile(join(dir, PATHS.head))!.proof.seq).toBeLessThan(5);
    wipe(dir, values.get(7)!);
    const { plan } = await repair(dir);
    expect(plan).toMatchObject({ end: 13, kept: 12, endProven: true });
    const kept = await keptIn(dir);
    expect(kept).toMatchObject({ gaps: [{ from: 7, to: 7 }], types: [RecordType.epoch, RecordType.repair] });
    expect(kept.seqs).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  });

  test('within a transaction of several batches: it is void, as the next opening would have made it', async () => {
    const { dir, values } = await crashedIn(async log => {
      await put(log, 'a', 'b');
      const long = log.begin();
      for (const part of [1, 2]) await long.append([event(`long ${part}`, 300)]);
    });
    const file = filesOf(dir, /\.log$/)[0]!;
    flip(file, readFileSync(file).indexOf(values.get(2)!) + 85, 1);
    const { plan } = await repair(dir);
    expect(plan).toMatchObject({ end: 6, lost: [{ from: 2, to: 2 }], torn: undefined });
    expect((await keptIn(dir)).seqs).toEqual([1, 2, 3, 7, 8]);
  });
});

describe('refused, and the damaged store is as it was', () => {
  /** A store that lost a table, with the bytes of all that is left of its log. */
  function damagedCopy(): { dir: string; bytes: () => Map<string, Buffer> } {
    const dir = copyOf(whole);
    remove(filesOf(dir, /\.ldb$/)[1]!);
    return { dir, bytes: () => new Map(filesOf(dir, /./).map(file => [file, readFileSync(file)])) };
  }

  async function expectRefused(options: Partial<RepairOptions>, error: object): Promise<void> {
    const { dir, bytes } = damagedCopy();
    const before = bytes();
    await expect(repair(dir, options)).rejects.toMatchObject(error);
    expect(bytes()).toEqual(before);
    expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
    expect(await repair(dir)).toMatchObject({ state: 'repaired' });
  }

  test('a directory that holds no backup', () =>
    expectRefused({ backups: [directories.path('none')] }, { code: 'BACKUP_MISSING' }));

  test('what the caller throws once it has seen the plan, as it is', async () => {
    const stop = async () => {
      throw new Error('rather not');
    };
    await expectRefused({ onPlanned: stop }, { message: 'rather not' });
  });

  test('what the disk answers', async () => {
    const full = async () => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    await expectRefused(
      { onPlanned: full },
      { code: 'WAL_IO', message: expect.stringContaining('no space left on device') },
    );
  });

  test('a record that is no longer where it was found', async () => {
    const { dir } = damagedCopy();
    const [seq, value] = [...whole.records].find(([, value]) =>
      filesOf(dir, /\.ldb$/).some(path => readFileSync(path).includes(value)),
    )!;
    const { file, at } = placeOf(dir, value);
    const rot = async () => flip(file, at + 90, 1);
    await expect(repair(dir, { onPlanned: rot })).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining(`record ${seq} was whole`),
    });
    expect(existsSync(join(dir, PATHS.damaged))).toBe(false);
  });

  test('a new log that does not read back', async () => {
    const { dir } = damagedCopy();
    const rot = (step: string) => {
      if (step !== 'writing') return;
      const made = readdirSync(join(dir, PATHS.repairing), { recursive: true, withFileTypes: true });
      const log = made.find(({ name }) => name.endsWith('.log'))!;
      flip(join(log.parentPath, log.name), 200, 1);
    };
    await expect(repair(dir, { onProgress: rot })).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('the new log is not sound'),
    });
    expect([PATHS.damaged, PATHS.repairing].map(name => existsSync(join(dir, name)))).toEqual([false, false]);
    expect(await repair(dir)).toMatchObject({ state: 'repaired' });
  });

  test('a cut that would leave nothing', async () => {
    const dir = copyOf(whole);
    const { file, at } = placeOf(dir, whole.records.get(1)!);
    flip(file, at + 85, 0);
    await expect(repair(dir, { choice: 'cut' })).rejects.toMatchObject({
      code: 'REPAIR_IMPOSSIBLE',
      message: expect.stringContaining('before the first lost record'),
    });
    expect((await repair(dir, { choice: 'cut', apply: false })).plan!.cut).toBeUndefined();
  });

  test('a HEAD of a later version', async () => {
    const { dir } = damagedCopy();
    const slot = readFileSync(join(dir, PATHS.head)).subarray(0, 128);
    slot.writeUInt32LE(9, 8);
    slot.writeBigUInt64LE(xxh64(slot.subarray(0, 120)), 120);
    overwriteWith(join(dir, PATHS.head), 0, slot);
    await expect(repair(dir)).rejects.toMatchObject({ code: 'WAL_NEWER_FORMAT' });
  });

  test('what is no store, or nowhere', async () => {
    const dir = directories.path();
    await expect(repair(dir)).rejects.toMatchObject({ code: 'STORE_MISSING' });
    mkdirSync(dir);
    await expect(repair(dir)).rejects.toMatchObject({ code: 'STORE_MISSING' });
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    await expect(repair(dir)).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
  });
});

test('a file that the disk does not let us read is named, and what it held is lost', async () => {
  const dir = copyOf(whole);
  const [, table] = filesOf(dir, /\.ldb$/);
  remove(table!);
  mkdirSync(table!);
  const readable = new Set(everything());
  for (const [seq, value] of whole.records)
    if (readFileSync(table!.replace(dir, whole.dir)).includes(value)) readable.delete(seq);
  const { unreadable } = await repair(dir, { apply: false });
  expect(unreadable).toEqual([{ path: table, message: expect.stringContaining('EISDIR') }]);
  await repair(dir);
  await judge(dir, whole, readable);
});

test('a table that an opening kept aside is read as well', async () => {
  const dir = copyOf(whole);
  const [table] = filesOf(dir, /\.ldb$/);
  const aside = join(dir, PATHS.evidence, '2026-01-01T00-00-00-000Z-7');
  mkdirSync(aside, { recursive: true });
  renameSync(table!, join(aside, '000005.ldb'));
  expect(await repair(dir)).toMatchObject({ plan: { lost: [], filled: [] } });
  await judge(dir, whole, everything());
});

describe('killed', () => {
  const steps: string[] = [];
  const damagedCopy = (): string => {
    const dir = copyOf(whole);
    remove(filesOf(dir, /\.ldb$/)[0]!);
    return dir;
  };

  test('at every step of putting the new log in place: the next repair goes on, and no opening sees a half', async () => {
    const trial = damagedCopy();
    await repair(trial, { onSwapStep: step => steps.push(step) });
    expect(steps).toEqual([
      'noted',
      'HEAD aside',
      'evidence aside',
      'log aside',
      'log in place',
      'HEAD in place',
      'done',
    ]);
    for (const [index, at] of steps.entries()) {
      const dir = damagedCopy();
      const readable = readableIn(dir, whole);
      const killed = repair(dir, {
        onSwapStep: step => {
          if (step === at) throw new Error('killed');
        },
      });
      await expect(killed).rejects.toThrow('killed');
      if (index < steps.length - 1) {
        await expect(openLog({ storeDir: dir, create: true })).rejects.toMatchObject({
          code: 'REPAIR_UNFINISHED',
        });
        expect(await repair(dir, { apply: false })).toMatchObject({ state: 'unfinished' });
        expect(await repair(dir)).toMatchObject({ state: 'finished' });
      }
      await judge(dir, whole, readable);
      expect(await repair(dir)).toMatchObject({ state: 'sound' });
      expect(existsSync(join(dir, PATHS.repairing))).toBe(false);
    }
  });
});

test(`killed with -9 at random steps, again and again, until it is through (seed ${SEED})`, {
  timeout: 600_000,
}, async () => {
  const random = seeded(SEED + 1);
  for (let run = 0; run < 3 * EFFORT; run++) {
    const dir = copyOf(crashed);
    remove(filesOf(dir, /\.ldb$/)[1]!);
    const readable = readableIn(dir, crashed);
    for (let kills = 0; kills < 3; kills++) {
      await killedRepair(dir, Math.floor(random() ** 2 * 60));
      // The damaged store, the repaired one, or a refusal that says what to do.
      const found = await verifyLog(dir);
      const isRepaired = found.findings.length === 0;
      if (isSwapping(dir))
        await expect(openLog({ storeDir: dir })).rejects.toMatchObject({ code: 'REPAIR_UNFINISHED' });
      else if (!isRepaired) expect([...readableIn(dir, crashed)]).toEqual([...readable]);
    }
    if ((await repair(dir)).state === 'finished') expect((await repair(dir)).state).toBe('sound');
    await judge(dir, crashed, readable);
  }
});

/** Repairs in a process of its own, which is killed when it has told of `lines` steps. */
async function killedRepair(dir: string, lines: number): Promise<void> {
  const script = `
    const { repairLog } = await import(${JSON.stringify(import.meta.resolve('#wal/repair/repair.js'))});
    const tell = () => process.stdout.write('.');
    await repairLog(${JSON.stringify(dir)}, { program: 'test', apply: true, onProgress: tell, onSwapStep: tell });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = 0;
  child.stdout.on('data', (dots: Buffer) => {
    told += dots.length;
    if (told >= lines) child.kill('SIGKILL');
  });
  await once(child, 'exit');
}

test(`several damages at once, with and without backups (seed ${SEED})`, { timeout: 600_000 }, async () => {
  const random = seeded(SEED);
  const pick = (below: number) => Math.floor(random() * below);
  for (let run = 0; run < 8 * EFFORT; run++) {
    const store = pick(2) === 0 ? whole : crashed;
    const dir = copyOf(store);
    const told: string[] = [];
    for (let n = 1 + pick(6); n > 0; n--) {
      const files = filesOf(dir, /\.(ldb|log)$|^MANIFEST|^CURRENT$/);
      const file = files[pick(files.length)];
      if (file === undefined) break;
      const size = statSync(file).size;
      const kind = pick(10);
      const offset = pick(Math.max(1, size));
      told.push(`${file} ${kind} ${offset}`);
      if (kind === 0) remove(file);
      else if (kind === 1) truncate(file, offset);
      else if (kind === 2) zero(file, offset, Math.min(4096, size - offset));
      else if (size > 0) flip(file, offset, pick(8));
    }
    const backups = pick(2) === 0 ? [store.backups] : [];
    const readable = readableIn(dir, store);
    if (backups.length > 0) for (const seq of upTo(store.backedUp)) readable.add(seq);
    try {
      if (readable.size === 0) await expect(repair(dir)).rejects.toMatchObject({ code: 'REPAIR_IMPOSSIBLE' });
      else if ((await repair(dir, { backups })).state === 'sound')
        expect(readable.size).toBe(store.records.size);
      else await judge(dir, store, readable);
    } catch (error) {
      throw new Error(`run ${run}: ${told.join(', ')}${backups.length > 0 ? ', with backups' : ''}`, {
        cause: error,
      });
    }
    rmSync(dir, { recursive: true });
  }
});
