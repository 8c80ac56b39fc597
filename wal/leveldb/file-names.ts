/**
 * What the files of a LevelDB directory are called (db/filename.cc).
 */

export type FileKind = 'table' | 'log' | 'manifest' | 'current' | 'lock' | 'info' | 'temp' | 'other';

/** Kind and file number of a directory entry, by the rules of ParseFileName; number is 0 where there is none. */
export function parseFileName(name: string): { kind: FileKind; number: number } {
  if (name === 'CURRENT') return { kind: 'current', number: 0 };
  if (name === 'LOCK') return { kind: 'lock', number: 0 };
  if (name === 'LOG' || name === 'LOG.old') return { kind: 'info', number: 0 };
  const manifest = /^MANIFEST-(\d{1,15})$/.exec(name);
  if (manifest !== null) return { kind: 'manifest', number: Number(manifest[1]) };
  const numbered = /^(\d{1,15})\.(log|ldb|sst|dbtmp)$/.exec(name);
  if (numbered === null) return { kind: 'other', number: 0 };
  const kind = numbered[2] === 'log' ? 'log' : numbered[2] === 'dbtmp' ? 'temp' : 'table';
  return { kind, number: Number(numbered[1]) };
}

const padded = (number: number) => String(number).padStart(6, '0');

export const logName = (number: number) => `${padded(number)}.log`;
export const tableName = (number: number) => `${padded(number)}.ldb`;

/** A directory entry while it is looked at. */
export interface DirectoryFile {
  readonly name: string;
  readonly kind: FileKind;
  readonly number: number;
  readonly sizeBytes: number;
  /** Whether the database as it stands needs the file; set when something is found to name it. */
  live: boolean;
  /** Of a live table: the first and last sequence number that the MANIFEST says it holds. */
  range?: { readonly first: number; readonly last: number };
}
