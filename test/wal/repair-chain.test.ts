/**
 * Which of the records that lie about make up a log: those that hashes link to what HEAD has seen, and of all else what can be nobody else's.
 * Records of other histories fit by number and time; nothing but their hashes, or the files that they are in, tells.
 */
import { describe, expect, test } from 'vitest';
import { type HeadProof, Intent } from '#wal/head-file.js';
import { epochBody, genesisBody } from '#wal/lineage.js';
import { RecordType } from '#wal/record.js';
import { type Chain, chooseChain } from '#wal/repair/chain.js';
import { chained, chainedAfter, type Link } from '../helpers/chained.js';
import { Found, headAt, headerAlone, ID, recordOf } from '../helpers/found.js';

const OTHER_ID = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const GENESIS: Link = { type: RecordType.genesis, body: genesisBody(ID) };
const NEXT: Link = {};

/** A log of a store: a genesis record, and records up to `end`. */
const logOf = (end: number, genesis = GENESIS): Buffer[] =>
  chained(genesis, ...Array.from({ length: end - 1 }, () => NEXT));
const goOn = (before: Buffer, count: number, link = NEXT): Buffer[] =>
  chainedAfter(before, ...Array.from({ length: count }, () => link));
/** At a time of its own, in ms. */
const at = (ms: number): Link => ({ logicalMs: ms, wallMs: ms });

/** @param expected what stands under each number, from 1 on; undefined where nothing is known */
function expectChain(chain: Chain, found: Found, expected: readonly (Buffer | undefined)[]): void {
  const rows = Array.from(chain.rows.slice(1), row =>
    row === 0 ? undefined : found.candidates.hashOf(row - 1),
  );
  expect(rows).toEqual(expected.map(value => value && recordOf(value).hash));
  expect(chain.end).toBe(expected.length);
}

const choose = (found: Found, proof?: HeadProof, ...vouched: number[]): Chain =>
  chooseChain(found.candidates, proof, new Set(vouched));

describe('with a HEAD', () => {
  test('the log is what its hashes lead to', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log.slice(3));
    found.file(log.slice(0, 3));
    // Another store, of which every record is later.
    found.file(logOf(9, { ...GENESIS, ...at(1e9) }));
    const chain = choose(found, headAt(log[5]!));
    expectChain(chain, found, log);
    expect(chain.endProven).toBe(true);
  });

  test('what follows it was written since', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log);
    expectChain(choose(found, headAt(log[3]!)), found, log);
  });

  test('of two that follow it the later one was written since', () => {
    const found = new Found();
    const log = logOf(4);
    const [older] = goOn(log[3]!, 1, at(5000));
    const newer = goOn(log[3]!, 2, at(6000));
    found.file([...log, ...newer, older!]);
    expectChain(choose(found, headAt(log[3]!)), found, [...log, ...newer]);
    const other = new Found();
    other.file([...log, older!, ...newer]);
    expectChain(choose(other, headAt(log[3]!)), other, [...log, ...newer]);
  });

  test('of a log that is being cut nothing behind it counts', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log);
    const cut = { seq: 6, hash: recordOf(log[5]!).hash };
    expectChain(choose(found, headAt(log[3]!, { intent: Intent.truncate, cut })), found, log.slice(0, 4));
  });

  test('whose record is lost, what it knows is its number and hash', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log.slice(0, 5));
    const chain = choose(found, headAt(log[5]!));
    expectChain(chain, found, [...log.slice(0, 5), undefined]);
    expect(chain.endProven).toBe(true);
    // What names it in its hash was written since, whatever lies between.
    const [, eighth] = goOn(log[5]!, 2);
    found.file([...log.slice(3, 5), eighth!]);
    expectChain(choose(found, headAt(log[5]!)), found, [...log.slice(0, 5), undefined, undefined, eighth]);
  });

  test('of another store counts for nothing', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log);
    const other = logOf(3, { ...GENESIS, body: genesisBody(OTHER_ID) });
    const chain = choose(found, headAt(other[2]!, { storeId: OTHER_ID }));
    expectChain(chain, found, log);
    expect(chain.endProven).toBe(false);
  });

  test('of another store counts for nothing, however far its log went', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log);
    const other = logOf(9, { ...GENESIS, body: genesisBody(OTHER_ID) });
    const chain = choose(found, headAt(other[8]!, { storeId: OTHER_ID }));
    expectChain(chain, found, log);
    expect(chain.endProven).toBe(false);
  });

  test('that was closed is followed all the same by what names it', () => {
    const found = new Found();
    const log = logOf(6);
    found.file(log);
    expectChain(choose(found, headAt(log[3]!, { intent: Intent.closed })), found, log);
  });

  test('that names a record of which only the header is left is not of another store', () => {
    const found = new Found();
    const log = logOf(6);
    found.file([headerAlone(log[0]!), ...log.slice(1, 4)]);
    const chain = choose(found, headAt(log[5]!));
    expectChain(chain, found, [...log.slice(0, 4), undefined, undefined]);
    expect(chain.endProven).toBe(true);
  });

  test('that names a record which names no store is not of another one', () => {
    const found = new Found();
    const log = chained({}, {}, {}, {});
    found.file(log.slice(0, 3));
    expect(choose(found, headAt(log[3]!)).endProven).toBe(true);
  });

  test('of another history, whose number another record of the store has, counts for nothing', () => {
    const log = logOf(6);
    // HEAD of a copy that went on otherwise.
    const [fifth] = goOn(log[3]!, 1, at(5500));
    const found = new Found();
    found.file(log);
    const chain = choose(found, headAt(fifth!));
    expectChain(chain, found, log);
    expect(chain.endProven).toBe(false);
    // Whoever else has that record.
    found.file(log, '/backups');
    expect(choose(found, headAt(fifth!)).endProven).toBe(false);
  });

  test('is not of another history for what only a backup holds, or another store’s file, or what was cut off', () => {
    const log = logOf(6);
    const [, sixth] = goOn(log[3]!, 2, at(6500));
    const proof = headAt(sixth!);

    const backedUp = new Found();
    backedUp.file(log.slice(0, 4));
    backedUp.file(log, '/backups');
    expectChain(choose(backedUp, proof), backedUp, [...log.slice(0, 5), undefined]);

    const foreign = new Found();
    foreign.file(log.slice(0, 4));
    foreign.file(logOf(6, { ...GENESIS, body: genesisBody(OTHER_ID) }));
    expectChain(choose(foreign, proof), foreign, [...log.slice(0, 4), undefined, undefined]);

    // An epoch began behind record 4, later than what had been there.
    const epoch: Link = {
      type: RecordType.epoch,
      body: epochBody({ epoch: 2, cut: { seq: 6, hash: 1n } }),
      ...at(9000),
    };
    const [began, lost] = chainedAfter(log[3]!, epoch, at(9100));
    const cut = new Found();
    cut.file([...log, began!]);
    const chain = choose(cut, headAt(lost!));
    expectChain(chain, cut, [...log.slice(0, 4), began, undefined]);
    expect(chain.endProven).toBe(true);
  });
});

describe('without one', () => {
  test('the longest unbroken run tells which files are of the log', () => {
    const log = logOf(6);
    const other = logOf(5, { ...GENESIS, ...at(1e9) });
    for (const files of [
      [log, other],
      [other, log],
    ]) {
      const found = new Found();
      for (const file of files) found.file(file);
      // Later ones of the other store stand in a file of their own.
      found.file(goOn(other[4]!, 3, at(2e9)).slice(1));
      const chain = choose(found);
      expectChain(chain, found, log);
      expect(chain.endProven).toBe(false);
    }
  });

  test('nothing is a log without a record', () => {
    const chain = choose(new Found());
    expect([chain.rows, chain.end, chain.endProven]).toEqual([new Int32Array(1), 0, false]);
  });

  test('a run is as long as its records, not as their numbers', () => {
    const log = logOf(9);
    const other = logOf(4, { ...GENESIS, ...at(1) });
    const found = new Found();
    found.file(log.slice(6));
    found.file(other);
    expectChain(choose(found), found, other);
  });
});

describe('across a hole', () => {
  test('records are taken from files that hold others of the log', () => {
    const log = logOf(8);
    const other = logOf(8, { type: RecordType.genesis, body: genesisBody(OTHER_ID), ...at(100) });
    const found = new Found();
    found.file([...log.slice(0, 3), ...log.slice(4)]);
    found.file(other);
    expectChain(
      choose(found, headAt(log[7]!)),
      found,
      log.map((value, i) => (i === 3 ? undefined : value)),
    );
    // Without the fourth record nothing links the third; its file does.
    const apart = new Found();
    apart.file(log.slice(4));
    apart.file(log.slice(0, 3));
    apart.file(other);
    expectChain(
      choose(apart, headAt(log[7]!)),
      apart,
      log.map((value, i) => (i === 3 ? undefined : value)),
    );
  });

  test('a file that the MANIFEST names is of the log', () => {
    const log = logOf(9);
    const found = new Found();
    found.file(log.slice(6));
    const lower = found.file(log.slice(2, 5));
    const head = headAt(log[8]!, { lineageSeq: 20 });
    const known = (from: number) =>
      log.map((value, i) => (i >= 6 || (i >= from && i < 5) ? value : undefined));
    expectChain(choose(found, head), found, known(5));
    expectChain(choose(found, head, lower), found, known(2));
  });

  test.each<[string, (log: Buffer[]) => Buffer[]]>([
    [
      'holds another record under a number that is known',
      log => [...chained(...Array.from({ length: 6 }, () => at(10))).slice(5), log[2]!],
    ],
    [
      'holds another one before one that is known',
      log => [...chained(...Array.from({ length: 5 }, () => at(10))).slice(4), log[2]!],
    ],
  ])('but not one that %s', (_, strange) => {
    const log = logOf(9);
    const found = new Found();
    found.file(log.slice(5));
    const file = found.file(strange(log));
    const expected = log.map((value, i) => (i >= 5 ? value : undefined));
    expectChain(choose(found, headAt(log[8]!, { lineageSeq: 20 }), file), found, expected);
  });

  test('nor one that holds another one in the place of the only one that is known', () => {
    const log = logOf(9);
    const found = new Found();
    found.file(log.slice(8));
    const file = found.file([chained(...Array.from({ length: 9 }, () => at(10)))[8]!, log[2]!]);
    const expected = log.map((value, i) => (i === 8 ? value : undefined));
    expectChain(choose(found, headAt(log[8]!, { lineageSeq: 20 }), file), found, expected);
  });

  test('a record that stands in another store’s file as well is taken', () => {
    const log = logOf(9);
    const found = new Found();
    found.file([...log.slice(5), log[2]!]);
    found.file([log[2]!]);
    const expected = log.map((value, i) => (i >= 5 || i === 2 ? value : undefined));
    expectChain(choose(found, headAt(log[8]!, { lineageSeq: 20 })), found, expected);
  });

  test('what is older than an epoch that began behind it stays', () => {
    const epoch: Link = {
      type: RecordType.epoch,
      body: epochBody({ epoch: 2, cut: { seq: 9, hash: 1n } }),
      ...at(9000),
    };
    const log = chained(GENESIS, NEXT, NEXT, NEXT, epoch, at(9001));
    const found = new Found();
    found.file([...log.slice(0, 2), ...log.slice(3)]);
    expectChain(
      choose(found, headAt(log[5]!)),
      found,
      log.map((value, i) => (i === 2 ? undefined : value)),
    );
  });

  test('all of one time is taken', () => {
    const log = chained({ ...GENESIS, ...at(5000) }, ...Array.from({ length: 7 }, () => at(5000)));
    const found = new Found();
    found.file([...log.slice(0, 3), ...log.slice(4)]);
    expectChain(
      choose(found, headAt(log[7]!)),
      found,
      log.map((value, i) => (i === 3 ? undefined : value)),
    );
  });

  test('nor one that holds another one behind one that is known', () => {
    const log = logOf(9);
    const found = new Found();
    found.file(log.slice(0, 4));
    const other = logOf(6, { ...GENESIS, ...at(1e9) });
    const file = found.file(other.slice(4));
    expectChain(choose(found, headAt(log[8]!), file), found, [
      ...log.slice(0, 4),
      ...Array(5).fill(undefined),
    ]);
    // The same file, behind a hole, may be anybody's: the MANIFEST says that it is the log's.
    const hole = new Found();
    hole.file(log.slice(0, 3));
    const named = hole.file(other.slice(4));
    const proof = headAt(log[8]!, { wallMs: 1e10 });
    expectChain(choose(hole, proof, named), hole, [
      ...log.slice(0, 3),
      ...[undefined, other[4], other[5], undefined, undefined, undefined],
    ]);
  });

  test('the latest that is not later than what follows stands under a number', () => {
    const log = logOf(8);
    const sixth = (ms: number) => goOn(goOn(log[3]!, 1, at(ms - 1))[0]!, 1, at(ms))[0]!;
    const [early, late, tooLate] = [sixth(5500), sixth(5900), sixth(8500)];
    const found = new Found();
    found.file([...log.slice(0, 4), early, tooLate, late, log[7]!]);
    expectChain(choose(found, headAt(log[7]!)), found, [
      ...log.slice(0, 4),
      undefined,
      late,
      undefined,
      log[7],
    ]);
  });

  test('of two of one time the one that is whole', () => {
    const log = logOf(8);
    const fourth = log[3]!;
    const [one, other] = [0, 1].map(() => goOn(goOn(fourth, 1)[0]!, 1)[0]!);
    for (const pair of [
      [headerAlone(one!), other!],
      [other!, headerAlone(one!)],
    ]) {
      const found = new Found();
      found.file([...log.slice(0, 4), ...pair, log[7]!]);
      expectChain(choose(found, headAt(log[7]!)), found, [
        ...log.slice(0, 4),
        undefined,
        other,
        undefined,
        log[7],
      ]);
    }
  });

  test('what was cut off before an epoch began does not come back', () => {
    const log = logOf(8);
    const epoch: Link = {
      type: RecordType.epoch,
      body: epochBody({ epoch: 2, cut: { seq: 8, hash: 1n } }),
      ...at(20_000),
    };
    const branch = chainedAfter(log[2]!, epoch, at(21_000), at(22_000), at(23_000));
    const found = new Found();
    // Of the branch the fifth and sixth are gone; of before the cut everything is there.
    found.file([...log, branch[0]!, branch[3]!]);
    expectChain(choose(found, headAt(branch[3]!)), found, [
      ...log.slice(0, 3),
      branch[0],
      undefined,
      undefined,
      branch[3],
    ]);
    // An epoch of another store says nothing of it.
    const other = new Found();
    other.file([...log.slice(0, 4), ...log.slice(5)]);
    other.file(chained({ ...GENESIS, body: genesisBody(OTHER_ID) }, epoch));
    expectChain(
      choose(other, headAt(log[7]!)),
      other,
      log.map((value, i) => (i === 4 ? undefined : value)),
    );
  });
});

describe('behind HEAD, across a hole', () => {
  const log = logOf(9);
  /** Records 1 to 4, which HEAD has seen, and 7 to 9, all in one file. */
  const holed = () => {
    const found = new Found();
    found.file([...log.slice(0, 4), ...log.slice(6)]);
    return found;
  };
  const HOLED = log.map((value, i) => (i === 4 || i === 5 ? undefined : value));

  test('what is later was written since', () => {
    const found = holed();
    expectChain(choose(found, headAt(log[3]!)), found, HOLED);
    // HEAD is written at the end of its second.
    expectChain(choose(found, headAt(log[3]!, { wallMs: 9000 })), found, HOLED);
  });

  test('what is not later was cut off', () => {
    const found = holed();
    expectChain(choose(found, headAt(log[3]!, { wallMs: 9001 })), found, log.slice(0, 4));
    const late = chained(GENESIS, NEXT, NEXT, at(50_000));
    const other = new Found();
    other.file([...late, ...log.slice(6)]);
    expectChain(choose(other, headAt(late[3]!)), other, late);
  });

  test('of a log that was closed there is nothing', () => {
    const found = holed();
    expectChain(choose(found, headAt(log[3]!, { intent: Intent.closed })), found, log.slice(0, 4));
  });

  test('of another store there is nothing', () => {
    const found = new Found();
    found.file(log.slice(0, 4));
    found.file(log.slice(6));
    expectChain(choose(found, headAt(log[3]!)), found, log.slice(0, 4));
  });

  test('that is all that is left, it is found', () => {
    const found = new Found();
    const file = found.file([log[5]!]);
    expectChain(choose(found, headAt(log[3]!), file), found, [...Array(5).fill(undefined), log[5]]);
  });

  test('across one hole after the other', () => {
    const found = new Found();
    const long = logOf(14);
    found.file([...long.slice(0, 4), ...long.slice(5, 7), ...long.slice(8, 9), ...long.slice(12)]);
    expectChain(
      choose(found, headAt(long[3]!)),
      found,
      long.map((value, i) => ([4, 7, 9, 10, 11].includes(i) ? undefined : value)),
    );
  });

  test('what leads past it was cut off, however late it is', () => {
    const branch = goOn(log[2]!, 4, at(1e6));
    const found = new Found();
    found.file([...log.slice(0, 4), ...branch]);
    expectChain(choose(found, headAt(log[3]!)), found, log.slice(0, 4));
    // Not so what is not known to lead anywhere.
    const apart = new Found();
    apart.file([...log.slice(0, 4), ...branch.slice(2)]);
    expectChain(choose(apart, headAt(log[3]!)), apart, [...log.slice(0, 4), undefined, ...branch.slice(2)]);
  });

  test('whose record is lost, what leads to another one was cut off', () => {
    const proof = headAt(log[3]!);
    const otherwise = goOn(goOn(log[2]!, 1, at(4500))[0]!, 2, at(1e6));
    const found = new Found();
    found.file([...log.slice(0, 3), ...otherwise]);
    expectChain(choose(found, proof), found, [...log.slice(0, 3), undefined]);
    const right = new Found();
    right.file([...log.slice(0, 3), ...log.slice(4, 6)]);
    expectChain(choose(right, proof), right, [...log.slice(0, 3), undefined, ...log.slice(4, 6)]);
  });

  test('the next best is taken where the highest leads past it', () => {
    const branch = goOn(log[2]!, 7, at(1e6));
    const found = new Found();
    found.file([...log.slice(0, 4), ...branch, ...log.slice(6)]);
    expectChain(choose(found, headAt(log[3]!)), found, HOLED);
  });

  test('of a store that was being made all of it was written since', () => {
    const found = new Found();
    found.file(log.slice(0, 3));
    const proof: HeadProof = {
      ...headAt(log[0]!),
      seq: 0,
      hash: 0n,
      wallMs: 0,
      lineageSeq: 0,
      intent: Intent.create,
    };
    expectChain(choose(found, proof), found, log.slice(0, 3));
  });
});
