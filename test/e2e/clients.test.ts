/**
 * The server as it ships, the embedded model included, driven by the clients that people have: remember, recall, ingest,
 * forget. Time travel, prompts and resources are in clients-travel.test.ts.
 */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkedCalls, refusedCalls } from '../mcp/checked-calls.js';
import { CLIENTS } from '../mcp/connections.js';
import { inspector } from './inspector.js';

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'mvs-clients-')));
  const section = (title: string, text: string) => `## ${title}\n\n${text.repeat(6)}\n\n`;
  writeFileSync(
    join(root, 'harbour.md'),
    [
      '# The harbour\n\n',
      section('Ferries', 'The ferry to the island leaves from pier three every second hour. '),
      section('Lighthouse', 'The lighthouse keeper polishes the great lens before every dusk. '),
      section('Market', 'Fishermen sell mackerel and crabs at the quay on Saturday mornings. '),
    ].join(''),
  );
  for (let i = 0; i < 20; i++)
    writeFileSync(join(root, `log-${i}.md`), `On day ${i} the wind came from the west.`);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

// The Inspector starts two processes a call.
const TIMEOUT_MS = 300_000;

test.each([...CLIENTS, ['Inspector, command line', inspector] as const])(
  'the %s remembers, recalls, ingests and forgets',
  async (_, launch) => {
    // Below the directory that is ingested, as in many a project.
    const store = join(root, '.memory');
    const env = { VECTOR_DB_PATH: store, VECTOR_ROOTS: root, VECTOR_LOG_LEVEL: 'warn' };
    const connection = await launch({ args: [MAIN], env, cwd: root });
    try {
      const tools = await connection.listTools();
      expect(tools).toHaveLength(11);
      const call = checkedCalls(connection, tools);
      const refused = refusedCalls(connection);

      // Remember: created, updated, unchanged, similar, merged, compared.
      const text = 'Deploys go through staging first, and never on a Friday afternoon.';
      const created = await call('vector_upsert', {
        items: [
          { id: 'deploy', text, metadata: { topic: 'ops', owner: 'ada' } },
          { text: 'The office cat is called Schrödinger.' },
        ],
      });
      const catId = created.items[1].id;
      expect(created.items).toMatchObject([{ id: 'deploy', outcome: 'created' }, { outcome: 'created' }]);
      expect(created.undo).toEqual({
        tool: 'vector_revert',
        arguments: { since: '2', until: String(created.seq), dry_run: false },
      });
      const again = await call('vector_upsert', { items: [{ id: 'deploy', text }] });
      expect(again).toMatchObject({ seq: created.seq, items: [{ id: 'deploy', outcome: 'unchanged' }] });
      expect(again).not.toHaveProperty('undo');
      const alike = await call('vector_upsert', {
        items: [{ text: 'Deploys go through staging first and never on Friday afternoons.' }],
      });
      expect(alike.items[0]).toMatchObject({
        outcome: 'created',
        similar: [{ id: 'deploy', preview: text }],
      });
      const { version } = created.items[0];
      const merged = await call('vector_upsert', {
        items: [{ id: 'deploy', metadata: { owner: null, since: 2026 }, if_version: version }],
      });
      expect(merged.items).toEqual([{ id: 'deploy', version: merged.seq, outcome: 'updated' }]);
      expect(merged.undo.arguments).toMatchObject({ until: String(merged.seq), dry_run: false });
      expect(
        await refused('vector_upsert', { items: [{ id: 'deploy', text: 'Other.', if_version: version }] }),
      ).toMatch(new RegExp(`^VERSION_CONFLICT: .*\\{.*"current":${merged.seq}.*\\}$`));
      expect(
        await refused('vector_upsert', { items: [{ id: 'deploy', text: 'Other.', if_version: 0 }] }),
      ).toMatch(/^VERSION_CONFLICT: /);

      // Vectors by hand, in a collection of their own.
      const points = {
        collection: 'points',
        items: [
          { id: 'x', vector: [1, 0, 0] },
          { id: 'y', vector: [0, 1, 0] },
        ],
      };
      await call('vector_upsert', points);
      expect(
        await refused('vector_upsert', { collection: 'points', items: [{ id: 'z', vector: [1, 0] }] }),
      ).toMatch(/^DIMENSION_MISMATCH: .*2.*3/s);
      const nearest = await call('vector_search', { vector: [0.1, 1, 0], collections: ['points'], k: 1 });
      expect(nearest.results).toMatchObject([{ id: 'y', collection: 'points' }]);

      // Recall: by meaning, by words, by both; within bounds.
      const topIn = async (mode: string, query: string, more = {}) =>
        (await call('vector_search', { query, mode, k: 1, ...more })).results[0];
      expect(await topIn('semantic', 'What is the pet at work named?')).toMatchObject({ id: catId });
      expect(await topIn('keyword', 'schrödinger')).toMatchObject({ id: catId });
      const hit = await topIn('hybrid', 'May I release on Fridays?', { where: { topic: 'ops' } });
      expect(hit).toMatchObject({
        id: 'deploy',
        text,
        truncated: false,
        metadata: { topic: 'ops', since: 2026 },
        version: merged.seq,
        origin: 'agent',
        actor: { tool: 'vector_upsert' },
      });
      const query = 'office cat';
      const recent = await call('vector_search', { query, since: '1 hour ago', until: String(merged.seq) });
      expect(recent.results[0].id).toBe(catId);
      const before = await call('vector_search', { query, collections: ['default'], until: '1 hour ago' });
      expect(before).toMatchObject({
        results: [],
        hint: expect.stringMatching(/^until leaves 0 of 3 items\.$/),
      });
      const strict = await call('vector_search', { query, min_score: 5 });
      expect(strict).toMatchObject({ results: [], hint: expect.stringContaining('min_score') });
      expect(await refused('vector_search', { query, top_k: 3 })).toMatch(/did you mean k\?/);
      expect(await refused('vector_search', { query, collections: ['nope'] })).toMatch(
        /^COLLECTION_NOT_FOUND: .*"default"/,
      );

      // Ingest a folder, and read on around a hit.
      const progress: number[] = [];
      const ingest = { paths: ['.'], collection: 'docs' };
      const ingested = await call('vector_ingest', ingest, {
        onprogress: ({ progress: done }) => progress.push(done),
      });
      expect(ingested).toMatchObject({ done: true, files: 21, remaining: 0, skipped: [{ path: store }] });
      expect(ingested.chunks.added).toBeGreaterThan(21);
      if (connection.instructions !== undefined) expect(progress.length).toBeGreaterThan(0);
      const unchanged = await call('vector_ingest', ingest);
      expect(unchanged).toMatchObject({
        seq: ingested.seq,
        chunks: { added: 0, updated: 0, unchanged: ingested.chunks.added, removed: 0 },
      });
      const around = await topIn('hybrid', 'Who cleans the lens?', { collections: ['docs'], context: 1 });
      expect(around).toMatchObject({ origin: 'file', metadata: { file: join(root, 'harbour.md') } });
      expect(around.text).toContain('lighthouse keeper');
      expect(around.context.map((chunk: { text: string }) => chunk.text).join()).toMatch(/ferry.*mackerel/s);
      expect(await refused('vector_ingest', { paths: ['/etc'] })).toMatch(/^OUTSIDE_ROOTS: /);

      // Read and browse.
      const read = await call('vector_get', { ids: ['deploy', 'gone'] });
      expect(read).toMatchObject({ items: [{ id: 'deploy', text }], missing: ['gone'] });
      const listed: string[] = [];
      for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page++) {
        const part = await call('vector_list', { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
        listed.push(...part.items.map((item: { id: string }) => item.id));
        cursor = part.next_cursor;
      }
      expect(listed).toEqual(['deploy', alike.items[0].id, catId]);
      expect(await refused('vector_list', { cursor: 'bogus' })).toMatch(/^CURSOR_INVALID: /);

      // Forget: tried first, by ids, by a filter; never everything by mistake.
      const trial = await call('vector_delete', { where: { topic: 'ops' }, dry_run: true });
      expect(trial).toMatchObject({ deleted: ['deploy'], deleted_count: 1, dry_run: true });
      expect(trial).not.toHaveProperty('undo');
      const deleted = await call('vector_delete', { ids: [catId, 'gone'] });
      expect(deleted).toMatchObject({ deleted: [catId], missing: ['gone'] });
      const filtered = await call('vector_delete', { where: { since: { $gte: 2026 } } });
      expect(filtered).toMatchObject({ deleted: ['deploy'], deleted_count: 1 });
      for (const args of [{}, { where: {} }, { ids: ['a'], where: { topic: 'ops' } }])
        expect(await refused('vector_delete', args)).toMatch(/^INVALID_ARGUMENT: /);

      const status = await call('vector_status');
      expect(status).toMatchObject({
        store: { path: store, state: 'ok' },
        head: { seq: filtered.seq, hash: filtered.hash },
        session: { transport: 'stdio', project: root },
      });
      expect(status.collections).toMatchObject([
        { name: 'default', items: 1 },
        { name: 'points', items: 2, space: 'given/3' },
        { name: 'docs', items: ingested.chunks.added },
      ]);
    } finally {
      await connection.close();
    }
  },
  TIMEOUT_MS,
);
