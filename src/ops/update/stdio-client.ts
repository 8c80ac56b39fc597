/** A client of MCP over stdio, of revision 2025-06-18: as much of one as it takes to ask a new version a few questions. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { VERSION } from '../../version.js';
import { failed, lastLine } from './run-version.js';

const ANSWER_MS = 120_000;
const END_MS = 10_000;

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number };
}

export class StdioClient {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting = new Map<number, (answer: Answer | undefined) => void>();
  private readonly ended: Promise<void>;
  private said = '';
  private next = 1;

  /** Starts the server; see connect. */
  constructor(main: string, env: NodeJS.ProcessEnv, cwd: string) {
    this.child = spawn(process.execPath, [main, 'stdio'], { env, cwd });
    this.child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.said = (this.said + chunk).slice(-10_000);
    });
    // It may be gone before it has read what is written to it.
    this.child.stdin.on('error', () => {});
    createInterface(this.child.stdout).on('line', line => this.take(line));
    this.ended = new Promise(resolve => {
      const end = () => {
        for (const settle of this.waiting.values()) settle(undefined);
        resolve();
      };
      this.child.once('close', end);
      this.child.once('error', end);
    });
  }

  /** @returns the names of its tools @throws CodedError UPDATE_FAILED */
  async connect(): Promise<string[]> {
    await this.request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'mcp-vector-server update', version: VERSION },
    });
    this.send({ method: 'notifications/initialized' });
    const { tools } = (await this.request('tools/list', {})) as { tools: { name: string }[] };
    return tools.map(({ name }) => name);
  }

  /** What a tool answers, structured. @throws CodedError UPDATE_FAILED where it answers with an error, or not at all */
  async call<T>(name: string, args: object): Promise<T> {
    const { isError, structuredContent } = await this.request('tools/call', { name, arguments: args });
    if (isError === true || structuredContent === undefined) throw failed(`${name} answered with an error`);
    return structuredContent as T;
  }

  /** Ends the server as a client does: by closing its stdin, and after a while by force. */
  async close(): Promise<void> {
    this.child.stdin.end();
    const late = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await this.ended;
    clearTimeout(late);
  }

  private send(message: object): void {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  private async request(method: string, params: object): Promise<Record<string, unknown>> {
    const id = this.next++;
    const late = setTimeout(() => this.child.kill('SIGKILL'), ANSWER_MS);
    const answer = await new Promise<Answer | undefined>(resolve => {
      this.waiting.set(id, resolve);
      this.send({ id, method, params });
      void this.ended.then(() => resolve(undefined));
    });
    clearTimeout(late);
    this.waiting.delete(id);
    if (answer === undefined)
      throw failed(`the server ended before it answered ${method}${lastLine(this.said)}`);
    if (answer.result === undefined)
      throw failed(`${method} was refused with ${answer.error?.code ?? 'nothing'}`);
    return answer.result;
  }

  private take(line: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(line) as Answer;
    } catch {
      // Something else than MCP on stdout: no client could use such a version.
      this.said += '\nsomething that is not MCP stands on its stdout';
      this.child.kill('SIGKILL');
      return;
    }
    if (answer.id !== undefined) this.waiting.get(answer.id)?.(answer);
  }
}
