import fc from 'fast-check';
import { expect, test } from 'vitest';
import { excerpt, fitEntries } from '#src/mcp/fit.js';

const isLone = (text: string) => /\p{Surrogate}/u.test(text);

test('an excerpt is a part of the text around its passage, within its length', () => {
  const input = fc
    .record({
      text: fc.string({ unit: 'binary', maxLength: 2000 }).filter(text => !isLone(text)),
      maxChars: fc.integer({ min: 120, max: 1000 }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.nat(300),
    })
    .map(({ text, maxChars, from, length }) => {
      const start = Math.floor(from * text.length);
      return { text, maxChars, passage: { start, end: Math.min(text.length, start + length) } };
    });
  fc.assert(
    fc.property(input, ({ text, maxChars, passage }) => {
      const shown = excerpt(text, maxChars, passage);
      expect(shown.text.length).toBeLessThanOrEqual(maxChars);
      expect(shown.truncated).toBe(text.length > maxChars);
      expect(isLone(shown.text)).toBe(false);
      expect(text).toContain(shown.text.replace(/^…/, '').replace(/…$/, ''));
    }),
  );
});

test('the passage stays in sight, and words whole', () => {
  const before = 'lorem ipsum '.repeat(200);
  const text = `${before}The backup runs at four. ${'dolor sit '.repeat(200)}`;
  const passage = { start: before.length, end: before.length + 24 };
  const shown = excerpt(text, 200, passage).text;
  expect(shown).toContain('The backup runs at four.');
  expect(shown).toMatch(/^…(lorem|ipsum) .* (dolor|sit)…$/);
});

test('a passage longer than the room is shown from its start', () => {
  const text = `${'a'.repeat(500)} ${'b'.repeat(500)}`;
  expect(excerpt(text, 150, { start: 501, end: 1001 }).text).toMatch(/^…b+…$/);
});

interface Entry {
  readonly id: string;
  readonly text: string;
  readonly metadata: object;
}
const render = (entry: Entry, textChars: number, bare: boolean) => ({
  id: entry.id,
  ...excerpt(entry.text, textChars),
  ...(bare ? {} : { metadata: entry.metadata }),
});

test('what is shown fits the budget, is a beginning of the list, and nothing is cut or dropped without need', () => {
  const entries = fc.array(
    fc.record({
      id: fc.string({ unit: 'binary', maxLength: 20 }),
      text: fc.string({ unit: 'binary', maxLength: 3000 }).filter(text => !isLone(text)),
      metadata: fc.dictionary(fc.string(), fc.string({ maxLength: 400 }), { maxKeys: 3 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(entries, fc.integer({ min: 300, max: 30_000 }), (list, budgetChars) => {
      const { shown, omitted } = fitEntries(list, budgetChars, render);
      expect(JSON.stringify(shown).length - 1).toBeLessThanOrEqual(budgetChars);
      expect(shown.length + omitted).toBe(list.length);
      expect(shown.map(entry => (entry as Entry).id)).toEqual(
        list.slice(0, shown.length).map(entry => entry.id),
      );
      const whole = list.map(entry => render(entry, Number.POSITIVE_INFINITY, false));
      if (JSON.stringify(whole).length <= budgetChars) expect(shown).toEqual(whole);
    }),
  );
});

test('a lone entry loses its metadata before it is dropped', () => {
  const entry = { id: 'a', text: 'short', metadata: { long: 'x'.repeat(5000) } };
  expect(fitEntries([entry], 1000, render)).toEqual({
    shown: [{ id: 'a', text: 'short', truncated: false }],
    omitted: 0,
  });
  expect(fitEntries([{ ...entry, id: 'y'.repeat(2000) }], 1000, render)).toEqual({ shown: [], omitted: 1 });
});
