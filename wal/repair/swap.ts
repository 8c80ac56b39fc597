/**
 * Puts a repaired log in the place of the damaged one, within the store's directory, so that it works where that is a mount of its own:
 *
 *   repairing/store/log, HEAD      the new ones, whole and verified
 *   repairing/swap.json            from here on the swap will be done, by this process or the next repair
 *   HEAD, … , log                  are renamed into damaged/<time>/, HEAD first: a log without it is refused by every opening
 *   repairing/store/log, HEAD      are renamed into their places, HEAD last
 *   repairing/                     goes
 *
 * Each step is flushed before the next.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { fsyncDirectory } from '../head-file.js';
import { PATHS } from '../paths.js';
import { readText } from '../read-text.js';
import { writeFlushed } from '../record-file.js';

const NOTE = 'swap.json';
const NEW = 'store';

/** What belongs to the log that was damaged, in the order in which it goes. What was cut off earlier, quarantine, is not concerned. */
const TAKEN_ASIDE = [
  PATHS.head,
  `${PATHS.head}.tmp`,
  PATHS.verified,
  PATHS.checkpoints,
  PATHS.evidence,
  PATHS.log,
] as const;

/** Told after every step; for tests. */
export type OnSwapStep = (step: string) => void;

/** Where the new store is made. */
export const newStoreIn = (storeDir: string): string => join(storeDir, PATHS.repairing, NEW);

const notePath = (storeDir: string): string => join(storeDir, PATHS.repairing, NOTE);

/** Whether a swap was begun and not finished. */
export const isSwapping = (storeDir: string): boolean => exists(notePath(storeDir));

/** @throws WalError REPAIR_UNFINISHED: the store is neither the damaged nor the repaired one */
export function assertNotSwapping(storeDir: string): void {
  if (!isSwapping(storeDir)) return;
  throw new WalError(
    'REPAIR_UNFINISHED',
    `a repair of ${storeDir} was interrupted while it put the repaired log in place`,
    'Run `mcp-vector-server repair --apply --yes`: it goes on from there.',
  );
}

/**
 * Takes the damaged log aside and puts the new one in its place.
 * @param time of the folder in damaged/
 * @returns that folder
 */
export async function swap(storeDir: string, time: Date, onStep?: OnSwapStep): Promise<string> {
  const damaged = join(PATHS.damaged, time.toISOString().replace(/[:.]/g, '-'));
  const unfinished = `${notePath(storeDir)}.unfinished`;
  rmSync(unfinished, { force: true });
  await writeFlushed(unfinished, `${JSON.stringify({ damaged })}\n`);
  renameSync(unfinished, notePath(storeDir));
  fsyncDirectory(join(storeDir, PATHS.repairing));
  fsyncDirectory(storeDir);
  onStep?.('noted');
  return finishSwap(storeDir, onStep);
}

/** Goes on with a swap from wherever it came to. @returns the folder with what was damaged */
export function finishSwap(storeDir: string, onStep?: OnSwapStep): string {
  const { damaged } = JSON.parse(readText(notePath(storeDir))) as { damaged: string };
  const aside = join(storeDir, damaged);
  const fresh = newStoreIn(storeDir);
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  fsyncDirectory(join(storeDir, PATHS.damaged));
  const move = (from: string, to: string, name: string) => {
    if (!exists(join(from, name))) return;
    renameSync(join(from, name), join(to, name));
    fsyncDirectory(to);
    fsyncDirectory(from);
    onStep?.(`${name} ${to === aside ? 'aside' : 'in place'}`);
  };
  // Once the new log is in place, what stands under these names is no longer the damaged store's.
  if (exists(join(fresh, PATHS.log))) for (const name of TAKEN_ASIDE) move(storeDir, aside, name);
  move(fresh, storeDir, PATHS.log);
  move(fresh, storeDir, PATHS.head);
  rmSync(notePath(storeDir));
  fsyncDirectory(join(storeDir, PATHS.repairing));
  onStep?.('done');
  removeWork(storeDir);
  return aside;
}

/** What an attempt left that never came to its swap. */
export function removeWork(storeDir: string): void {
  rmSync(join(storeDir, PATHS.repairing), { recursive: true, force: true });
  fsyncDirectory(storeDir);
}
