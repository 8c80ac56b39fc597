import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../../wal/paths.js';

/** The store's directory for files that live only while a process works on them, emptied. @returns its path */
export function emptyScratch(storeDir: string): string {
  const dir = join(storeDir, PATHS.scratch);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { mode: 0o700 });
  return dir;
}
