import type { ChildProcess } from 'node:child_process';
import { forkUnderShim } from './shim.js';

/** Far beyond what any case takes. */
const HANG_MS = 60_000;

/**
 * One worker process after the other, under the shim: a new one where the last one died. It is sent `{case}` and answers `{outcome}`.
 */
export class WorkerLane<Case, Outcome> {
  private child: ChildProcess | undefined;

  /** @param onStart given each new process, to tell it what it needs to know */
  constructor(
    private readonly module: string,
    private readonly args: readonly string[] = [],
    private readonly onStart: (child: ChildProcess) => void = () => {},
  ) {}

  /** @returns how the process died, where it did */
  examine(one: Case): Promise<Outcome | string> {
    const child = this.child ?? this.start();
    return new Promise(resolve => {
      const finish = (outcome: Outcome | string) => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (typeof outcome === 'string') this.child = undefined;
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        finish(`no answer within ${HANG_MS} ms`);
      }, HANG_MS);
      child.on('message', ({ outcome }: { outcome: Outcome }) => finish(outcome));
      child.on('exit', (code, signal) => finish(`the process died: ${signal ?? `exit ${code}`}`));
      child.send({ case: one });
    });
  }

  private start(): ChildProcess {
    const child = forkUnderShim(this.module, this.args);
    this.onStart(child);
    this.child = child;
    return child;
  }

  close(): void {
    this.child?.kill();
  }
}
