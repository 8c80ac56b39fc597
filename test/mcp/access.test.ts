/**
 * What a server with limited rights lets out. Everything of the collection that its clients may not have bears one word; whatever they ask,
 * by whichever tool, resource, completion or subscription, the word must not come back. The same questions asked of a server
 * without limits bring it back, so that they are the right ones.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { pino } from 'pino';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Access, FULL_ACCESS, parseRights } from '#src/domain/access.js';
import { ENGINE_METHODS, type EngineMethod } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { guardedEngine } from '#src/mcp/guarded-engine.js';
import { PROMPTS } from '#src/mcp/prompts/index.js';
import { RESOURCE_TEMPLATES } from '#src/mcp/resources/resources.js';
import { createServer } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { onlyReads, TOOLS } from '#src/mcp/tools/index.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { SURFACE_CLIENTS, type SurfaceOptions } from './surface-clients.js';

/** In every name, text, key and value of the hidden collection, and in who wrote it. */
const WORD = 'xyzzy';
const HIDDEN = `hidden-${WORD}`;
const RIGHTS = parseRights('TEST', 'notes:rw,docs:r,planned:rw');
const LIMITED: Access = { readOnly: false, collections: RIGHTS };

let engine: StoreEngine;
let log: MemoryLog;
beforeAll(async () => {
  log = new MemoryLog();
  engine = await memoryEngine(log);
  const stranger = {
    ...testContext,
    actor: { ...testContext.actor, clientName: `${WORD}-client`, session: `${WORD}-session` },
  };
  const put = (collection: string, id: string, text: string, metadata = {}, context = testContext) =>
    engine.upsert({ collection, items: [{ id, text, metadata }] }, context);
  await put('notes', 'deploy', 'Deploys go through staging.', { topic: 'ops' });
  await put(
    HIDDEN,
    `id-${WORD}`,
    `Deploys go through staging, ${WORD}.`,
    { [`key_${WORD}`]: WORD },
    stranger,
  );
  await put('docs', 'readme', 'How deploys work.', { topic: 'ops' });
  await engine.mark({ name: 'middle' }, testContext);
  await put(HIDDEN, `id-${WORD}`, `Deploys changed, ${WORD}.`, {}, stranger);
  await put(HIDDEN, `gone-${WORD}`, `Deploys stopped, ${WORD}.`, {}, stranger);
  await engine.delete({ collection: HIDDEN, ids: [`gone-${WORD}`] }, stranger);
  await put('notes', 'deploy', 'Deploys go through staging and production.');
});

type Mode = 'auto' | 'legacy';

async function connect(access: Access, mode: Mode): Promise<Client> {
  const context = {
    engine: async () => engine,
    version: '0.0.0-test',
    window: identifyWindow({}, '/'),
    transport: 'stdio' as const,
    roots: ['/'],
    access,
    env: {},
    cwd: '/',
    logger: pino({ level: 'silent' }),
  };
  const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
  serveStdio(() => createServer(context), { transport: serverSide });
  const client = new Client({ name: 'asker', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(clientSide);
  return client;
}

/** Questions that name no collection, or that would reach the hidden one by another way. */
const QUESTIONS: readonly (readonly [tool: string, args: object])[] = [
  ['vector_search', { query: 'deploys staging' }],
  ['vector_search', { query: 'stopped', mode: 'keyword' }],
  ['vector_search', { query: 'deploys', mode: 'semantic', k: 100 }],
  ['vector_search', { query: 'deploys', as_of: 'middle' }],
  ['vector_search', { query: 'deploys', since: '1', where: { topic: { $exists: false } } }],
  ['vector_search', { query: 'deploys', min_score: 0.9999 }],
  ['vector_search', { vector: [1, 2, 3] }],
  ['vector_search', { query: 'deploys', where: { nothing: 1 } }],
  ['vector_search', { query: 'deploys', collections: ['planned'] }],
  ['vector_get', { ids: ['readme'], collection: 'docs' }],
  ['vector_get', { ids: ['readme'] }],
  ['vector_list', { collection: 'notes' }],
  ['vector_list', { collection: 'planned' }],
  ['vector_history', {}],
  ['vector_history', { limit: 1 }],
  ['vector_history', { actor: 'client' }],
  ['vector_history', { types: ['deleted'] }],
  ['vector_history', { types: ['collection_created'] }],
  ['vector_diff', { from: '1' }],
  ['vector_diff', { from: 'middle' }],
  ['vector_diff', { from: 'middle', where: { topic: { $exists: false } } }],
  ['vector_status', {}],
  ['vector_status', { as_of: 'middle' }],
  ['vector_revert', { to: '1' }],
  ['vector_revert', { to: 'middle' }],
  ['vector_revert', { since: '1', overwrite_conflicts: true }],
  ['vector_delete', { where: {}, collection: 'notes', dry_run: true }],
  ['vector_delete', { ids: ['x'], collection: 'planned' }],
];

/** Those of another's session: the asker has to know its name. */
const NAMED_SESSION: typeof QUESTIONS = [
  ['vector_history', { session: `${WORD}-session` }],
  ['vector_revert', { session: `${WORD}-session` }],
];

/** Calls that name a collection. */
const NAMING = (collection: string): typeof QUESTIONS => [
  ['vector_search', { query: 'deploys', collections: [collection] }],
  ['vector_get', { ids: ['a'], collection }],
  ['vector_list', { collection }],
  ['vector_history', { collection }],
  ['vector_history', { collection, id: 'a' }],
  ['vector_diff', { from: '1', collection }],
  ['vector_revert', { to: '1', collection }],
  ['vector_revert', { ids: ['a'], collection }],
  ['vector_delete', { ids: ['a'], collection }],
  ['vector_delete', { where: { topic: 'ops' }, collection }],
  ['vector_upsert', { items: [{ id: 'a', text: 'Let me in.' }], collection }],
  ['vector_ingest', { paths: ['.'], collection }],
];

/** What else has been typed. */
const OTHERS: readonly Record<string, string>[] = [{}, { collection: HIDDEN }, { collection: 'notes' }];

const asked = async (client: Client, [name, args]: readonly [string, object]) =>
  JSON.stringify(await client.callTool({ name, arguments: { ...args } }));

async function resource(client: Client, uri: string): Promise<string> {
  return client.readResource({ uri }).then(JSON.stringify, error => `${error.code} ${error.message}`);
}

describe.each(['auto', 'legacy'] as const)('rights by collection (%s)', mode => {
  test('nothing of a collection that is not named comes out of any tool', async () => {
    const tools = new Set([...QUESTIONS, ...NAMING('x'), ['vector_mark', {}] as const].map(([name]) => name));
    expect([...tools].sort()).toEqual(TOOLS.map(({ name }) => name).sort());
    const client = await connect(LIMITED, mode);
    const open = await connect(FULL_ACCESS, mode);
    const leaked = new Set<string>();
    for (const question of QUESTIONS) {
      expect(await asked(client, question), JSON.stringify(question)).not.toContain(WORD);
      if ((await asked(open, question)).includes(WORD)) leaked.add(question[0]);
    }
    for (const question of NAMED_SESSION) {
      expect(await asked(client, question)).not.toContain(HIDDEN);
      expect(await asked(open, question)).toContain(HIDDEN);
    }
    // These questions can find it where they may.
    expect([...leaked].sort()).toEqual([
      'vector_delete',
      'vector_diff',
      'vector_get',
      'vector_history',
      'vector_list',
      'vector_revert',
      'vector_search',
      'vector_status',
    ]);
    await client.close();
    await open.close();
  });

  test('a hidden collection is answered as one that never was', async () => {
    const client = await connect(LIMITED, mode);
    const head = log.head.seq;
    const never = `nowhere-${WORD}`;
    for (const [at, question] of NAMING(HIDDEN).entries()) {
      const hidden = await asked(client, question);
      expect(hidden, hidden).toContain('COLLECTION_NOT_FOUND');
      expect(hidden.replaceAll(HIDDEN, never)).toBe(await asked(client, NAMING(never)[at]!));
    }
    expect(log.head.seq).toBe(head);
    await client.close();
  });

  test('what may only be read is read, and refused to every tool that writes', async () => {
    const client = await connect(LIMITED, mode);
    const head = log.head.seq;
    for (const question of NAMING('docs')) {
      const answer = await asked(client, question);
      const writes = !onlyReads(TOOLS.find(({ name }) => name === question[0])!);
      if (writes) expect(answer, answer).toContain('READ_ONLY: the collection \\"docs\\" may only be read');
      else expect(answer).not.toContain('isError');
    }
    // A revert of everything leaves it as it is.
    const { steps } = JSON.parse(await asked(client, ['vector_revert', { to: '1' }])).structuredContent;
    for (const { collection } of steps) expect(collection).toBe('notes');
    expect(log.head.seq).toBe(head);
    await client.close();
  });

  test('nothing of it comes out of any resource, prompt or completion', async () => {
    const client = await connect(LIMITED, mode);
    const open = await connect(FULL_ACCESS, mode);
    const uris = [
      'vector://',
      'vector://notes',
      'vector://docs?as_of=middle',
      'vector://notes/deploy/history',
    ];
    for (const uri of uris) expect(await resource(client, uri)).not.toContain(WORD);
    expect(await resource(open, 'vector://')).toContain(WORD);
    for (const tail of [
      '',
      '?as_of=middle',
      `/id-${WORD}`,
      `/id-${WORD}?as_of=middle`,
      `/id-${WORD}/history`,
    ]) {
      const hidden = await resource(client, `vector://${HIDDEN}${tail}`);
      expect(hidden).toMatch(/COLLECTION_NOT_FOUND/);
      const never = await resource(client, `vector://nowhere${tail}`);
      expect(hidden.replaceAll(HIDDEN, 'nowhere')).toBe(never);
      expect(await resource(open, `vector://${HIDDEN}${tail}`)).not.toMatch(/NOT_FOUND/);
    }
    const refs = [
      ...PROMPTS.flatMap(({ name, completions }) =>
        Object.keys(completions).map(argument => [{ type: 'ref/prompt' as const, name }, argument] as const),
      ),
      ...RESOURCE_TEMPLATES.flatMap(({ uriTemplate: uri }) =>
        [...uri.matchAll(/\{\??(\w+)\}/g)].map(
          ([, argument]) => [{ type: 'ref/resource' as const, uri }, argument!] as const,
        ),
      ),
    ];
    let found = 0;
    for (const [ref, name] of refs)
      for (const value of ['', 'h', 'id', 'key'])
        for (const others of OTHERS) {
          const params = { ref, argument: { name, value }, context: { arguments: others } };
          expect(JSON.stringify(await client.complete(params))).not.toContain(WORD);
          if (JSON.stringify(await open.complete(params)).includes(WORD)) found += 1;
        }
    expect(found).toBeGreaterThan(5);
    await client.close();
    await open.close();
  });
});

test('a subscription is told of nothing in it', async () => {
  const guarded = guardedEngine(engine, LIMITED);
  const answer = await guarded.watch({ after: 0 }, testContext);
  expect(answer.changed.length).toBeGreaterThan(3);
  expect(JSON.stringify(answer)).not.toContain(WORD);
  expect(JSON.stringify(await engine.watch({ after: 0 }, testContext))).toContain(WORD);
});

describe('the guard', () => {
  const call = (method: EngineMethod, access: Access) =>
    (guardedEngine(engine, access)[method] as (command: object, context: object) => Promise<unknown>)(
      { collection: 'notes', items: [], ids: ['x'], name: 'x', to: '1', paths: [], level: 'quick' },
      testContext,
    ).then(
      () => 'ok',
      error => error.code as string,
    );

  test('of a server that only reads lets no method write', async () => {
    const head = log.head.seq;
    for (const access of [
      { readOnly: true },
      { readOnly: true, collections: RIGHTS },
      { readOnly: false, collections: parseRights('TEST', 'notes:r') },
    ]) {
      for (const [method, kind] of Object.entries(ENGINE_METHODS) as [EngineMethod, 'read' | 'write'][]) {
        if (kind === 'read') continue;
        expect(['READ_ONLY', 'ACCESS_DENIED'], method).toContain(await call(method, access));
      }
    }
    expect(log.head.seq).toBe(head);
  });

  test('keeps what is for the operator from everybody with limits', async () => {
    for (const method of ['reembed', 'backup', 'horizon', 'verify', 'export', 'import', 'schedule'] as const)
      expect(await call(method, LIMITED)).toBe('ACCESS_DENIED');
  });

  test('is not there where there are no limits', () => {
    expect(guardedEngine(engine, FULL_ACCESS)).toBe(engine);
  });
});

/** The ways to say it. */
const READ_ONLY: readonly Partial<SurfaceOptions>[] = [
  { args: ['--read-only'] },
  { env: { VECTOR_READ_ONLY: '1' } },
  { env: { VECTOR_COLLECTIONS: 'notes:r' } },
];

describe.each(SURFACE_CLIENTS)('a server that only reads, %s', (_, launch) => {
  test('offers the reads, and refuses the rest with a code', { timeout: 120_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mvs-access-'));
    const store = join(directory, 'store');
    try {
      const writer = await launch({ store });
      expect(await writer.tools()).toHaveLength(TOOLS.length);
      expect(await writer.prompts()).toHaveLength(PROMPTS.length);
      await writer.call('vector_upsert', { collection: 'notes', items: [{ id: 'a', text: 'A note.' }] });
      await writer.close();

      for (const options of READ_ONLY) {
        const reader = await launch({ store, ...options });
        const reads = TOOLS.filter(onlyReads).map(({ name }) => name);
        expect(await reader.tools()).toEqual(reads);
        expect(await reader.prompts()).toEqual(['what-changed-since']);
        for (const tool of TOOLS.filter(candidate => !onlyReads(candidate))) {
          const refused = await reader.call(tool.name, {});
          expect(refused.content[0]!.text, tool.name).toMatch(/^READ_ONLY: this server only reads/);
        }
        expect((await reader.read('vector://notes/a')).text).toBe('A note.');
        expect((await reader.call('vector_status')).structuredContent.collections).toHaveLength(1);
        await reader.subscribe('vector://notes');
        await reader.close();
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
