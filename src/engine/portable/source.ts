/** What an import reads from, whatever wrote it. */
import { createHash } from 'node:crypto';
import { type Coded, CodedError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Metadata, PassageRange } from '../../domain/model.js';
import type { ImportSpace } from '../../domain/portable.js';

export const IMPORT_FORMATS = ['jsonl', 'server-memory', 'chroma', 'qdrant'] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** An item of a file, with what its file says of where it belongs. */
export interface SourceItem {
  /** Where it stands, for people: `line 17`, `point 3`. */
  readonly at: string;
  readonly collection: string;
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
  readonly passages?: readonly PassageRange[];
  readonly vectors?: Float32Array;
}

/** Something that is no item and should be one; reading goes on behind it. */
export interface SourceProblem {
  readonly at: string;
  readonly problem: Coded;
}

export interface ImportSource {
  readonly format: ImportFormat;
  /** Of what was read, hex: the same file is the same import. */
  readonly sha256: string;
  /** Collections that the file describes, with the space of their vectors; of another one only its items tell. */
  readonly collections: ReadonlyMap<string, ImportSpace>;
  /** All collections of the file, where it names them. */
  readonly named?: readonly string[];
  /** What cannot be taken over and is no reason to refuse the rest, for people. Known once `items` came to its end. */
  readonly notes: readonly string[];
  /** Reads it from the beginning. @throws CodedError IMPORT_DAMAGED, IMPORT_UNREADABLE where nothing behind can be read */
  items(): AsyncIterable<SourceItem | SourceProblem>;
  /** Lets go of what it took to read it. */
  close?(): Promise<void>;
}

export const isProblem = <T extends object>(entry: T | SourceProblem): entry is SourceProblem =>
  'problem' in entry;

export function damaged(
  message: string,
  wayOut = 'Get the file anew, or leave out what is damaged.',
): CodedError {
  return new CodedError('IMPORT_DAMAGED', message, wayOut);
}

export function unreadable(message: string, wayOut: string, cause?: unknown): CodedError {
  return new CodedError('IMPORT_UNREADABLE', message, wayOut, { cause });
}

/** A line or value of the wrong shape. */
export function malformed(message: string): CodedError {
  return damaged(message);
}

/** @throws CodedError COLLECTION_NOT_FOUND @param named all collections of what is imported; undefined where it does not tell */
export function assertNamed(named: readonly string[] | undefined, name: string | undefined): void {
  if (name === undefined || named === undefined || named.includes(name)) return;
  const some = named.slice(0, SHOWN_NAMES).map(one => `"${one}"`);
  throw new CodedError(
    'COLLECTION_NOT_FOUND',
    `what is imported has no collection "${name}"`,
    `It has: ${some.join(', ')}${named.length > SHOWN_NAMES ? ', …' : ''}.`,
  );
}

const SHOWN_NAMES = 20;
const HASH_DIGITS = 16;

/**
 * An id that a store takes for one that another program took: itself, or its beginning and a hash where it is longer than an id may be
 * or no valid Unicode. The same for the same, at every import.
 */
export function storableId(foreign: string): string {
  if (foreign !== '' && !/\p{Cs}/u.test(foreign) && Buffer.byteLength(foreign) <= LIMITS.idBytes)
    return foreign;
  const hash = createHash('sha256').update(JSON.stringify(foreign)).digest('hex').slice(0, HASH_DIGITS);
  const start: string[] = [];
  let bytes = HASH_DIGITS + 1;
  for (const char of foreign.replace(/\p{Cs}/gu, '')) {
    bytes += Buffer.byteLength(char);
    if (bytes > LIMITS.idBytes) break;
    start.push(char);
  }
  return `${start.join('')}#${hash}`;
}

/** One vector for the whole of a text. */
export function wholePassage(text: string): readonly PassageRange[] {
  return [[0, text.length]];
}
