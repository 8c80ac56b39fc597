import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Address, formatUri, parseUri } from '#src/mcp/resources/uri.js';
import { type Connection, inMemory } from './connections.js';

const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 30 })
  .filter(text => !/\p{Surrogate}/u.test(text));
const awkward = fc.constantFrom(
  'history',
  'a/history',
  '/history',
  '/',
  '..',
  '?as_of=1',
  '#',
  '%',
  '%2F',
  'é/日本 語',
);
const part = fc.oneof(name, awkward);
const moment = fc.option(fc.oneof(part, fc.constant('2026-03-01T14:30+02:00')), { nil: undefined });
const without = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
const address = fc.oneof(
  fc.constant({ kind: 'collections' as const }),
  fc.record({ kind: fc.constant('collection' as const), collection: part, as_of: moment }),
  fc.record({ kind: fc.constant('item' as const), collection: part, id: part, as_of: moment }),
  fc.record({ kind: fc.constant('history' as const), collection: part, id: part }),
) as fc.Arbitrary<Address>;

describe('URIs', () => {
  test('name every collection, id and moment so that it is read back as it was', () => {
    fc.assert(
      fc.property(address.map(without), given => {
        const uri = formatUri(given);
        expect(uri).toMatch(/^vector:\/\/[\w.~%-]*(\/[\w.~%-]+){0,2}(\?as_of=[\w.~%-]+)?$/);
        expect(parseUri(uri)).toEqual(given);
      }),
    );
  });

  test('are taken as clients write them that decode slashes, or write the scheme large', () => {
    expect(parseUri('VECTOR://docs/src/a.md%23ab')).toEqual({
      kind: 'item',
      collection: 'docs',
      id: 'src/a.md#ab',
    });
    expect(parseUri('vector://docs/src/a.md/history')).toEqual({
      kind: 'history',
      collection: 'docs',
      id: 'src/a.md',
    });
    expect(parseUri('vector://docs/')).toEqual({ kind: 'collection', collection: 'docs' });
  });

  test.each([
    ['file:///etc/passwd', 'RESOURCE_NOT_FOUND'],
    ['vector:docs', 'RESOURCE_NOT_FOUND'],
    ['vector://docs/a#b', 'RESOURCE_NOT_FOUND'],
    ['', 'RESOURCE_NOT_FOUND'],
    ['vector:///a', 'INVALID_ARGUMENT'],
    ['vector://?as_of=1', 'INVALID_ARGUMENT'],
    ['vector://docs/%ff', 'INVALID_ARGUMENT'],
    ['vector://docs/100%', 'INVALID_ARGUMENT'],
    ['vector://docs?at=1', 'INVALID_ARGUMENT'],
    ['vector://docs?as_of=1&as_of=2', 'INVALID_ARGUMENT'],
    ['vector://docs?as_of=', 'INVALID_ARGUMENT'],
    ['vector://docs/a/history?as_of=1', 'INVALID_ARGUMENT'],
    [`vector://docs/${'x'.repeat(300)}`, 'TOO_LARGE'],
  ])('%s is %s', (uri, code) => {
    expect(() => parseUri(uri)).toThrow(expect.objectContaining({ code }));
  });
});

describe.each(['auto', 'legacy'] as const)('reading (%s)', mode => {
  let connection: Connection;
  beforeEach(async () => {
    connection = await inMemory({ mode });
  });
  afterEach(() => connection.close());
  const remember = (collection: string, id: string, text: string) =>
    connection.call('vector_upsert', { collection, items: [{ id, text, metadata: { of: id } }] });
  const refusal = (uri: string) =>
    connection.readResource(uri).then(
      () => undefined,
      error => ({ code: error.code, data: error.data, message: error.message }),
    );

  test('collections, a collection, an item and its history, now and then', async () => {
    await remember('my notes', 'a/b ü', 'The first text.');
    await remember('my notes', 'a/b ü', 'The second text.');
    await remember('docs', 'c', 'Another.');
    const { collections } = await connection.readResource('vector://');
    expect(collections).toEqual([
      { name: 'my notes', items: 1, uri: 'vector://my%20notes' },
      { name: 'docs', items: 1, uri: 'vector://docs' },
    ]);
    const uri = 'vector://my%20notes/a%2Fb%20%C3%BC';
    expect(await connection.readResource(uri)).toMatchObject({
      collection: 'my notes',
      id: 'a/b ü',
      text: 'The second text.',
      truncated: false,
      metadata: { of: 'a/b ü' },
      moment: { seq: 3 },
    });
    expect(await connection.readResource(`${uri}?as_of=before%202`)).toMatchObject({
      text: 'The first text.',
      moment: { seq: 1 },
    });
    expect(await connection.readResource(`${uri}/history`)).toMatchObject({
      id: 'a/b ü',
      changes: [{ type: 'updated', before: { text: 'The first text.' } }, { type: 'created' }],
    });
    expect(await connection.readResource('vector://my%20notes?as_of=1')).toMatchObject({
      collection: 'my notes',
      items: [{ id: 'a/b ü', preview: 'The first text.' }],
      moment: { seq: 1 },
    });
  });

  test('what is not there is said in the way that clients know, with our code', async () => {
    await remember('docs', 'c', 'Text.');
    for (const [uri, code] of [
      ['vector://nope', 'COLLECTION_NOT_FOUND'],
      ['vector://nope/c', 'COLLECTION_NOT_FOUND'],
      ['vector://docs/nope', 'RESOURCE_NOT_FOUND'],
      ['vector://docs/nope/history', 'RESOURCE_NOT_FOUND'],
      ['https://example.org/', 'RESOURCE_NOT_FOUND'],
    ] as const)
      expect(await refusal(uri)).toEqual({
        code: -32602,
        data: { uri },
        message: expect.stringMatching(new RegExp(`^${code}: .+[.] .+[.]$`)),
      });
    for (const [uri, code] of [
      ['vector://docs/c?as_of=99', 'MOMENT_TOO_LATE'],
      ['vector://docs?as_of=no-such-mark', 'MARK_NOT_FOUND'],
      ['vector://docs/%E0%A4%A', 'INVALID_ARGUMENT'],
    ] as const)
      expect(await refusal(uri)).toMatchObject({
        code: -32602,
        data: { code },
        message: expect.stringMatching(new RegExp(`^${code}: `)),
      });
  });

  test('contents are bounded, and say where they were cut', async () => {
    const long = 'words '.repeat(50_000);
    await remember('docs', 'long', long);
    await remember('docs', 'long', `${long}more`);
    const read = async (uri: string) => {
      const contents = await connection.readResource(uri);
      expect(JSON.stringify(contents).length).toBeLessThanOrEqual(100_000);
      return contents;
    };
    expect(await read('vector://docs/long')).toMatchObject({
      truncated: true,
      text: expect.stringMatching(/…$/),
    });
    const { changes } = await read('vector://docs/long/history');
    expect(changes).toMatchObject([
      { before: { truncated: true }, after: { truncated: true } },
      { after: { truncated: true } },
    ]);
    const items = Array.from({ length: 1000 }, (_, i) => ({ id: `n${i}`, text: `${i} ${'x'.repeat(300)}` }));
    await connection.call('vector_upsert', { collection: 'many', items });
    const many = await read('vector://many');
    expect(many).toMatchObject({ truncated: true, hint: expect.stringContaining('vector_list') });
    const rest = await connection.call('vector_list', {
      collection: 'many',
      cursor: many.next_cursor,
      limit: 1,
    });
    expect(rest.structuredContent.items).toMatchObject([{ id: `n${1000 - many.items.length - 1}` }]);
  });
});

test('a defect is INTERNAL, and quotes nothing', async () => {
  const connection = await inMemory({
    engine: async () => {
      throw new TypeError('the stored text is: hunter2');
    },
  });
  await expect(connection.readResource('vector://docs')).rejects.toMatchObject({
    code: -32603,
    message: expect.stringMatching(/^INTERNAL: resources\/read failed .*\(TypeError\)/),
    data: { code: 'INTERNAL' },
  });
  await connection.close();
});
