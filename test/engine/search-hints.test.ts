import { expect, test } from 'vitest';
import type { SearchQuery } from '#src/domain/face.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

test('a search without results says where there would be some', async () => {
  const engine = await openTestEngine(temporaryDirectory());
  const hintOf = async (query: Partial<SearchQuery>) => {
    const answer = await engine.search({ k: 10, mode: 'hybrid', ...query }, testContext);
    expect(answer.results).toEqual([]);
    return answer.hint;
  };
  try {
    expect(await hintOf({ query: 'apples' })).toMatch(/^The store is empty/);
    await engine.upsert(
      {
        collection: 'fruit',
        items: [
          { id: 'a', text: 'apples', metadata: { colour: 'red' } },
          { id: 'b', text: 'pears', metadata: { colour: 'green' } },
        ],
      },
      testContext,
    );
    expect(await hintOf({ query: 'apples', where: { colour: 'blue' } })).toBe('where leaves 0 of 2 items.');
    expect(await hintOf({ query: 'apples', where: { colour: 'red' }, until: '1 hour ago' })).toBe(
      'where and until leave 0 of 2 items.',
    );
    expect(await hintOf({ query: 'apples', mode: 'keyword', where: { colour: 'green' } })).toBe(
      'where leaves 1 of 2 items, and none of those matches.',
    );
    expect(await hintOf({ query: 'plums', mode: 'keyword' })).toMatch(/try mode "hybrid"/);
    expect(await hintOf({ query: 'apples', min_score: 9 })).toMatch(/min_score 9; the best has /);
    expect(await hintOf({ vector: [1, 2, 3] })).toBe(
      'No collection has vectors of 3 components: there are "fruit" (32).',
    );
  } finally {
    await engine.close();
  }
});
