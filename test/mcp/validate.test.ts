import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { ObjectSchema } from '#src/mcp/schema.js';
import { suggestName } from '#src/mcp/suggest.js';
import { TOOLS } from '#src/mcp/tools/index.js';
import { validate } from '#src/mcp/validate.js';

const schemaOf = (name: string) => TOOLS.find(tool => tool.name === name)!.inputSchema;
const search = schemaOf('vector_search');
const upsert = schemaOf('vector_upsert');

function refusal(schema: ObjectSchema, args: unknown): CodedError {
  try {
    validate(schema, args);
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('what is refused, and how', () => {
  test.each([
    [search, { query: 'x', top_k: 3 }, 'top_k: unknown, did you mean k?'],
    [search, { query: 'x', topK: 3 }, 'topK: unknown, did you mean k?'],
    [search, { query: 'x', n_results: 3 }, 'n_results: unknown, did you mean k?'],
    [search, { query: 'x', limit: 3 }, 'limit: unknown, did you mean k?'],
    [search, { text: 'x' }, 'text: unknown, did you mean query?'],
    [search, { query: 'x', filter: {} }, 'filter: unknown, did you mean where?'],
    [search, { query: 'x', collection: 'a' }, 'collection: unknown, did you mean collections?'],
    [search, { query: 'x', maxChars: 5000 }, 'maxChars: unknown, did you mean max_chars?'],
    [search, { query: 'x', qeury: 'y' }, 'qeury: unknown, did you mean query?'],
    [search, { query: 'x', zzzzzzzz: 1 }, 'zzzzzzzz: unknown'],
    [search, { query: 'x', k: 101 }, 'k: at most 100 allowed'],
    [search, { query: 'x', k: 0 }, 'k: at least 1, at most 100 wanted'],
    [search, { query: 'x', k: 2.5 }, 'k: wants an integer'],
    [search, { query: 'x', k: 'many' }, 'k: string given, wants an integer'],
    [search, { query: 'x', k: '' }, 'k: empty string given, wants an integer'],
    [search, { query: 'x', mode: 'fuzzy' }, 'mode: wants one of hybrid, semantic, keyword'],
    [search, { query: 'x', where: [1] }, 'where: array given, wants an object'],
    [search, { query: ['x'] }, 'query: array given, wants a string'],
    [search, { vector: ['a'] }, 'vector[0]: string given, wants a number'],
    [upsert, {}, 'items: missing'],
    [upsert, { items: [] }, 'items: 0 given, at least 1 wanted'],
    [upsert, { items: [{ content: 'x' }] }, 'items[0].content: unknown, did you mean text?'],
    [upsert, { items: [{ text: 'a' }, { text: { b: 1 } }] }, 'items[1].text: object given, wants a string'],
    [upsert, { items: [{ text: 'half \ud83d' }] }, 'items[0].text: holds half of a surrogate pair'],
    [
      upsert,
      { items: [{ text: 'a', metadata: { n: 2 ** 60 } }] },
      'items[0].metadata.n: too large for an exact number, send it as a string',
    ],
    [
      upsert,
      { items: [{ text: 'a', metadata: JSON.parse('{"n":1e999}') }] },
      'items[0].metadata.n: too large for a number, send it as a string',
    ],
    [
      upsert,
      JSON.parse('{"items":[{"text":"a","metadata":{"__proto__":{"x":1}}}]}'),
      'items[0].metadata: the key __proto__ is not allowed',
    ],
    [upsert, JSON.parse('{"items":[{"text":"a"}],"__proto__":1}'), '__proto__: unknown'],
    [upsert, JSON.parse('{"items":[{"text":"a"}],"constructor":1}'), 'constructor: unknown'],
    [search, [], 'arguments: array given, wants an object'],
  ])('%#', (schema, args, message) => {
    const error = refusal(schema, args);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toBe(message);
    expect(error.wayOut).not.toBe('');
  });

  test('sizes alone are TOO_LARGE, with path and bound', () => {
    const long = refusal(upsert, { items: [{ text: 'a' }, { text: 'é'.repeat(600_000) }] });
    expect([long.code, long.message]).toEqual([
      'TOO_LARGE',
      'items[1].text: 1200000 bytes, at most 1048576 allowed',
    ]);
    const many = refusal(upsert, { items: Array.from({ length: 1001 }, () => ({ text: 'a' })) });
    expect([many.code, many.message]).toEqual(['TOO_LARGE', 'items: 1001 given, at most 1000 allowed']);
  });

  test('several problems are named at once, and not more than five', () => {
    const error = refusal(search, { a1: 1, b2: 1, c3: 1, d4: 1, e5: 1, f6: 1, k: 'x' });
    expect(error.message.split('; ')).toHaveLength(6);
    expect(error.message).toMatch(/and 2 more$/);
  });

  test('an unknown name from outside is shown short and printable', () => {
    const error = refusal(search, { [`\u001b[31m${'x'.repeat(5000)}`]: 1 });
    expect(error.message.length).toBeLessThan(100);
    expect(error.message).toMatch(/^[\x20-\x7e]+$/);
  });

  test('values never stand in errors', () => {
    const error = refusal(upsert, {
      items: [{ text: 'ok', metadata: 'the secret text', if_version: 'hunter2' }],
    });
    expect(error.message).not.toMatch(/secret|hunter2/);
  });
});

describe('what is taken although it is not quite what was asked for', () => {
  test.each([
    [search, { query: 'x', k: '5' }, { k: 5 }],
    [search, { query: 'x', min_score: ' 0.25 ' }, { min_score: 0.25 }],
    [search, { query: 'x', since: 1042 }, { since: '1042' }],
    [search, { query: 'x', where: '{"a":{"$gt":1}}' }, { where: { a: { $gt: 1 } } }],
    [search, { query: 'x', collections: '["a","b"]' }, { collections: ['a', 'b'] }],
    [search, { query: 'x', collections: 'a' }, { collections: ['a'] }],
    [search, { query: 'x', vector: '[0.5, 1]' }, { vector: [0.5, 1] }],
    [search, { query: '{"a":1}' }, { query: '{"a":1}' }],
    [search, { query: null, k: null }, { k: 10 }],
    [schemaOf('vector_delete'), { ids: '7', dry_run: 'true' }, { ids: ['7'], dry_run: true }],
    [schemaOf('vector_delete'), { ids: ['a'], dry_run: 'false' }, { dry_run: false }],
    [upsert, { items: '[{"id":5,"text":"a"}]' }, { items: [{ id: '5', text: 'a' }] }],
    [
      upsert,
      { items: [{ id: 'a', metadata: { gone: null } }] },
      { items: [{ id: 'a', metadata: { gone: null } }] },
    ],
  ])('%#', (schema, args, expected) => {
    expect(validate(schema, args)).toMatchObject(expected);
  });

  test('defaults are filled in', () => {
    expect(validate(search, { query: 'x' })).toEqual({
      query: 'x',
      k: 10,
      mode: 'hybrid',
      max_chars: 8000,
    });
    expect(validate(schemaOf('vector_list'), undefined)).toEqual({
      collection: 'default',
      limit: 50,
      max_chars: 8000,
    });
  });
});

describe('whatever comes', () => {
  const hostileKeys = fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'items',
    'query',
    'where',
  );
  const hostile = fc.letrec<{ value: unknown }>(tie => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(
        Number.NaN,
        Number.POSITIVE_INFINITY,
        -0,
        2 ** 53,
        '\ud800',
        '',
        '[',
        '{}',
        'true',
        '1e999',
      ),
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(hostileKeys, fc.string()), tie('value'), { maxKeys: 4 }),
    ),
  })).value;

  test.each(TOOLS)(
    '$name answers with checked arguments or a coded error, and never takes a prototype along',
    tool => {
      const properties = Object.keys(tool.inputSchema.properties);
      const args = fc.oneof(
        hostile,
        fc.dictionary(fc.oneof(fc.constantFrom('__proto__', ...properties), fc.string()), hostile, {
          maxKeys: 5,
        }),
      );
      fc.assert(
        fc.property(args, given => {
          let checked: Record<string, unknown>;
          try {
            checked = validate(tool.inputSchema, given);
          } catch (error) {
            expect(error).toBeInstanceOf(CodedError);
            expect(['INVALID_ARGUMENT', 'TOO_LARGE']).toContain((error as CodedError).code);
            return;
          }
          expect(Object.getPrototypeOf(checked)).toBe(Object.prototype);
          expect(properties).toEqual(expect.arrayContaining(Object.keys(checked)));
          // Idempotent: what was checked once passes again, unchanged.
          expect(validate(tool.inputSchema, checked)).toEqual(checked);
        }),
        { numRuns: 500 },
      );
    },
  );

  test('arguments that fit come through as they are', () => {
    const fitting = fc.record({
      collection: fc.stringMatching(/^[a-z]{1,20}$/),
      items: fc.array(
        fc.record(
          {
            id: fc.stringMatching(/^[a-z0-9-]{1,40}$/),
            text: fc.string({ unit: 'grapheme' }),
            metadata: fc.dictionary(
              fc.stringMatching(/^[a-z]{1,9}$/),
              fc.oneof(fc.integer(), fc.boolean(), fc.constant(null)),
            ),
            if_version: fc.nat(),
          },
          { requiredKeys: [] },
        ),
        { minLength: 1, maxLength: 5 },
      ),
    });
    fc.assert(
      fc.property(fitting, args => {
        expect(validate(upsert, args)).toEqual(args);
      }),
    );
  });
});

test('a name is suggested only where one is near', () => {
  const names = ['query', 'k', 'where'];
  expect(suggestName('Query', names)).toBe('query');
  expect(suggestName('embedding', names)).toBeUndefined();
  expect(suggestName('constructor', names)).toBeUndefined();
});
