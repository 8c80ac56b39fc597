import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { Engine } from '#src/domain/face.js';
import { checkedCalls } from './checked-calls.js';
import { CONNECTIONS, inMemory } from './connections.js';
import { mapEngine } from './map-engine.mjs';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mcp-server-'));
  for (let i = 0; i < 30; i++) writeFileSync(join(directory, `${i}.md`), `Chapter ${i} tells of storms.`);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(CONNECTIONS)('%s', (_, connect) => {
  test('drives every tool, and every answer keeps to its schema', async () => {
    const connection = await connect({ TEST_ROOT: directory });
    try {
      expect(connection.instructions).toContain('vector_search');
      const call = checkedCalls(connection, await connection.listTools());

      const created = await call('vector_upsert', {
        items: [
          { id: 'deploy', text: 'Deploys go through staging.', metadata: { topic: 'ops' } },
          { text: 'Tea at four.' },
        ],
      });
      expect(created.undo).toEqual({
        tool: 'vector_revert',
        arguments: { since: '1', until: '2', dry_run: false },
      });
      const updated = await call('vector_upsert', {
        items: [{ id: 'deploy', text: 'Deploys go through staging, never on Fridays.' }],
      });
      expect(updated.items).toMatchObject([{ id: 'deploy', outcome: 'updated' }]);
      expect(updated.undo.arguments).toEqual({ since: '3', until: '3', dry_run: false });
      const unchanged = await call('vector_upsert', {
        items: [{ id: 'deploy', text: 'Deploys go through staging, never on Fridays.' }],
      });
      expect(unchanged).not.toHaveProperty('undo');
      const alike = await call('vector_upsert', {
        items: [{ text: 'Deploys go through staging and then live.' }],
      });
      expect(alike.items[0].similar).toMatchObject([{ id: 'deploy' }]);

      const found = await call('vector_search', { query: 'fridays', context: '1' });
      expect(found.results[0]).toMatchObject({
        id: 'deploy',
        text: 'Deploys go through staging, never on Fridays.',
        truncated: false,
        metadata: { topic: 'ops' },
        origin: 'agent',
        actor: { client: 'test-client 9.8.7', tool: 'vector_upsert' },
      });
      expect((await call('vector_search', { query: 'nothing like it' })).hint).toBeTypeOf('string');
      expect((await call('vector_get', { ids: ['deploy', 'gone'] })).missing).toEqual(['gone']);
      expect((await call('vector_list', { where: { topic: 'ops' } })).items).toMatchObject([
        { id: 'deploy' },
      ]);

      const progress: number[] = [];
      const ingested = await call(
        'vector_ingest',
        { paths: ['.'], collection: 'docs' },
        { onprogress: ({ progress: done }: { progress: number }) => progress.push(done) },
      );
      expect(ingested).toMatchObject({ done: true, files: 30, chunks: { added: 30 } });
      // Clients drop notifications that they read in one go with the answer, so the last ones may be missing.
      expect(progress.length).toBeGreaterThan(0);
      expect(progress).toEqual(progress.map((_, i) => i + 1));

      const trial = await call('vector_delete', { where: { topic: 'ops' }, dry_run: true });
      expect(trial).toMatchObject({ deleted: ['deploy'], dry_run: true });
      expect(trial).not.toHaveProperty('undo');
      const deleted = await call('vector_delete', { ids: ['deploy', 'gone'] });
      expect(deleted).toMatchObject({ deleted: ['deploy'], deleted_count: 1, missing: ['gone'] });
      const undone = await call(deleted.undo.tool, deleted.undo.arguments);
      expect(undone).toMatchObject({ dry_run: false, counts: { restored: 1, deleted: 0, conflicts: 0 } });
      expect((await call('vector_get', { ids: ['deploy'] })).items[0].text).toMatch(/Fridays/);

      const status = await call('vector_status');
      expect(status.session).toMatchObject({
        source: 'window',
        client: 'test-client 9.8.7',
        transport: 'stdio',
      });
      expect(status.collections).toContainEqual(
        expect.objectContaining({ name: 'docs', items: 30, space: 'given/3' }),
      );
    } finally {
      await connection.close();
    }
  });

  test('errors are complete in their text, and carry no structured content', async () => {
    const connection = await connect();
    try {
      await connection.listTools();
      await connection.call('vector_upsert', { items: [{ id: 'a', text: 'one' }] });
      const conflict = await connection.call('vector_upsert', {
        items: [{ id: 'a', text: 'two', if_version: 9 }],
      });
      expect(conflict).toMatchObject({ isError: true });
      expect(conflict.structuredContent).toBeUndefined();
      expect(conflict.content[0]!.text).toBe(
        'VERSION_CONFLICT: a has another version. Read it again. {"current":1}',
      );
      const unknown = await connection.call('vector_search', { query: 'x', top_k: 3 });
      expect(unknown.content[0]!.text).toMatch(
        /^INVALID_ARGUMENT: top_k: unknown, did you mean k\? The arguments are: /,
      );
      await expect(connection.call('vector_serch', {})).rejects.toThrow(
        'UNKNOWN_TOOL: there is no such tool. Did you mean vector_search?',
      );
    } finally {
      await connection.close();
    }
  });

  test('the session is the one that the request or the environment names', async () => {
    const connection = await connect({
      CLAUDE_CODE_SESSION_ID: 'from-env',
      CLAUDE_PROJECT_DIR: '/some/project',
    });
    try {
      const fromEnv = (await connection.call('vector_status')).structuredContent.session;
      expect(fromEnv).toMatchObject({
        id: 'from-env',
        source: 'env:CLAUDE_CODE_SESSION_ID',
        project: '/some/project',
      });
      const fromMeta = await connection.call('vector_status', {}, { meta: { threadId: 'thread-7' } });
      expect(fromMeta.structuredContent.session).toMatchObject({ id: 'thread-7', source: 'meta' });
    } finally {
      await connection.close();
    }
  });

  test('cancelling a call reaches the engine', async () => {
    const connection = await connect({ TEST_ROOT: directory });
    try {
      const controller = new AbortController();
      const call = connection.call(
        'vector_ingest',
        { paths: ['.'] },
        { signal: controller.signal, onprogress: () => controller.abort() },
      );
      await expect(call).rejects.toThrow();
      // The Map engine sleeps between files; had it gone on, all of them would be there after this many calls.
      for (let i = 0; i < 100; i++) await connection.call('vector_status');
      const { items } = (await connection.call('vector_list', { max_chars: 100_000 })).structuredContent;
      expect(items.length).toBeLessThan(30);
    } finally {
      await connection.close();
    }
  });
});

describe('in memory', () => {
  test('discovery never asks for the engine', async () => {
    for (const mode of ['auto', 'legacy'] as const) {
      let asked = 0;
      const connection = await inMemory({
        mode,
        engine: async () => {
          asked++;
          throw new CodedError('ENGINE_CLOSED', 'it is closed', 'Open it.');
        },
      });
      expect(await connection.listTools()).toHaveLength(11);
      expect(await connection.listPrompts()).toHaveLength(4);
      expect((await connection.getPrompt('take-back')).messages).toHaveLength(1);
      expect(await connection.listResources()).toMatchObject([{ uri: 'vector://' }]);
      expect(await connection.listResourceTemplates()).toHaveLength(3);
      expect((await connection.call('vector_search', { top_k: 1 })).content[0]!.text).toMatch(
        /^INVALID_ARGUMENT/,
      );
      expect(asked).toBe(0);
      const refused = await connection.call('vector_status');
      expect(refused).toMatchObject({
        isError: true,
        content: [{ text: 'ENGINE_CLOSED: it is closed. Open it.' }],
      });
      expect(asked).toBe(1);
      await connection.close();
    }
  });

  test('an error without a code is INTERNAL, and quotes nothing', async () => {
    const engine: Engine = {
      ...mapEngine(),
      search: async () => {
        throw new TypeError('the stored text is: hunter2');
      },
    };
    const connection = await inMemory({ engine: async () => engine });
    const result = await connection.call('vector_search', { query: 'x' });
    expect(result.isError).toBe(true);
    expect(result.content[0]!.text).toMatch(/^INTERNAL: vector_search failed .*\(TypeError\)/);
    expect(result.content[0]!.text).not.toContain('hunter2');
    await connection.close();
  });

  test('arguments may be null or a JSON string; anything else is refused with a code', async () => {
    const connection = await inMemory();
    expect((await connection.call('vector_status', null)).isError).toBeFalsy();
    expect((await connection.call('vector_search', '{"query":"x"}')).isError).toBeFalsy();
    for (const args of [[], 'no JSON', 7, true]) {
      await expect(connection.call('vector_search', args)).rejects.toThrow(
        /INVALID_ARGUMENT: arguments: wants an object/,
      );
    }
    await connection.close();
  });

  test('ingest reads below the roots that the client names, and nowhere where there are none', async () => {
    const rootless = await inMemory();
    const refused = await rootless.call('vector_ingest', { paths: ['.'] });
    expect(refused.content[0]!.text).toMatch(/^ROOTS_UNSET/);
    await rootless.close();

    const connection = await inMemory({
      capabilities: { roots: {} },
      prepare: client =>
        client.setRequestHandler('roots/list', () => ({ roots: [{ uri: pathToFileURL(directory).href }] })),
    });
    const ingested = await connection.call('vector_ingest', { paths: ['0.md'] });
    expect(ingested.structuredContent).toMatchObject({ done: true, files: 1 });
    await connection.close();
  });
});
