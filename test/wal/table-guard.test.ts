/**
 * Damaged data blocks of tables, which LevelDB reads without looking: whoever asks for a record that may lie in one is refused, in whatever
 * order things are asked, and all else is read.
 */
import { cpSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from '#wal/leveldb/look.js';
import { entryOf, readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { checkTableBlocks, readTableIndex } from '#wal/leveldb/table-file.js';
import { TableGuard } from '#wal/leveldb/table-guard.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { flip, seeded } from '../helpers/damage.js';
import { allTexts, Directories, event } from '../helpers/wal.js';

const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_126);
const TABLES = 3;
const EVENTS = 700;

const directories = new Directories();
afterAll(() => directories.remove());

interface Block {
  readonly file: string;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

let made: string;
let head: number;
const blocks: Block[] = [];

beforeAll(async () => {
  made = directories.path();
  for (let table = 0; table < TABLES; table++) {
    const log = await openLog({ storeDir: made, create: true });
    const events = Array.from({ length: EVENTS }, (_, i) => event(`${table} ${i}`, 1000 + ((i * 37) % 3000)));
    for (let i = 0; i < EVENTS; i += 50) await log.append(events.slice(i, i + 50)).durable;
    head = log.head.seq;
    // So much is made a table at the close.
    await log.close();
  }
  const dir = join(made, PATHS.log);
  for (const file of readdirSync(dir).filter(name => name.endsWith('.ldb')))
    for await (const { offset, sizeBytes, firstSeq, lastSeq } of checkTableBlocks(join(dir, file)))
      blocks.push({ file, offset, sizeBytes, firstSeq: firstSeq!, lastSeq: lastSeq! });
});

function copy(): string {
  const storeDir = directories.path();
  cpSync(made, storeDir, { recursive: true });
  return storeDir;
}

/** @param keepsIndexes those that the look has read; otherwise they are read again, as of tables beyond those that are kept */
async function guardOf(storeDir: string, keepsIndexes = true): Promise<TableGuard> {
  const dir = join(storeDir, PATHS.log);
  const looked = await look(dir);
  expect(looked).toMatchObject({ state: 'sound', headSeq: head });
  return new TableGuard(dir, keepsIndexes ? looked : { ...looked, indexes: new Map() });
}

const refused = (guard: TableGuard, from: number, to: number): boolean => {
  try {
    guard.assertReadable(from, to);
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: 'WAL_BAD_RECORD' });
    return true;
  }
};

test('an index in columns says what the index says', async () => {
  const dir = join(made, PATHS.log);
  const files = [...new Set(blocks.map(({ file }) => file))];
  expect(files.length).toBeGreaterThanOrEqual(TABLES);
  for (const file of files) {
    const own = blocks.filter(block => block.file === file);
    const columns = readTableBlocks(join(dir, file));
    const { offsets, seqs, deleted } = columns;
    const handle = await open(join(dir, file));
    const { blocks: entries } = await readTableIndex(handle, (await handle.stat()).size);
    await handle.close();
    expect(entries.map((_, i) => entryOf(columns, i))).toEqual(entries);
    expect([...offsets.slice(0, -1)]).toEqual(own.map(({ offset }) => offset));
    // The last separator lies beyond the keys.
    expect([...seqs.slice(0, -1)]).toEqual(own.slice(0, -1).map(({ lastSeq }) => lastSeq));
    expect(deleted.includes(1)).toBe(false);
  }
});

test('a sound store is read in any order, and each block is looked at once', async () => {
  const storeDir = copy();
  const guard = await guardOf(storeDir);
  const random = seeded(SEED);
  for (let i = 0; i < 200; i++) {
    const from = 1 + Math.floor(random() * head);
    guard.assertReadable(from, Math.min(head, from + Math.floor(random() * 40)));
  }
  guard.assertReadable(1, head);
  // All of it has been checked: the files are not needed any more.
  rmSync(join(storeDir, PATHS.log), { recursive: true });
  guard.assertReadable(1, head);
});

test(`a damaged block is refused, and what does not touch it is not (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  const pick = (n: number) => Math.floor(random() * n);
  for (let round = 0; round < 40; round++) {
    const storeDir = copy();
    const bad = Array.from({ length: 1 + pick(3) }, () => blocks[pick(blocks.length)]!);
    for (const { file, offset, sizeBytes } of new Set(bad))
      flip(join(storeDir, PATHS.log, file), offset + pick(sizeBytes + 5), pick(8));
    const guard = await guardOf(storeDir);
    for (let i = 0; i < 100; i++) {
      // Half of them near the damage.
      const near = bad[pick(bad.length)]!;
      const from = Math.max(1, random() < 0.5 ? 1 + pick(head) : near.firstSeq - 5 + pick(12));
      const to = Math.min(head, from + (random() < 0.5 ? 0 : pick(60)));
      if (from > head) continue;
      const touches = bad.some(({ firstSeq, lastSeq }) => from <= lastSeq && to >= firstSeq);
      // LevelDB reads the block before as well, to find where the range starts.
      const isAway = bad.every(({ firstSeq, lastSeq }) => from > lastSeq + 1 || to < firstSeq - 1);
      const isRefused = refused(guard, from, to);
      if (touches) expect(isRefused, `${from} to ${to}`).toBe(true);
      if (isAway) expect(isRefused, `${from} to ${to}`).toBe(false);
    }
    expect(refused(guard, 1, head)).toBe(true);
    rmSync(storeDir, { recursive: true });
  }
});

test('a log with a damaged block gives every other record, and never a wrong one', async () => {
  const texts = await (async () => {
    const log = await openLog({ storeDir: copy() });
    const all = await allTexts(log);
    await log.close();
    return all;
  })();
  expect(texts).toHaveLength(TABLES * EVENTS);
  const bad = blocks[Math.floor(blocks.length / 2)]!;
  const storeDir = copy();
  flip(join(storeDir, PATHS.log, bad.file), bad.offset + 30, 3);
  const log = await openLog({ storeDir });
  for (let seq = head; seq > 1; seq--) {
    const isBad = seq >= bad.firstSeq && seq <= bad.lastSeq;
    const isNear = seq >= bad.firstSeq - 1 && seq <= bad.lastSeq + 1;
    const read = () => Buffer.from(log.get(seq).body!).toString();
    if (isBad) expect(read).toThrow(expect.objectContaining({ code: 'WAL_BAD_RECORD' }));
    else if (!isNear) expect(read()).toBe(texts[seq - 2]);
  }
  await expect(allTexts(log)).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
  await log.close();
});

test('an index that is lost after the look refuses its whole table', async () => {
  const storeDir = copy();
  const guard = await guardOf(storeDir, false);
  const { file } = blocks.at(-1)!;
  const own = blocks.filter(block => block.file === file);
  truncateSync(join(storeDir, PATHS.log, file), own.at(-1)!.offset);
  expect(refused(guard, own[0]!.firstSeq + 3, own[0]!.firstSeq + 3)).toBe(true);
  expect(refused(guard, own.at(-1)!.lastSeq, own.at(-1)!.lastSeq)).toBe(true);
  expect(refused(guard, 1, own[0]!.firstSeq - 1)).toBe(false);
});
