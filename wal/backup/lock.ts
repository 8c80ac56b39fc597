import { realpathSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { isLiving } from '../owner.js';
import { readText } from '../read-text.js';

/** In a directory of backups: who writes there. */
export const LOCK = 'lock.json';

/**
 * Does work in a directory of backups that nobody else is at work in. A lock whose process is gone is taken over; one of another machine is
 * taken at its word.
 * @throws WalError BACKUP_BUSY
 */
export async function withLock<T>(dir: string, work: () => T | Promise<T>): Promise<T> {
  const path = join(realpathSync(dir), LOCK);
  take(path);
  held.add(path);
  try {
    return await work();
  } finally {
    held.delete(path);
    rmSync(path, { force: true });
  }
}

/** Those of this process. One that names it and is not among them could not be removed, or not be written to its end. */
const held = new Set<string>();

function take(path: string): void {
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() });
  for (;;) {
    try {
      writeFileSync(path, mine, { flag: 'wx', mode: 0o600 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      removeStale(path);
    }
  }
}

function removeStale(path: string): void {
  const holder = readHolder(path);
  const isOurs = holder?.pid === process.pid && holder.host === hostname();
  if (holder !== undefined && (isOurs ? held.has(path) : isLiving(holder)))
    throw new WalError(
      'BACKUP_BUSY',
      `process ${holder.pid} on ${holder.host} is at work on these backups since ${holder.since}`,
      `Wait until it is done. If there is no such process, remove ${path}.`,
      { details: { pid: holder.pid } },
    );
  rmSync(path, { force: true });
}

/** Undefined where it is gone, or was never finished. */
function readHolder(path: string): { pid: number; host: string; since: string } | undefined {
  try {
    return JSON.parse(readText(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
