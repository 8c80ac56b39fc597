/**
 * What both implementations of the log promise: one suite over a factory.
 */
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GroupCommitLog } from '#wal/group-commit.js';
import { MemoryLog } from '#wal/memory-log.js';
import { openLog } from '#wal/open.js';
import type { QueueLimits } from '#wal/queue.js';
import { decodeRecord, type LogRecord, MAY_SKIP, RecordType } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { allTexts, Directories, event, put, textOf, textsOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

interface Options {
  readonly clock?: () => number;
  readonly limits?: Partial<QueueLimits>;
}

const implementations: [string, (options?: Options) => Promise<GroupCommitLog>][] = [
  ['MemoryLog', async options => new MemoryLog(options)],
  ['LevelLog', options => openLog({ storeDir: directories.path(), create: true, ...options })],
];

describe.each(implementations)('%s', (_, make) => {
  let log: GroupCommitLog;
  /** What is in a log before anything is appended: LevelLog begins with its genesis record. */
  let start: number;

  async function use(options?: Options): Promise<void> {
    await log?.close();
    log = await make(options);
    start = log.head.seq;
  }

  beforeEach(() => use());
  afterEach(() => log.close());

  describe('begin', () => {
    test('a transaction in parts counts with its commit, and followers are told of that alone', async () => {
      const told: number[][] = [];
      const prepared: unknown[] = [];
      log.subscribe(
        records => told.push(records.map(({ seq }) => seq)),
        records => prepared.push(records),
      );
      const transaction = log.begin();
      expect(transaction.firstSeq).toBe(start + 1);
      await transaction.append([event('a'), event('b')]);
      await transaction.append([event('c')]);
      expect(log.head.seq).toBe(start);
      expect(() => log.append([event('d')])).toThrowError(expect.objectContaining({ code: 'WAL_BUSY' }));
      expect(() => log.begin()).toThrowError(expect.objectContaining({ code: 'WAL_BUSY' }));
      const { firstSeq, lastSeq, hash } = await transaction.commit();
      expect({ firstSeq, lastSeq }).toEqual({ firstSeq: start + 1, lastSeq: start + 4 });
      expect(log.head).toMatchObject({ seq: lastSeq, hash });
      expect([told, prepared]).toEqual([[[lastSeq]], []]);
      expect(log.get(lastSeq)).toMatchObject({ type: RecordType.commit, txFirst: start + 1, last: true });
      await log.append([event('d')]).durable;
      const committed = [];
      for await (const records of readCommitted(log, start + 1, log.head.seq))
        committed.push(...records.filter(({ type }) => type !== RecordType.commit).map(textOf));
      expect(committed).toEqual(['a', 'b', 'c', 'd']);
      await expect(transaction.append([event('e')])).rejects.toMatchObject({ code: 'WAL_POISONED' });
    });

    test('an aborted one only takes up numbers', async () => {
      const told: number[][] = [];
      log.subscribe(records => told.push(records.map(({ seq }) => seq)));
      const transaction = log.begin();
      await transaction.append([event('a'), event('b')]);
      await transaction.abort();
      expect(log.head.seq).toBe(start + 3);
      await log.append([event('c')]).durable;
      expect(told).toEqual([[start + 4]]);
      const committed = [];
      for await (const records of readCommitted(log, start + 1, log.head.seq))
        committed.push(...records.map(textOf));
      expect(committed).toEqual(['c']);
    });
  });

  describe('append', () => {
    test('answers the numbers at once, and the head follows when they are durable', async () => {
      const appended = log.append([event('a'), event('b')]);
      expect(appended).toMatchObject({ firstSeq: start + 1, lastSeq: start + 2 });
      expect(log.nextSeq).toBe(start + 3);
      expect(log.head.seq).toBe(start);
      await appended.durable;
      expect(log.head).toMatchObject({ seq: start + 2, hash: appended.hash });
      expect(log.get(start + 2).hash).toBe(appended.hash);
    });

    test('keeps bytes, type, actor and time', async () => {
      const body = Uint8Array.from({ length: 256 }, (_, i) => i);
      const type = 50 | MAY_SKIP;
      const { durable, wallMs } = log.append([{ type, body, actor: start + 1 }]);
      body.fill(0);
      await durable;
      const record = log.get(start + 1);
      expect(record).toMatchObject({ type, actor: start + 1, wallMs, logicalMs: wallMs, last: true });
      expect([...record.body!]).toEqual(Array.from({ length: 256 }, (_, i) => i));
    });

    test('goes ahead at the expected sequence number and refuses any other', async () => {
      const first = log.append([event('a')], start + 1);
      expect(() => log.append([event('b')], start + 1)).toThrow(
        expect.objectContaining({
          code: 'WAL_CONFLICT',
          details: { expected: start + 1, next: start + 2 },
        }),
      );
      const second = log.append([event('c')], start + 2);
      await Promise.all([first.durable, second.durable]);
      expect(await allTexts(log)).toEqual(['a', 'c']);
    });

    test('refuses a transaction without events, and types that belong to the log', async () => {
      expect(() => log.append([])).toThrow(RangeError);
      for (const type of [0, RecordType.genesis, RecordType.commit, 15, 4 | MAY_SKIP, -1, 1.5, 0x10000])
        expect(() => log.append([{ ...event('a'), type }])).toThrow(RangeError);
      expect(log.nextSeq).toBe(start + 1);
    });

    test('refuses an event beyond 64 MiB without a trace of its transaction', async () => {
      const huge = { ...event('huge'), body: new Uint8Array(64 * 1024 * 1024) };
      expect(() => log.append([event('a'), huge])).toThrow(
        expect.objectContaining({ code: 'WAL_TOO_LARGE' }),
      );
      expect(log.nextSeq).toBe(start + 1);
      await put(log, 'b');
      expect(await allTexts(log)).toEqual(['b']);
    });

    test('resolves in order of sequence, however many wait', async () => {
      const order: number[] = [];
      const appended = Array.from({ length: 300 }, (_, i) => log.append([event(`${i}`), event('+')]));
      await Promise.all(appended.map(({ durable, lastSeq }) => durable.then(() => order.push(lastSeq))));
      expect(order).toEqual(appended.map(({ lastSeq }) => lastSeq));
      expect(log.head.seq).toBe(start + 600);
    });
  });

  describe('the queue', () => {
    test('refuses loudly beyond its count, queues nothing then, and takes on again', async () => {
      await use({ limits: { maxQueuedTransactions: 3 } });
      const taken = ['a', 'b', 'c'].map(text => log.append([event(text)]));
      expect(() => log.append([event('d')])).toThrow(expect.objectContaining({ code: 'WAL_BUSY' }));
      expect(log.nextSeq).toBe(start + 4);
      await Promise.all(taken.map(({ durable }) => durable));
      await put(log, 'e');
      expect(await allTexts(log)).toEqual(['a', 'b', 'c', 'e']);
    });

    test('refuses what would exceed its bytes, but lets one large transaction in alone', async () => {
      await use({ limits: { maxQueuedBytes: 1000 } });
      const large = log.append([event('large', 5000)]);
      expect(() => log.append([event('b')])).toThrow(expect.objectContaining({ code: 'WAL_BUSY' }));
      await large.durable;
      const small = log.append([event('c', 500)]);
      expect(() => log.append([event('d', 500)])).toThrow(expect.objectContaining({ code: 'WAL_BUSY' }));
      await small.durable;
      expect(log.head.seq).toBe(start + 2);
    });
  });

  describe('reading', () => {
    const COUNT = 2500;
    const text = (i: number) => `event ${i}`;

    beforeEach(async () => {
      for (let i = 0; i < COUNT; i += 100)
        await put(log, ...Array.from({ length: 100 }, (_, j) => text(i + j)));
    });

    test('gives any range forward and newest first', async () => {
      const all = Array.from({ length: COUNT }, (_, i) => text(i));
      expect(await allTexts(log)).toEqual(all);
      expect(await textsOf(log.read({ reverse: true }))).toEqual(all.toReversed());
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: COUNT + 10 }),
          fc.integer({ min: 1, max: COUNT + 10 }),
          fc.boolean(),
          async (from, to, reverse) => {
            const seqs: number[] = [];
            for await (const piece of log.read({ from, to, reverse }))
              seqs.push(...piece.map(record => record.seq));
            const length = Math.max(0, Math.min(to, log.head.seq) - from + 1);
            const expected = Array.from({ length }, (_, i) => from + i);
            expect(seqs).toEqual(reverse ? expected.reverse() : expected);
          },
        ),
        { numRuns: 40 },
      );
    });

    test('gives what is stored as it is, and nothing where nothing is', async () => {
      const seqs = async (from: number, to: number) => {
        const found: number[] = [];
        for await (const piece of log.raw(from, to))
          for (const [seq, value] of piece) {
            expect(decodeRecord(value, seq)).toEqual(log.get(seq));
            found.push(seq);
          }
        return found;
      };
      const { seq } = log.head;
      expect(await seqs(1, seq)).toEqual(Array.from({ length: seq }, (_, i) => i + 1));
      expect(await seqs(seq - 1, seq + 5)).toEqual([seq - 1, seq]);
      expect(await seqs(3, 2)).toEqual([]);
    });

    test('gets single records and refuses numbers outside the log', () => {
      expect(textOf(log.get(start + 1))).toBe(text(0));
      expect(textOf(log.get(log.head.seq))).toBe(text(COUNT - 1));
      for (const seq of [0, -1, 1.5, Number.NaN, log.head.seq + 1])
        expect(() => log.get(seq)).toThrow(RangeError);
    });

    test('sees the log as it was when it began, whatever is appended meanwhile', async () => {
      const seen: string[] = [];
      for await (const piece of log.read()) {
        seen.push(...piece.filter(record => record.seq > start).map(textOf));
        await put(log, 'later');
      }
      expect(seen).toEqual(Array.from({ length: COUNT }, (_, i) => text(i)));
    });

    test('a reader may stop anywhere', async () => {
      for await (const piece of log.read()) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
      await put(log, 'on');
    });
  });

  describe('following', () => {
    test('tells of every transaction once, in order, before its append resolves', async () => {
      const told: string[][] = [];
      const unsubscribe = log.subscribe(records => told.push(records.map(textOf)));
      await Promise.all([put(log, 'a', 'b'), put(log, 'c')]);
      expect(told).toEqual([['a', 'b'], ['c']]);
      const seen = log.append([event('d')]).durable.then(() => told.length);
      expect(await seen).toBe(3);
      unsubscribe();
      await put(log, 'e');
      expect(told).toHaveLength(3);
    });

    test('whoever subscribes and reads up to the head misses nothing and sees nothing twice', async () => {
      const writes = Promise.all(Array.from({ length: 200 }, (_, i) => put(log, `${i}`)));
      await new Promise(resolve => setImmediate(resolve));
      const followed: string[] = [];
      log.subscribe(records => followed.push(...records.map(textOf)));
      const before = await textsOf(log.read({ to: log.head.seq }));
      await writes;
      expect([...before, ...followed]).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
    });

    test('prepares each transaction before it counts, and gets what it made of it', async () => {
      const prepared: string[][] = [];
      const told: [string[], number | undefined][] = [];
      log.subscribe<number>(
        (records, made) => told.push([records.map(textOf), made]),
        records => {
          // Of what is not written yet the head knows nothing.
          expect(log.head.seq).toBeLessThan(records[0].seq);
          return prepared.push(records.map(textOf));
        },
      );
      await Promise.all([put(log, 'a', 'b'), put(log, 'c')]);
      await put(log, 'd');
      expect(prepared).toEqual([['a', 'b'], ['c'], ['d']]);
      expect(told).toEqual([
        [['a', 'b'], 1],
        [['c'], 2],
        [['d'], 3],
      ]);
    });

    test('a follower sees the head behind what it is told, and may append', async () => {
      const heads: number[] = [];
      const answer: Promise<void>[] = [];
      log.subscribe(records => {
        heads.push(log.head.seq - records[records.length - 1].seq);
        if (answer.length === 0) answer.push(put(log, 'answer'));
      });
      await put(log, 'question');
      await answer[0];
      expect(heads).toEqual([0, 0]);
      expect(await allTexts(log)).toEqual(['question', 'answer']);
    });
  });

  describe('long transactions', () => {
    const MANY = Array.from({ length: 50 }, (_, i) => `long ${i}`);

    beforeEach(() => use({ limits: { maxBatchBytes: 1000 } }));

    test('end in a commit record of their own and are read like any other', async () => {
      const told: LogRecord[][] = [];
      log.subscribe(records => told.push([...records]));
      await put(log, 'before');
      const { durable, firstSeq, lastSeq } = log.append(MANY.map(text => event(text)));
      await durable;
      await put(log, 'after');
      expect(lastSeq - firstSeq).toBe(MANY.length);
      expect(log.get(lastSeq)).toMatchObject({ type: RecordType.commit, last: true, long: true });
      expect(told.map(records => records.length)).toEqual([1, MANY.length + 1, 1]);
      const committed = readCommitted(log, start + 1, log.head.seq);
      expect(await textsOf(committed)).toEqual(['before', ...MANY, 'after']);
    });

    test('are given whole when a range ends inside one', async () => {
      await put(log, 'a', 'b', 'c');
      await put(log, ...MANY);
      await put(log, 'after');
      expect(await textsOf(readCommitted(log, start + 1, start + 2))).toEqual(['a', 'b', 'c']);
      expect(await textsOf(readCommitted(log, start + 4, start + 9))).toEqual(MANY);
    });

    test('a transaction just within the limit needs no commit record', async () => {
      await use({ limits: { maxBatchBytes: 2 * (128 + 100) } });
      expect(log.append([event('a', 100), event('b', 100)]).lastSeq).toBe(start + 2);
      expect(log.append([event('a', 100), event('b', 101)]).lastSeq).toBe(start + 5);
    });
  });

  test('logical time never runs backwards; the wall time is kept beside it', async () => {
    const DAY = 86_400_000;
    const walls = [1000, 1000, 900, 5, 2000, 2000 + 400 * DAY, 2100, 2200];
    let at = 0;
    // Tells the last of the walls for whoever asks more often: HEAD bears a time too.
    await use({ clock: () => walls[Math.min(at, walls.length - 1)]! });
    for (; at < walls.length; at++) await put(log, `${at}`, '+');
    const times: [number, number][] = [];
    for await (const piece of log.read({ from: start + 1 }))
      times.push(...piece.map(({ wallMs, logicalMs }): [number, number] => [wallMs, logicalMs]));
    let logical = 0;
    const expected = walls.flatMap((wall): [number, number][] => {
      logical = Math.max(logical, wall);
      return [
        [wall, logical],
        [wall, logical],
      ];
    });
    expect(times).toEqual(expected);
    expect(log.head.logicalMs).toBe(logical);
  });

  test('erases contents: what is left stands in their place, and the records around them stay', async () => {
    await put(log, 'first', 'second and long', 'third');
    const residue = Buffer.from('left');
    expect(await log.erase([{ seq: start + 2, residue }])).toBe('second and long'.length - residue.length);
    await log.reclaim(start + 1, start + 3);
    expect(log.get(start + 2).body).toBeUndefined();
    expect(Buffer.from(log.get(start + 2).residue!)).toEqual(residue);
    expect(await allTexts(log)).toEqual(['first', '', 'third']);
  });

  describe('close', () => {
    test('waits for what is queued and refuses what comes after, in the same turn already', async () => {
      const appended = log.append([event('a')]);
      let durable = false;
      void appended.durable.then(() => {
        durable = true;
      });
      const closing = log.close();
      expect(() => log.append([event('b')])).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
      await closing;
      expect(durable).toBe(true);
      expect(() => log.append([event('b')])).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
      expect(() => log.get(log.head.seq)).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
      await expect(allTexts(log)).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    });

    test('may be called twice, at once or later', async () => {
      await Promise.all([log.close(), log.close()]);
      await log.close();
    });

    test('a reader in the middle of a range is told', async () => {
      for (let i = 0; i < 3; i++)
        await put(log, ...Array.from({ length: 1000 }, (_, j) => `${i * 1000 + j}`));
      const reading = log.read()[Symbol.asyncIterator]();
      await reading.next();
      await log.close();
      await expect(reading.next()).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    });
  });

  test('random appends and reads agree with an array', async () => {
    const model: string[] = [];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.string({ maxLength: 40 }), { minLength: 1, maxLength: 8 }), { maxLength: 12 }),
        async transactions => {
          await Promise.all(
            transactions.map(texts => {
              model.push(...texts);
              return put(log, ...texts);
            }),
          );
          expect(await textsOf(readCommitted(log, 1, log.head.seq))).toEqual(model);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('a log in memory as it was then ends with a transaction, never within one', async () => {
  const log = new MemoryLog();
  await put(log, 'a');
  await put(log, 'b', 'c');
  expect(await allTexts(log.prefix(1))).toEqual(['a']);
  expect(await allTexts(log.prefix(0))).toEqual([]);
  expect(() => log.prefix(2)).toThrow(RangeError);
  const then = log.prefix(1);
  await put(then, 'another way');
  expect(await allTexts(then)).toEqual(['a', 'another way']);
  expect(await allTexts(log)).toEqual(['a', 'b', 'c']);
});
