import { WalError } from './errors.js';

/** Of an opening that failed, LevelDB's own words stand in the cause. */
export function describe(error: unknown): string {
  const { cause, message } = error as Error & { readonly cause?: Error };
  return cause?.message ?? message;
}

/** What the file system answered, or LevelDB of it; a mistake in the program is neither. */
export function isIoError(error: unknown): error is NodeJS.ErrnoException {
  const { syscall, code, message } = error as NodeJS.ErrnoException;
  // A read by a key alone tells it in words and has no code.
  return typeof syscall === 'string' || code === 'LEVEL_IO_ERROR' || message.startsWith('IO error: ');
}

/** What was caught, where the file system or LevelDB answered it. @throws any other: a mistake in the program */
export function asIoError(error: unknown): NodeJS.ErrnoException {
  if (isIoError(error)) return error;
  throw error;
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
    if (error instanceof WalError) throw error;
    const { message } = asIoError(error);
    throw new WalError(
      'WAL_IO',
      `${failed}: ${message}`,
      'Check the disk: free space, permissions, the number of files that may be open. Then try again.',
      { cause: error },
    );
  }
}

/** Of a write that failed: it stops all others, until the disk takes them again. */
export function writeFailure(what: string, error: unknown): WalError {
  return new WalError(
    'WAL_POISONED',
    `${what} failed: ${describe(error)}`,
    'Reads go on. Make room or mend the disk; writes resume by themselves.',
    { cause: error },
  );
}

/** Of a read that failed: because the disk refused it, or because of what it gave. */
export function readError(error: unknown, what: string): WalError {
  if (error instanceof WalError) return error;
  if (isIoError(error))
    return new WalError('WAL_IO', `${what} cannot be read: ${describe(error)}`, 'Check the disk.', {
      cause: error,
    });
  return new WalError(
    'WAL_BAD_RECORD',
    `${what} cannot be read: ${describe(error)}`,
    'Run `mcp-vector-server verify` for every finding; restore a backup.',
    { cause: error },
  );
}
