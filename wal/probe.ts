import { readdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { PATHS } from './paths.js';

/** Its name in the store directory, while it is there. */
export const PROBE_FILE = 'probe.tmp';

/**
 * Whether the disk takes as much as a reopening of the log will need: LevelDB turns its log file into a table and
 * writes a new MANIFEST. Written, flushed, deleted.
 */
export async function probe(storeDir: string): Promise<boolean> {
  const path = join(storeDir, PROBE_FILE);
  try {
    const dir = join(storeDir, PATHS.log);
    const logBytes = readdirSync(dir)
      .filter(name => name.endsWith('.log'))
      .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    try {
      const file = await open(path, 'w', 0o600);
      try {
        const block = Buffer.alloc(1024 * 1024, 0xa5);
        for (let written = 0; written < logBytes + 2 * block.length; written += block.length)
          await file.writeFile(block);
        await file.sync();
      } finally {
        await file.close();
      }
    } finally {
      rmSync(path, { force: true });
    }
    return true;
  } catch {
    // Any failure means the same: not yet. The failure that made us probe is what callers are told.
    return false;
  }
}
