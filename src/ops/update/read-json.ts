import { readText } from '../../../wal/read-text.js';
import { CodedError } from '../../domain/errors.js';

/** A file that this program wrote. @throws CodedError CONFIG_UNREADABLE where it holds something else by now */
export function readJson<T>(path: string, wayOut: string): T {
  try {
    const value: unknown = JSON.parse(readText(path));
    if (typeof value === 'object' && value !== null) return value as T;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CodedError(
    'CONFIG_UNREADABLE',
    `${path} is damaged: it does not hold what was written there`,
    wayOut,
  );
}
