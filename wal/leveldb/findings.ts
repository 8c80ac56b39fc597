/**
 * What a look finds: collected, never thrown, so that one report names everything that is off.
 */
import { isIoError } from '../io-error.js';
import { FormatError } from './coding.js';

export type FindingCode =
  /** Tables or logs are there, but not the file that says which of them count. */
  | 'CURRENT_MISSING'
  | 'CURRENT_DAMAGED'
  | 'MANIFEST_MISSING'
  | 'MANIFEST_DAMAGED'
  | 'TABLE_MISSING'
  | 'TABLE_TRUNCATED'
  | 'TABLE_DAMAGED'
  /** The MANIFEST names a log that is gone; LevelDB never deletes it before naming another. */
  | 'LOG_MISSING'
  | 'LOG_DAMAGED'
  /** Sequence numbers below the head that no live file holds. */
  | 'KEY_GAP'
  /** Keys that are no sequence numbers: not this program's database. */
  | 'FOREIGN_KEYS'
  /** Live tables hold writes newer than the newest that LevelDB would know of: it would not show them. */
  | 'WRITES_HIDDEN'
  /** The file system answered with an error. */
  | 'UNREADABLE';

export interface Finding {
  readonly code: FindingCode;
  /** Name of the file within the directory. */
  readonly file: string;
  readonly message: string;
  /** The first sequence number concerned, where one is known. */
  readonly seq?: number;
}

/** Collects the findings of one look, and counts the bytes that it read. */
export class Findings {
  readonly list: Finding[] = [];
  bytesRead = 0;

  /** @param seq the first sequence number concerned, where one is known */
  add(code: FindingCode, file: string, message: string, seq?: number): void {
    // There is no record 0: a table's first block is named by none before it.
    this.list.push(seq ? { code, file, message, seq } : { code, file, message });
  }

  /** Runs a read of `file`; an error of the file system becomes a finding and the answer undefined. */
  async attempt<T>(file: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      this.add('UNREADABLE', file, `${file} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }
}

/** What an error tells of a block that was to be read: that it is damaged, or that the disk refused it. @throws the error, if it is neither */
export function describeRead(error: unknown): { code: 'TABLE_DAMAGED' | 'UNREADABLE'; what: string } {
  if (error instanceof FormatError) return { code: 'TABLE_DAMAGED', what: error.message };
  if (isIoError(error)) return { code: 'UNREADABLE', what: `cannot be read: ${error.message}` };
  throw error;
}

/** What a block held, by the keys around it. @param first 0 or undefined where nothing tells; so `last` */
export function describeHeld(first: number | undefined, last: number | undefined): string {
  if (first && last) return `it held records ${first} to ${last}`;
  if (last) return `it held records up to ${last}`;
  return first ? `it held records from ${first} on` : 'nothing tells which records it held';
}
