/** The table of terms, against a Map. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TermTable } from '#src/projections/keywords/term-table.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

// Terms hold no line feed, and no half of a pair, which no letter is.
const term = fc
  .oneof(
    fc.string({ maxLength: 6 }),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.constantFrom('a', 'b', 'ab', 'naïve', 'über', '語', '\u{1f600}', '\ufeff'),
  )
  .map(text => text.replaceAll('\n', ''));

function loaded(bytes: Uint8Array, count: number): TermTable {
  const steps = TermTable.load(bytes, count);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

function expectSame(table: TermTable, map: ReadonlyMap<string, number>): void {
  expect(table.size).toBe(map.size);
  expect([...table]).toEqual([...map.keys()]);
  for (const [known, number] of map) expect(table.find(known)).toBe(number);
}

describe('terms', () => {
  test(`have the numbers of a Map, also once saved, loaded and added to, over ${RUNS} lists (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.array(term, { maxLength: 400 }), fc.array(term, { maxLength: 100 }), (some, more) => {
        const map = new Map<string, number>();
        const enter = (table: TermTable, terms: readonly string[]) => {
          for (const each of terms) {
            expect(table.find(each)).toBe(map.get(each));
            if (!map.has(each)) map.set(each, map.size);
            expect(table.findOrAdd(each)).toBe(map.get(each));
          }
          expectSame(table, map);
        };
        const table = new TermTable();
        enter(table, some);
        const bytes = table.save();
        expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)).toBe(
          [...map.keys()].map(each => `${each}\n`).join(''),
        );
        const again = loaded(bytes, map.size);
        expectSame(again, map);
        enter(again, more);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test('of a large table are found, and none that is not there', () => {
    const table = new TermTable();
    const numbers = Array.from({ length: 100_000 }, (_, n) => n);
    expect(numbers.filter(n => table.findOrAdd(`term${n}`) !== n)).toEqual([]);
    const again = loaded(table.save(), 100_000);
    expect(numbers.filter(n => again.find(`term${n}`) !== n)).toEqual([]);
    expect(again.find('term100000')).toBeUndefined();
    expect(again.sizeBytes).toBeLessThan(4_000_000);
  });

  test.each([
    ['a term that stands twice', encode('a\nb\na\n'), 3],
    ['a term without an end', encode('a\nb'), 2],
    ['another number of terms', encode('a\nb\n'), 1],
    ['more terms than bytes', encode('a\n'), 4_000_000_000],
    ['what is no UTF-8', Uint8Array.of(0xc3, 0x28, 10), 1],
  ])('are not loaded with %s', (_, bytes, count) => {
    expect(() => loaded(bytes, count)).toThrow(expect.objectContaining({ code: 'KEYWORDS_DAMAGED' }));
  });
});
