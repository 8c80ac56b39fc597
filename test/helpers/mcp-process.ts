/** The server as it ships, in a process of its own, and the SDK's client over its stdio. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

// Resolved by the package, since this file runs from test/ (in vitest) and from dist/ (as a script).
const resolve = createRequire(import.meta.url).resolve;
const MAIN = resolve('#src/cli/main.js');
export const PROJECT_ROOT = join(dirname(MAIN), '../../..');

/** A tool's error answer: `CODE: message. What to do.` */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  /** Empty where the answer carries none. */
  readonly code: string;

  constructor(readonly text: string) {
    super(text);
    this.code = /^([A-Z][A-Z_]+): /.exec(text)?.[1] ?? '';
  }
}

/** The process ended before it answered: what became of the call, nobody said. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

export interface ProcessOptions {
  /** Directory that may be ingested, and the process' working directory. */
  readonly root: string;
  readonly env?: Record<string, string>;
  /** What starts it, as with the rights of another user. Default: nothing, it is started as it is. */
  readonly by?: readonly string[];
  /** Default 60 000. */
  readonly callTimeoutMs?: number;
}

export class McpProcess {
  readonly #client = new Client(
    { name: 'torture', version: '1.0.0' },
    { versionNegotiation: { mode: 'legacy' } },
  );
  readonly #transport: StdioClientTransport;
  readonly #callTimeoutMs: number;
  readonly #connected: Promise<void>;
  #hasExited = false;
  #isClosing = false;
  #pid: number | undefined;
  /** What the process wrote to stderr. */
  stderr = '';
  /** Resolves when the process is gone and everything that it said has been read. */
  readonly exited: Promise<void>;

  /** Starts the process; whoever calls it waits for the connection. */
  constructor(store: string, { root, env = {}, by = [], callTimeoutMs = 60_000 }: ProcessOptions) {
    const [command, ...args] = [...by, process.execPath, MAIN, 'stdio'];
    this.#callTimeoutMs = callTimeoutMs;
    this.#transport = new StdioClientTransport({
      command: command!,
      args,
      cwd: root,
      env: { VECTOR_DB_PATH: store, VECTOR_ROOTS: root, VECTOR_LOG_LEVEL: 'warn', ...env },
      stderr: 'pipe',
    });
    this.#transport.stderr?.on('data', chunk => {
      this.stderr += chunk;
    });
    this.exited = new Promise(done => {
      this.#client.onclose = () => {
        this.#hasExited = true;
        done();
      };
    });
    this.#connected = this.#client.connect(this.#transport).then(() => {
      // Each call that is sent while the pipe is full waits for `drain` by a listener of its own: of a stopped process that is as many as there are calls.
      const { _process } = this.#transport as unknown as { _process?: ChildProcess };
      _process?.stdin?.setMaxListeners(0);
    });
    // A process that is killed while it starts is no unhandled rejection; calls report it.
    this.#connected.catch(() => undefined);
  }

  /** The process' id, once there is a process. */
  async pid(): Promise<number> {
    // The transport forgets the id when it begins to close, and has none before it starts.
    while (this.#pid === undefined && !this.#hasExited) {
      this.#pid = this.#transport.pid ?? undefined;
      if (this.#pid === undefined) await new Promise(resolve => setImmediate(resolve));
    }
    return this.#pid!;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  async listTools(): Promise<string[]> {
    await this.#connected;
    return (await this.#client.listTools()).tools.map(tool => tool.name);
  }

  /**
   * Calls a tool and answers its structured content.
   * @throws ToolError where the tool answered with an error, Unanswered where the process ended before
   */
  async call<T>(name: string, args: object): Promise<T> {
    try {
      await this.#connected;
      return await callOver<T>(this.#client, name, args, this.#callTimeoutMs);
    } catch (error) {
      if (error instanceof ToolError || !(this.#hasExited || this.#isClosing)) throw error;
      throw new Unanswered(`${name}: ${(error as Error).message}`);
    }
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.pid();
    if (this.#hasExited) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      // It has ended, and what it said is still being read.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** kill -9: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL');
    await this.exited;
  }

  /** Closes stdin, as a client does at its end, and waits until the process is gone. */
  async close(): Promise<void> {
    await this.pid();
    this.#isClosing = true;
    await this.#client.close();
  }
}

/** Calls a tool and answers its structured content. @throws ToolError where the tool answered with an error */
export async function callOver<T>(client: Client, name: string, args: object, timeout = 60_000): Promise<T> {
  const result = await client.callTool({ name, arguments: args as Record<string, unknown> }, { timeout });
  if (!result.isError) return result.structuredContent as T;
  const [content] = result.content;
  throw new ToolError(content?.type === 'text' ? content.text : '');
}

/** `tools/verify` as anybody runs it. @returns its exit code and what it said */
export function runVerify(store: string): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(PROJECT_ROOT, 'tools/verify'), '--store', store],
    { encoding: 'utf8', env: { PATH: process.env.PATH } },
  );
  return { code: status, said: `${stdout}${stderr}` };
}
