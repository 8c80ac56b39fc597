/**
 * A store open in another process: an owner to run into, a writer to kill.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { OpenLogOptions } from '#wal/open.js';

const CHILD = fileURLToPath(new URL('./store-process.mjs', import.meta.url));

export interface Answer {
  readonly open?: number;
  readonly acked?: number;
  readonly texts?: string[];
  readonly failed?: string;
  readonly message?: string;
  readonly details?: Record<string, unknown>;
}

export class StoreProcess {
  private constructor(
    private readonly child: ChildProcess,
    /** How the opening went. */
    readonly opened: Answer,
  ) {}

  /** @param fileLimitKb no file may grow beyond it until liftFileLimit: what a full disk does, where none can be had */
  static async start(
    storeDir: string,
    options: Pick<OpenLogOptions, 'create' | 'durability' | 'limits' | 'intervalMs'> = {},
    fileLimitKb?: number,
  ): Promise<StoreProcess> {
    const args = [CHILD, storeDir, JSON.stringify(options)];
    const limited = `trap "" XFSZ; ulimit -S -f ${fileLimitKb}; exec "$@"`;
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child =
      fileLimitKb === undefined
        ? spawn(process.execPath, args, { stdio: [...stdio] })
        : spawn('bash', ['-c', limited, 'bash', process.execPath, ...args], { stdio: [...stdio] });
    const [opened] = (await once(child, 'message')) as [Answer];
    return new StoreProcess(child, opened);
  }

  get pid(): number {
    return this.child.pid!;
  }

  liftFileLimit(): void {
    execFileSync('prlimit', [`--pid=${this.pid}`, '--fsize=unlimited:unlimited']);
  }

  append(...texts: string[]): Promise<Answer> {
    return this.ask({ append: texts });
  }

  /** Sends without waiting for an answer. */
  send(...texts: string[]): void {
    this.child.send({ append: texts });
  }

  async texts(): Promise<string[]> {
    const { texts, message } = await this.ask({ read: true });
    if (texts === undefined) throw new Error(message);
    return texts;
  }

  async close(): Promise<void> {
    await this.ask({ close: true });
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }

  private async ask(question: object): Promise<Answer> {
    const answer = once(this.child, 'message');
    this.child.send(question);
    return (await answer)[0] as Answer;
  }
}
