import { lstatSync, statSync } from 'node:fs';

/**
 * Whether something stands at a path. Node's existsSync says no as well where the disk does not answer: a store would be taken for none,
 * and another one made over it.
 * @throws what the file system throws, but for there being nothing, or a file in the place of a directory above it
 */
export const exists = (path: string): boolean => entryAt(path, statSync) !== undefined;

/** Whether a symbolic link stands at a path, wherever it leads. @throws as exists */
export const isLink = (path: string): boolean => entryAt(path, lstatSync)?.isSymbolicLink() === true;

function entryAt(path: string, stat: typeof statSync | typeof lstatSync) {
  try {
    return stat(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}
