import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';

/** For long work to ask between its steps. @throws CodedError CANCELLED where the caller gave the call up */
export function throwIfCancelled(context: CallContext): void {
  if (context.signal?.aborted)
    throw new CodedError(
      'CANCELLED',
      'the call was cancelled',
      'What was acknowledged before stays; repeat the call to go on.',
    );
}
