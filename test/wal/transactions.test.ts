/** What counts of a log with transactions of several batches: those that were committed, whole, and every record that stands for a lost one. */
import { describe, expect, test } from 'vitest';
import { MemoryLog } from '#wal/memory-log.js';
import { RecordType } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { chained, type Link } from '../helpers/chained.js';

const MEMBER: Link = { last: false, long: true };
const COMMIT: Link = { type: RecordType.commit };
const ABORT: Link = { type: RecordType.abort };
const LOST: Link = { type: RecordType.lost, is: 'lost' };

/** The numbers that are given, piece by piece. */
async function committed(links: readonly Link[], from = 1, to = links.length): Promise<number[]> {
  const seqs: number[] = [];
  for await (const piece of readCommitted(MemoryLog.of(chained(...links)), from, to)) {
    expect(piece).not.toEqual([]);
    seqs.push(...piece.map(({ seq }) => seq));
  }
  return seqs;
}

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

test('transactions of one batch all count', async () => {
  expect(await committed([{}, { last: false }, { last: false }, {}, {}])).toEqual([1, 2, 3, 4, 5]);
});

describe('a transaction of several batches', () => {
  test('counts with its commit', async () => {
    expect(await committed([{}, MEMBER, MEMBER, COMMIT, {}])).toEqual([1, 2, 3, 4, 5]);
  });

  test('that was aborted does not, wherever it lies', async () => {
    expect(await committed([{}, MEMBER, MEMBER, ABORT, {}])).toEqual([1, 5]);
    expect(await committed([{}, MEMBER, MEMBER, ABORT])).toEqual([1]);
    expect(await committed([MEMBER, ABORT, MEMBER, COMMIT, MEMBER, ABORT, MEMBER, COMMIT])).toEqual([
      3, 4, 7, 8,
    ]);
  });

  test('may be longer than what is read at once', async () => {
    const members = Array.from({ length: 2500 }, () => MEMBER);
    expect(await committed([{}, ...members, COMMIT, {}])).toEqual(upTo(2503));
    expect(await committed([{}, ...members, ABORT, {}])).toEqual([1, 2503]);
  });

  test('that is asked for up to its middle is given whole', async () => {
    expect(await committed([{}, MEMBER, MEMBER, COMMIT, {}], 1, 2)).toEqual([1, 2, 3, 4]);
    expect(await committed([{}, MEMBER, MEMBER, ABORT, {}], 1, 3)).toEqual([1]);
    expect(await committed([{}, MEMBER, MEMBER, COMMIT, {}], 2, 3)).toEqual([2, 3, 4]);
  });

  test('whose end is lost may have been aborted: that alone is told', async () => {
    expect(await committed([{}, MEMBER, MEMBER, LOST, {}])).toEqual([1, 4, 5]);
    expect(await committed([{}, MEMBER, MEMBER, LOST])).toEqual([1, 4]);
  });

  test('lost in its middle counts as it ended, and what is lost is told either way', async () => {
    const lost: Link = { ...LOST, last: false, long: true };
    expect(await committed([{}, MEMBER, lost, MEMBER, COMMIT])).toEqual([1, 2, 3, 4, 5]);
    expect(await committed([{}, MEMBER, lost, MEMBER, ABORT])).toEqual([1, 3]);
  });

  test('without an end is damage', async () => {
    await expect(committed([{}, MEMBER, MEMBER])).rejects.toMatchObject({
      code: 'WAL_CHAIN_BROKEN',
      message: expect.stringContaining('begins at record 2 has no end'),
      details: { seq: 2 },
    });
  });
});

test('nothing lies behind the head, nor between numbers that are the wrong way round', async () => {
  expect(await committed([])).toEqual([]);
  expect(await committed([{}, {}], 3)).toEqual([]);
  expect(await committed([{}, {}], 2, 1)).toEqual([]);
  expect(await committed([{}, {}], 1, 99)).toEqual([1, 2]);
  expect(await committed([{}, {}, {}], 2, 2)).toEqual([2]);
});
