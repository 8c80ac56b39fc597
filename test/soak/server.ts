/** `serve` as it ships, in the environment that a service has, logging into a file; Node's own inspector can be asked for while it runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '#src/http/scopes.js';
import { createToken } from '#src/http/tokens.js';
import { SERVICE_ENVIRONMENT } from '#src/ops/service/systemd.js';
import { MAIN } from './clients.js';
import { Inspector } from './inspector.js';

const POLL_MS = 50;
const INSPECTOR_LISTENS = /Debugger listening on (ws:\/\/\S+)/;
const INSPECTOR_POLLS = 600;

/** Windows has no signals: there a process that is told to end is gone at once, without an exit code of its own. */
export const ENDS_IN_ORDER = process.platform !== 'win32';

export class Server {
  /** What it wrote beside its log. */
  stderr = '';
  readonly exited: Promise<number | null>;
  private hasExited = false;

  private constructor(
    readonly store: string,
    readonly port: number,
    private readonly child: ChildProcess,
  ) {
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    this.exited = new Promise(resolve =>
      child.once('close', code => {
        process.off('exit', kill);
        this.hasExited = true;
        resolve(code);
      }),
    );
  }

  /** Starts it, and waits until it takes calls. @throws Error where it ends before */
  static async start(store: string, env: Record<string, string>): Promise<Server> {
    const port = await freePort();
    // The inspector listens only once SIGUSR1 comes, on any port.
    const args = ['--inspect-port=127.0.0.1:0', MAIN, 'serve', '--port', String(port), '--store', store];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH ?? '', ...SERVICE_ENVIRONMENT, ...env },
    });
    const server = new Server(store, port, child);
    while (!(await server.isReady())) {
      if (server.hasExited) throw new Error(`serve ended: ${server.stderr}`);
      await sleep(POLL_MS);
    }
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child.pid!;
  }

  get tokensDir(): string {
    return join(this.store, 'tokens');
  }

  token(name: string, scope: Scope): string {
    return createToken(this.tokensDir, { name, scope, expires: undefined });
  }

  /** @throws Error where this Node has no WebSocket (20 has it with --experimental-websocket) */
  async inspect(): Promise<Inspector> {
    this.child.kill('SIGUSR1');
    for (let polls = 0; polls < INSPECTOR_POLLS; polls++) {
      const url = INSPECTOR_LISTENS.exec(this.stderr)?.[1];
      if (url !== undefined) return Inspector.connect(url);
      await sleep(POLL_MS);
    }
    throw new Error(`no inspector: ${this.stderr}`);
  }

  /** Ends it as an operator would. @returns its exit code */
  stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exited;
  }

  private async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/ready`)).ok;
    } catch {
      return false;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}
