/** A copy of a store, opened in this process and asked through its MCP server: what a kill left costs no process to judge. */
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { readConfig } from '#src/config.js';
import { settingsForChoice } from '#src/embedder-settings.js';
import { createEmbedder } from '#src/embedding/create.js';
import { parseEmbedderChoice } from '#src/embedding/settings.js';
import { openEngine } from '#src/engine/open.js';
import { createServer } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { silent } from '../helpers/engine.js';
import { callOver } from '../helpers/mcp-process.js';
import type { Caller } from './reading.js';

/**
 * Lets `work` ask the store in `path`, and closes it.
 * @param env the environment of the servers whose store it was
 * @throws as openEngine does
 */
export async function withCopiedStore<T>(
  path: string,
  env: Readonly<Record<string, string>>,
  work: (server: Caller) => Promise<T>,
): Promise<T> {
  const config = readConfig({ ...env, VECTOR_DB_PATH: path });
  const engine = await openEngine({
    path,
    config,
    logger: silent,
    embedderSource: name => createEmbedder(settingsForChoice(env, parseEmbedderChoice(name))),
    create: false,
  });
  try {
    const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
    const window = identifyWindow({}, '/');
    const context = {
      ...{ engine: async () => engine, version: '0.0.0', window, transport: 'stdio' as const },
      ...{ roots: undefined, env: {}, cwd: '/', logger: silent },
    };
    serveStdio(() => createServer(context), { transport: serverSide });
    const client = new Client(
      { name: 'torture', version: '1.0.0' },
      { versionNegotiation: { mode: 'legacy' } },
    );
    await client.connect(clientSide);
    try {
      return await work({ call: (name, args) => callOver(client, name, args) });
    } finally {
      await client.close();
    }
  } finally {
    await engine.close();
  }
}
