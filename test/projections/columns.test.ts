import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '#src/projections/bytes.js';
import { Columns } from '#src/projections/columns.js';

const NAMES = ['one', 'other'] as const;
const number = fc.oneof(
  { weight: 6, arbitrary: fc.nat(255) },
  fc.constantFrom(255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.constantFrom(0.5, -1, 1.7e12 + 0.25),
);
const rows = fc.array(fc.record({ one: number, other: number }), { maxLength: 40 });
type Row = { readonly one: number; readonly other: number };

function append(columns: Columns<(typeof NAMES)[number]>, added: readonly Row[]): void {
  for (const row of added) {
    const at = columns.append();
    for (const name of NAMES) columns.set(name, at, row[name]);
  }
}

const rowsOf = (columns: Columns<(typeof NAMES)[number]>): Row[] =>
  Array.from({ length: columns.rows }, (_, row) => ({
    one: columns.at.one[row]!,
    other: columns.at.other[row]!,
  }));

function saved(columns: Columns<(typeof NAMES)[number]>): Uint8Array {
  const writer = new ByteWriter();
  columns.write(writer);
  return writer.finish();
}

test('columns give back what was set, whatever its width, after growing, saving and loading', () => {
  fc.assert(
    fc.property(rows, fc.nat(300), rows, (first, zeros, later) => {
      const columns = new Columns(NAMES);
      append(columns, first);
      for (let i = 0; i < zeros; i++) columns.append();
      const loaded = new Columns(NAMES);
      loaded.read(new ByteReader(saved(columns), 'test'));
      const expected = [...first, ...new Array<Row>(zeros).fill({ one: 0, other: 0 }), ...later];
      for (const each of [columns, loaded]) {
        append(each, later);
        expect(rowsOf(each)).toEqual(expected);
      }
      expect(saved(loaded), 'the bytes follow from the rows alone').toEqual(saved(columns));
    }),
    { numRuns: 60 },
  );
});

test('a column takes no more bytes than its largest number asks for', () => {
  const widthOf = (largest: number): number => {
    const columns = new Columns(['one']);
    for (let row = 0; row < 256; row++) columns.append();
    const before = columns.bytes;
    columns.set('one', 3, largest);
    columns.set('one', 4, 1);
    return columns.bytes / before;
  };
  expect([255, 256, 65_536, 2 ** 32].map(widthOf)).toEqual([1, 2, 4, 8]);
});

test('columns that end early, or have numbers of no width, are refused with a code', () => {
  const columns = new Columns(NAMES);
  append(columns, [{ one: 1, other: 70_000 }]);
  const bytes = saved(columns);
  const refusal = expect.objectContaining({ code: 'PROJECTION_FAILED' });
  for (let length = 0; length < bytes.length; length++)
    expect(() => new Columns(NAMES).read(new ByteReader(bytes.subarray(0, length), 'test'))).toThrow(refusal);
  const odd = Uint8Array.from(bytes);
  odd[4] = 3;
  expect(() => new Columns(NAMES).read(new ByteReader(odd, 'test'))).toThrow(refusal);
});
