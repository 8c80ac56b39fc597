/**
 * A temporary copy of a store's log, for whatever must open it: LevelDB has no read-only opening, and an opening deletes and replaces files. Tables are
 * hard links, which LevelDB only ever reads or unlinks, the rest are copies, so that nothing of the store itself changes.
 */
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LookReport } from './leveldb/look.js';
import { PATHS } from './paths.js';

const PREFIX = 'verify-';

/**
 * @param storeDir a store that is this process's own
 * @param looked what look() found out about the log; what the database does not need is left out
 * @param work given a directory with `log/` and HEAD, gone afterwards
 * @throws what the file system throws, and what `work` throws
 */
export async function withLogCopy<T>(
  storeDir: string,
  looked: LookReport,
  work: (copyDir: string) => Promise<T>,
): Promise<T> {
  const scratch = join(storeDir, PATHS.scratch);
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  // Those that a process left which was killed.
  for (const name of readdirSync(scratch))
    if (name.startsWith(PREFIX)) rmSync(join(scratch, name), { recursive: true, force: true });
  const copyDir = mkdtempSync(join(scratch, PREFIX));
  try {
    const [from, to] = [join(storeDir, PATHS.log), join(copyDir, PATHS.log)];
    mkdirSync(to, { mode: 0o700 });
    for (const { name, kind, live } of looked.files)
      if (live) (kind === 'table' ? linkOrCopy : copyFileSync)(join(from, name), join(to, name));
    copyFileSync(join(storeDir, PATHS.head), join(copyDir, PATHS.head));
    return await work(copyDir);
  } finally {
    rmSync(copyDir, { recursive: true, force: true });
  }
}

/** A hard link where there can be one. */
export const linkOrCopy = (source: string, target: string): void => orCopy(linkSync, source, target);

/**
 * Some file systems (exFAT, a few network mounts) have no links, and Windows permits symbolic ones to few; a copy is as good and only
 * slower.
 */
export function orCopy(link: (source: string, target: string) => void, source: string, target: string): void {
  try {
    link(source, target);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes((error as { code: string }).code)) throw error;
    copyFileSync(source, target);
  }
}
