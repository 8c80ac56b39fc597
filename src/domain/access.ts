/** What a server's clients may see and change, as its configuration says: see src/mcp/guarded-engine.ts. */
import { CodedError } from './errors.js';
import { LIMITS } from './limits.js';

/** Read, or read and write. */
export type Right = 'r' | 'rw';

export interface Access {
  /** Nothing may be written, whatever `collections` says. */
  readonly readOnly: boolean;
  /** The only collections that there are for these clients. Absent: all, to be read and written. */
  readonly collections?: ReadonlyMap<string, Right>;
}

export const FULL_ACCESS: Access = { readOnly: false };

/** Whether anything at all may be written. */
export const mayWrite = ({ readOnly, collections }: Access): boolean =>
  !readOnly && (collections === undefined || [...collections.values()].includes('rw'));

/**
 * The collections of a list like `notes:rw,docs:r`.
 * @param name what errors call it
 * @throws CodedError CONFIG_INVALID
 */
export function parseRights(name: string, list: string): ReadonlyMap<string, Right> {
  const rights = new Map<string, Right>();
  for (const part of list.split(',')) {
    const match = /^\s*(.+):(rw|r)\s*$/su.exec(part);
    const collection = match?.[1]?.trim() ?? '';
    if (match === null || collection === '')
      throw invalid(name, `${JSON.stringify(part.trim())} is no collection with its right`);
    if (Buffer.byteLength(collection) > LIMITS.collectionNameBytes)
      throw invalid(name, `a name of more than ${LIMITS.collectionNameBytes} bytes`);
    if (rights.has(collection)) throw invalid(name, `${JSON.stringify(collection)} stands there twice`);
    rights.set(collection, match[2] as Right);
  }
  return rights;
}

function invalid(name: string, what: string): CodedError {
  return new CodedError(
    'CONFIG_INVALID',
    `${name}: ${what}`,
    'Name each collection once, with :r to read it or :rw to write it as well, such as "notes:rw,docs:r". A comma ends a name.',
    { details: { variable: name } },
  );
}
