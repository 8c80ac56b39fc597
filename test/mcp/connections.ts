/** Ways to reach a server: each SDK, each era, as a process; and one over the Map engine in memory. */
import { fileURLToPath } from 'node:url';
import {
  Client,
  type ClientCapabilities,
  InMemoryTransport,
  type Progress,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { pino } from 'pino';
import { expect } from 'vitest';
import type { Engine } from '#src/domain/face.js';
import { createServer, type ServerContext } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { mapEngine } from './map-engine.mjs';

export interface Tool {
  readonly name: string;
  readonly outputSchema?: object | undefined;
}

export interface ToolResult {
  readonly isError?: boolean;
  readonly content: readonly { readonly type: string; readonly text: string }[];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  readonly structuredContent?: any;
}

export interface PromptResult {
  readonly description?: string | undefined;
  readonly messages: readonly { readonly role: string; readonly content: { readonly text: string } }[];
}

export interface CallOptions {
  readonly meta?: Record<string, unknown>;
  readonly onprogress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface Connection {
  readonly instructions: string | undefined;
  listTools(): Promise<Tool[]>;
  call(name: string, args?: unknown, options?: CallOptions): Promise<ToolResult>;
  listPrompts(): Promise<readonly { readonly name: string }[]>;
  getPrompt(name: string, args?: Record<string, string>): Promise<PromptResult>;
  listResources(): Promise<readonly { readonly uri: string }[]>;
  listResourceTemplates(): Promise<readonly { readonly uriTemplate: string }[]>;
  /** What the JSON of a resource says. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  readResource(uri: string): Promise<any>;
  close(): Promise<void>;
}

const SERVER = fileURLToPath(new URL('./stdio-server.mjs', import.meta.url));
export const IDENTITY = { name: 'test-client', version: '9.8.7' };

/** How a server's process is started. */
export interface Launch {
  /** The arguments of node. */
  readonly args: readonly string[];
  /** Added to this process' own environment. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/** The SDK clients, in each era that they speak, over stdio. */
export const CLIENTS: readonly (readonly [name: string, launch: (launch: Launch) => Promise<Connection>])[] =
  [
    ['2.x client, 2026-07-28, stdio', launch => overStdio('auto', launch)],
    ['2.x client, 2025-11-25, stdio', launch => overStdio('legacy', launch)],
    ['1.x client, stdio', oldOverStdio],
  ];

export type Connect = (env?: Record<string, string>) => Promise<Connection>;

/** The same clients, connected to the server over the Map engine. */
export const CONNECTIONS: readonly (readonly [name: string, connect: Connect])[] = CLIENTS.map(
  ([name, launch]) => [name, (env = {}) => launch({ args: [SERVER], env })],
);

const processOf = ({ args, env, cwd }: Launch) => ({
  command: process.execPath,
  args: [...args],
  env: { ...process.env, ...env } as Record<string, string>,
  stderr: 'ignore' as const,
  ...(cwd === undefined ? {} : { cwd }),
});

/** What both lines of the SDK call the same. */
function shared(client: Client | OldClient): Omit<Connection, 'call'> {
  return {
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    listPrompts: async () => (await client.listPrompts()).prompts,
    getPrompt: async (name, args) =>
      (await client.getPrompt({ name, ...(args && { arguments: args }) })) as PromptResult,
    listResources: async () => (await client.listResources()).resources,
    listResourceTemplates: async () => (await client.listResourceTemplates()).resourceTemplates,
    readResource: async uri => contentsOf(await client.readResource({ uri }), uri),
    close: () => client.close(),
  };
}

/** The one part of a resource, which must be JSON. */
export function contentsOf(result: { readonly contents: readonly object[] }, uri: string): unknown {
  expect(result.contents).toMatchObject([{ uri, mimeType: 'application/json' }]);
  expect(result.contents).toHaveLength(1);
  return JSON.parse((result.contents[0] as { text: string }).text);
}

export function overClient(client: Client): Connection {
  return {
    ...shared(client),
    call: async (name, args, { meta, ...options } = {}) => {
      const params = {
        name,
        arguments: args as Record<string, unknown>,
        ...(meta === undefined ? {} : { _meta: meta }),
      };
      return (await client.callTool(params, options)) as unknown as ToolResult;
    },
  };
}

async function overStdio(mode: 'auto' | 'legacy', launch: Launch): Promise<Connection> {
  const client = new Client(IDENTITY, { versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport(processOf(launch)));
  return overClient(client);
}

async function oldOverStdio(launch: Launch): Promise<Connection> {
  const client = new OldClient(IDENTITY);
  await client.connect(new OldStdioClientTransport(processOf(launch)));
  return overOldClient(client);
}

export function overOldClient(client: OldClient): Connection {
  return {
    ...shared(client),
    call: async (name, args, { meta, ...options } = {}) => {
      const params = {
        name,
        arguments: args as Record<string, unknown>,
        ...(meta === undefined ? {} : { _meta: meta }),
      };
      return (await client.callTool(params, undefined, options)) as unknown as ToolResult;
    },
  };
}

export interface InMemoryOptions {
  readonly engine?: () => Promise<Engine>;
  readonly context?: Partial<ServerContext>;
  readonly mode?: 'auto' | 'legacy';
  readonly capabilities?: ClientCapabilities;
  /** Called with the client before it connects. */
  readonly prepare?: (client: Client) => void;
}

/** A 2.x client and the server in one process. */
export async function inMemory(options: InMemoryOptions = {}): Promise<Connection> {
  const engine = mapEngine();
  const context: ServerContext = {
    engine: options.engine ?? (async () => engine),
    version: '0.0.0-test',
    window: identifyWindow({}, '/'),
    transport: 'stdio',
    roots: undefined,
    env: {},
    cwd: '/',
    logger: pino({ level: 'silent' }),
    ...options.context,
  };
  const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
  serveStdio(() => createServer(context), { transport: serverSide });
  const client = new Client(IDENTITY, {
    versionNegotiation: { mode: options.mode ?? 'legacy' },
    ...(options.capabilities === undefined ? {} : { capabilities: options.capabilities }),
  });
  options.prepare?.(client);
  await client.connect(clientSide);
  return overClient(client);
}
