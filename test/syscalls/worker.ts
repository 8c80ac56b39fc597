/** The child of campaign.ts that lets a store live while a system call fails, under the shim. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Durability } from '#wal/level-log.js';
import { type Call, type Fault, shim } from '../faults/shim.js';
import { Life, type Trouble } from './life.js';

export interface Case {
  readonly durability: Durability;
  /** Without it, calls are only counted. */
  readonly fault?: Fault | undefined;
}

export interface Outcome {
  readonly troubles: readonly Trouble[];
  /** Calls that were answered with a coded error. */
  readonly errors: readonly string[];
  /** System calls that the store made, by name, and how many of them failed by the fault. */
  readonly calls: Readonly<Record<Call | 'other' | 'injected', number>>;
}

const [workDir] = process.argv.slice(2) as [string];
const watched = join(workDir, 'disk');
mkdirSync(watched, { recursive: true });
shim.watch(watched);
let cases = 0;

async function examine({ durability, fault }: Case): Promise<Outcome> {
  // Each of its own: what one case leaves behind is not the next one's.
  const dir = join(watched, String(++cases));
  mkdirSync(dir);
  const life = new Life(dir, durability, shim.stop);
  if (fault === undefined) shim.count();
  else shim.inject(fault);
  await life.live();
  shim.stop();
  const calls = shim.report(join(workDir, 'report'));
  await life.judge();
  rmSync(dir, { recursive: true, force: true });
  return { troubles: life.troubles, errors: life.errors, calls };
}

process.on('message', async ({ case: one }: { case: Case }) => {
  process.send!({ outcome: await examine(one) });
});

process.on('disconnect', () => process.exit());
