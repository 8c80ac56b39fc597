/** The bodies of the log's own records: what was written is read, and what is none of that kind says nothing. */
import { describe, expect, test } from 'vitest';
import {
  epochAfter,
  epochBody,
  epochStartOf,
  forkBody,
  forkOriginOf,
  genesisBody,
  storeIdOf,
} from '#wal/lineage.js';
import { RangeCollector, type RepairNote, repairBody, repairNoteOf } from '#wal/lost.js';
import { decodeRecord, encodeRecord, eraseRecord, type LogRecord, RecordType } from '#wal/record.js';

const ONE = '000102030405060708090a0b0c0d0e0f';
const OTHER = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const FAR = 2 ** 40 + 5;

function bytesOf(type: number, body: Buffer): Buffer {
  const at = { seq: 7, txFirst: 7, txIndex: 0, wallMs: 1, logicalMs: 1, actor: 0, prevHash: 5n };
  return encodeRecord({ ...at, type, last: true, long: false, body }).bytes;
}
const record = (type: number, body: Buffer): LogRecord => decodeRecord(bytesOf(type, body), 7);
const erased = (type: number, body: Buffer): LogRecord =>
  decodeRecord(eraseRecord(bytesOf(type, body), 7), 7);

const FORK = forkBody(ONE, { storeId: OTHER, epoch: 3 }, FAR);
const EPOCH = epochBody({ epoch: 4, cut: { seq: FAR, hash: 0x8877665544332211n } });
const NOTE: RepairNote = {
  program: '1.2.3',
  lost: [{ from: 3, to: 9 }],
  filled: [{ from: 1, to: 2, source: '/backups' }],
  endProven: true,
};

test('a fork says where it comes from', () => {
  expect(forkOriginOf(record(RecordType.fork, FORK))).toEqual({ storeId: OTHER, seq: FAR, epoch: 3 });
  for (const other of [
    record(RecordType.epoch, FORK),
    record(RecordType.fork, FORK.subarray(1)),
    record(RecordType.fork, Buffer.concat([FORK, Buffer.alloc(1)])),
    erased(RecordType.fork, FORK),
  ])
    expect(forkOriginOf(other)).toBeUndefined();
});

test('an epoch says what was cut', () => {
  expect(epochStartOf(record(RecordType.epoch, EPOCH))).toEqual({
    epoch: 4,
    cut: { seq: FAR, hash: 0x8877665544332211n },
  });
  for (const other of [
    record(RecordType.fork, EPOCH),
    record(RecordType.epoch, EPOCH.subarray(1)),
    erased(RecordType.epoch, EPOCH),
  ])
    expect(epochStartOf(other)).toBeUndefined();
});

test('a lineage begins with epoch 1, an epoch record with its own, and every other record leaves it', () => {
  expect(epochAfter(6, record(RecordType.genesis, genesisBody(ONE)))).toBe(1);
  expect(epochAfter(6, record(RecordType.fork, FORK))).toBe(1);
  expect(epochAfter(6, record(RecordType.epoch, EPOCH))).toBe(4);
  expect(epochAfter(6, record(RecordType.epoch, Buffer.alloc(3)))).toBe(6);
  expect(epochAfter(6, record(40, EPOCH))).toBe(6);
});

test('genesis, fork and repair name the store; nothing else does', () => {
  expect(storeIdOf(record(RecordType.genesis, genesisBody(ONE)))).toBe(ONE);
  expect(storeIdOf(record(RecordType.fork, FORK))).toBe(ONE);
  expect(storeIdOf(record(RecordType.repair, repairBody(OTHER, NOTE)))).toBe(OTHER);
  for (const other of [
    record(RecordType.epoch, genesisBody(ONE)),
    record(40, genesisBody(ONE)),
    record(RecordType.genesis, genesisBody(ONE).subarray(1)),
    erased(RecordType.genesis, genesisBody(ONE)),
  ])
    expect(storeIdOf(other)).toBeUndefined();
});

test('a repair says what it did', () => {
  expect(repairNoteOf(record(RecordType.repair, repairBody(ONE, NOTE)))).toEqual(NOTE);
  for (const other of [
    record(RecordType.genesis, repairBody(ONE, NOTE)),
    record(RecordType.repair, genesisBody(ONE)),
    erased(RecordType.repair, repairBody(ONE, NOTE)),
  ])
    expect(repairNoteOf(other)).toBeUndefined();
});

describe('consecutive numbers', () => {
  test.each([
    [[], []],
    [[4], [[4, 4]]],
    [[4, 5, 6], [[4, 6]]],
    [
      [1, 2, 4, 7, 8],
      [
        [1, 2],
        [4, 4],
        [7, 8],
      ],
    ],
  ])('%j become ranges', (seqs, expected) => {
    const collector = new RangeCollector();
    for (const seq of seqs) collector.add(seq);
    expect(collector.ranges.map(({ from, to }) => [from, to])).toEqual(expected);
  });
});
