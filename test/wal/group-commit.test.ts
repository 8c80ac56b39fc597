/** What both implementations of the log share, where it does not go well: holes, broken chains, followers at fault, writes that fail. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WalError } from '#wal/errors.js';
import { MemoryLog } from '#wal/memory-log.js';
import type { Pending } from '#wal/queue.js';
import { decodeRecord, encodeRecord, type LogRecord } from '#wal/record.js';
import { chained, chainedAfter } from '../helpers/chained.js';
import { event, put } from '../helpers/wal.js';

async function seqsOf(pieces: AsyncIterable<readonly LogRecord[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const piece of pieces) seqs.push(...piece.map(({ seq }) => seq));
  return seqs;
}

describe('records that are missing', () => {
  /** Records 1 to 6 without these. */
  function without(...lost: number[]): MemoryLog {
    const values: (Uint8Array | undefined)[] = chained({}, {}, {}, {}, {}, {});
    for (const seq of lost) values[seq - 1] = undefined;
    return MemoryLog.of(values as Uint8Array[]);
  }
  const gap = (from: number, to: number) => ({
    code: 'WAL_GAP',
    message: from === to ? `record ${from} is missing` : `records ${from} to ${to} are missing`,
    details: { from, to },
  });

  test.each<[string, number[], { from?: number; to?: number }, from: number, to: number]>([
    ['in the middle', [3, 4], {}, 3, 4],
    ['one alone', [5], {}, 5, 5],
    ['the first', [1, 2], {}, 1, 2],
    ['the first alone', [1], {}, 1, 1],
    ['the last alone of what is asked for', [5], { to: 5 }, 5, 5],
    ['the last of what is asked for', [4, 5], { from: 2, to: 5 }, 4, 5],
    ['all of what is asked for', [2, 3], { from: 2, to: 3 }, 2, 3],
  ])('%s, in both directions', async (_, lost, range, from, to) => {
    const log = without(...lost);
    await expect(seqsOf(log.read(range))).rejects.toMatchObject(gap(from, to));
    await expect(seqsOf(log.read({ ...range, reverse: true }))).rejects.toMatchObject(gap(from, to));
  });

  test('by themselves, to be read or erased; nothing is erased then', async () => {
    const log = without(4);
    expect(() => log.get(4)).toThrow(expect.objectContaining(gap(4, 4)));
    const residue = Buffer.from('left');
    const both = log.erase([
      { seq: 3, residue },
      { seq: 4, residue },
    ]);
    await expect(both).rejects.toMatchObject(gap(4, 4));
    expect(log.get(3).body).toBeDefined();
    expect(await seqsOf(log.read({ to: 3 }))).toEqual([1, 2, 3]);
  });
});

describe('a chain that is broken', () => {
  const values = chained({}, {}, {}, {});
  const other = chainedAfter(chained({}, { body: Buffer.from('another') })[1], {});
  const log = () => MemoryLog.of([values[0]!, values[1]!, other[0]!, values[3]!]);

  test('is found where it breaks, also right where the reading begins', async () => {
    for (const from of [1, 2, 3])
      await expect(seqsOf(log().read({ from }))).rejects.toMatchObject({
        code: 'WAL_CHAIN_BROKEN',
        details: { seq: 3 },
      });
    await expect(seqsOf(log().read({ from: 4 }))).rejects.toMatchObject({ details: { seq: 4 } });
    expect(await seqsOf(log().read({ to: 2 }))).toEqual([1, 2]);
    expect(await seqsOf(log().read({ reverse: true }))).toEqual([4, 3, 2, 1]);
  });

  test('also before the first record', async () => {
    const { bytes } = encodeRecord({ ...decodeRecord(values[0]!, 1), prevHash: 1n, body: Buffer.from('a') });
    await expect(seqsOf(MemoryLog.of([bytes]).read())).rejects.toMatchObject({ code: 'WAL_CHAIN_BROKEN' });
  });
});

describe('a follower at fault', () => {
  let uncaught: unknown[];
  let listeners: NodeJS.UncaughtExceptionListener[];
  const listen = (error: unknown) => uncaught.push(error);
  // The test runner's own listeners would count it as a fault of the test.
  beforeEach(() => {
    uncaught = [];
    listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', listen);
  });
  afterEach(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });

  test.each(['when it prepares', 'when it is told'])(
    '%s, neither holds up the log nor passes unseen',
    async when => {
      const log = new MemoryLog();
      const fault = new Error('of the follower');
      const fail = () => {
        throw fault;
      };
      const isPreparing = when === 'when it prepares';
      const told: unknown[] = [];
      log.subscribe(
        isPreparing ? (_, prepared) => told.push(prepared) : fail,
        isPreparing ? fail : undefined,
      );
      log.subscribe(records => told.push(records[0]!.seq));
      await put(log, 'a');
      await put(log, 'b');
      await vi.waitFor(() => expect(uncaught).toEqual([fault, fault]));
      expect(told).toEqual(isPreparing ? [undefined, 1, undefined, 2] : [1, 2]);
      expect(log.head.seq).toBe(2);
    },
  );
});

describe('a write that fails', () => {
  /** Its writes wait until they are let through or fail. */
  class HeldLog extends MemoryLog {
    readonly held: { batch: readonly Pending[]; end: (error?: Error) => void }[] = [];
    protected override writeBatch(batch: readonly Pending[]): Promise<void> {
      return new Promise<void>((resolve, reject) => {
        this.held.push({ batch, end: error => (error ? reject(error) : resolve()) });
      }).then(() => super.writeBatch(batch));
    }
    stop(failure: WalError): void {
      this.latch(failure);
    }
  }
  const codeOf = (durable: Promise<void>) =>
    durable.then(
      () => 'written',
      (error: WalError) => error.code,
    );

  test.each([
    [new Error('EIO'), 'WAL_POISONED'],
    [new WalError('WAL_FOREIGN_OWNER', 'another process writes', 'Stop it.'), 'WAL_FOREIGN_OWNER'],
  ])(
    'leaves those in flight in doubt; those who wait learn that nothing was written, and why',
    async (error, code) => {
      const log = new HeldLog();
      const first = codeOf(log.append([event('a')]).durable);
      await vi.waitFor(() => expect(log.held).toHaveLength(1));
      const second = codeOf(log.append([event('b')]).durable);
      const transaction = log.begin();
      log.held[0]!.end(error);
      expect([await first, await second]).toEqual(['WAL_OUTCOME_UNKNOWN', code]);
      expect(log.failure).toMatchObject({ code });
      expect(() => log.append([event('c')])).toThrow(expect.objectContaining({ code }));
      expect(() => log.begin()).toThrow(expect.objectContaining({ code }));
      await expect(transaction.append([event('c')])).rejects.toMatchObject({ code });
      await expect(log.erase([])).rejects.toMatchObject({ code });
      expect([log.head.seq, log.nextSeq, log.held.length]).toEqual([0, 1, 1]);
      await log.close();
    },
  );

  test('makes way for a failure that does not heal, and does not take its place', async () => {
    const foreign = new WalError('WAL_FOREIGN_OWNER', 'another process writes', 'Stop it.');
    for (const isFirst of [true, false]) {
      const log = new HeldLog();
      const write = codeOf(log.append([event('a')]).durable);
      await vi.waitFor(() => expect(log.held).toHaveLength(1));
      if (isFirst) log.stop(foreign);
      log.held[0]!.end(new Error('EIO'));
      expect(await write).toBe('WAL_OUTCOME_UNKNOWN');
      if (!isFirst) log.stop(foreign);
      expect(log.failure).toBe(foreign);
    }
  });

  test('is the only one in flight: what comes meanwhile waits, in order, and close waits for it', async () => {
    const log = new HeldLog();
    const order: number[] = [];
    for (let i = 0; i < 40; i++) {
      const { lastSeq, durable } = log.append([event(`${i}`)]);
      void durable.then(() => order.push(lastSeq));
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    let isClosed = false;
    const closing = log.close().then(() => {
      isClosed = true;
    });
    for (let ended = 0; !isClosed; ) {
      expect(log.held.length).toBeLessThanOrEqual(ended + 1);
      if (ended < log.held.length) log.held[ended++]!.end();
      await new Promise(resolve => setTimeout(resolve, 1));
    }
    await closing;
    expect(order).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(log.held.flatMap(({ batch }) => batch.map(({ lastSeq }) => lastSeq))).toEqual(order);
  });
});
