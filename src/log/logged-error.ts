import { isCoded } from '../domain/errors.js';

/** An error as the log has it. */
export interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  /** The frames alone, without the message that stands above them. */
  readonly stack?: string;
}

const WITHHELD = '(not logged, since it may quote a text: VECTOR_LOG_TEXTS=1 logs it)';

/**
 * An error without what was stored or asked: its type, its code, where it came from. The message only of errors that do not quote what
 * they were given: coded ones, those of system calls, and what the engine says of a program's own mistakes.
 */
export function loggedError(error: unknown, withTexts: boolean): LoggedError | string {
  if (!(error instanceof Error)) return withTexts ? String(error) : `a ${typeof error}`;
  const { code } = error as NodeJS.ErrnoException;
  const stack = framesOf(error);
  return {
    type: error.name,
    ...(typeof code === 'string' && { code }),
    message: withTexts || isQuotable(error) ? error.message : WITHHELD,
    ...(stack !== undefined && { stack }),
  };
}

/** A message of several lines may look like a frame itself: where it cannot be told from them there are none. */
function framesOf({ name, message, stack = '' }: Error): string | undefined {
  const head = `${name}: ${message}`;
  if (stack.startsWith(head)) return stack.slice(head.length + 1);
  const framesAt = stack.search(/^ {4}at /m);
  return message.includes('\n') || framesAt < 0 ? undefined : stack.slice(framesAt);
}

function isQuotable(error: Error): boolean {
  if (isCoded(error)) return true;
  const { code, errno, syscall } = error as NodeJS.ErrnoException;
  if (errno !== undefined && syscall !== undefined) return true;
  // Node's own ERR_ codes repeat the value that was wrong.
  return (
    code === undefined && [TypeError, ReferenceError, RangeError].some(kind => error.constructor === kind)
  );
}
