/** The server as it ships, spoken to line by line: what no SDK would let through, or show. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { ToolResult } from '../mcp/connections.js';

export const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');

export interface RawServerOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Arguments of node before the program. */
  readonly nodeArgs?: readonly string[];
}

interface Answer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export class RawServer {
  readonly child: ChildProcessWithoutNullStreams;
  /** Lines on stdout that were no JSON-RPC: must stay empty. */
  readonly strangeLines: string[] = [];
  stderr = '';
  /** Resolves when the process is gone and everything that it said has been read. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private readonly waiting = new Map<unknown, (answer: Answer) => void>();
  private lastId = 0;

  constructor(store: string, { env = {}, cwd = process.cwd(), nodeArgs = [] }: RawServerOptions = {}) {
    this.child = spawn(process.execPath, [...nodeArgs, MAIN], {
      cwd,
      env: { ...process.env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'warn', ...env },
      stdio: 'pipe',
    });
    this.child.stderr.on('data', chunk => {
      this.stderr += chunk;
    });
    // A process that was killed closes the pipe; `exited` says so.
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', line => this.receive(line));
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  private receive(line: string): void {
    try {
      const message = JSON.parse(line);
      if (message.jsonrpc !== '2.0') throw new Error('no JSON-RPC');
      this.waiting.get(message.id)?.(message);
      this.waiting.delete(message.id);
    } catch {
      this.strangeLines.push(line);
    }
  }

  send(message: object): void {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  /** @throws Error where the answer is a JSON-RPC error, or the process ends before it answers. */
  async request<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.lastId;
    const answered = new Promise<Answer>(resolve => this.waiting.set(id, resolve));
    this.send({ id, method, params });
    const answer = await Promise.race([answered, this.exited.then(() => undefined)]);
    if (answer === undefined)
      throw new Error(`the server ended before it answered ${method}: ${this.stderr}`);
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return answer.result as T;
  }

  async initialize(): Promise<this> {
    await this.request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    });
    this.send({ method: 'notifications/initialized' });
    return this;
  }

  async tools(): Promise<string[]> {
    const { tools } = await this.request<{ tools: { name: string }[] }>('tools/list');
    return tools.map(tool => tool.name);
  }

  /** The structured answer. @throws Error with the tool's own words where it refuses. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  async call(name: string, args: object = {}): Promise<any> {
    const result = await this.request<ToolResult>('tools/call', { name, arguments: args });
    if (result.isError === true) throw new Error(result.content[0]!.text);
    return result.structuredContent;
  }

  /** Closes stdin, as clients do, and waits until the process is gone. */
  async end() {
    this.child.stdin.end();
    return this.exited;
  }

  async kill(signal: NodeJS.Signals) {
    this.child.kill(signal);
    return this.exited;
  }
}
