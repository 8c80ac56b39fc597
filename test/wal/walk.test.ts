/** One pass over records: what it comes to, and what it says of records that are wrong, of HEAD, and of the end. */
import { describe, expect, test } from 'vitest';
import { hashHex } from '#wal/hash.js';
import { type HeadProof, Intent } from '#wal/head-file.js';
import { epochBody, forkBody, genesisBody } from '#wal/lineage.js';
import { decodeRecord, type LogRecord, RecordType } from '#wal/record.js';
import { type Stretch, StretchCheck } from '#wal/stretch.js';
import { Walk, type WalkStart } from '#wal/walk.js';
import { chained, type Link } from '../helpers/chained.js';

const STORE = '000102030405060708090a0b0c0d0e0f';
const GENESIS: Link = { type: RecordType.genesis, body: genesisBody(STORE) };
const LOST: Link = { type: RecordType.lost, is: 'lost' };
const MEMBER: Link = { last: false, long: true };
const LINKS: Link[] = [
  GENESIS,
  {},
  { last: false },
  {},
  { is: 'erased' },
  LOST,
  LOST,
  {},
  MEMBER,
  { type: RecordType.abort },
];

const decoded = (values: readonly Buffer[]): LogRecord[] =>
  values.map((value, index) => decodeRecord(value, index + 1));

/** HEAD of a log that ends with the last of these. */
function headOf(values: readonly Buffer[], over: Partial<HeadProof> = {}): HeadProof {
  const { seq, hash } = decoded(values).at(-1)!;
  return {
    ...{ counter: 1, intent: Intent.none, storeId: STORE, epoch: 1, epochSeq: 0, lineageSeq: 1 },
    ...{ nonce: 'cd'.repeat(16), wallMs: 0, seq, hash },
    ...over,
  };
}

interface Walked {
  readonly proof?: HeadProof;
  readonly start?: WalkStart;
  readonly onRecord?: (record: LogRecord) => void;
}

/** @param values by number; undefined for one that is not there */
function walked(values: readonly (Buffer | undefined)[], { proof, start, onRecord }: Walked = {}) {
  const walk = new Walk(proof, onRecord, start);
  values.forEach((value, index) => {
    if (value !== undefined) walk.take(index + 1, value);
  });
  return { findings: [...walk.findings, ...walk.finish()], report: walk.report() };
}
/** The records up to a number, and those behind it. */
function stretches(values: readonly Buffer[], cut: number): Stretch[] {
  return [
    [0, cut],
    [cut, values.length],
  ].map(([from, to]) => {
    const stretch = new StretchCheck(new Set([1, values.length]), { check: () => undefined });
    for (let i = from!; i < to!; i++) stretch.take(i + 1, values[i]!);
    return stretch.result()!;
  });
}

const codes = (found: { findings: { code: string; seq?: number }[] }) =>
  found.findings.map(({ code, seq }) => [code, seq]);

const time = (seq: number) => new Date(1000 * seq).toISOString();

describe('a sound log', () => {
  test('is counted', () => {
    const values = chained(...LINKS);
    const seqs: number[] = [];
    const { findings, report } = walked(values, {
      proof: headOf(values),
      onRecord: ({ seq }) => seqs.push(seq),
    });
    expect(findings).toEqual([]);
    expect(report).toEqual({
      ...{ records: 8, transactions: 6, voided: 1, erased: 1, forkedFrom: undefined, epochs: [] },
      bytes: values.reduce((sum, { length }) => sum + length, 0),
      gaps: [{ from: 6, to: 7 }],
      first: { seq: 1, time: time(1) },
      // Up to the first record that is lost.
      whole: { seq: 5, time: time(5) },
      head: { seq: 10, time: time(10), hash: hashHex(decoded(values)[9]!.hash) },
    });
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('comes to the same in stretches, wherever they meet', () => {
    const values = chained(...LINKS.filter(({ is }) => is !== 'lost'));
    const proof = headOf(values);
    const expected = walked(values, { proof }).report;
    expect(expected.whole).toMatchObject({ seq: 8 });
    for (let cut = 1; cut < values.length; cut++) {
      const walk = new Walk(proof);
      for (const stretch of stretches(values, cut)) expect(walk.takeStretch(stretch)).toBe(true);
      expect([...walk.findings, ...walk.finish()]).toEqual([]);
      expect(walk.report(), `met at ${cut}`).toEqual(expected);
      expect(walk.lastSeq).toBe(8);
    }
  });

  test('whose end is lost is walked: only so it is known up to which record it is whole', () => {
    const walk = new Walk(undefined);
    const [sound, lost] = stretches(chained(...LINKS), 5);
    expect([walk.takeStretch(sound!), walk.takeStretch(lost!)]).toEqual([true, false]);
    expect(walk.report()).toMatchObject({ whole: { seq: 5 }, head: { seq: 5 } });
    // Of a part nobody says that it is whole.
    const values = chained(...LINKS);
    const part = new Walk(undefined, undefined, { seq: 6, before: decoded(values)[4] });
    expect(part.takeStretch(stretches(values, 5)[1]!)).toBe(true);
    expect(part.report()).toMatchObject({ whole: undefined, gaps: [{ from: 6, to: 7 }], head: { seq: 10 } });
  });

  test('whose last stretch ends no transaction is whole up to the one before', () => {
    const walk = new Walk(undefined);
    for (const stretch of stretches(chained({}, MEMBER), 1)) expect(walk.takeStretch(stretch)).toBe(true);
    expect(walk.report()).toMatchObject({ whole: { seq: 1 }, head: { seq: 2 } });
  });

  test('without a record says nothing', () => {
    const { findings, report } = walked([]);
    expect(findings).toEqual([]);
    expect(report).toMatchObject({ records: 0, first: undefined, whole: undefined, head: undefined });
  });

  test('may be walked from anywhere, and is then not called whole', () => {
    const values = chained(...LINKS);
    const before = decoded(values)[2]!;
    const tail = values.map((value, index) => (index < 3 ? undefined : value));
    const found = walked(tail, { start: { seq: 4, before }, proof: headOf(values) });
    expect(found.findings).toEqual([]);
    expect(found.report).toMatchObject({ first: { seq: 4 }, whole: undefined, head: { seq: 10 } });
    const strange = { ...before, hash: before.hash ^ 1n };
    expect(codes(walked(tail, { start: { seq: 4, before: strange } }))).toEqual([['WAL_CHAIN_BROKEN', 4]]);
    // What cannot be read cannot be followed either.
    expect(walked(tail, { start: { seq: 4, before: undefined } }).findings).toEqual([]);
  });
});

describe('a record', () => {
  const values = chained(GENESIS, {}, {}, {}, {});
  const without = (...seqs: number[]) =>
    values.map((value, index) => (seqs.includes(index + 1) ? undefined : value));

  test('that is damaged is named once, and what follows it is no gap', () => {
    const damaged = Buffer.from(values[2]!);
    damaged[90]! ^= 1;
    const found = walked(values.with(2, damaged), { proof: headOf(values) });
    expect(codes(found)).toEqual([['WAL_BAD_RECORD', 3]]);
    expect(found.report).toMatchObject({ records: 4, whole: { seq: 2 }, head: { seq: 5 } });
  });

  test('that does not follow is named, and the one behind it is compared with it', () => {
    const [, , other] = chained({}, {}, {});
    expect(codes(walked(values.with(2, other!)))).toEqual([
      ['WAL_CHAIN_BROKEN', 3],
      ['WAL_CHAIN_BROKEN', 4],
    ]);
    expect(codes(walked(chained({ txIndex: 1 })))).toEqual([['WAL_CHAIN_BROKEN', 1]]);
  });

  test('that is missing leaves a gap, one or several', () => {
    const one = walked(without(2));
    expect(one.findings).toEqual([{ code: 'WAL_GAP', message: 'record 2 is missing', seq: 2 }]);
    expect(one.report.whole).toMatchObject({ seq: 1 });
    const several = walked(without(1, 2, 4));
    expect(several.findings).toEqual([
      { code: 'WAL_GAP', message: 'records 1 to 2 are missing', seq: 1 },
      { code: 'WAL_GAP', message: 'record 4 is missing', seq: 4 },
    ]);
    expect(several.report.whole).toBeUndefined();
  });

  test('in a stretch that does not follow leaves the stretch to be walked', () => {
    const walk = new Walk(undefined);
    walk.take(1, values[0]!);
    const stretch = new StretchCheck(new Set(), { check: () => undefined });
    stretch.take(3, values[2]!);
    expect(walk.takeStretch(stretch.result()!)).toBe(false);
    expect([walk.report().records, walk.lastSeq]).toEqual([1, 1]);
  });

  test('that is no damage is thrown as what it is', () => {
    const walk = new Walk(undefined);
    expect(() => walk.take(1, undefined as never)).toThrow(TypeError);
  });
});

describe('HEAD', () => {
  const values = chained(GENESIS, {}, {}, {});
  const records = decoded(values);

  test('that has seen another record under a number', () => {
    const { findings } = walked(values, { proof: headOf(values, { seq: 3, hash: 5n }) });
    expect(findings).toMatchObject([
      { code: 'WAL_HEAD_MISMATCH', seq: 3, message: expect.stringContaining('0000000000000005') },
    ]);
    expect(codes(walked(values, { proof: headOf(values, { seq: 3, hash: records[2]!.hash }) }))).toEqual([]);
  });

  test('of another store', () => {
    const storeId = '0'.repeat(32);
    const { findings } = walked(values, { proof: headOf(values, { storeId }) });
    expect(findings).toMatchObject([
      { code: 'WAL_HEAD_MISMATCH', seq: 1, message: expect.stringContaining(STORE) },
    ]);
    const nameless = walked(values, { proof: headOf(values, { lineageSeq: 2 }) });
    expect(nameless.findings).toMatchObject([{ seq: 2, message: expect.stringContaining('unknown') }]);
  });

  test('that has seen more than there is', () => {
    const { findings } = walked(values, { proof: headOf(values, { seq: 7 }) });
    expect(findings).toMatchObject([
      { code: 'WAL_LOST_TAIL', seq: 5, message: expect.stringContaining('3 acknowledged records') },
    ]);
    const begun = headOf(values, { seq: 7, intent: Intent.create });
    expect(walked(values, { proof: begun }).findings).toEqual([]);
  });

  test('of another epoch than the log is in', () => {
    const { findings } = walked(values, { proof: headOf(values, { epoch: 2, epochSeq: 3 }) });
    expect(findings).toMatchObject([
      { code: 'WAL_HEAD_MISMATCH', message: expect.stringContaining('epoch 2') },
    ]);
    // It begins behind what is there: lost with the tail, or yet to be written.
    expect(walked(values, { proof: headOf(values, { epoch: 2, epochSeq: 5 }) }).findings).toEqual([]);
  });
});

describe('epochs', () => {
  const epoch = (number: number, cutSeq: number): Link => ({
    type: RecordType.epoch,
    body: epochBody({ epoch: number, cut: { seq: cutSeq, hash: 0x77n } }),
  });

  test('are told, and HEAD is in the last of them', () => {
    const values = chained(GENESIS, {}, epoch(2, 5), {}, epoch(4, 4), {});
    const { findings, report } = walked(values, { proof: headOf(values, { epoch: 4, epochSeq: 5 }) });
    expect(findings).toEqual([]);
    const hash = '0000000000000077';
    expect(report.epochs).toEqual([
      { epoch: 2, seq: 3, time: time(3), cut: { seq: 5, hash } },
      { epoch: 4, seq: 5, time: time(5), cut: { seq: 4, hash } },
    ]);
    expect(codes(walked(values, { proof: headOf(values, { epoch: 4, epochSeq: 3 }) }))).toHaveLength(1);
    expect(codes(walked(values, { proof: headOf(values, { epoch: 2, epochSeq: 5 }) }))).toHaveLength(1);
  });

  test.each<[string, Link]>([
    ['that does not count on', epoch(1, 5)],
    ['of a cut before it', epoch(2, 1)],
    ['that says nothing', { type: RecordType.epoch, body: Buffer.alloc(3) }],
  ])('a record %s begins none', (_, link) => {
    const found = walked(chained(GENESIS, {}, link, {}));
    expect(codes(found)).toEqual([['WAL_BAD_RECORD', 3]]);
    expect(found.report).toMatchObject({ epochs: [], whole: { seq: 2 } });
  });

  test('that begin wrongly leave a stretch to be walked', () => {
    const [stretch] = stretches(chained(GENESIS, {}, epoch(1, 5), {}), 4);
    expect(new Walk(undefined).takeStretch(stretch!)).toBe(false);
  });

  test('begin anew with a fork', () => {
    const values = chained(
      GENESIS,
      epoch(2, 3),
      {
        type: RecordType.fork,
        body: forkBody('ab'.repeat(16), { storeId: STORE, epoch: 2 }, 2),
      },
      {},
    );
    const over = { storeId: 'ab'.repeat(16), lineageSeq: 3 };
    const { findings, report } = walked(values, { proof: headOf(values, over) });
    expect(findings).toEqual([]);
    expect(report.forkedFrom).toEqual({ storeId: STORE, seq: 2, epoch: 2 });
  });
});

describe('an end', () => {
  test('within a transaction of one batch is damage; of several, the next opening voids it', () => {
    const torn = walked(chained({}, { last: false }, { last: false }));
    expect(torn.findings).toEqual([
      { code: 'WAL_CHAIN_BROKEN', message: 'the log ends inside the transaction that begins at 2', seq: 3 },
    ]);
    expect(walked(chained({}, MEMBER, MEMBER)).findings).toEqual([]);
  });

  test('behind a cut that is to be finished is nothing yet', () => {
    const values = chained(GENESIS, {}, {}, { last: false });
    const { hash } = decoded(values)[1]!;
    const cutting = {
      intent: Intent.truncate,
      seq: 2,
      hash,
      epoch: 2,
      epochSeq: 3,
      cut: { seq: 4, hash: 1n },
    };
    expect(walked(values, { proof: headOf(values, cutting) }).findings).toEqual([]);
    // Once what was cut is gone, only the record that begins the epoch is missing.
    expect(walked(values.slice(0, 2), { proof: headOf(values, cutting) }).findings).toEqual([]);
    expect(codes(walked(values.slice(0, 1), { proof: headOf(values, cutting) }))).toEqual([
      ['WAL_LOST_TAIL', 2],
    ]);
  });
});
