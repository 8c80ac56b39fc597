/** The server as it ships, in a process of its own, and the parts of the protocol that go beyond tools, by each SDK and era. */
import { createRequire } from 'node:module';
import { Client, type ElicitResult } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { contentsOf, type ToolResult } from './connections.js';

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');
const IDENTITY = { name: 'test-client', version: '1.0.0' };

export interface Update {
  readonly uri: string;
  readonly seq: number;
}

export interface SurfaceOptions {
  readonly store: string;
  readonly env?: Record<string, string>;
  readonly args?: readonly string[];
  /** Answers what the server asks the user; without it the client cannot ask. */
  readonly user?: (message: string) => ElicitResult;
}

export type Completed = { readonly values: readonly string[]; readonly hasMore?: boolean };
type Ref = { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string };

export interface SurfaceClient {
  readonly updates: readonly Update[];
  readonly pid: number;
  tools(): Promise<readonly string[]>;
  prompts(): Promise<readonly string[]>;
  call(name: string, args?: object, options?: { signal?: AbortSignal }): Promise<ToolResult>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  read(uri: string): Promise<any>;
  complete(ref: Ref, name: string, value: string, others?: Record<string, string>): Promise<Completed>;
  /** Resolves to what ends the subscription again. */
  subscribe(...uris: string[]): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

export type LaunchSurface = (options: SurfaceOptions) => Promise<SurfaceClient>;

export const SURFACE_CLIENTS: readonly (readonly [name: string, launch: LaunchSurface])[] = [
  ['2.x client, 2026-07-28', options => launch('auto', options)],
  ['2.x client, 2025-11-25', options => launch('legacy', options)],
  ['1.x client', launchOld],
];

const processOf = ({ store, env, args = [] }: SurfaceOptions) => ({
  command: process.execPath,
  args: [MAIN, 'stdio', ...args],
  env: { ...process.env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'warn', ...env } as Record<string, string>,
  stderr: 'ignore' as const,
});

const updateOf = (params: { uri: string; _meta?: Record<string, unknown> | undefined }): Update => ({
  uri: params.uri,
  seq: params._meta?.['mcp-vector-server/seq'] as number,
});

async function launch(mode: 'auto' | 'legacy', options: SurfaceOptions): Promise<SurfaceClient> {
  const { user } = options;
  const client = new Client(IDENTITY, {
    versionNegotiation: { mode },
    ...(user && { capabilities: { elicitation: {} } }),
  });
  if (user) client.setRequestHandler('elicitation/create', ({ params }) => user(params.message));
  const updates: Update[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    updates.push(updateOf(params));
  });
  const transport = new StdioClientTransport(processOf(options));
  await client.connect(transport);
  return {
    ...shared(client, updates, transport.pid!),
    call: async (name, args = {}, more = {}) =>
      (await client.callTool({ name, arguments: { ...args } }, more)) as unknown as ToolResult,
    complete: async (ref, name, value, others) =>
      (
        await client.complete({
          ref,
          argument: { name, value },
          ...(others && { context: { arguments: others } }),
        })
      ).completion,
    subscribe: async (...uris) => {
      if (mode === 'legacy') return subscribeEach(client, uris);
      const subscription = await client.listen({ resourceSubscriptions: uris });
      return () => subscription.close();
    },
  };
}

async function launchOld(options: SurfaceOptions): Promise<SurfaceClient> {
  const { user } = options;
  const client = new OldClient(IDENTITY, user && { capabilities: { elicitation: {} } });
  if (user) client.setRequestHandler(ElicitRequestSchema, ({ params }) => user(params.message) as never);
  const updates: Update[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(updateOf(params));
  });
  const transport = new OldStdioClientTransport(processOf(options));
  await client.connect(transport);
  return {
    ...shared(client, updates, transport.pid!),
    call: async (name, args = {}, more = {}) =>
      (await client.callTool({ name, arguments: { ...args } }, undefined, more)) as unknown as ToolResult,
    complete: async (ref, name, value, others) =>
      (
        await client.complete({
          ref,
          argument: { name, value },
          ...(others && { context: { arguments: others } }),
        })
      ).completion,
    subscribe: async (...uris) => subscribeEach(client, uris),
  };
}

function shared(client: Client | OldClient, updates: readonly Update[], pid: number) {
  return {
    updates,
    pid,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    read: async (uri: string) => contentsOf(await client.readResource({ uri }), uri),
    close: () => client.close(),
  };
}

async function subscribeEach(client: Client | OldClient, uris: readonly string[]) {
  for (const uri of uris) await client.subscribeResource({ uri });
  return async () => {
    for (const uri of uris) await client.unsubscribeResource({ uri });
  };
}

/** Waits until it holds; a test that waits in vain ends by its own time limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 20));
}
