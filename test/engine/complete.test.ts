import { beforeEach, describe, expect, it } from 'vitest';
import type { CompleteQuery } from '#src/domain/watch.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

let engine: StoreEngine;
beforeEach(async () => {
  engine = await memoryEngine(new MemoryLog());
  const put = (collection: string, id: string, metadata = {}) =>
    engine.upsert({ collection, items: [{ id, text: `${collection} ${id}`, metadata }] }, testContext);
  await put('notes', 'deploy', { topic: 'ops', owner: { name: 'ada' } });
  await put('notes', 'Design', { topic: 'code', tags: ['a'] });
  await put('notes', 'gone', { secret_key: 1 });
  await put('docs', 'readme', { path: 'README.md' });
  await engine.delete({ collection: 'notes', ids: ['gone'] }, testContext);
  await engine.mark({ name: 'before-cleanup' }, testContext);
  await engine.mark({ name: 'before-release' }, testContext);
});

const complete = (of: CompleteQuery['of'], prefix = '', more: Partial<CompleteQuery> = {}) =>
  engine.complete({ of, prefix, ...more }, testContext);
const values = async (...query: Parameters<typeof complete>) => (await complete(...query)).values;

describe('names go on', () => {
  it('of collections, by name', async () => {
    expect(await values('collections')).toEqual(['docs', 'notes']);
    expect(await values('collections', 'N')).toEqual(['notes']);
    expect(await values('collections', 'x')).toEqual([]);
  });

  it('of live items, the newest first, in any case', async () => {
    expect(await values('ids', '', { collection: 'notes' })).toEqual(['Design', 'deploy']);
    expect(await values('ids', 'DE', { collection: 'notes' })).toEqual(['Design', 'deploy']);
    expect(await values('ids', 'dep', { collection: 'notes' })).toEqual(['deploy']);
    expect(await values('ids', 'g', { collection: 'notes' })).toEqual([]);
    expect(await values('ids', '', { collection: 'docs' })).toEqual(['readme']);
  });

  it('of marks, the newest first', async () => {
    expect(await values('marks', 'before-')).toEqual(['before-release', 'before-cleanup']);
    expect(await values('marks', 'before-c')).toEqual(['before-cleanup']);
  });

  it('of the keys of live items, as filters name them', async () => {
    expect(await values('metadata_keys')).toEqual(['owner', 'owner.name', 'path', 'tags', 'topic']);
    expect(await values('metadata_keys', 'o', { collection: 'notes' })).toEqual(['owner', 'owner.name']);
    expect(await values('metadata_keys', '', { collection: 'docs' })).toEqual(['path']);
  });

  it('only within what the caller may have', async () => {
    const within = ['docs'];
    expect(await values('collections', '', { within })).toEqual(['docs']);
    expect(await values('metadata_keys', '', { within })).toEqual(['path']);
    for (const of of ['ids', 'metadata_keys'] as const)
      await expect(complete(of, '', { within, collection: 'notes' })).rejects.toMatchObject({
        code: 'COLLECTION_NOT_FOUND',
      });
  });

  it('no further than asked for, and it says that there are more', async () => {
    expect(await complete('ids', '', { collection: 'notes', limit: 1 })).toEqual({
      values: ['Design'],
      more: true,
    });
    expect(await complete('ids', '', { collection: 'notes', limit: 2 })).toMatchObject({ more: false });
    const items = Array.from({ length: 150 }, (_, i) => ({ id: `n-${i}`, text: `number ${i}` }));
    await engine.upsert({ collection: 'many', items }, testContext);
    const { values: shown, more } = await complete('ids', 'n-', { collection: 'many' });
    expect(shown).toHaveLength(100);
    expect(shown[0]).toBe('n-149');
    expect(more).toBe(true);
  });

  it('and what cannot be meant is refused', async () => {
    await expect(complete('ids')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(complete('marks', '', { limit: 101 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
