/**
 * LevelDB's open destroys evidence: it drops bad records, deletes the log it replayed and files it does not know. So what it
 * may touch is hard-linked aside first, and unlinked once the opened store has been found sound.
 */
import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { PATHS } from './paths.js';

/**
 * @param files names within the log's directory
 * @param overwritable those of them that the open may write over in place: a hard link would lose its contents as well
 * @returns the evidence folder
 */
export function keepEvidence(
  storeDir: string,
  files: readonly string[],
  overwritable: readonly string[],
): string {
  const folder = join(
    storeDir,
    PATHS.evidence,
    `${new Date().toISOString().replace(/[:.]/g, '-')}-${process.pid}`,
  );
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const file of files) {
      const source = join(storeDir, PATHS.log, file);
      if (overwritable.includes(file)) {
        copyFileSync(source, join(folder, file));
        continue;
      }
      try {
        linkSync(source, join(folder, file));
      } catch (error) {
        // Some file systems (exFAT, a few network mounts) have no hard links; a copy is as good and only slower.
        if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? ''))
          throw error;
        copyFileSync(source, join(folder, file));
      }
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new WalError(
      'WAL_IO',
      `the files that LevelDB may drop could not be kept aside: ${(error as Error).message}`,
      'Make room on the disk and check that the store directory is writable.',
      { cause: error },
    );
  }
  return folder;
}

export function dropEvidence(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
