/** The past of the server as it ships, its prompts and its resources, through the clients that people have. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkedCalls, refusedCalls } from '../mcp/checked-calls.js';
import { CLIENTS, type Connection } from '../mcp/connections.js';
import { inspector } from './inspector.js';

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');
const TIMEOUT_MS = 300_000;

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'mvs-travel-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const launch = () => {
  const env = { VECTOR_DB_PATH: join(root, '.memory'), VECTOR_ROOTS: root, VECTOR_LOG_LEVEL: 'warn' };
  return { args: [MAIN], env, cwd: root };
};

/** Something that was written, corrected and deleted. */
async function remember(connection: Pick<Connection, 'call'>) {
  const write = async (name: string, args: object) => {
    const { isError, content, structuredContent } = await connection.call(name, args);
    expect(isError, content[0]?.text).toBeFalsy();
    return structuredContent;
  };
  const text = 'Deploys go through staging first, and never on a Friday afternoon.';
  const created = await write('vector_upsert', {
    items: [
      { id: 'deploy', text, metadata: { owner: 'ada' } },
      { id: 'pets/cat', text: 'The office cat is called Schrödinger.' },
    ],
  });
  const corrected = await write('vector_upsert', {
    items: [{ id: 'deploy', text: text.replace('Friday', 'Sunday'), metadata: { owner: 'bob' } }],
  });
  const deleted = await write('vector_delete', { ids: ['pets/cat'] });
  return { created, corrected, deleted };
}

test.each(CLIENTS)(
  'through the %s',
  async (_, connect) => {
    const connection = await connect(launch());
    try {
      const call = checkedCalls(connection, await connection.listTools());
      const refused = refusedCalls(connection);
      const { created, corrected, deleted } = await remember(connection);

      // What was overwritten and deleted is there, by meaning too.
      const past = { as_of: `before ${corrected.seq}` };
      const top = async (query: string, mode: string, more = {}) =>
        (await call('vector_search', { query, mode, k: 1, ...more })).results[0];
      const pet = 'What is the pet at work named?';
      expect(await top(pet, 'semantic', past)).toMatchObject({ id: 'pets/cat' });
      expect(await top('schrödinger', 'keyword', past)).toMatchObject({ id: 'pets/cat' });
      expect(await top('schrödinger', 'keyword')).toBeUndefined();
      expect(await top('May I release on Fridays?', 'hybrid', past)).toMatchObject({
        id: 'deploy',
        text: expect.stringContaining('Friday'),
        metadata: { owner: 'ada' },
      });
      expect((await call('vector_get', { ids: ['pets/cat'], ...past })).items).toHaveLength(1);
      expect((await call('vector_list', past)).items).toHaveLength(2);
      expect((await call('vector_status', past)).collections).toMatchObject([{ name: 'default', items: 2 }]);
      expect(await refused('vector_search', { query: pet, as_of: 'no-such-mark' })).toMatch(
        /^MARK_NOT_FOUND: /,
      );

      // Who changed what, and what is different.
      const history = await call('vector_history', { session: 'current' });
      expect(history.changes).toMatchObject([
        { seq: deleted.seq, type: 'deleted', id: 'pets/cat', actor: { tool: 'vector_delete' } },
        { seq: corrected.seq, type: 'updated', before: { metadata: { owner: 'ada' } } },
        { type: 'created', id: 'pets/cat' },
        { type: 'created', id: 'deploy', actor: { session: expect.any(String), project: root } },
        { type: 'collection_created' },
      ]);
      const difference = await call('vector_diff', { from: String(created.seq) });
      expect(difference).toMatchObject({
        counts: { added: 0, changed: 1, removed: 1 },
        items: [
          { id: 'pets/cat', change: 'removed' },
          { id: 'deploy', from: { metadata: { owner: 'ada' } } },
        ],
      });
      expect(difference.items[1].words).toEqual(expect.arrayContaining(['-Friday', '+Sunday']));

      // Take it back: a dry run, then its plan; a revert can be reverted.
      const mark = await call('vector_mark', { name: 'tidied', note: 'After the first clean-up.' });
      expect((await call('vector_status')).marks).toMatchObject([{ name: 'tidied', seq: mark.seq }]);
      const dry = await call('vector_revert', { to: past.as_of });
      expect(dry).toMatchObject({ dry_run: true, counts: { restored: 2, deleted: 0, conflicts: 0 } });
      const reverted = await call(dry.apply.tool, dry.apply.arguments);
      expect(await top(pet, 'semantic')).toMatchObject({ id: 'pets/cat' });
      expect((await call('vector_diff', { from: past.as_of })).items).toEqual([]);
      expect(await refused(dry.apply.tool, dry.apply.arguments)).toMatch(/^PLAN_STALE: /);
      await call(reverted.undo.tool, reverted.undo.arguments);
      expect((await call('vector_diff', { from: 'tidied' })).items).toEqual([]);

      await promptsAndResources(connection);
      expect(await connection.readResource('vector://default/pets%2Fcat?as_of=tidied').catch(String)).toMatch(
        /RESOURCE_NOT_FOUND: there was no such item/,
      );
      const then = encodeURIComponent(past.as_of);
      expect(await connection.readResource(`vector://default/pets%2Fcat?as_of=${then}`)).toMatchObject({
        id: 'pets/cat',
        text: 'The office cat is called Schrödinger.',
      });
      expect((await connection.readResource(`vector://default?as_of=${then}`)).items).toHaveLength(2);
    } finally {
      await connection.close();
    }
  },
  TIMEOUT_MS,
);

async function promptsAndResources(connection: Connection): Promise<void> {
  expect((await connection.listPrompts()).map(({ name }) => name)).toEqual([
    'what-changed-since',
    'review-session',
    'take-back',
    'tidy-up',
  ]);
  const prompt = await connection.getPrompt('what-changed-since', { moment: 'tidied' });
  expect(prompt.messages[0]!.content.text).toContain('vector_diff {"from":"tidied"}');
  expect(await connection.listResourceTemplates()).toHaveLength(3);
  const [collections] = await connection.listResources();
  expect(await connection.readResource(collections!.uri)).toMatchObject({
    collections: [{ name: 'default', uri: 'vector://default' }],
  });
  const { changes } = await connection.readResource('vector://default/pets%2Fcat/history');
  expect(changes.at(-1)).toMatchObject({ type: 'created' });
}

// Each call is an Inspector and a server of its own, so it makes each kind of call once.
test(
  'through the Inspector, command line',
  async () => {
    const writer = await CLIENTS[0]![1](launch());
    const { created } = await remember(writer);
    await writer.close();
    const connection = await inspector(launch());
    const call = checkedCalls(connection, await connection.listTools());
    expect((await call('vector_history', { id: 'pets/cat' })).changes).toHaveLength(2);
    expect((await call('vector_diff', { from: String(created.seq) })).counts).toEqual({
      added: 0,
      changed: 1,
      removed: 1,
    });
    const dry = await call('vector_revert', { ids: ['deploy'] });
    expect((await call(dry.apply.tool, dry.apply.arguments)).counts).toMatchObject({ restored: 1 });
    expect(await call('vector_mark', { name: 'tidied' })).toMatchObject({ name: 'tidied' });
    await promptsAndResources(connection);
  },
  TIMEOUT_MS,
);
