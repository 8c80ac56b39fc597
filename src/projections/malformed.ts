import { CodedError } from '../domain/errors.js';

/** The error of events, or of what was saved, that make no sense together. */
export function malformed(message: string): CodedError {
  return new CodedError(
    'PROJECTION_FAILED',
    message,
    'The projection is rebuilt from the log at the next start.',
  );
}
