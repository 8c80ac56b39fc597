/**
 * Instants at which a kill -9 might have struck, looked at without one. Whoever may write stands still, what is on the disk is copied, and
 * the copy is judged as what a kill left would be. A kill of the same processes then leaves the very same bytes: see `killLikeCopy`.
 */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { StatusAnswer } from '#src/domain/face.js';
import { verifyStore } from '#src/engine/verify.js';
import { letGoOn, stopProcesses } from '../helpers/standstill.js';
import { withCopiedStore } from './copied-store.js';
import { entriesOf, type Findings } from './findings.js';
import type { Knowledge } from './knowledge.js';
import type { Ground, Program } from './programs.js';

/** Beyond every pid that Linux gives. */
const NOBODY = 2 ** 22;
/** So that answers which were given before the standstill have been heard. */
const TURNS = 5;

export interface InstantOptions {
  /** The environment of the servers. */
  readonly env: Readonly<Record<string, string>>;
  readonly findings: Findings;
}

/** Where the processes stand. */
export interface Scene {
  readonly ground: Ground;
  readonly knowledge: Knowledge;
  /** The one that runs beside the server, or in its place. */
  readonly program?: Program | undefined;
  /** Verifies the copy too. */
  readonly verify: boolean;
}

export class Instants {
  private made = 0;

  constructor(private readonly options: InstantOptions) {}

  /**
   * Looks at what a kill of these processes would leave now, and lets them go on.
   * @returns how long they stood still, in ms; undefined where none was there any more
   */
  async look(pids: readonly number[], scene: Scene): Promise<number | undefined> {
    const startedMs = performance.now();
    const still = await stopProcesses(pids);
    if (still.length === 0) return undefined;
    await answersHeard();
    const { ground } = scene;
    const copy = `${ground.dir}-${++this.made}`;
    try {
      cpSync(ground.dir, copy, { recursive: true, preserveTimestamps: true });
      for (const pid of still) disown(copy, pid);
      await this.judge(copy, scene);
    } finally {
      letGoOn(still);
    }
    return performance.now() - startedMs;
  }

  private async judge(dir: string, { ground, knowledge, program, verify }: Scene): Promise<void> {
    const { env, findings } = this.options;
    const before = [...entriesOf(findings)].length;
    const store = join(dir, 'store');
    const { random, killer, reembedTo, secrets, count } = ground;
    const there: Ground = {
      ...{ dir, store, backups: join(dir, 'backups'), random, killer, reembedTo, secrets },
      count: outcome => count.call(ground, `instant: ${outcome}`),
      mayBeCut: () => {},
    };
    const name = program === undefined ? 'instant' : `instant of ${program.name}`;
    const wrong = (await program?.judge(there, { wasKilled: true, code: null, stderr: '' })) ?? [];
    findings.unsound.push(...wrong.map(what => `${name}: ${what}`));
    const fork = knowledge.fork();
    try {
      await withCopiedStore(store, env, async server => {
        const status = await server.call<StatusAnswer>('vector_status', {});
        await fork.check(server, status, { findings, collections: [], random });
      });
    } catch (error) {
      findings.opensFailed.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    }
    if (verify) {
      const { findings: found } = await verifyStore(store);
      findings.unsound.push(...found.map(({ code, message }) => `${name}: ${code} ${message}`));
    }
    if ([...entriesOf(findings)].length === before) rmSync(dir, { recursive: true });
    else findings.unexpected.push(`${name}: what it left is in ${dir}`);
  }
}

/** In the copy nothing may lead to a process that is not dead: where it listens, and what it is at work on by its pid. */
function disown(dir: string, pid: number): void {
  rmSync(join(dir, 'store', 'socket.json'), { force: true });
  const its = readdirSync(dir).filter(name => name.endsWith(`-${pid}`));
  for (const name of its) renameSync(join(dir, name), join(dir, name.replace(/\d+$/, String(NOBODY))));
}

/** Kills processes that stand still. @returns in what the store differs from what was copied of it before */
export async function killLikeCopy(
  store: string,
  pids: readonly number[],
  kill: () => Promise<void>,
): Promise<string[]> {
  await stopProcesses(pids);
  const copy = `${store}-before`;
  cpSync(store, copy, { recursive: true });
  await kill();
  const differences = differencesOf(store, copy);
  rmSync(copy, { recursive: true });
  return differences;
}

function differencesOf(dir: string, other: string): string[] {
  const [files, others] = [filesOf(dir), filesOf(other)];
  return [...new Set([...files, ...others])].filter(
    file =>
      !files.has(file) ||
      !others.has(file) ||
      !readFileSync(join(dir, file)).equals(readFileSync(join(other, file))),
  );
}

const filesOf = (dir: string): Set<string> =>
  new Set(
    (readdirSync(dir, { recursive: true }) as string[]).filter(name => statSync(join(dir, name)).isFile()),
  );

async function answersHeard(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise(resolve => setImmediate(resolve));
}
