/**
 * The poison rule: after any write error nothing is written until the disk is proved well and the tail is known; reads go on;
 * every caller learns what became of its write. With errors injected into the real database; on full disks: poison-disks.test.ts.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WalError } from '#wal/errors.js';
import { type HeadFile, readHeadFile } from '#wal/head-file.js';
import type { LevelLog } from '#wal/level-log.js';
import { type OpenLogOptions, openLog } from '#wal/open.js';
import type { LogDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import { PROBE_FILE } from '#wal/probe.js';
import { RecordType } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { verifyLog } from '#wal/verify.js';
import { truncate } from '../helpers/damage.js';
import { allTexts, Directories, event, put, textOf, textsOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
let log: LevelLog;
let states: (string | undefined)[];
let followed: string[];

async function start(options: Partial<OpenLogOptions> = {}): Promise<void> {
  await log?.close();
  storeDir = directories.path();
  states = [];
  followed = [];
  log = await openLog({
    storeDir,
    create: true,
    intervalMs: 20,
    onState: failure => states.push(failure?.code),
    ...options,
  });
  log.subscribe(records => followed.push(...records.map(textOf)));
}

beforeEach(() => start());
afterEach(() => log.close());

const insides = () => log as unknown as { database: LogDatabase; headFile: HeadFile };
const eio = () => new Error('write failed', { cause: new Error('IO error: Input/output error') });

/** Puts `instead` in the place of each write of a batch; it is given the real one. Only of this handle. */
function interceptWrites(instead: (write: () => Promise<void>) => Promise<void>): void {
  const { database } = insides();
  const batch = database.batch.bind(database) as () => ReturnType<typeof database.batch>;
  database.batch = (() => {
    const chained = batch();
    const write = chained.write.bind(chained) as (...args: unknown[]) => Promise<void>;
    chained.write = (...args: unknown[]) => instead(() => write(...args));
    return chained;
  }) as typeof database.batch;
}

/** The database's next batch but `after` fails, its data being on disk or not. Only this handle: reopened, the disk is well. */
function failBatch(data: 'present' | 'absent', after = 0): void {
  let left = after;
  interceptWrites(async write => {
    if (left-- > 0 || data === 'present') await write();
    if (left < 0) throw eio();
  });
}

/** While a directory stands in the probe's way, it cannot be written. */
const block = () => mkdirSync(join(storeDir, PROBE_FILE));
const unblock = () => rmSync(join(storeDir, PROBE_FILE), { recursive: true });
const healed = () => expect.poll(() => log.failure, { timeout: 10_000 }).toBeUndefined();

async function expectSound(...texts: string[]): Promise<void> {
  expect(await textsOf(readCommitted(log, 1, log.head.seq))).toEqual(texts);
  await log.close();
  expect((await verifyLog(storeDir)).findings).toEqual([]);
  const again = await openLog({ storeDir });
  expect(await textsOf(readCommitted(again, 1, again.head.seq))).toEqual(texts);
  await again.close();
}

describe('a failed write', () => {
  test('whose data is not there: the caller learns that nothing was written, and may repeat it at once', async () => {
    await put(log, 'a');
    failBatch('absent');
    const repeated = put(log, 'b').catch(error => {
      expect(error).toMatchObject({ code: 'WAL_POISONED' });
      return put(log, 'b');
    });
    await repeated;
    expect(states).toEqual(['WAL_POISONED', undefined]);
    expect(followed).toEqual(['a', 'b']);
    await expectSound('a', 'b');
  });

  test('whose data is there after all: the caller learns that it was written, and followers once', async () => {
    await put(log, 'a');
    failBatch('present');
    const both = [log.append([event('b'), event('c')]), log.append([event('d')])];
    await Promise.all(both.map(({ durable }) => durable));
    expect(log.head).toMatchObject({ seq: both[1]!.lastSeq, hash: both[1]!.hash });
    expect(followed).toEqual(['a', 'b', 'c', 'd']);
    await put(log, 'e');
    await expectSound('a', 'b', 'c', 'd', 'e');
  });

  test.each(['present', 'absent'] as const)(
    'while the disk stays ill, the outcome is unknown, reads go on, and writes resume by themselves (data %s)',
    async data => {
      await put(log, 'a');
      block();
      failBatch(data);
      await expect(put(log, 'b')).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
      expect(() => log.append([event('c')])).toThrow(expect.objectContaining({ code: 'WAL_POISONED' }));
      await new Promise(resolve => setTimeout(resolve, 100));
      expect(await allTexts(log)).toEqual(['a']);
      expect(textOf(log.get(2))).toBe('a');
      expect(states).toEqual(['WAL_POISONED']);
      unblock();
      await healed();
      await put(log, 'd');
      const texts = data === 'present' ? ['a', 'b', 'd'] : ['a', 'd'];
      expect(followed).toEqual(texts);
      await expectSound(...texts);
    },
  );

  test('tells those who only waited that nothing was written', async () => {
    block();
    let second: Promise<unknown> | undefined;
    interceptWrites(() => {
      second = put(log, 'b').catch(error => error.code);
      return Promise.reject(eio());
    });
    await expect(put(log, 'a')).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
    expect(await second).toBe('WAL_POISONED');
    unblock();
    await healed();
    await expectSound();
  });

  test('in the middle of a long transaction voids it: followers never hear of it, and the log goes on', async () => {
    await start({ limits: { maxBatchBytes: 500 } });
    await put(log, 'a');
    failBatch('absent', 3);
    const long = log.append(Array.from({ length: 30 }, (_, i) => event(`long ${i}`, 100)));
    await expect(long.durable).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await put(log, 'b');
    expect(log.get(log.head.seq - 1).type).toBe(RecordType.abort);
    expect(followed).toEqual(['a', 'b']);
    await expectSound('a', 'b');
  });

  test('of HEAD stops writes as well, and they resume when it can be written', async () => {
    await put(log, 'a');
    const { headFile } = insides();
    const write = headFile.write;
    headFile.write = () => Promise.reject(eio());
    await put(log, 'b');
    await expect.poll(() => log.failure?.code).toBe('WAL_POISONED');
    expect(() => log.append([event('c')])).toThrow(expect.objectContaining({ code: 'WAL_POISONED' }));
    // The reopening fails by it as well, and says so to whoever reads.
    const refusal = () => log.readable().then(() => '', String);
    await expect
      .poll(refusal, { timeout: 10_000 })
      .toContain('the log could not be reopened: IO error: Input/output error');
    expect(log.failure?.code).toBe('WAL_POISONED');
    headFile.write = write;
    await healed();
    await put(log, 'd');
    expect(followed).toEqual(['a', 'b', 'd']);
    await expectSound('a', 'b', 'd');
  });

  test('of HEAD in strict mode: what is in the log was written, and is acknowledged once HEAD says so', async () => {
    await start({ durability: 'strict' });
    const { headFile } = insides();
    const write = headFile.write;
    headFile.write = () => {
      headFile.write = write;
      return Promise.reject(eio());
    };
    await put(log, 'a');
    expect(states).toEqual(['WAL_POISONED', undefined]);
    await expectSound('a');
  });

  test('again and again, under many writers: every answer is true, and none is missing', async () => {
    const acked: string[] = [];
    const refused: string[] = [];
    const write = async (text: string) => {
      try {
        await put(log, text);
        acked.push(text);
      } catch (error) {
        // Healed at once each time: nobody is left in doubt.
        expect(error).toMatchObject({ code: 'WAL_POISONED' });
        refused.push(text);
      }
    };
    for (let round = 0; round < 12; round++) {
      failBatch(round % 2 === 0 ? 'present' : 'absent', round % 3);
      await Promise.all(Array.from({ length: 10 }, (_, i) => write(`${round}.${i}`)));
      for (let i = 10; i < 14; i++) await write(`${round}.${i}`);
      await healed();
    }
    expect(acked.length + refused.length).toBe(12 * 14);
    expect(refused.length).toBeGreaterThan(0);
    expect(followed.toSorted()).toEqual(acked.toSorted());
    await expectSound(...followed);
  });
});

describe('a transaction in parts', () => {
  test('is in strict mode proved by HEAD once it is committed, and not before', async () => {
    await start({ durability: 'strict' });
    const proven = () => readHeadFile(join(storeDir, PATHS.head))!.proof.seq;
    await put(log, 'a');
    const transaction = log.begin();
    await transaction.append([event('b')]);
    expect(proven()).toBe(2);
    await transaction.commit();
    expect([log.head.seq, proven()]).toEqual([4, 4]);
    const other = log.begin();
    await other.append([event('c')]);
    await other.abort();
    expect([log.head.seq, proven()]).toEqual([6, 6]);
    await expectSound('a', 'b');
  });

  test('is void once a part has failed, though that part is there after all', async () => {
    await put(log, 'a');
    const transaction = log.begin();
    failBatch('present');
    await expect(transaction.append([event('b')])).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await put(log, 'c');
    expect(followed).toEqual(['a', 'c']);
    await expectSound('a', 'c');
  });

  test('is not taken for written where its abort stands in the place of its commit', async () => {
    await start({ limits: { maxBatchBytes: 500 } });
    // Each a part of its own, and so is the commit.
    failBatch('absent', 3);
    const long = log.append(Array.from({ length: 3 }, (_, i) => event(`long ${i}`, 450)));
    await expect(long.durable).rejects.toMatchObject({ code: 'WAL_POISONED' });
    expect(log.get(long.lastSeq).type).toBe(RecordType.abort);
    expect([log.head.seq, followed]).toEqual([long.lastSeq, []]);
    await expectSound();
  });
});

test('a failure that can heal does not take the place of one that cannot', async () => {
  const { headFile } = insides();
  headFile.write = () =>
    Promise.reject(new WalError('WAL_FOREIGN_OWNER', 'another process writes', 'Stop it.'));
  await put(log, 'a');
  // In flight when HEAD is to follow the one before.
  let fail!: () => void;
  interceptWrites(
    () =>
      new Promise((_, reject) => {
        fail = () => reject(eio());
      }),
  );
  const last = put(log, 'b');
  await expect.poll(() => log.failure?.code).toBe('WAL_FOREIGN_OWNER');
  fail();
  await expect(last).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
  expect(log.failure?.code).toBe('WAL_FOREIGN_OWNER');
  expect(() => log.append([event('c')])).toThrow(expect.objectContaining({ code: 'WAL_FOREIGN_OWNER' }));
});

describe('on macOS, where a flush by LevelDB does not reach the platter', () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
  const logFile = () => {
    const dir = join(storeDir, PATHS.log);
    return join(dir, readdirSync(dir).find(name => name.endsWith('.log'))!);
  };

  beforeEach(async () => {
    Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' });
    await start({ durability: 'strict' });
    return () => {
      Object.defineProperty(process, 'platform', platform);
    };
  });

  /** From now on it can be written by LevelDB, which has it open, but not be opened to be flushed. */
  function refuseFlushes(): void {
    const path = logFile();
    renameSync(path, join(storeDir, 'aside'));
    mkdirSync(path);
    block();
  }

  test('a write is not acknowledged in strict mode where the flush of its file fails', async () => {
    await put(log, 'a');
    refuseFlushes();
    await expect(put(log, 'b')).rejects.toMatchObject({
      code: 'WAL_OUTCOME_UNKNOWN',
      message: expect.stringContaining('EISDIR'),
    });
    expect(states).toEqual(['WAL_POISONED']);
  });

  test('nor is an erasure; one in a sound log goes through, though LevelDB begins another file for it', async () => {
    await put(log, 'a'.repeat(100));
    await put(log, 'b'.repeat(100));
    expect(await log.erase([{ seq: 2, residue: Buffer.from('r') }])).toBeGreaterThan(0);
    await log.reclaim(2, 2);
    await put(log, 'c');
    expect(states).toEqual([]);
    refuseFlushes();
    await expect(log.erase([{ seq: 3, residue: Buffer.from('r') }])).rejects.toMatchObject({
      code: 'WAL_POISONED',
      message: expect.stringMatching(/^erasing payloads failed: EISDIR/),
    });
    expect(states).toEqual(['WAL_POISONED']);
  });
});

describe('the reopening', () => {
  test('that fails is tried again; meanwhile reads are refused by a code, and nothing is lost', async () => {
    await put(log, 'a');
    // What LevelDB may drop cannot be kept aside: so it must not be opened.
    rmSync(join(storeDir, PATHS.evidence), { recursive: true });
    writeFileSync(join(storeDir, PATHS.evidence), '');
    failBatch('absent');
    await expect(put(log, 'b')).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
    expect(() => log.get(2)).toThrow(expect.objectContaining({ code: 'WAL_IO' }));
    await expect(log.readable()).rejects.toMatchObject({ code: 'WAL_IO' });
    await new Promise(resolve => setTimeout(resolve, 100));
    rmSync(join(storeDir, PATHS.evidence));
    await healed();
    await log.readable();
    await put(log, 'c');
    await expectSound('a', 'c');
  });

  test('that finds an acknowledged write gone stops the log for good', async () => {
    await put(log, 'a');
    await put(log, 'b');
    block();
    failBatch('absent');
    await expect(put(log, 'c')).rejects.toMatchObject({ code: 'WAL_OUTCOME_UNKNOWN' });
    const file = readdirSync(join(storeDir, PATHS.log)).find(name => name.endsWith('.log'))!;
    truncate(join(storeDir, PATHS.log, file), 120);
    unblock();
    await expect.poll(() => log.failure?.code, { timeout: 10_000 }).toBe('WAL_LOST_TAIL');
    expect(() => log.append([event('d')])).toThrow(expect.objectContaining({ code: 'WAL_LOST_TAIL' }));
    expect(() => log.get(2)).toThrow(expect.objectContaining({ code: 'WAL_LOST_TAIL' }));
    await new Promise(resolve => setTimeout(resolve, 60));
    expect(states).toEqual(['WAL_POISONED', 'WAL_LOST_TAIL']);
  });

  test('is waited for by whoever reads in that moment', async () => {
    const texts = Array.from({ length: 4000 }, (_, i) => `${i}`);
    await put(log, ...texts);
    const readers = [false, true].map(async reverse => {
      const seen = await textsOf(log.read({ reverse }));
      return reverse ? seen.reverse() : seen;
    });
    failBatch('absent');
    await expect(put(log, 'x')).rejects.toMatchObject({ code: 'WAL_POISONED' });
    for (const seen of await Promise.all(readers)) expect(seen).toEqual(texts);
  });

  test('does not hold up a close', async () => {
    await put(log, 'a');
    failBatch('present');
    const last = put(log, 'b');
    await log.close();
    await last;
    expect((await verifyLog(storeDir)).findings).toEqual([]);
  });
});
