/** Completions over the server as it ships: for whoever types a prompt's argument or the address of a resource. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RESOURCE_TEMPLATES } from '#src/mcp/resources/resources.js';
import { SURFACE_CLIENTS } from './surface-clients.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mvs-completion-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const template = (uri: string) => ({ type: 'ref/resource', uri }) as const;
const prompt = (name: string) => ({ type: 'ref/prompt', name }) as const;
const ITEM = 'vector://{collection}/{id}{?as_of}';

describe.each(SURFACE_CLIENTS)('%s', (_, launch) => {
  test('completes collections, ids, marks and metadata keys', { timeout: 120_000 }, async () => {
    const client = await launch({ store: join(directory, 'store') });
    try {
      // Nothing is there yet: no suggestion, no error.
      expect(await client.complete(template(ITEM), 'id', '', { collection: 'notes' })).toMatchObject({
        values: [],
      });
      const vector = [1, 0, 0];
      await client.call('vector_upsert', {
        collection: 'notes',
        items: [
          { id: 'deploy staging', vector, metadata: { topic: 'ops' } },
          { id: 'design', vector, metadata: { tags: ['a'] } },
          // Nobody can type it, and it looks like another.
          { id: 'desi\u202egn', vector },
        ],
      });
      await client.call('vector_upsert', { collection: 'docs', items: [{ id: 'readme', vector }] });
      await client.call('vector_mark', { name: 'before-cleanup' });

      const completed = async (...args: Parameters<typeof client.complete>) =>
        (await client.complete(...args)).values;
      for (const { uriTemplate } of RESOURCE_TEMPLATES)
        expect(await completed(template(uriTemplate), 'collection', 'N')).toEqual(['notes']);
      expect(await completed(template(ITEM), 'id', 'de', { collection: 'notes' })).toEqual([
        'design',
        'deploy staging',
      ]);
      expect(await completed(template(ITEM), 'id', 'de')).toEqual([]);
      expect(await completed(template(ITEM), 'as_of', '')).toEqual([
        'before-cleanup',
        '1 hour ago',
        'today',
        'yesterday',
        '3 days ago',
        '1 week ago',
      ]);
      expect(await completed(prompt('what-changed-since'), 'moment', 'be')).toEqual(['before-cleanup']);
      expect(await completed(prompt('what-changed-since'), 'collection', '')).toEqual(['docs', 'notes']);
      expect(await completed(prompt('tidy-up'), 'key', 't')).toEqual(['tags', 'topic']);
      expect(await completed(prompt('tidy-up'), 'key', '', { collection: 'docs' })).toEqual([]);
      expect(await completed(prompt('review-session'), 'session', 'c')).toEqual(['current']);
      expect(await completed(prompt('take-back'), 'what', 'the last i')).toEqual(['the last ingest']);

      for (const [ref, name] of [
        [prompt('tidy'), 'key'],
        [prompt('tidy-up'), 'keys'],
        [prompt('tidy-up'), 'constructor'],
        [template('vector://{collection}/{id}/histories'), 'id'],
        [template('vector://{collection}/{id}/history'), 'as_of'],
      ] as const)
        await expect(client.complete(ref, name, ''), `${JSON.stringify(ref)} ${name}`).rejects.toThrow(
          /UNKNOWN_PROMPT|INVALID_ARGUMENT|RESOURCE_NOT_FOUND/,
        );
    } finally {
      await client.close();
    }
  });
});
