/**
 * LevelDB's open destroys evidence: it drops bad records, deletes the log it replayed and files it does not know. So what it
 * may touch is hard-linked aside first, and unlinked once the opened store has been found sound.
 */
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { fsyncDirectory } from './head-file.js';
import { linkOrCopy } from './log-copy.js';
import { PATHS } from './paths.js';

/** Ends the name of a folder while nobody knows yet whether it will be needed; a process that dies leaves it so. */
const UNDECIDED = '.opening';

export interface Evidence {
  /** Where it stands once it has been kept. */
  readonly folder: string;
  /** The opened store is sound: removes this folder, and those that crashes during earlier openings left. */
  drop(): void;
  /** Something is off: what is in the folder is a person's to judge, and no later opening removes it. */
  keep(): void;
}

/**
 * @param files names within the log's directory
 * @param overwritable those of them that the open may write over in place: a hard link would lose its contents as well
 * @throws WalError WAL_IO
 */
export function setAside(
  storeDir: string,
  files: readonly string[],
  overwritable: readonly string[],
): Evidence {
  const parent = join(storeDir, PATHS.evidence);
  const folder = join(parent, `${new Date().toISOString().replace(/[:.]/g, '-')}-${process.pid}`);
  const undecided = `${folder}${UNDECIDED}`;
  try {
    mkdirSync(undecided, { recursive: true, mode: 0o700 });
    for (const file of files) {
      const source = join(storeDir, PATHS.log, file);
      if (overwritable.includes(file)) copyFileSync(source, join(undecided, file));
      else linkOrCopy(source, join(undecided, file));
    }
    for (const dir of [undecided, parent, storeDir]) fsyncDirectory(dir);
  } catch (error) {
    rmSync(undecided, { recursive: true, force: true });
    throw new WalError(
      'WAL_IO',
      `the files that LevelDB may drop could not be kept aside: ${(error as Error).message}`,
      'Make room on the disk and check that the store directory is writable.',
      { cause: error },
    );
  }
  return {
    folder,
    drop() {
      for (const name of readdirSync(parent))
        if (name.endsWith(UNDECIDED)) rmSync(join(parent, name), { recursive: true, force: true });
    },
    keep() {
      renameSync(undecided, folder);
    },
  };
}
