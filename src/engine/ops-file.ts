/** Small files of operations, in <store>/ops: whole or not there, whatever crash comes between. None of them is truth. */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../../wal/backup/sealed.js';
import { PATHS } from '../../wal/paths.js';

export const opsPath = (storeDir: string, name: string): string => join(storeDir, PATHS.ops, name);

/** Of a file that is read whole; a larger one is damaged. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The text of a file.
 * @returns undefined where it is not there
 * @throws what the file system throws; Error where it is too large to be one of ours
 */
export function readOpsFile(storeDir: string, name: string): string | undefined {
  const path = opsPath(storeDir, name);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile() || stats.size > MAX_BYTES) throw new Error(`${name} is no file of at most 16 MiB`);
  return readFileSync(path, 'utf8');
}

/** Files that are being written, by path. */
const writing = new Map<string, Promise<void>>();

/**
 * Written beside the calls, which do not wait for the disk. Of one file one write comes after the other, for they share the name under which a file
 * is unfinished: two backups, for one, may be done at once.
 * @throws what the file system throws
 */
export async function writeOpsFile(storeDir: string, name: string, text: string): Promise<void> {
  makeOpsDirectory(storeDir);
  const path = opsPath(storeDir, name);
  const write = () => writeWhole(path, text);
  // Whether the one before failed is for its own caller.
  const own = (writing.get(path) ?? Promise.resolve()).then(write, write);
  writing.set(path, own);
  try {
    await own;
  } finally {
    if (writing.get(path) === own) writing.delete(path);
  }
}

export function makeOpsDirectory(storeDir: string): void {
  mkdirSync(join(storeDir, PATHS.ops), { recursive: true, mode: 0o700 });
}

/** Puts a damaged file out of the way, in place of the one before it: one is kept to be looked at. Does not throw. */
export function setAside(storeDir: string, name: string): void {
  const path = opsPath(storeDir, name);
  try {
    rmSync(`${path}.damaged`, { recursive: true, force: true });
    renameSync(path, `${path}.damaged`);
  } catch {
    // Whoever writes it anew says what stands in the way.
  }
}
