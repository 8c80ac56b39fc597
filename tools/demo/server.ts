import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

/** The command line as it was built. */
export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface ToolOptions {
  onProgress?: (progress: {
    progress: number;
    total?: number | undefined;
    message?: string | undefined;
  }) => void;
  timeoutMs?: number;
}

/** A server in a process of its own, and an MCP client that is connected with it. */
export class Server {
  readonly #client: Client;
  readonly #transport: StdioClientTransport;

  private constructor(client: Client, transport: StdioClientTransport) {
    this.#client = client;
    this.#transport = transport;
  }

  /** Starts a server the way a client does. */
  static async start(store: string, root: string): Promise<Server> {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [MAIN],
      cwd: root,
      env: { VECTOR_DB_PATH: store, VECTOR_ROOTS: root, VECTOR_LOG_LEVEL: 'error' },
      stderr: 'inherit',
    });
    const client = new Client({ name: 'demo', version: '1.0.0' });
    await client.connect(transport);
    return new Server(client, transport);
  }

  /** The names of the tools that it offers. */
  async tools(): Promise<string[]> {
    return (await this.#client.listTools()).tools.map(tool => tool.name);
  }

  /**
   * Calls a tool and answers its structured content.
   * @throws Error with the tool's own words where it answered with an error
   */
  async call<T>(name: string, args: Record<string, unknown>, options: ToolOptions = {}): Promise<T> {
    const { onProgress, timeoutMs } = options;
    const result = await this.#client.callTool(
      { name, arguments: args },
      {
        ...(onProgress === undefined ? {} : { onprogress: onProgress, resetTimeoutOnProgress: true }),
        ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
      },
    );
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result.structuredContent as T;
  }

  /** kill -9: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    const closed = once(closing(this.#transport), 'close');
    process.kill(this.#transport.pid!, 'SIGKILL');
    await closed;
  }

  /** Closes stdin, as a client does at its end, and waits until the process is gone. */
  async stop(): Promise<void> {
    await this.#client.close();
  }
}

/** The transport reports its process' end by a callback that the client has taken; both must hear of it. */
function closing(transport: StdioClientTransport): EventTarget {
  const target = new EventTarget();
  const before = transport.onclose;
  transport.onclose = () => {
    before?.();
    target.dispatchEvent(new Event('close'));
  };
  return target;
}
