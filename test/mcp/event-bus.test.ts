/** The bus from which the SDK's HTTP handler feeds `subscriptions/listen` streams, through that very handler. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createServer } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { LogEventBus } from '#src/mcp/subscriptions/event-bus.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { until } from './surface-clients.js';

test('streams are told of what they listen to, by one poll that ends with the last of them', async () => {
  const engine = await memoryEngine(new MemoryLog());
  const put = (id: string, text: string) =>
    engine.upsert({ collection: 'notes', items: [{ id, text }] }, testContext);
  await put('a', 'first');
  let polls = 0;
  const counted = {
    ...engine,
    watch: async (...[query, context]: Parameters<typeof engine.watch>) => {
      polls += 1;
      try {
        return await engine.watch(query, context);
      } finally {
        polls -= 1;
      }
    },
  } as never;
  const logger = pino({ level: 'silent' });
  const context = {
    engine: async () => engine,
    version: '0.0.0-test',
    window: identifyWindow({}, '/'),
    transport: 'http' as const,
    roots: undefined,
    env: {},
    cwd: '/',
    logger,
  };
  const bus = new LogEventBus({ engine: async () => counted, actor: testContext.actor, logger });
  const handler = createMcpHandler(() => createServer(context), { bus });
  const connect = async () => {
    const client = new Client({ name: 'listener', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    const heard: { uri: string; seq: unknown }[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push({ uri: params.uri, seq: params._meta?.['mcp-vector-server/seq'] });
    });
    const fetch = (url: string | URL, init?: RequestInit) => handler.fetch(new Request(url, init));
    await client.connect(new StreamableHTTPClientTransport(new URL('http://127.0.0.1/mcp'), { fetch }));
    return { client, heard };
  };
  const one = await connect();
  const two = await connect();
  expect(polls).toBe(0);
  const subscriptions = [
    await one.client.listen({ resourceSubscriptions: ['vector://notes/a', 'vector://notes/a/history'] }),
    await two.client.listen({ resourceSubscriptions: ['vector://notes', 'vector://other'] }),
  ];
  await until(() => polls === 1);
  await engine.watch({ after: 0 }, testContext);
  const { seq } = await put('a', 'second');
  await until(() => one.heard.length === 2 && two.heard.length === 1);
  expect(one.heard).toEqual([
    { uri: 'vector://notes/a', seq },
    { uri: 'vector://notes/a/history', seq },
  ]);
  expect(two.heard).toEqual([{ uri: 'vector://notes', seq }]);
  await subscriptions[0]!.close();
  await until(() => polls === 1);
  await subscriptions[1]!.close();
  await until(() => polls === 0);
  // Longer than the pause between two polls.
  await new Promise(resolve => setTimeout(resolve, 300));
  expect(polls).toBe(0);
  await one.client.close();
  await two.client.close();
  await handler.close();
});
