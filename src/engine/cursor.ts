/** Pages of answers, and their cursors: opaque to whoever passes them on, base64url of a JSON array of whole numbers. */
import { xxh64 } from '../../wal/hash.js';
import { CodedError } from '../domain/errors.js';

/** A page ends once it holds this much text, in UTF-16 code units, though its limit would let it hold more entries. */
export const PAGE_CHARS = 4 * 1024 * 1024;

/** @param query what the cursor is bound to, from queryNumber or an id; @param fields where to go on, and in which state */
export function writeCursor(query: number, ...fields: readonly number[]): string {
  return Buffer.from(JSON.stringify([query, ...fields])).toString('base64url');
}

/**
 * The fields of a cursor that the same query was given.
 * @throws CodedError CURSOR_INVALID
 */
export function readCursor(cursor: string, query: number, fieldCount: number): number[] {
  let values: unknown;
  try {
    values = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch (error) {
    throw badCursor(error);
  }
  if (
    !Array.isArray(values) ||
    values.length !== fieldCount + 1 ||
    !values.every(value => Number.isSafeInteger(value) && value >= 0) ||
    values[0] !== query
  )
    throw badCursor();
  return values.slice(1);
}

/** A number that stands for what a query asks, so that its cursor does not go on in another one. Equal values, equal numbers. */
export function queryNumber(...parts: readonly unknown[]): number {
  const hash = xxh64(Buffer.from(JSON.stringify(parts.map(part => part ?? null))));
  return Number(BigInt.asUintN(53, hash));
}

export function badCursor(cause?: unknown): CodedError {
  return new CodedError(
    'CURSOR_INVALID',
    'the cursor is not one that this query gave',
    'Start again without a cursor; pass next_cursor on unchanged, with the same arguments.',
    { cause },
  );
}
