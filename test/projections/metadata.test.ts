import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonValue, Metadata } from '#src/domain/model.js';
import { matches, parseWhere } from '#src/domain/where.js';
import { MetadataIndex } from '#src/projections/metadata.js';

// Few keys and values, so that filters hit; among them what trips naive code: dots, empty keys, lone surrogates.
const key = fc.constantFrom('a', 'b', 'c', 'a.b', '', '__proto__', 'ключ');
const scalar = fc.oneof(
  fc.constantFrom('x', 'xy', '', '1', 'ж', '\ud800', 'ab\u00ff'),
  fc.constantFrom(0, -0, 1, 2, -1.5, 1e300),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: JsonValue }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 3 }) as fc.Arbitrary<JsonValue>,
  ),
}));
const metadata = fc.dictionary(key, value, { maxKeys: 4 }) as fc.Arbitrary<Metadata>;

const path = fc.array(key, { minLength: 1, maxLength: 3 }).map(keys => keys.join('.'));
const condition = fc.oneof(
  scalar,
  fc
    .record(
      {
        $eq: scalar,
        $ne: scalar,
        $gt: fc.constantFrom<string | number>('x', 'a', 0, 1),
        $lte: fc.constantFrom<string | number>('x', 'xy', 0, 1.5),
        $in: fc.array(scalar, { maxLength: 3 }),
        $nin: fc.array(scalar, { maxLength: 3 }),
        $exists: fc.boolean(),
        $contains: scalar,
      },
      { requiredKeys: [] },
    )
    .filter(operators => Object.keys(operators).length > 0),
);
const { where } = fc.letrec<{ where: object }>(tie => ({
  where: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.dictionary(path, condition, { maxKeys: 2 }),
    fc.record({ $and: fc.array(tie('where'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $or: fc.array(tie('where'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $not: tie('where') }),
  ),
}));

function indexOf(items: readonly Metadata[]): MetadataIndex {
  const index = new MetadataIndex();
  items.forEach((item, ordinal) => {
    index.add(ordinal, item);
  });
  return index;
}

test('a filter gives exactly what matches() says, before and after save and load, up to any ordinal', () => {
  fc.assert(
    fc.property(
      fc.array(metadata, { maxLength: 12 }),
      fc.array(metadata, { maxLength: 4 }),
      fc.array(where, { minLength: 1, maxLength: 6 }),
      fc.nat(20),
      fc.nat(20),
      (first, later, filters, upTo, from) => {
        const grown = indexOf([...first, ...later]);
        const reloaded = MetadataIndex.load(indexOf(first).save());
        later.forEach((item, i) => {
          reloaded.add(first.length + i, item);
        });
        const items = [...first, ...later, ...new Array<Metadata>(20).fill({})].slice(0, upTo);
        for (const filter of filters) {
          const node = parseWhere(filter);
          const expected = items.map(item => (matches(node, item) ? 1 : 0));
          expect([...grown.evaluate(node, upTo)]).toEqual(expected);
          expect([...grown.evaluate(node, upTo, from)]).toEqual(expected.slice(from));
          expect([...reloaded.evaluate(node, upTo)]).toEqual(expected);
        }
      },
    ),
    { numRuns: 1500 },
  );
});

test('ordinals may leave gaps but must ascend', () => {
  const index = new MetadataIndex();
  index.add(3, { a: 1 });
  index.add(7, { a: 1 });
  expect([...index.evaluate(parseWhere({ a: 1 }), 9)]).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0]);
  expect([...index.evaluate(parseWhere({ a: 1 }), 5)]).toEqual([0, 0, 0, 1, 0]);
  expect(() => index.add(7, {})).toThrowError(expect.objectContaining({ code: 'PROJECTION_FAILED' }));
});

test('gaps of any width are kept, also by save and load', () => {
  const ordinals = [0, 254, 255, 256, 511, 767, 1021, 70_000, 70_001, 140_000];
  const index = new MetadataIndex();
  for (const ordinal of ordinals) index.add(ordinal, { a: ordinal, b: [1, 2] });
  for (const each of [index, MetadataIndex.load(index.save())]) {
    const found = (where: object) => {
      const mask = each.evaluate(parseWhere(where), 140_001);
      const marked: number[] = [];
      for (let at = mask.indexOf(1); at >= 0; at = mask.indexOf(1, at + 1)) marked.push(at);
      return marked;
    };
    expect(found({ a: { $exists: true } })).toEqual(ordinals);
    expect(found({ b: { $contains: 2 } })).toEqual(ordinals);
    for (const ordinal of ordinals) expect(found({ a: ordinal })).toEqual([ordinal]);
    expect(found({ a: 3 })).toEqual([]);
  }
});

test('metadata nested deeper than the call stack goes is taken', () => {
  let deep: JsonValue = 1;
  for (let i = 0; i < 20_000; i++) deep = i % 2 === 0 ? [deep] : { a: deep };
  const index = indexOf([{ a: deep }, { a: { a: { b: 1 } } }]);
  expect([...index.evaluate(parseWhere({ 'a.a': { $exists: true } }), 2)]).toEqual([1, 1]);
  expect(matches(parseWhere({ 'a.a': { $exists: true } }), { a: deep })).toBe(true);
});

test('damaged bytes are refused with a code, or answer within bounds: never a crash', () => {
  const saved = indexOf([
    { lang: 'ts', year: 2024, tags: ['a', 'b'] },
    { lang: 'py', nested: { ключ: [1, { deep: true }] } },
    { lang: 'ts', year: null },
  ]).save();
  const node = parseWhere({ $or: [{ lang: 'ts' }, { year: { $gt: 1 } }, { tags: { $contains: 'a' } }] });
  const tryLoad = (bytes: Uint8Array): void => {
    let index: MetadataIndex;
    try {
      index = MetadataIndex.load(bytes);
    } catch (error) {
      expect(error).toMatchObject({ code: 'PROJECTION_FAILED' });
      return;
    }
    expect(index.evaluate(node, 3)).toHaveLength(3);
  };
  for (let length = 0; length < saved.length; length++) {
    expect(() => MetadataIndex.load(saved.subarray(0, length))).toThrowError(
      expect.objectContaining({ code: 'PROJECTION_FAILED' }),
    );
  }
  for (let at = 0; at < saved.length; at++) {
    for (const bit of [0x01, 0x80, 0xff]) {
      const flipped = Uint8Array.from(saved);
      flipped[at]! ^= bit;
      tryLoad(flipped);
    }
  }
});
