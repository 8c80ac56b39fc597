/** What a stretch of records comes to, and what ends it. */
import { expect, test } from 'vitest';
import { decodeRecord, type LogRecord, RecordType } from '#wal/record.js';
import { type BodyCheck, follows, StretchCheck } from '#wal/stretch.js';
import { chained, type Link } from '../helpers/chained.js';

const LINKS: Link[] = [
  { type: RecordType.genesis, body: Buffer.alloc(16, 7) },
  { last: false },
  {},
  { is: 'erased' },
  { last: false, long: true },
  { type: RecordType.abort },
  { type: RecordType.lost, is: 'lost' },
  {},
  { last: false, long: true },
];
const NO_CHECK: BodyCheck = { check: () => undefined };

function check(values: readonly Buffer[], asked: number[] = [], body: BodyCheck = NO_CHECK, first = 1) {
  const stretch = new StretchCheck(new Set(asked), body);
  values.forEach((value, index) => {
    stretch.take(first + index, value);
  });
  return stretch.result();
}

test('counts what the records are, and the lost ones only as bytes', () => {
  const values = chained(...LINKS);
  const checked: number[] = [];
  const result = check(values, [3], {
    check: ({ seq }) => checked.push(seq),
    summary: () => checked.length,
  })!;
  expect(result).toMatchObject({
    ...{ records: 8, transactions: 5, voided: 1, erased: 1, summary: 9 },
    bytes: values.reduce((sum, { length }) => sum + length, 0),
  });
  expect(checked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  // Those that end nothing do not count as an end, though they come last.
  expect([result.first.seq, result.last.seq, result.lastEnd!.seq]).toEqual([1, 9, 8]);
  for (const record of [result.first, result.last, result.lastEnd!])
    expect([record.seq, 'body' in record, 'residue' in record]).toEqual([record.seq, false, false]);
  expect(check(values)!.summary).toBeUndefined();
});

test('notes the log’s own records and those asked for, with bodies and residues that outlive the bytes they were read from', () => {
  const values = chained(...LINKS);
  const before = values.map((value, index) => decodeRecord(Buffer.from(value), index + 1));
  const stretch = new StretchCheck(new Set([3, 4]), NO_CHECK);
  values.forEach((value, index) => {
    stretch.take(index + 1, value);
    value.fill(0);
  });
  const { noted } = stretch.result()!;
  expect(noted.map(({ seq }) => seq)).toEqual([1, 3, 4, 6, 7]);
  const plain = ({ body, residue, ...header }: LogRecord) => ({
    ...header,
    body: body && String(Buffer.from(body)),
    residue: residue && String(Buffer.from(residue)),
  });
  expect(noted.map(plain)).toEqual([1, 3, 4, 6, 7].map(seq => plain(before[seq - 1]!)));
});

test('no record makes no stretch, and one that ends no transaction has no end', () => {
  expect(check([])).toBeUndefined();
  expect(check(chained({ last: false, long: true }))!.lastEnd).toBeUndefined();
});

test('may begin anywhere, and stops at the first record that is wrong or does not follow', () => {
  const values = chained({}, {}, {}, {});
  expect(check(values.slice(2), [], NO_CHECK, 3)).toMatchObject({ records: 2, first: { seq: 3 } });
  const skipped = () => check([values[0]!, values[2]!]);
  expect(skipped).toThrow(expect.objectContaining({ code: 'WAL_BAD_RECORD' }));
  const other = chained({ body: Buffer.from('another history') }, {});
  expect(() => check([values[0]!, other[1]!])).toThrow(expect.objectContaining({ code: 'WAL_CHAIN_BROKEN' }));
  const body: BodyCheck = {
    check: ({ seq }) => {
      if (seq === 2) throw Object.assign(new Error('means nothing'), { code: 'EVENT_MALFORMED' });
    },
  };
  expect(() => check(values, [], body)).toThrow('means nothing');
});

test('two meet where the one names the other’s end; a fault of the program is no answer', () => {
  const [one, two, three] = chained({}, {}, {}).map((value, index) => decodeRecord(value, index + 1));
  expect([
    follows(undefined, one!),
    follows(one, two!),
    follows(one, three!),
    follows(undefined, two!),
  ]).toEqual([true, true, false, false]);
  expect(() => follows(one, undefined as never)).toThrow(TypeError);
});
