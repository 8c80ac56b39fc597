/** What waits for the disk: how much of it, in which portions it is taken, and what is refused. */
import { expect, test } from 'vitest';
import { AppendQueue, DEFAULT_LIMITS, type EncodedRecord, partsOf, type QueueLimits } from '#wal/queue.js';
import { FIRST_CALLER_TYPE, MAY_SKIP, recordBytes } from '#wal/record.js';
import { event } from '../helpers/wal.js';

const START = { seq: 5, hash: 77n, logicalMs: 1000 };
const queueOf = (limits: Partial<QueueLimits> = {}) =>
  new AppendQueue(START, () => 2000, { ...DEFAULT_LIMITS, ...limits });
const BUSY = expect.objectContaining({ code: 'WAL_BUSY' });
/** By the number of its first record. */
const firsts = (taken: ReturnType<AppendQueue['take']>) => taken.map(({ records }) => records[0]!.record.seq);

test('a batch is of whole transactions, in their order: so many, or so many bytes, but one at least', () => {
  const size = recordBytes(100);
  const queue = queueOf({ maxBatchBytes: 2 * size });
  for (const bytes of [100, 100, 101, 20, 1, 1, 1]) queue.push([event('e', bytes)]);
  expect(firsts(queue.take(10))).toEqual([6, 7]);
  // With the next one it would be a byte too many.
  queue.push([event('e', 100 + size)]);
  expect(firsts(queue.take(2))).toEqual([8, 9]);
  expect(firsts(queue.take(2))).toEqual([10, 11]);
  expect(firsts(queue.take(10))).toEqual([12]);
  expect(firsts(queue.take(10))).toEqual([13]);
  expect(queue.length).toBe(0);
});

test('what was taken or dropped makes room for as much again', () => {
  const queue = queueOf({ maxQueuedBytes: recordBytes(100) + 128 + 100 });
  for (let round = 0; round < 3; round++) {
    queue.push([event('a', 100)]);
    queue.push([event('b', 100)]);
    expect(() => queue.push([event('c', 1)])).toThrow(BUSY);
    if (round % 2 === 0) queue.take(10);
    else queue.reset(START);
  }
});

test('one byte more than may wait is refused', () => {
  const queue = queueOf({ maxQueuedBytes: recordBytes(100) + 128 + 99 });
  queue.push([event('a', 100)]);
  expect(() => queue.push([event('b', 100)])).toThrow(BUSY);
  expect(queue.push([event('b', 99)]).firstSeq).toBe(7);
});

test('an event that cannot be encoded leaves no trace of its transaction, and the chain goes on', () => {
  const queue = queueOf();
  const huge = { ...event('huge'), body: new Uint8Array(64 * 1024 * 1024) };
  expect(() => queue.push([event('a'), huge])).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
  expect(queue.nextSeq).toBe(6);
  queue.push([event('b')]);
  expect(queue.take(10)[0]!.records[0]!.record).toMatchObject({ seq: 6, prevHash: START.hash });
});

test('the types of a caller’s events reach from the first to the last that two bytes hold', () => {
  const queue = queueOf();
  for (const type of [FIRST_CALLER_TYPE, FIRST_CALLER_TYPE | MAY_SKIP, 0xffff])
    expect(queue.push([{ ...event('a'), type }]).lastSeq).toBe(queue.nextSeq - 1);
  for (const type of [FIRST_CALLER_TYPE - 1, (FIRST_CALLER_TYPE - 1) | MAY_SKIP, 0x10000])
    expect(() => queue.push([{ ...event('a'), type }])).toThrow(RangeError);
});

test('a transaction in parts ends with its end, or with what is dropped', () => {
  const queue = queueOf();
  const ENDED = expect.objectContaining({ code: 'WAL_POISONED' });
  expect(() => queue.pushPart([event('a')])).toThrow(ENDED);
  expect(queue.begin()).toBe(6);
  queue.pushPart([event('a')]);
  queue.pushEnd('commit');
  expect(() => queue.pushPart([event('b')])).toThrow(ENDED);
  expect(() => queue.pushEnd('commit')).toThrow(ENDED);
  queue.begin();
  queue.pushPart([event('c')]);
  queue.reset(START);
  expect(() => queue.pushEnd('commit')).toThrow(ENDED);
  expect(queue.push([event('d')]).firstSeq).toBe(6);
});

test('parts of a batch hold what fits, each record once; a larger one has one of its own', () => {
  const records = [40, 60, 61, 200, 40, 30, 30, 100].map(
    length => ({ bytes: Buffer.alloc(length) }) as EncodedRecord,
  );
  const parts = [...partsOf(records, 100)].map(part => part.map(({ bytes }) => bytes.length));
  expect(parts).toEqual([[40, 60], [61], [200], [40, 30, 30], [100]]);
  expect([...partsOf(records, 100)].flat()).toEqual(records);
  expect([...partsOf([], 100)]).toEqual([]);
});
