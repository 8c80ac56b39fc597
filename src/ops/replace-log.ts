/** Puts another log in the place of a store's, which is taken aside whole, into damaged/ in the store: see wal/repair/swap.ts for its steps. */
import { closeSync, cpSync, fsyncSync, openSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { makeDirectory } from '../../wal/directory.js';
import { exists } from '../../wal/exists.js';
import { fsyncDirectory } from '../../wal/head-file.js';
import { takeOwnership } from '../../wal/owner.js';
import { PATHS } from '../../wal/paths.js';
import { finishSwap, isSwapping, newStoreIn, removeWork, swap } from '../../wal/repair/swap.js';

export interface ReplaceOptions {
  /** Names the folder that the present log is taken to; a repetition with the same time changes nothing more. */
  readonly time: Date;
  /** Told after every step of the exchange; for tests. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** Where a log that was in the store's place until `time` lies, relative to the store. */
export const asideOf = (time: Date): string => join(PATHS.damaged, time.toISOString().replace(/[:.]/g, '-'));

/** Whether the log was exchanged at `time`. An exchange that was begun must have been finished before: see finishReplacing. */
export const isReplaced = (storeDir: string, time: Date): boolean => exists(join(storeDir, asideOf(time)));

/**
 * Exchanges the log of a store that nobody else has open. The new one is made first, inside the store's directory; until it is whole nothing
 * else is changed, and from then on any interruption is finished by a repetition, or by `repair --apply --yes`.
 * @param make makes a whole, closed store at the path that it is given, which does not exist yet
 * @returns where the former log is, relative to the store
 * @throws WalError STORE_IN_USE, WAL_IO; what `make` throws: the store is as it was
 */
export async function replaceLog(
  storeDir: string,
  make: (target: string) => Promise<unknown>,
  { time, onStep }: ReplaceOptions,
): Promise<string> {
  makeDirectory(storeDir);
  const ownership = await takeOwnership(storeDir);
  try {
    if (isSwapping(storeDir)) finishSwap(storeDir, onStep);
    if (isReplaced(storeDir, time)) return asideOf(time);
    const target = newStoreIn(storeDir);
    removeWork(storeDir);
    makeDirectory(join(storeDir, PATHS.repairing));
    await make(target);
    return relative(storeDir, await swap(storeDir, time, onStep));
  } finally {
    await ownership.release();
  }
}

/** Brings an exchange that was interrupted to its end; true if there was one. @throws WalError STORE_IN_USE, WAL_IO */
export async function finishReplacing(storeDir: string): Promise<boolean> {
  if (!isSwapping(storeDir)) return false;
  const ownership = await takeOwnership(storeDir);
  try {
    if (isSwapping(storeDir)) finishSwap(storeDir);
    return true;
  } finally {
    await ownership.release();
  }
}

/**
 * Puts a log that was taken aside at `former` back into its place; what is there now is taken aside in its turn. The folder of `former` stays.
 * @throws as replaceLog
 */
export function putBack(storeDir: string, former: Date, options: ReplaceOptions): Promise<string> {
  const from = join(storeDir, asideOf(former));
  return replaceLog(
    storeDir,
    async target => {
      makeDirectory(target);
      for (const name of [PATHS.log, PATHS.head]) copyFlushed(join(from, name), join(target, name));
      fsyncDirectory(target);
    },
    options,
  );
}

/** Copies a file or a directory and flushes it: what is exchanged must be on the disk before it takes a name. */
export function copyFlushed(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
  const flush = (path: string): void => {
    const file = openSync(path, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  };
  const visit = (path: string, isDirectory: boolean): void => {
    if (!isDirectory) {
      flush(path);
      return;
    }
    for (const entry of readdirSync(path, { withFileTypes: true }))
      visit(join(path, entry.name), entry.isDirectory());
    fsyncDirectory(path);
  };
  visit(to, statSync(to).isDirectory());
}
