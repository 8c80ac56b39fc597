/**
 * The whole of what clients are told of this server before they call anything, in a file, so that a change to it is seen in review.
 * `UPDATE_SURFACE=1 npx vitest run test/mcp/surface.test.ts` writes it anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { type Access, FULL_ACCESS } from '#src/domain/access.js';
import type { Engine } from '#src/domain/face.js';
import { createServer } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const GOLDEN = fileURLToPath(new URL('./surface.golden.json', import.meta.url));

type Mode = 'auto' | 'legacy';

const noEngine = async (): Promise<Engine> => {
  throw new Error('nothing that lists may ask for the engine');
};

async function connect(mode: Mode, access: Access = FULL_ACCESS, engine = noEngine): Promise<Client> {
  const context = {
    engine,
    version: '0.0.0-test',
    window: identifyWindow({}, '/'),
    transport: 'stdio' as const,
    roots: undefined,
    access,
    env: {},
    cwd: '/',
    logger: pino({ level: 'silent' }),
  };
  const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
  serveStdio(() => createServer(context), { transport: serverSide });
  const client = new Client({ name: 'reader', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(clientSide);
  return client;
}

/** What a client is told. The cache hints and the server's name within each answer are of 2026-07-28 alone, and have tests of their own. */
async function surface(mode: Mode, access?: Access) {
  const client = await connect(mode, access);
  const { tools } = await client.listTools();
  const { prompts } = await client.listPrompts();
  const { resources } = await client.listResources();
  const { resourceTemplates } = await client.listResourceTemplates();
  const told = {
    server: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions()?.split('\n'),
    tools,
    prompts,
    resources,
    resourceTemplates,
  };
  await client.close();
  return JSON.parse(JSON.stringify(told));
}

const golden = () => JSON.parse(readFileSync(GOLDEN, 'utf8'));

test('the surface is what the file says', async () => {
  const { server, ...told } = await surface('auto');
  const reading = await surface('auto', { readOnly: true });
  const whole = {
    server: { name: server.name, title: server.title },
    ...told,
    reading: {
      instructions: reading.instructions,
      tools: reading.tools.map(({ name }: { name: string }) => name),
      prompts: reading.prompts.map(({ name }: { name: string }) => name),
    },
  };
  if (process.env.UPDATE_SURFACE === '1') writeFileSync(GOLDEN, `${JSON.stringify(whole, null, 2)}\n`);
  expect(whole).toEqual(golden());
});

test('both eras are told the same', async () => {
  expect(await surface('legacy')).toEqual(await surface('auto'));
});

describe('hints for caches', () => {
  /** An answer as it goes over the wire. */
  async function raw(
    mode: Mode,
    method: string,
    params: object,
    engine = noEngine,
  ): Promise<Record<string, unknown>> {
    const client = await connect(mode, FULL_ACCESS, engine);
    const transport = client.transport!;
    const deliver = transport.onmessage!;
    const seen: Record<string, unknown>[] = [];
    transport.onmessage = (message, extra) => {
      if ('result' in message) seen.push(message.result);
      deliver(message, extra);
    };
    await client.request({ method, params } as never).catch(() => undefined);
    await client.close();
    return seen.at(-1) ?? {};
  }

  test.each(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])(
    '%s is private and long in 2026-07-28, and has none before',
    async method => {
      expect(await raw('auto', method, {})).toMatchObject({ ttlMs: 3_600_000, cacheScope: 'private' });
      const older = await raw('legacy', method, {});
      expect(Object.keys(older)).toHaveLength(1);
      expect(Object.keys(older)).not.toContain('ttlMs');
      expect(Object.keys(older)).not.toContain('cacheScope');
    },
  );

  test('a resource is live, a past one too: it can be erased', async () => {
    const store = await memoryEngine(new MemoryLog());
    await store.upsert({ collection: 'default', items: [{ text: 'A note.' }] }, testContext);
    const engine = async () => store;
    for (const uri of ['vector://', 'vector://default?as_of=now'])
      expect(await raw('auto', 'resources/read', { uri }, engine)).toMatchObject({
        ttlMs: 0,
        cacheScope: 'private',
      });
    expect(await raw('legacy', 'resources/read', { uri: 'vector://' }, engine)).not.toHaveProperty('ttlMs');
  });

  test('a cursor for a list of one page is refused', async () => {
    const client = await connect('auto');
    for (const call of [
      client.listTools({ cursor: 'x' }),
      client.listPrompts({ cursor: 'x' }),
      client.listResources({ cursor: 'x' }),
      client.listResourceTemplates({ cursor: 'x' }),
    ])
      await expect(call).rejects.toThrow(/CURSOR_INVALID/);
    await client.close();
  });
});
