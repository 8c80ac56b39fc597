import { expect, test } from 'vitest';
import type { Metadata } from '#src/domain/model.js';
import { isMatchAll, matches, parseWhere } from '#src/domain/where.js';

const does = (where: unknown, metadata: Metadata): boolean => matches(parseWhere(where), metadata);

const note: Metadata = {
  lang: 'ts',
  year: 2024,
  draft: false,
  by: null,
  date: '2024-05-01',
  tags: ['alpha', 'beta', 3],
  author: { name: 'Ada', langs: ['en', 'fr'] },
  links: [{ to: 'a', weight: 1 }, { to: 'b' }],
  empty: [],
  nothing: {},
  'dotted.key': 'here',
};

const cases: [where: object, expected: boolean][] = [
  [{}, true],
  [{ lang: 'ts' }, true],
  [{ lang: 'ts', year: 2023 }, false],
  [{ lang: { $eq: 'ts' } }, true],
  [{ year: '2024' }, false],
  [{ draft: false }, true],
  [{ draft: 0 }, false],
  [{ by: null }, true],
  [{ missing: null }, false],
  [{ missing: { $exists: false } }, true],
  [{ by: { $exists: true } }, true],
  [{ empty: { $exists: true } }, true],
  [{ nothing: { $exists: true } }, true],
  [{ author: { $exists: true } }, true],
  [{ 'author.age': { $exists: true } }, false],
  [{ tags: 'beta' }, true],
  [{ tags: { $ne: 'beta' } }, false],
  [{ tags: { $ne: 'gamma' } }, true],
  [{ missing: { $ne: 1 } }, true],
  [{ missing: { $nin: [1] } }, true],
  [{ tags: { $in: ['x', 3] } }, true],
  [{ tags: { $in: [] } }, false],
  [{ tags: { $nin: [] } }, true],
  [{ tags: { $contains: 'beta' } }, true],
  [{ tags: { $contains: 'bet' } }, false],
  [{ lang: { $contains: 's' } }, true],
  [{ lang: { $contains: 'S' } }, false],
  [{ year: { $contains: 2024 } }, false],
  [{ year: { $gt: 2023, $lt: 2025 } }, true],
  [{ year: { $gte: 2024 } }, true],
  [{ year: { $gt: 2024 } }, false],
  [{ year: { $gt: '2' } }, false],
  [{ date: { $gte: '2024-05-01', $lt: '2024-06-01' } }, true],
  [{ tags: { $gt: 2 } }, true],
  [{ 'author.name': 'Ada' }, true],
  [{ 'author.langs': 'fr' }, true],
  [{ 'author.langs': { $contains: 'f' } }, false],
  [{ 'links.to': 'b' }, true],
  [{ 'links.to': { $contains: 'b' } }, true],
  [{ 'links.weight': { $lte: 1 } }, true],
  [{ 'dotted.key': 'here' }, true],
  [{ $or: [{ lang: 'py' }, { year: 2024 }] }, true],
  [{ $and: [{ lang: 'ts' }, { year: 2023 }] }, false],
  [{ $not: { lang: 'ts' } }, false],
  [{ year: { $not: { $gt: 2024 } } }, true],
  [{ missing: { $not: { $gt: 1 } } }, true],
];

test.each(cases)('%j is %s', (where, expected) => {
  expect(does(where, note)).toBe(expected);
});

test.each<[unknown, string]>([
  ['lang=ts', 'where: must be an object'],
  [null, 'where: must be an object'],
  [[], 'where: must be an object'],
  [{ year: { $gth: 1 } }, 'where.year.$gth: unknown operator, did you mean $gte?'],
  [{ year: { gt: 1 } }, 'where.year.gt: unknown operator, did you mean $gt?'],
  [{ name: { $regex: '^a' } }, 'where.name.$regex: unknown operator, did you mean $contains?'],
  [{ author: { name: 'Ada' } }, 'where.author.name: a condition on an object'],
  [{ tags: ['a'] }, 'where.tags: an array is nothing to be equal to'],
  [{ tags: {} }, 'where.tags: an empty object'],
  [{ $or: [] }, 'where.$or: must be an array of filters, not empty'],
  [{ $or: { a: 1 } }, 'where.$or: must be an array of filters, not empty'],
  [{ $and: [{ a: 1 }, 'b'] }, 'where.$and[1]: must be an object'],
  [{ $gt: 1 }, 'where.$gt: $gt needs a key before it'],
  [{ $orr: [{}] }, 'where.$orr: unknown operator, did you mean $or?'],
  [{ a: { $in: 'b' } }, 'where.a.$in: must be an array'],
  [{ a: { $in: [1, {}] } }, 'where.a.$in[1]: must be a string'],
  [{ a: { $gt: true } }, 'where.a.$gt: only numbers and strings have an order'],
  [{ a: { $exists: 1 } }, 'where.a.$exists: must be true or false'],
  [{ a: Number.NaN }, 'where.a: must be a string, a finite number'],
  [{ a: { $in: new Array(6000).fill(1) } }, 'where.a.$in: more than 5000 conditions and values'],
  [{ ['k'.repeat(600)]: 1 }, 'a key longer than 512 characters'],
])('%j is refused by path', (where, message) => {
  expect(() => parseWhere(where)).toThrowError(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) }),
  );
});

test('nesting is bounded, whichever way it goes', () => {
  let logical: object = { a: 1 };
  let field: object = { $gt: 1 };
  for (let i = 0; i < 20_000; i++) {
    logical = { $not: logical };
    field = { $not: field };
  }
  for (const where of [logical, { a: field }]) {
    expect(() => parseWhere(where)).toThrowError(/nested deeper than 16/);
  }
});

test('keys of Object.prototype are keys like any other', () => {
  expect(does({ constructor: { $exists: true } }, {})).toBe(false);
  expect(does({ toString: 'x' }, { toString: 'x' })).toBe(true);
  const proto = JSON.parse('{"__proto__": 1}') as Metadata;
  expect(matches(parseWhere(JSON.parse('{"__proto__": 1}')), proto)).toBe(true);
});

test('an empty filter says that it matches everything', () => {
  expect(isMatchAll(parseWhere({}))).toBe(true);
  expect(isMatchAll(parseWhere({ a: 1 }))).toBe(false);
});
