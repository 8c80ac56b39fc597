/**
 * LevelDB's open destroys evidence: it drops bad records, deletes the log it replayed and files it does not know. So what it
 * may touch is hard-linked aside first, and unlinked once the opened store has been found sound.
 */
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { exists } from './exists.js';
import { fsyncDirectory } from './head-file.js';
import { linkOrCopy } from './log-copy.js';
import { PATHS } from './paths.js';
import { readText } from './read-text.js';

/** Ends the name of a folder while nobody knows yet whether it will be needed; a process that dies leaves it so. */
const UNDECIDED = '.opening';

/** Names the MANIFEST; LevelDB replaces it by renaming, so that a hard link keeps what it said. */
const CURRENT = 'CURRENT';

export interface Evidence {
  /** Where it stands once it has been kept. */
  readonly folder: string;
  /** The opened store is sound: removes this folder, and those that crashes during earlier openings left. */
  drop(): void;
  /**
   * Makes the directory what it was before the opening, but for new files that nothing names. The database must be closed.
   * @throws what the file system throws
   */
  undo(): void;
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
    if (exists(undecided)) rmSync(undecided, { recursive: true, force: true });
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
    undo() {
      const dir = join(storeDir, PATHS.log);
      const missing = files.filter(file => !exists(join(dir, file)));
      // By its inode: what the disk does not let be read may still be put back.
      const isReplaced = statSync(join(dir, CURRENT)).ino !== statSync(join(undecided, CURRENT)).ino;
      // Nothing happened yet, and on a full disk there would be no room for it either.
      if (missing.length === 0 && !isReplaced) return;
      for (const file of missing) linkOrCopy(join(undecided, file), join(dir, file));
      // Last, and at once: until then the directory is what LevelDB made of it.
      const temporary = join(dir, '000000.dbtmp');
      rmSync(temporary, { force: true });
      linkOrCopy(join(undecided, CURRENT), temporary);
      renameSync(temporary, join(dir, CURRENT));
      // Where CURRENT is the same file still, both names stay.
      rmSync(temporary, { force: true });
    },
    keep() {
      renameSync(undecided, folder);
    },
  };
}

/**
 * What an opening that was cut off deleted of the log's files, by path in its evidence; there is a CURRENT. While CURRENT is still what it was when that
 * opening began, nothing has been written since: its replacement is flushed before the first write.
 */
export function deletedByCutOffOpening(storeDir: string): string[] {
  const parent = join(storeDir, PATHS.evidence);
  const dir = join(storeDir, PATHS.log);
  if (!exists(parent)) return [];
  const current = readText(join(dir, CURRENT));
  return readdirSync(parent)
    .filter(name => name.endsWith(UNDECIDED))
    .map(name => join(parent, name))
    .filter(folder => {
      const kept = join(folder, CURRENT);
      return exists(kept) && readText(kept) === current;
    })
    .flatMap(folder =>
      readdirSync(folder)
        .filter(file => /^MANIFEST-|\.log$/.test(file) && !exists(join(dir, file)))
        .map(file => join(folder, file)),
    );
}
