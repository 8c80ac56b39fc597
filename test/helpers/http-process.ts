/** `serve` as it ships, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Scope } from '#src/http/scopes.js';
import { createToken, revokeToken } from '#src/http/tokens.js';

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');
const LISTENS = /"host":"[^"]*","port":(\d+)/;

export interface HttpProcessOptions {
  /** Default: one that is free. */
  readonly port?: number | undefined;
  /** Further arguments of `serve`. */
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}

export class HttpProcess {
  /** What it wrote to stderr: its log. */
  log = '';
  readonly exited: Promise<number | null>;
  private constructor(
    readonly store: string,
    private readonly child: ChildProcess,
  ) {
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.log += chunk;
    });
    // A test that fails does not come to its end.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    this.exited = new Promise(resolve => child.once('close', resolve));
  }

  /** Starts it, and waits until it listens. */
  static async start(
    store: string,
    { port = 0, args = [], env = {} }: HttpProcessOptions = {},
  ): Promise<HttpProcess> {
    mkdirSync(store, { recursive: true, mode: 0o700 });
    const child = spawn(
      process.execPath,
      [MAIN, 'serve', '--port', String(port), '--store', store, ...args],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...env },
      },
    );
    const server = new HttpProcess(store, child);
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!LISTENS.test(server.log)) return;
        child.stderr!.off('data', look);
        resolve();
      };
      child.stderr!.on('data', look);
      void server.exited.then(code => reject(new Error(`serve ended with ${code}: ${server.log}`)));
    });
    return server;
  }

  get port(): number {
    return Number(LISTENS.exec(this.log)![1]);
  }

  get pid(): number {
    return this.child.pid!;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A new token, which counts at once. */
  token(name: string, scope: Scope = 'write', expires?: Date): string {
    return createToken(join(this.store, 'tokens'), { name, scope, expires });
  }

  revoke(name: string): void {
    revokeToken(join(this.store, 'tokens'), name);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it as an operator would. @returns its exit code */
  stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return this.exited;
  }
}
