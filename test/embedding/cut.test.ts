import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutText } from '#src/embedding/cut.js';

const pieces = (text: string, maxChars: number): string[] =>
  cutText(text, maxChars).map(([start, end]) => text.slice(start, end));

test('breaks at paragraphs, then lines, then sentences, then words, then anywhere', () => {
  expect(pieces('One one one.\n\nTwo two two.\n\nThree three.', 30)).toEqual([
    'One one one.\n\nTwo two two.\n\n',
    'Three three.',
  ]);
  expect(pieces('one one one\ntwo two two two\nthree', 20)).toEqual([
    'one one one\n',
    'two two two two\n',
    'three',
  ]);
  expect(pieces('One is one. Two is two, not three.', 20)).toEqual([
    'One is one. ',
    'Two is two, not ',
    'three.',
  ]);
  expect(pieces('alpha beta gamma delta', 12)).toEqual(['alpha beta ', 'gamma delta']);
  expect(pieces('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  expect(pieces('今日は晴れ。明日は雨。明後日は雪', 12)).toEqual(['今日は晴れ。明日は雨。', '明後日は雪']);
});

test('what fits is one passage, and so is a blank text', () => {
  expect(cutText('short', 100)).toEqual([[0, 5]]);
  expect(cutText('', 100)).toEqual([[0, 0]]);
  expect(cutText(' '.repeat(500), 100)).toEqual([[0, 500]]);
});

test('the ranges cover the text in order, fit, hold something, and part no surrogate pair', () => {
  const text = fc
    .array(
      fc.constantFrom('word ', 'x', '. ', '.', '\n', '\n\n', ' ', '        ', '😀', '。', 'a-long-word'),
      {
        maxLength: 200,
      },
    )
    .map(parts => parts.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 60 }), (whole, maxChars) => {
      const ranges = cutText(whole, maxChars);
      expect(ranges.map(([start, end]) => whole.slice(start, end)).join('')).toBe(whole);
      for (const [start, end] of ranges) {
        const content = whole.slice(start, end).trim();
        expect(content.length).toBeLessThanOrEqual(maxChars);
        if (whole.trim() !== '') expect(content).not.toBe('');
        expect(content).not.toMatch(/\p{Surrogate}/u);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a megabyte of one thing is cut in linear time', () => {
  for (const part of ['a', ' ', '\n', 'a ', '. ', 'a\n\n', '😀']) {
    const text = part.repeat((1024 * 1024) / part.length);
    expect(cutText(text, 1500).at(-1)![1]).toBe(text.length);
  }
});
