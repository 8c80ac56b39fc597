import { expect, test } from 'vitest';
import { inMemory } from './connections.js';

test('results stay within max_chars, and lists go on where they were cut', async () => {
  const connection = await inMemory();
  const items = Array.from({ length: 120 }, (_, i) => ({
    id: `item-${i}`,
    text: `${'filler '.repeat(i * 20)}the needle ${'filler '.repeat(i * 20)}`,
    metadata: { note: 'x'.repeat(i * 3) },
  }));
  await connection.call('vector_upsert', { items });

  for (const max_chars of [1000, 2000, 8000, 50_000]) {
    const search = await connection.call('vector_search', { query: 'needle', k: 100, max_chars });
    expect(search.content[0]!.text.length).toBeLessThanOrEqual(max_chars);
    const { results, omitted = 0, hint } = search.structuredContent;
    expect(results.length + omitted).toBe(100);
    expect(results.length).toBeGreaterThan(0);
    for (const { text } of results) expect(text).toContain('needle');
    if (omitted > 0) expect(hint).toMatch(/max_chars/);

    const got = await connection.call('vector_get', { ids: items.map(item => item.id), max_chars });
    expect(got.content[0]!.text.length).toBeLessThanOrEqual(max_chars);
    expect(got.structuredContent.items.length + (got.structuredContent.omitted ?? 0)).toBe(120);

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await connection.call('vector_list', {
        limit: 50,
        max_chars,
        ...(cursor === undefined ? {} : { cursor }),
      });
      expect(page.content[0]!.text.length).toBeLessThanOrEqual(max_chars);
      seen.push(...page.structuredContent.items.map((item: { id: string }) => item.id));
      cursor = page.structuredContent.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(items.map(item => item.id).reverse());
  }
  await connection.close();
});

test('an item too large for a page is counted, and the list gets beyond it', async () => {
  const connection = await inMemory();
  const items = [
    { id: 'first', text: 'a' },
    { id: 'ÿ'.repeat(64) + '"'.repeat(100), text: '"'.repeat(9000), metadata: { long: 'x'.repeat(5000) } },
    { id: 'last', text: 'b' },
  ];
  await connection.call('vector_upsert', { items });
  const first = (await connection.call('vector_list', { max_chars: 1000 })).structuredContent;
  expect(first.items).toMatchObject([{ id: 'last' }]);
  const second = (await connection.call('vector_list', { max_chars: 1000, cursor: first.next_cursor }))
    .structuredContent;
  expect(second.items).toMatchObject([{ id: items[1]!.id, truncated: true }]);
  expect(second.items[0]).not.toHaveProperty('metadata');
  const third = (await connection.call('vector_list', { max_chars: 1000, cursor: second.next_cursor }))
    .structuredContent;
  expect(third.items).toMatchObject([{ id: 'first' }]);
  expect(third).not.toHaveProperty('next_cursor');
  await connection.close();
});
