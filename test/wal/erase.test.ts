/** Payloads that are erased: gone from every file, while the chain, the other records and the log's life go on. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { LevelLog } from '#wal/level-log.js';
import { type OpenLogOptions, openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { verifyLog } from '#wal/verify.js';
import { flip } from '../helpers/damage.js';
import { filesHolding } from '../helpers/search-bytes.js';
import { allTexts, Directories, put, textOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
beforeEach(() => {
  storeDir = directories.path();
});

const open = (options: Partial<OpenLogOptions> = {}): Promise<LevelLog> => openLog({ storeDir, ...options });
const RESIDUE = Buffer.from('what is left');
const erasureOf = (seq: number) => ({ seq, residue: RESIDUE });
const secret = (n: number) => `secret number ${n}, `.padEnd(3000, `and more of ${n} `);
const holding = (...numbers: number[]) =>
  filesHolding(
    storeDir,
    numbers.flatMap(n => [Buffer.from(`secret number ${n},`), Buffer.from(`and more of ${n} `)]),
  );

/** A log of so many secrets, records 2 and on. */
async function made(count: number): Promise<LevelLog> {
  const log = await open({ create: true });
  for (let n = 2; n < count + 2; n++) await put(log, secret(n));
  return log;
}

describe('erased', () => {
  test('just after they were written, while they are in memory and in the log file alone', async () => {
    const log = await made(8);
    const saved = await log.erase([erasureOf(3), erasureOf(7)]);
    expect(saved).toBe(2 * (8 + 3000 - (8 + RESIDUE.length)));
    await log.reclaim(3, 7);
    expect(holding(3, 7)).toEqual([]);
    expect(holding(4)).not.toEqual([]);
    expect(log.get(3).body).toBeUndefined();
    expect(Buffer.from(log.get(3).residue!)).toEqual(RESIDUE);
    expect(textOf(log.get(4))).toBe(secret(4));
    await log.close();
    expect(await verifyLog(storeDir)).toMatchObject({ records: 9, erased: 2, findings: [] });
  });

  test('out of tables of an earlier life, and everything else stays as it was', async () => {
    await (await made(40)).close();
    let log = await open();
    await log.erase([erasureOf(5), erasureOf(6), erasureOf(41)]);
    await log.reclaim(1, 41);
    await put(log, 'written afterwards');
    await log.close();
    expect(holding(5, 6, 41)).toEqual([]);
    log = await open();
    const texts = Array.from({ length: 40 }, (_, i) => ([5, 6, 41].includes(i + 2) ? '' : secret(i + 2)));
    expect(await allTexts(log)).toEqual([...texts, 'written afterwards']);
    await log.close();
    expect((await verifyLog(storeDir)).findings).toEqual([]);
  });

  test('twice is once, and what was never there is refused', async () => {
    const log = await made(3);
    await log.erase([erasureOf(2)]);
    expect(await log.erase([{ seq: 2, residue: Buffer.from('something else') }])).toBe(0);
    expect(Buffer.from(log.get(2).residue!)).toEqual(RESIDUE);
    await expect(log.erase([erasureOf(99)])).rejects.toMatchObject({ code: 'WAL_GAP' });
    await log.close();
  });

  test('beside writers: nothing they write is lost or changed', async () => {
    const log = await made(30);
    const writes = Array.from({ length: 50 }, (_, n) => put(log, `beside ${n}`));
    await log.erase(Array.from({ length: 30 }, (_, n) => erasureOf(n + 2)));
    await Promise.all([...writes, log.reclaim(2, 31)]);
    const beside = (await allTexts(log)).filter(text => text.startsWith('beside'));
    expect(beside.sort()).toEqual(Array.from({ length: 50 }, (_, n) => `beside ${n}`).sort());
    await log.close();
    expect(await verifyLog(storeDir)).toMatchObject({ erased: 30, findings: [] });
    expect(holding(...Array.from({ length: 30 }, (_, n) => n + 2))).toEqual([]);
  });
});

/** Of more than a megabyte, so that closing makes tables of the log. */
const tables = () =>
  readdirSync(join(storeDir, PATHS.log))
    .filter(name => name.endsWith('.ldb'))
    .sort()
    .map(name => join(storeDir, PATHS.log, name))
    .filter(path => statSync(path).size > 1e6);

test('a damaged table is not written anew with checksums of its own: the erasing is refused', async () => {
  await (await made(400)).close();
  flip(tables()[0]!, 700_000, 3);
  const log = await open();
  await expect(log.erase([erasureOf(5)])).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
  expect(textOf(log.get(5))).toBe(secret(5));
  expect(log.failure).toBeUndefined();
  await log.close();
  expect(holding(5)).not.toEqual([]);
});

test.each([
  ['lower', 0, 600],
  ['higher', 1, 5],
])(
  'nor where the damage is in the %s of two tables that are concerned; the other one alone is erased from',
  async (_, damaged, sound) => {
    await (await made(400)).close();
    let log = await open();
    for (let n = 402; n < 802; n++) await put(log, secret(n));
    await log.close();
    flip(tables()[damaged]!, 700_000, 3);
    log = await open();
    for (const seqs of [
      [5, 600],
      [600, 5],
    ]) {
      await expect(log.erase(seqs.map(erasureOf))).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
      for (const seq of seqs) expect(textOf(log.get(seq))).toBe(secret(seq));
    }
    expect(await log.erase([erasureOf(sound)])).toBeGreaterThan(0);
    expect(log.get(sound).body).toBeUndefined();
    await log.close();
  },
);
