import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { look } from '#wal/leveldb/look.js';
import { checkTableBlocks } from '#wal/leveldb/table-file.js';
import { bitsOf, copyStore, flip, remove, truncate } from '../helpers/damage.js';
import { DatabaseProcess, type Failure, type ReadResult } from '../helpers/database-process.js';

/** How many times more damage than by default; 64 tries a bit of nearly every byte. */
const EFFORT = Number(process.env.LOOK_EFFORT ?? 1);
const SEED = Number(process.env.LOOK_SEED ?? 20);
const HEAD = 900;
const REWRITTEN = [3, 40, 41, 42, 600];
/** One bit in so many bytes of what the look reads whole, and of data blocks, which it leaves to the records' hashes. */
const STRIDE = { tail: 32, manifest: 24, current: 4, log: 768, data: 4096 };

/** What LevelDB makes of damaged files when nobody looks first. */
type Harm = 'none' | 'refused' | 'aborted at open' | 'aborted' | 'silent';

const databases = new DatabaseProcess();
const database = mkdtempSync(join(tmpdir(), 'look-damage-'));
/** By table file name: where its data blocks end. */
const dataEnds = new Map<string, number>();

/** Several tables in two levels, some of them overlapping, and a live log of more than one block. */
beforeAll(async () => {
  await databases.must('put', { dir: database, first: 1, last: 350 });
  await databases.must('compact', { dir: database, first: 1, last: 350 });
  await databases.must('put', { dir: database, first: 351, last: 700 });
  await databases.must('rewrite', { dir: database, seqs: REWRITTEN });
  await databases.must('put', { dir: database, first: 701, last: HEAD, writeBufferSize: 1 << 20 });
  for (const name of readdirSync(database).filter(name => name.endsWith('.ldb'))) {
    let end = 0;
    for await (const block of checkTableBlocks(join(database, name)))
      end = block.offset + block.sizeBytes + 5;
    dataEnds.set(name, end);
  }
});

afterAll(() => {
  databases.kill();
  rmSync(database, { recursive: true });
});

function harmOf(answer: ReadResult | Failure): Harm {
  if ('died' in answer) return answer.opened ? 'aborted' : 'aborted at open';
  if ('refused' in answer) return 'refused';
  const { missing, wrong, foreign, getMisses } = answer;
  return missing + wrong + foreign + getMisses > 0 ? 'silent' : 'none';
}

interface Trial {
  readonly what: string;
  readonly harm: Harm;
  /** `data`: not seen, but inside a data block, whose records carry their own hashes and whose keys are dense. */
  readonly seenBy: 'look' | 'HEAD' | 'data' | 'nobody';
}

/** Damage a copy; ask the look, then LevelDB. `dataOffset`: the damaged byte, if a single one. */
async function tryOut(
  name: string,
  what: string,
  damage: (file: string) => void,
  dataOffset?: number,
): Promise<Trial> {
  const copy = copyStore(database);
  try {
    damage(join(copy, name));
    const report = await look(copy);
    const harm = harmOf(await databases.run('read', { dir: copy, head: HEAD, rewritten: REWRITTEN }));
    const inData = dataOffset !== undefined && dataOffset < (dataEnds.get(name) ?? 0);
    const seenBy =
      report.state === 'damaged' ? 'look' : report.headSeq < HEAD ? 'HEAD' : inData ? 'data' : 'nobody';
    return { what: `${name} ${what}`, harm, seenBy };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function print(title: string, trials: readonly Trial[]): void {
  const counts = new Map<string, number>();
  for (const { what, harm, seenBy } of trials) {
    const kind = /^MANIFEST/.test(what) ? 'MANIFEST' : (/\.(ldb|log)/.exec(what)?.[1] ?? what.split(' ')[0]!);
    const row = `${kind.padEnd(8)} LevelDB: ${harm.padEnd(15)} seen by: ${seenBy}`;
    counts.set(row, (counts.get(row) ?? 0) + 1);
  }
  const rows = [...counts].sort().map(([row, count]) => `  ${String(count).padStart(5)}  ${row}`);
  console.log(`${title}: ${trials.length}\n${rows.join('\n')}`);
}

/** The damage to try on one file: a flipped bit here and there, densest where the look itself is put to the proof. */
function* flipsOf(name: string): Generator<{ offset: number; bit: number }> {
  const kind = name === 'CURRENT' ? 'current' : name.startsWith('MANIFEST') ? 'manifest' : 'log';
  const tailAt = dataEnds.get(name);
  const sparse = (stride: number) => Math.max(1, Math.floor(stride / EFFORT));
  if (tailAt === undefined) yield* bitsOf(join(database, name), sparse(STRIDE[kind]), SEED);
  else {
    yield* bitsOf(join(database, name), sparse(STRIDE.data), SEED, 0, tailAt);
    yield* bitsOf(join(database, name), sparse(STRIDE.tail), SEED, tailAt);
  }
}

const files = () => readdirSync(database).filter(name => !/^LO(CK|G)/.test(name));

describe('the look before opening, against LevelDB itself', () => {
  test('the database is sound before it is damaged', async () => {
    expect(await look(database)).toMatchObject({ state: 'sound', headSeq: HEAD, findings: [] });
    expect([...dataEnds.values()].filter(end => end > 0).length).toBeGreaterThanOrEqual(3);
    const copy = copyStore(database);
    const answer = await databases.run('read', { dir: copy, head: HEAD, rewritten: REWRITTEN });
    rmSync(copy, { recursive: true });
    expect(harmOf(answer)).toBe('none');
  });

  test('no flipped bit is harmful and unseen', { timeout: 1_800_000 }, async () => {
    const trials: Trial[] = [];
    for (const name of files()) {
      for (const { offset, bit } of flipsOf(name)) {
        trials.push(
          await tryOut(name, `bit ${bit} of byte ${offset}`, file => flip(file, offset, bit), offset),
        );
      }
    }
    print(`flipped bits, effort ${EFFORT}, seed ${SEED}`, trials);
    expect(trials.filter(({ harm, seenBy }) => harm !== 'none' && seenBy === 'nobody')).toEqual([]);
    expect(trials.filter(({ harm, seenBy }) => harm === 'aborted at open' && seenBy !== 'look')).toEqual([]);
  });

  test('no truncation is harmful and unseen', { timeout: 1_800_000 }, async () => {
    const trials: Trial[] = [];
    for (const name of files()) {
      const { size } = statSync(join(database, name));
      for (let to = 0; to < size; to += Math.max(1, Math.floor(size / 20 / EFFORT))) {
        trials.push(await tryOut(name, `cut to ${to} bytes`, file => truncate(file, to)));
      }
    }
    print('truncations', trials);
    expect(trials.filter(({ harm, seenBy }) => harm !== 'none' && seenBy === 'nobody')).toEqual([]);
  });

  test('no missing file is harmful and unseen', async () => {
    const trials: Trial[] = [];
    for (const name of files()) trials.push(await tryOut(name, 'deleted', remove));
    print('deleted files', trials);
    expect(trials.filter(({ harm, seenBy }) => harm !== 'none' && seenBy === 'nobody')).toEqual([]);
  });
});
