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

  /** kill -9 at some instant, or shortly after its end. @param instead what is killed in its place, and the program runs on */
  async kill(args: readonly string[], instead?: () => Promise<void>): Promise<Ended> {
    const [name] = args as [string];
    const usualMs = this.usualMs.get(name) ?? 1000;
    const startedMs = performance.now();
    const { child, ended } = this.start(args);
    const timer = setTimeout(
      () => (instead === undefined ? child.kill('SIGKILL') : void instead()),
      this.random() * 1.2 * usualMs,
    );
    const { wasKilled, ...rest } = await ended;
    clearTimeout(timer);
    if (!wasKilled && instead === undefined)
      this.usualMs.set(name, usualMs + 0.3 * (performance.now() - startedMs - usualMs));
    // Killed over and over, it may take longer than is thought.
    else if (wasKilled) this.usualMs.set(name, 1.3 * usualMs);
    return { wasKilled, ...rest };
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
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(file!, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const hang = setTimeout(() => {
    stderr += `\nno end within ${HANG_MS} ms`;
    child.kill('SIGTERM');
  }, HANG_MS);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(hang);
      resolve({ wasKilled: signal === 'SIGKILL', code, stderr });
    });
  });
  return { child, ended };
}
