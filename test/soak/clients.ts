/** Clients of both lines of the SDK, over HTTP and over stdio, each with what the load asks of it. */
import { createRequire } from 'node:module';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as OldHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { ToolError } from '../helpers/mcp-process.js';

export const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');

export interface SoakClient {
  /** Of its server, where that is a window of its own. */
  readonly pid: number | undefined;
  /** How often it was told that a resource was changed. */
  readonly updates: () => number;
  /** @throws ToolError, and what the SDK throws */
  call<T>(name: string, args: object): Promise<T>;
  /** @returns how many there are */
  listTools(): Promise<number>;
  read(uri: string): Promise<void>;
  /** Resolves to what ends it. */
  subscribe(uri: string): Promise<() => Promise<unknown>>;
  close(): Promise<void>;
}

export type Connect = () => Promise<SoakClient>;

export interface Address {
  readonly url: string;
  readonly token: string;
}

interface Answer {
  readonly isError?: boolean;
  readonly content: readonly unknown[];
  readonly structuredContent?: unknown;
}

function contentOf<T>(answer: Answer): T {
  if (!answer.isError) return answer.structuredContent as T;
  const [content] = answer.content as readonly { readonly text?: string }[];
  throw new ToolError(content?.text ?? '');
}

const headersOf = ({ token }: Address) => ({
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
const endpointOf = ({ url }: Address) => new URL('/mcp', url);
const windowOf = (env: Record<string, string>) => ({
  command: process.execPath,
  args: [MAIN, 'stdio'],
  cwd: env.VECTOR_ROOTS!,
  env: { PATH: process.env.PATH ?? '', ...env },
  stderr: 'ignore' as const,
});

/** The 2.x client over HTTP, in revision 2026-07-28. */
export const overHttp = (address: Address, name: string): Connect =>
  async function connect() {
    const client = newClient(name, 'auto');
    await client.connect(new StreamableHTTPClientTransport(endpointOf(address), headersOf(address)));
    return modern(client, 'auto', undefined);
  };

/** The 1.x client over HTTP; it ends its session when it goes. */
export const overOldHttp = (address: Address, name: string): Connect =>
  async function connect() {
    const client = new OldClient({ name, version: '1.0.0' });
    const transport = new OldHttpTransport(endpointOf(address), headersOf(address));
    // It declares its session id in a way that exact optional types refuse.
    await client.connect(transport as never);
    return old(client, undefined, () => transport.terminateSession());
  };

/** A window of the 2.x client. */
export const overStdio = (env: Record<string, string>, name: string, mode: 'auto' | 'legacy'): Connect =>
  async function connect() {
    const client = newClient(name, mode);
    const transport = new StdioClientTransport(windowOf(env));
    await client.connect(transport);
    return modern(client, mode, transport.pid ?? undefined);
  };

/** A window of the 1.x client. */
export const overOldStdio = (env: Record<string, string>, name: string): Connect =>
  async function connect() {
    const client = new OldClient({ name, version: '1.0.0' });
    const transport = new OldStdioTransport(windowOf(env));
    await client.connect(transport);
    return old(client, transport.pid ?? undefined);
  };

const newClient = (name: string, mode: 'auto' | 'legacy') =>
  new Client({ name, version: '1.0.0' }, { versionNegotiation: { mode } });

function modern(client: Client, mode: 'auto' | 'legacy', pid: number | undefined): SoakClient {
  let updates = 0;
  client.setNotificationHandler('notifications/resources/updated', () => {
    updates++;
  });
  return {
    pid,
    updates: () => updates,
    call: async <T>(name: string, args: object) =>
      contentOf<T>((await client.callTool({ name, arguments: { ...args } })) as Answer),
    listTools: async () => (await client.listTools()).tools.length,
    read: async uri => void (await client.readResource({ uri })),
    async subscribe(uri) {
      if (mode === 'auto') {
        const subscription = await client.listen({ resourceSubscriptions: [uri] });
        return () => subscription.close();
      }
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    close: () => client.close(),
  };
}

function old(client: OldClient, pid: number | undefined, beforeClose?: () => Promise<void>): SoakClient {
  let updates = 0;
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, () => {
    updates++;
  });
  return {
    pid,
    updates: () => updates,
    call: async <T>(name: string, args: object) =>
      contentOf<T>((await client.callTool({ name, arguments: { ...args } })) as Answer),
    listTools: async () => (await client.listTools()).tools.length,
    read: async uri => void (await client.readResource({ uri })),
    async subscribe(uri) {
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    async close() {
      await beforeClose?.();
      await client.close();
    },
  };
}
