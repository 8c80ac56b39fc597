import { statSync } from 'node:fs';

/**
 * Whether something stands at a path. Node's existsSync says no as well where the disk does not answer: a store would be taken for none,
 * and another one made over it.
 * @throws what the file system throws, but for there being nothing, or a file in the place of a directory above it
 */
export function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw error;
  }
}
