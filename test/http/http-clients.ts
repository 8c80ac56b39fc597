/** The SDK clients, in each era that they speak, over HTTP. */
import { Client, type ClientCapabilities, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type Connection, IDENTITY, overClient, overOldClient } from '../mcp/connections.js';

export interface HttpLaunch {
  /** Without a path. */
  readonly url: string;
  readonly token: string;
  readonly headers?: Record<string, string>;
  readonly capabilities?: ClientCapabilities;
}

const optionsOf = ({ token, headers }: HttpLaunch) => ({
  requestInit: { headers: { Authorization: `Bearer ${token}`, ...headers } },
});
const addressOf = ({ url }: HttpLaunch) => new URL('/mcp', url);

export async function connectHttp(mode: 'auto' | 'legacy', launch: HttpLaunch): Promise<Connection> {
  const { capabilities } = launch;
  const client = new Client(IDENTITY, {
    versionNegotiation: { mode },
    ...(capabilities === undefined ? {} : { capabilities }),
  });
  if (capabilities?.roots !== undefined)
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///' }] }));
  await client.connect(new StreamableHTTPClientTransport(addressOf(launch), optionsOf(launch)));
  return overClient(client);
}

async function connectOld(launch: HttpLaunch): Promise<Connection> {
  const client = new OldClient(IDENTITY);
  // The 1.x client declares its transport's session id in a way that exact optional types refuse.
  await client.connect(new OldTransport(addressOf(launch), optionsOf(launch)) as never);
  return overOldClient(client);
}

export const HTTP_CLIENTS: readonly (readonly [
  name: string,
  connect: (launch: HttpLaunch) => Promise<Connection>,
])[] = [
  ['2.x client, 2026-07-28', launch => connectHttp('auto', launch)],
  ['2.x client, 2025-11-25', launch => connectHttp('legacy', launch)],
  ['1.x client', connectOld],
];
