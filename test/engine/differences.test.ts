import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WordRun } from '#src/domain/travel.js';
import { differingKeys, diffWords } from '#src/engine/differences.js';

const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

const sides = (runs: readonly WordRun[]) =>
  ['+', '-'].map(left =>
    runs
      .filter(({ op }) => op !== left)
      .map(run => run.text)
      .join(''),
  );
const shown = (runs: readonly WordRun[]) =>
  runs.map(({ op, text }) => (op === '=' ? text : `[${op}${text}]`)).join('');

describe('diffWords', () => {
  it.each([
    ['The quick brown fox', 'The slow red fox jumps', 'The [-quick brown][+slow red] fox[+ jumps]'],
    ['', 'all new', '[+all new]'],
    ['all gone', '', '[-all gone]'],
    ['the same', 'the same', 'the same'],
    ['one\ntwo\nthree', 'one\n2\nthree', 'one\n[-two][+2]\nthree'],
    ['Сервер хранит журнал.', 'Сервер хранит каталог.', 'Сервер хранит [-журнал][+каталог].'],
    ['日本語の文章です', '日本語の文書です', '日本語の文[-章][+書]です'],
    ['cafe\u0301 au lait', 'cafe au lait', '[-cafe\u0301][+cafe] au lait'],
    ['a smile 😀', 'a smile 😃', 'a smile [-😀][+😃]'],
    ['line\r\nend', 'line\nend', 'line[-\r\n][+\n]end'],
  ])('%j -> %j', (older, newer, expected) => {
    expect(shown(diffWords(older, newer))).toBe(expected);
  });

  it(`gives both texts back, whatever they are (seed ${SEED})`, () => {
    const anything = fc.string({ unit: 'binary', maxLength: 30 });
    const words = fc.array(fc.constantFrom('tea', ' ', '\n', '.', 'log', '日', '\r\n'), { maxLength: 30 });
    const text = fc.oneof(
      anything,
      words.map(list => list.join('')),
      // Halves of surrogate pairs as well.
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
        .map(units => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, text, (older, newer) => {
        const runs = diffWords(older, newer);
        expect(sides(runs)).toEqual([older, newer]);
        runs.forEach(({ op, text: run }, index) => {
          expect(run).not.toBe('');
          expect(runs[index + 1]?.op).not.toBe(op);
        });
      }),
      { numRuns: 1000, seed: SEED },
    );
  });

  it('says old and new as a whole, but for what both begin and end with, when there is too much to compare', () => {
    const wordsFrom = (n: number) => Array.from({ length: 2000 }, (_, i) => `w${n + i}`).join(' ');
    const [older, newer] = [wordsFrom(0), wordsFrom(10_000)];
    expect(diffWords(`begin ${older} end`, `begin ${newer} end`)).toEqual([
      { op: '=', text: 'begin ' },
      { op: '-', text: older },
      { op: '+', text: newer },
      { op: '=', text: ' end' },
    ]);
  });

  it('says so too when the same words stand in another order', () => {
    const words = Array.from({ length: 600 }, (_, i) => `w${i}`);
    const [older, newer] = [words.join(' '), [...words].reverse().join(' ')];
    expect(diffWords(`begin ${older} end`, `begin ${newer} end`).map(({ op }) => op)).toEqual([
      '=',
      '-',
      '+',
      '=',
    ]);
  });

  it('finds one word in a text of a megabyte', () => {
    const half = 'and so on '.repeat(50_000);
    expect(diffWords(`${half}old ${half}`, `${half}new ${half}`)).toEqual([
      { op: '=', text: half },
      { op: '-', text: 'old' },
      { op: '+', text: 'new' },
      { op: '=', text: ` ${half}` },
    ]);
  });
});

describe('differingKeys', () => {
  it('tells what was added, removed and changed, and nothing else', () => {
    const older = { same: [1, { a: 2 }], gone: null, value: 1, order: { a: 1, b: 2 } };
    const newer = { order: { b: 2, a: 1 }, value: '1', same: [1, { a: 2 }], come: 0 };
    expect(differingKeys(older, newer)).toEqual(['come', 'gone', 'value']);
  });
});
