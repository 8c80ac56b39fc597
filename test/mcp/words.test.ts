import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitWords } from '#src/mcp/words.js';

const isLone = (text: string) => /\p{Surrogate}/u.test(text);
const text = (maxLength: number) =>
  fc.string({ unit: 'binary', minLength: 1, maxLength }).filter(value => !isLone(value));
const runs = fc.array(
  fc.oneof(
    fc.record({ op: fc.constant('=' as const), text: text(2000) }),
    fc.record({ op: fc.constantFrom('-' as const, '+' as const), text: text(60) }),
  ),
  { maxLength: 30 },
);

test('a word difference keeps to its room: equal runs lose their middle first, and whole ones are as they were', () => {
  fc.assert(
    fc.property(runs, fc.integer({ min: 120, max: 5000 }), (given, maxChars) => {
      const whole = given.map(({ op, text }) => op + text);
      const { words, truncated } = fitWords(given, maxChars);
      expect(words.reduce((sum, word) => sum + word.length + 3, 0)).toBeLessThanOrEqual(maxChars);
      expect(truncated).toBe(words.length !== whole.length || words.some((word, i) => word !== whole[i]));
      for (const word of words) expect(isLone(word)).toBe(false);
      if (whole.reduce((sum, word) => sum + word.length + 3, 0) <= maxChars) expect(words).toEqual(whole);
      // What is shortened keeps its ends; what changed is whole, but for the last run shown.
      for (const [i, word] of words.entries()) {
        if (word === whole[i] || (i >= words.length - 2 && words.at(-1) === '=…')) continue;
        expect(word[0]).toBe('=');
        const [start, end] = word.slice(1).split('…', 2) as [string, string];
        if (!given[i]!.text.includes('…')) {
          expect(given[i]!.text.startsWith(start)).toBe(true);
          expect(given[i]!.text.endsWith(end)).toBe(true);
        }
      }
    }),
  );
});

test('the words beside a change stay, the beginning and the end of the text go first', () => {
  const filler = 'lorem ipsum '.repeat(100);
  const { words, truncated } = fitWords(
    [
      { op: '=', text: `${filler}the port is ` },
      { op: '-', text: '8080' },
      { op: '+', text: '9090' },
      { op: '=', text: ` since Monday ${filler}` },
    ],
    150,
  );
  expect(truncated).toBe(true);
  expect(words).toEqual([
    expect.stringMatching(/^=….*the port is $/),
    '-8080',
    '+9090',
    expect.stringMatching(/^= since Monday .*…$/),
  ]);
});
