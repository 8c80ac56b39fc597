/** What a repair would give, of records that were found: what stays, what is lost, what stands for it, and whose the log is from then on. */
import { describe, expect, test } from 'vitest';
import type { HeadProof } from '#wal/head-file.js';
import { epochBody, epochStartOf, forkBody, genesisBody, storeIdOf } from '#wal/lineage.js';
import { isLost, repairBody, repairNoteOf } from '#wal/lost.js';
import { decodeRecord, encodeRecord, type LogRecord, RecordType } from '#wal/record.js';
import { type Planned, planRepair, repairRecords } from '#wal/repair/plan.js';
import { chained, chainedAfter, type Link } from '../helpers/chained.js';
import { Found, headAt, headerAlone, ID, recordOf } from '../helpers/found.js';

const OTHER_ID = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const GENESIS: Link = { type: RecordType.genesis, body: genesisBody(ID) };
const MORE: Link = { last: false };
const LONG: Link = { last: false, long: true };
const COMMIT: Link = { type: RecordType.commit, long: true, body: Buffer.alloc(0) };
const ABORT: Link = { ...COMMIT, type: RecordType.abort };
const NOW = 1e6;

function plan(
  found: Found,
  proof?: HeadProof,
  given: { backupEpoch?: number; backupStoreId?: string } = {},
): Planned {
  return planRepair(
    {
      candidates: found.candidates,
      vouched: new Set(),
      backupEpoch: 0,
      backupStoreId: undefined,
      unreadable: [],
      ...given,
    },
    proof,
    NOW,
  );
}

/** All records but some, in the store's one file, and HEAD at the last one. */
function without(log: readonly Buffer[], lost: readonly number[], headers: readonly number[] = []): Planned {
  const found = new Found();
  found.file(
    log.flatMap((value, i) =>
      lost.includes(i + 1) ? [] : [headers.includes(i + 1) ? headerAlone(value) : value],
    ),
  );
  return plan(found, headAt(log.at(-1)!));
}

const records = ({ log, plan: { end } }: Planned): LogRecord[] =>
  Array.from({ length: end }, (_, i) => log.get(i + 1));

async function rawOf({ log, plan: { end } }: Planned): Promise<[number, Buffer][]> {
  const all: [number, Buffer][] = [];
  for await (const piece of log.raw(1, end))
    for (const [seq, value] of piece) all.push([seq, Buffer.from(value)]);
  return all;
}

describe('what stays, and what is lost', () => {
  const log = chained(GENESIS, ...Array.from({ length: 9 }, () => ({})));
  const time = (seq: number) => new Date(1000 * seq).toISOString();

  test('of a whole log is all of it', async () => {
    const planned = without(log, []);
    expect(planned.plan).toEqual({
      ...{
        end: 10,
        endProven: true,
        kept: 10,
        filled: [],
        lost: [],
        lostRecords: 0,
        transactions: [],
        torn: undefined,
        cut: undefined,
      },
      sizeBytes: log.reduce((sum, { length }) => sum + length, 0),
      lineage: { storeId: ID, epoch: 2, lineageSeq: 1 },
    });
    expect((await rawOf(planned)).map(([, value], i) => value.equals(log[i]!))).toEqual(log.map(() => true));
  });

  test('is told in ranges, with the times around them', () => {
    expect(without(log, [4, 5, 8], [7]).plan).toMatchObject({
      ...{ end: 10, kept: 6, lostRecords: 4 },
      lost: [
        { from: 4, to: 5, after: time(3), before: time(6) },
        { from: 7, to: 8, after: time(6), before: time(9) },
      ],
      cut: { last: 3, kept: 3, dropped: 3 },
      sizeBytes: [1, 2, 3, 6, 9, 10].reduce((sum, seq) => sum + log[seq - 1]!.length, 0),
    });
  });

  test('at the ends of the log has no time there', () => {
    const { lost, cut } = without(log, [1, 10]).plan;
    expect(lost).toEqual([
      { from: 1, to: 1, after: undefined, before: time(2) },
      { from: 10, to: 10, after: time(9), before: undefined },
    ]);
    expect(cut).toBeUndefined();
    expect(without(log, [2, 9]).plan.lost).toEqual([
      { from: 2, to: 2, after: time(1), before: time(3) },
      { from: 9, to: 9, after: time(8), before: time(10) },
    ]);
  });

  test('is put back by backups, each told by itself', () => {
    const found = new Found();
    found.file([...log.slice(0, 2), log[9]!]);
    found.file(log.slice(1, 5), '/one');
    found.file([...log.slice(5, 7), log[8]!], '/other');
    const { kept, filled, lost } = plan(found, headAt(log[9]!)).plan;
    expect([kept, lost.map(({ from, to }) => [from, to])]).toEqual([9, [[8, 8]]]);
    expect(filled).toEqual([
      { from: 3, to: 5, source: '/one' },
      { from: 6, to: 7, source: '/other' },
      { from: 9, to: 9, source: '/other' },
    ]);
  });

  test('without a record is nothing', () => {
    const { plan: planned, log: empty } = plan(new Found());
    expect(planned).toMatchObject({
      end: 0,
      endProven: false,
      kept: 0,
      lost: [],
      cut: undefined,
      torn: undefined,
    });
    empty.close();
  });
});

describe('what stands for a lost record', () => {
  test('has its hash, if the next names it or HEAD has seen it, and what its header says', async () => {
    const log = chained(GENESIS, { actor: 1, wallMs: 5 }, {}, {}, {});
    const planned = without(log, [3, 5], [2]);
    const [, second, third, , fifth] = records(planned);
    const { hash } = recordOf(log[1]!);
    expect(second).toMatchObject({
      type: RecordType.lost,
      hash,
      wallMs: 5,
      actor: 1,
      logicalMs: 2000,
      prevHash: recordOf(log[0]!).hash,
    });
    expect(third).toMatchObject({
      type: RecordType.lost,
      hash: recordOf(log[2]!).hash,
      wallMs: 0,
      actor: 0,
      logicalMs: 2000,
      prevHash: hash,
    });
    expect(fifth).toMatchObject({
      type: RecordType.lost,
      hash: recordOf(log[4]!).hash,
      logicalMs: 4000,
      prevHash: recordOf(log[3]!).hash,
    });
    expect(Object.fromEntries(await rawOf(planned))[4]!.equals(log[3]!)).toBe(true);
  });

  test('of which nothing is known has neither, and the time of the record before', () => {
    const log = chained(GENESIS, ...Array.from({ length: 6 }, () => ({})));
    const lost = records(without(log, [3, 4, 5])).slice(2, 5);
    expect(lost.map(({ hash, prevHash }) => [hash, prevHash])).toEqual([
      [0n, recordOf(log[1]!).hash],
      [0n, 0n],
      [recordOf(log[4]!).hash, 0n],
    ]);
    for (const record of lost)
      expect(record).toMatchObject({
        logicalMs: 2000,
        txIndex: 0,
        txFirst: record.seq,
        last: true,
        long: false,
      });
  });

  test('is the same in whatever order it is asked for', () => {
    const log = chained(GENESIS, ...Array.from({ length: 11 }, () => ({})));
    const lost = [3, 4, 5, 6, 9, 10];
    const upwards = records(without(log, lost));
    const { log: again } = without(log, lost);
    const downwards = Array.from({ length: 12 }, (_, i) => again.get(12 - i));
    expect(downwards.reverse()).toEqual(upwards);
  });

  test('at the end has the time of the last, and in a log of which nothing is found none', () => {
    const log = chained(GENESIS, {}, {}, {});
    expect(records(without(log, [3, 4])).map(({ logicalMs }) => logicalMs)).toEqual([1000, 2000, 2000, 2000]);
    const nothing = plan(new Found(), headAt(log[3]!));
    expect(nothing.plan).toMatchObject({ end: 4, kept: 0, lostRecords: 4, lost: [{ from: 1, to: 4 }] });
    expect(records(nothing).map(({ logicalMs, hash }) => [logicalMs, hash])).toEqual([
      ...Array.from({ length: 3 }, () => [0, 0n]),
      [0, recordOf(log[3]!).hash],
    ]);
  });

  test('at the beginning has the time of the first that is there', () => {
    const log = chained(GENESIS, {}, {}, {});
    expect(records(without(log, [1, 2])).map(({ logicalMs, type }) => [logicalMs, type])).toEqual([
      [3000, RecordType.lost],
      [3000, RecordType.lost],
      [3000, 40],
      [4000, 40],
    ]);
  });

  test('is what stood for it before, with what is known since', () => {
    const whole = chained(GENESIS, {}, {}, {});
    const log = chained(GENESIS, {}, { is: 'lost', logicalMs: 2000 }, {});
    expect(isLost(recordOf(log[2]!))).toBe(true);
    const [, , third] = records(without(log, []));
    expect(third).toMatchObject({ type: RecordType.lost, hash: recordOf(log[2]!).hash, logicalMs: 2000 });
    expect(whole).toHaveLength(4);
  });

  test('fits into the transaction that it was of', () => {
    const log = chained(GENESIS, MORE, MORE, MORE, {}, MORE, {}, {});
    const fieldsOf = (planned: Planned) =>
      records(planned).map(({ txFirst, txIndex, last }) => [txFirst, txIndex, last]);
    const whole = fieldsOf(without(log, []));
    expect(whole.slice(1, 5)).toEqual([
      [2, 0, false],
      [2, 1, false],
      [2, 2, false],
      [2, 3, true],
    ]);
    // From behind: what comes next says where it began.
    expect(fieldsOf(without(log, [2]))).toEqual(whole);
    expect(fieldsOf(without(log, [2, 3, 4]))).toEqual(whole);
    expect(fieldsOf(without(log, [3]))).toEqual(whole);
    expect(records(without(log, [3]))[2]).toMatchObject({ wallMs: 4000, logicalMs: 4000 });
    // From before: whether it was the last nobody knows, so it is.
    expect(fieldsOf(without(log, [5]))).toEqual(whole);
    expect(fieldsOf(without(log, [4, 5])).slice(1, 5)).toEqual([
      [2, 0, false],
      [2, 1, false],
      [2, 2, true],
      [5, 0, true],
    ]);
    // What follows begins one of its own.
    expect(fieldsOf(without(log, [5, 6])).slice(4, 7)).toEqual([
      [2, 3, true],
      [6, 0, false],
      [6, 1, true],
    ]);
  });

  test('of a long one is long', () => {
    const log = chained(GENESIS, LONG, LONG, COMMIT);
    expect(records(without(log, [2])).map(({ long, last }) => [long, last])).toEqual([
      [false, true],
      [true, false],
      [true, false],
      [true, true],
    ]);
    expect(records(without(log, [4])).map(({ long, last }) => [long, last])).toEqual([
      [false, true],
      [true, false],
      [true, false],
      [true, true],
    ]);
  });
});

describe('transactions of which a part is lost', () => {
  const transactionsOf = (links: readonly Link[], lost: readonly number[]) =>
    without(chained(GENESIS, ...links, {}), lost).plan.transactions;

  test.each<[string, Link[], number[], object[]]>([
    ['whole ones are not told', [MORE, MORE, {}], [], []],
    ['one that is lost all is not told', [MORE, {}], [2, 3], []],
    ['of the first record', [MORE, MORE, {}], [2], [{ first: 2, kept: 2, counts: true }]],
    ['of the last record', [MORE, MORE, {}], [4], [{ first: 2, kept: 2, counts: true }]],
    ['twice', [MORE, MORE, MORE, {}], [2, 4], [{ first: 2, kept: 2, counts: true }]],
    [
      'of two that touch',
      [MORE, {}, MORE, {}],
      [3, 4],
      [
        { first: 2, kept: 1, counts: true },
        { first: 4, kept: 1, counts: true },
      ],
    ],
    ['of a long one with its commit', [LONG, LONG, COMMIT], [3], [{ first: 2, kept: 2, counts: true }]],
    ['of a long one without its commit', [LONG, LONG, COMMIT], [4], [{ first: 2, kept: 2, counts: false }]],
    ['of a long one that was aborted', [LONG, LONG, ABORT], [3], [{ first: 2, kept: 2, counts: false }]],
    ['of the first record alone in a long one', [LONG, COMMIT], [2], [{ first: 2, kept: 1, counts: true }]],
  ])('%s', (_, links, lost, expected) => expect(transactionsOf(links, lost)).toEqual(expected));

  test('at the end of the log', () => {
    expect(without(chained(GENESIS, MORE, {}), [3]).plan.transactions).toEqual([
      { first: 2, kept: 1, counts: true },
    ]);
    expect(without(chained(GENESIS, LONG, COMMIT), [3]).plan.transactions).toEqual([
      { first: 2, kept: 1, counts: false },
    ]);
    expect(without(chained(MORE, {}, GENESIS), [1]).plan.transactions).toEqual([
      { first: 1, kept: 1, counts: true },
    ]);
  });

  test('a cut goes before all of one', () => {
    const log = chained(GENESIS, MORE, MORE, {}, {});
    expect(without(log, [4]).plan.cut).toEqual({ last: 1, kept: 1, dropped: 3 });
    expect(without(log, [5]).plan.cut).toEqual({ last: 4, kept: 4, dropped: 0 });
    expect(without(chained(MORE, {}, {}), [2]).plan.cut).toBeUndefined();
  });
});

describe('a log that ends within a transaction', () => {
  const crashed = (...links: Link[]): Planned => {
    const found = new Found();
    const log = chained(GENESIS, {}, ...links);
    found.file(log);
    return plan(found, headAt(log[1]!));
  };

  test('of one batch: what is there of it was never acknowledged, and goes', () => {
    const { plan: planned } = crashed(MORE, MORE);
    expect(planned).toMatchObject({ end: 2, kept: 2, lost: [], torn: { from: 3, to: 4 } });
  });

  test('of several: it is made void', () => {
    const planned = crashed(LONG, { ...LONG, logicalMs: 4000 });
    expect(planned.plan).toMatchObject({ end: 5, kept: 4, torn: undefined });
    const abort = planned.log.get(5);
    expect(abort).toMatchObject({
      type: RecordType.abort,
      seq: 5,
      txFirst: 3,
      txIndex: 2,
      last: true,
      long: true,
      wallMs: NOW,
      prevHash: planned.log.get(4).hash,
    });
    expect(repairRecords(planned.plan, planned.log, '1', undefined).lineage).toMatchObject({ epochSeq: 6 });
  });
});

describe('whose the log is', () => {
  const lineage = (log: readonly Buffer[], proof?: HeadProof, given?: Parameters<typeof plan>[2]) => {
    const found = new Found();
    found.file(log);
    return plan(found, proof, given).plan.lineage;
  };
  const repaired: Link = {
    type: RecordType.repair,
    body: repairBody(ID, { program: '1', lost: [], filled: [], endProven: true }),
  };
  const fork: Link = { type: RecordType.fork, body: forkBody(OTHER_ID, { storeId: ID, epoch: 1 }, 2) };
  const epoch = (number: number): Link => ({
    type: RecordType.epoch,
    body: epochBody({ epoch: number, cut: { seq: 9, hash: 1n } }),
  });

  test('its own records say', () => {
    expect(lineage(chained(GENESIS, {}))).toEqual({ storeId: ID, epoch: 2, lineageSeq: 1 });
    expect(lineage(chained(GENESIS, {}, fork, {}))).toEqual({ storeId: OTHER_ID, epoch: 2, lineageSeq: 3 });
    expect(lineage(chained(GENESIS, epoch(4), repaired, {}))).toEqual({
      storeId: ID,
      epoch: 5,
      lineageSeq: 1,
    });
    expect(lineage(chained({}, epoch(7), epoch(3), repaired))).toEqual({
      storeId: ID,
      epoch: 8,
      lineageSeq: 4,
    });
  });

  test('in whatever files they were found', () => {
    const log = chained(GENESIS, {}, fork, epoch(3), {});
    const found = new Found();
    found.file(log.slice(2));
    found.file(log.slice(0, 2));
    expect(plan(found).plan.lineage).toEqual({ storeId: OTHER_ID, epoch: 4, lineageSeq: 3 });
  });

  test('but not those of other logs, or headers', () => {
    const found = new Found();
    const log = chained({}, {}, {}, {});
    found.file(log);
    const [, , other] = chained({}, {}, epoch(9));
    const [header] = chainedAfter(log[3], epoch(8));
    found.file([other!]);
    found.file([headerAlone(header!)]);
    expect(plan(found).plan.lineage.epoch).toBe(2);
  });

  test('HEAD knows better, and backups after it', () => {
    const log = chained({}, {});
    expect(lineage(log, headAt(log[1]!, { epoch: 6 }))).toEqual({ storeId: ID, epoch: 7, lineageSeq: 0 });
    expect(lineage(log, headAt(log[1]!, { epoch: 6 }), { backupEpoch: 8, backupStoreId: OTHER_ID })).toEqual({
      storeId: ID,
      epoch: 9,
      lineageSeq: 0,
    });
    expect(lineage(log, undefined, { backupEpoch: 3, backupStoreId: OTHER_ID })).toEqual({
      storeId: OTHER_ID,
      epoch: 4,
      lineageSeq: 0,
    });
    // What names another store is not what named this one.
    expect(lineage(chained(GENESIS, {}), undefined, { backupStoreId: OTHER_ID })).toMatchObject({
      storeId: OTHER_ID,
      lineageSeq: 0,
    });
  });

  test('nobody says: it is a new one', () => {
    const { storeId, lineageSeq } = lineage(chained({}, {}));
    expect([storeId, lineageSeq]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), 0]);
    expect(lineage(chained({}, {})).storeId).not.toBe(storeId);
  });
});

describe('the records that a repaired log goes on with', () => {
  const log = chained(GENESIS, ...Array.from({ length: 9 }, () => ({})));
  const notesOf = (planned: Planned, cut?: Planned['plan']['cut']) => {
    const { records, lineage } = repairRecords(planned.plan, planned.log, '1.2.3', cut);
    const at = {
      seq: 11,
      txFirst: 11,
      txIndex: 0,
      wallMs: 1,
      logicalMs: 1,
      actor: 0,
      prevHash: 5n,
      last: true,
      long: false,
    };
    const [epoch, repair] = records.map(({ type, body }) =>
      decodeRecord(encodeRecord({ ...at, type, body: body as Uint8Array }).bytes, 11),
    );
    return { epoch: epochStartOf(epoch!), storeId: storeIdOf(repair!), note: repairNoteOf(repair!), lineage };
  };

  test('say what was done', () => {
    const found = new Found();
    found.file([...log.slice(0, 4), ...log.slice(7)]);
    found.file(log.slice(4, 5), '/backups');
    const planned = plan(found, headAt(log[9]!));
    expect(notesOf(planned)).toEqual({
      epoch: { epoch: 2, cut: { seq: 10, hash: recordOf(log[9]!).hash } },
      storeId: ID,
      note: {
        program: '1.2.3',
        lost: [{ from: 6, to: 7 }],
        filled: [{ from: 5, to: 5, source: '/backups' }],
        endProven: true,
      },
      lineage: { storeId: ID, epoch: 2, epochSeq: 11, lineageSeq: 1 },
    });
  });

  test('of a log that is cut tell of what stays alone', () => {
    const found = new Found();
    found.file([log[0]!, ...log.slice(2, 4), ...log.slice(6)]);
    found.file([log[1]!, log[5]!], '/backups');
    const planned = plan(found, headAt(log[9]!));
    expect(planned.plan.cut).toEqual({ last: 4, kept: 4, dropped: 5 });
    const { note, lineage, epoch } = notesOf(planned, planned.plan.cut);
    expect(note).toEqual({
      program: '1.2.3',
      lost: [],
      filled: [{ from: 2, to: 2, source: '/backups' }],
      cutFrom: 5,
      endProven: true,
    });
    expect([lineage.epochSeq, epoch!.cut.seq]).toEqual([5, 10]);
  });

  test('of a log that is cut behind what was put back tell of that', () => {
    const found = new Found();
    found.file([...log.slice(0, 3), ...log.slice(5)]);
    found.file([log[3]!], '/backups');
    const planned = plan(found, headAt(log[9]!));
    expect(planned.plan.cut!.last).toBe(4);
    expect(notesOf(planned, planned.plan.cut).note!.filled).toEqual([{ from: 4, to: 4, source: '/backups' }]);
  });

  test('name the store where nothing else does', () => {
    const planned = without(log, [1]);
    expect(notesOf(planned).lineage.lineageSeq).toBe(12);
  });
});
