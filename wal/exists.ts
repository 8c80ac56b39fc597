import { statSync } from 'node:fs';

/**
 * Whether something stands at a path. Node's existsSync says no as well where the disk does not answer: a store would be taken for none,
 * and another one made over it.
 * @throws what the file system throws, but for there being nothing
 */
export const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
