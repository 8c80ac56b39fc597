import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');
/** Far beyond what any program takes here. */
const HANG_MS = 60_000;

/** How a program came to its end. */
export interface Ended {
  readonly wasKilled: boolean;
  /** null where it was killed. */
  readonly code: number | null;
  readonly stderr: string;
  /** How long it stood still at most, while an instant of it was looked at: its own timers ran on. */
  readonly longestStillMs?: number;
}

export interface KillOptions {
  /** What is killed in its place, and the program runs on. */
  readonly instead?: (() => Promise<void>) | undefined;
  /** How many instants before the kill are looked at. Default: none. */
  readonly instants?: number;
  /** Looks at one. The program's own time must stand still meanwhile. @returns how long that took, in ms */
  readonly look?: (pid: number) => Promise<number>;
}

/** Runs commands as users do, and kills them at random instants of the time that they usually take. */
export class ProgramKiller {
  /** A running mean, by command. */
  private readonly usualMs = new Map<string, number>();

  /** @param env the whole environment of the commands but for PATH */
  constructor(
    private readonly random: () => number,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** kill -9 at some instant, or shortly after its end. */
  async kill(args: readonly string[], { instead, instants = 0, look }: KillOptions = {}): Promise<Ended> {
    const [name] = args as [string];
    const usualMs = this.usualMs.get(name) ?? 1000;
    const startedMs = performance.now();
    const { child, ended, postpone } = this.start(args);
    let [stoodStillMs, longestStillMs] = [0, 0];
    let timer: NodeJS.Timeout | undefined;
    const over = ended.then(
      () => true,
      () => true,
    );
    const sleep = (ms: number) =>
      new Promise<false>(resolve => {
        timer = setTimeout(() => resolve(false), ms);
      });
    // In their order, of the program's own time.
    const times = Array.from({ length: instants + 1 }, () => this.random() * 1.2 * usualMs).sort(
      (a, b) => a - b,
    );
    for (const [at, ms] of times.entries()) {
      const ownMs = performance.now() - startedMs - stoodStillMs;
      if (await Promise.race([over, sleep(Math.max(0, ms - ownMs))])) break;
      if (at < instants) {
        const stillMs = await look!(child.pid!);
        postpone(stillMs);
        stoodStillMs += stillMs;
        longestStillMs = Math.max(longestStillMs, stillMs);
      } else if (instead === undefined) child.kill('SIGKILL');
      else await instead();
    }
    const { wasKilled, ...rest } = await ended;
    clearTimeout(timer);
    if (!wasKilled && instead === undefined)
      this.usualMs.set(name, usualMs + 0.3 * (performance.now() - startedMs - stoodStillMs - usualMs));
    // Killed over and over, it may take longer than is thought.
    else if (wasKilled) this.usualMs.set(name, 1.3 * usualMs);
    return { wasKilled, longestStillMs, ...rest };
  }

  /** Lets it come to its end. */
  run(args: readonly string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  private start(args: readonly string[]) {
    return startProgram([process.execPath, MAIN, ...args], this.env);
  }
}

/** Runs a command of the program. @param wrap what it is run under */
export function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  wrap: (command: readonly string[]) => readonly string[],
): Promise<Ended> {
  return startProgram(wrap([process.execPath, MAIN, ...args]), env).ended;
}

function startProgram(
  [file, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): { child: ChildProcess; ended: Promise<Ended>; postpone: (ms: number) => void } {
  const child = spawn(file!, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  let deadlineMs = performance.now() + HANG_MS;
  const endHung = () => {
    const leftMs = deadlineMs - performance.now();
    if (leftMs > 0) {
      hang = setTimeout(endHung, leftMs);
      return;
    }
    stderr += `\nno end within ${HANG_MS} ms`;
    child.kill('SIGTERM');
  };
  let hang = setTimeout(endHung, HANG_MS);
  /** It stood still for so long. */
  const postpone = (ms: number) => {
    deadlineMs += ms;
  };
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(hang);
      resolve({ wasKilled: signal === 'SIGKILL', code, stderr });
    });
  });
  return { child, ended, postpone };
}
