/** A system in a process of its own, seen from the parent. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { WorkerMethods, WorkerOptions } from './worker.js';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));
/** Whatever takes longer than this is given up, and the system with it. */
const CALL_LIMIT_MS = 15 * 60_000;

type Answer<M extends keyof WorkerMethods> = Awaited<ReturnType<WorkerMethods[M]>>;

export class Remote {
  private readonly child: ChildProcess;

  constructor(readonly options: WorkerOptions) {
    this.child = fork(WORKER, [JSON.stringify(options)], {
      execArgv: ['--expose-gc'],
      // JSON would turn what is undefined into null.
      serialization: 'advanced',
      // What a native library prints must not get into the table.
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    });
  }

  /** @throws what the worker threw, or that it died or took too long */
  async call<M extends keyof WorkerMethods>(
    method: M,
    ...args: Parameters<WorkerMethods[M]>
  ): Promise<Answer<M>> {
    const { child } = this;
    const what = `${this.options.system}, ${method}`;
    return new Promise<Answer<M>>((resolve, reject) => {
      const end = (error: Error | undefined, value?: unknown) => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        if (error) reject(error);
        else resolve(value as Answer<M>);
      };
      const onMessage = (message: unknown) => {
        const { value, error } = message as { value?: unknown; error?: string };
        end(error === undefined ? undefined : new Error(`${what}: ${error}`), value);
      };
      const onExit = (code: number | null, signal: string | null) =>
        end(new Error(`${what}: the process ended with ${signal ?? code}`));
      const timer = setTimeout(() => {
        end(new Error(`${what}: no answer in ${CALL_LIMIT_MS / 60_000} minutes`));
        child.kill('SIGKILL');
      }, CALL_LIMIT_MS);
      child.on('message', onMessage).on('exit', onExit);
      child.send({ method, args });
    });
  }

  /** Closes the system properly, then ends the process. */
  async close(): Promise<void> {
    await this.call('close');
    await this.kill();
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}
