import { CodedError } from './errors.js';

/** What Node calls a package, or a file, that is not there. */
const MISSING = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

/** An error of Node's own that whoever runs the program can mend, with a code and the way out; every other one as it is. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error) || !MISSING.includes((error as NodeJS.ErrnoException).code ?? ''))
    return error;
  const name = /^Cannot find (?:package|module) '([^']+)'/.exec(error.message)?.[1];
  return new CodedError(
    'INSTALLATION_INCOMPLETE',
    `${name === undefined ? 'a package' : name} is missing from this installation`,
    'Install this program again, the way it was installed (in a checkout: `npm ci`). The store is not touched by that.',
    { cause: error },
  );
}
