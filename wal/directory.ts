import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fsyncDirectory } from './head-file.js';

/**
 * Makes a directory for its user alone, with those above it, and flushes the entries by which it is found: whatever is flushed inside
 * a directory whose own entry is not may be gone with it after a power loss. One that is there already may be one that a
 * process which was killed has just made, so its entry is flushed as well.
 * @throws what the file system throws
 */
export function makeDirectory(path: string): void {
  const made = mkdirSync(path, { recursive: true, mode: 0o700 });
  const topmost = resolve(made ?? path);
  for (let dir = resolve(path); ; dir = dirname(dir)) {
    try {
      fsyncDirectory(dirname(dir));
    } catch (error) {
      // One that may be passed but not read can only hold what somebody else has made.
      if (made !== undefined || (error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    }
    if (dir === topmost) return;
  }
}
