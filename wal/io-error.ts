import { WalError } from './errors.js';

/** What the file system answered, or LevelDB of it; a mistake in the program is neither. */
export function isIoError(error: unknown): error is NodeJS.ErrnoException {
  const { syscall, code } = (error ?? {}) as { syscall?: unknown; code?: unknown };
  return typeof syscall === 'string' || code === 'LEVEL_IO_ERROR';
}

/**
 * Does work that reads or writes files, and gives what the file system answers a code.
 * @param failed what it means, as the beginning of a sentence: `the store could not be closed`
 * @throws WalError WAL_IO; whatever else the work throws
 */
export async function withIoErrors<T>(failed: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WalError || !isIoError(error)) throw error;
    throw new WalError(
      'WAL_IO',
      `${failed}: ${error.message}`,
      'Check the disk: free space, permissions, the number of files that may be open. Then try again.',
      { cause: error },
    );
  }
}
