/**
 * Errors of the log. Same shape as the rest of the program's errors: a `code` that is public API, a message that
 * names what was wrong, and the way out.
 */
export class WalError extends Error {
  override readonly name = 'WalError';
  constructor(
    readonly code: WalErrorCode,
    message: string,
    /** What the caller or operator can do about it. */
    readonly wayOut: string,
    options?: ErrorOptions & { details?: Record<string, unknown> },
  ) {
    super(message, options);
    this.details = options?.details;
  }
  /** Facts for a program, for example `{ seq: 17 }`. */
  readonly details: Record<string, unknown> | undefined;
}

/** To be called on what was caught where only the log's own errors are dealt with. @throws the error, if it is another */
export function assertWalError(error: unknown): asserts error is WalError {
  if (!(error instanceof WalError)) throw error;
}

export type WalErrorCode =
  /** The queue of unwritten transactions is full. */
  | 'WAL_BUSY'
  /** The expected sequence number is not the next one. */
  | 'WAL_CONFLICT'
  | 'WAL_CLOSED'
  /** A write failed earlier: no writes until the disk takes them again. */
  | 'WAL_POISONED'
  /** This write may or may not be in the log. */
  | 'WAL_OUTCOME_UNKNOWN'
  | 'WAL_TOO_LARGE'
  /** The log ends before what HEAD has seen. */
  | 'WAL_LOST_TAIL'
  /** A sequence number is missing in the middle. */
  | 'WAL_GAP'
  /** A record fails its own hash or its form. */
  | 'WAL_BAD_RECORD'
  /** A record is sound in itself but does not follow its predecessor. */
  | 'WAL_CHAIN_BROKEN'
  /** LevelDB's own files are damaged. */
  | 'WAL_FILES_DAMAGED'
  | 'WAL_HEAD_MISSING'
  | 'WAL_HEAD_DAMAGED'
  /** HEAD and log are of different stores or histories. */
  | 'WAL_HEAD_MISMATCH'
  /** Another process writes this store: two owners on a file system without working locks. */
  | 'WAL_FOREIGN_OWNER'
  | 'WAL_NEWER_FORMAT'
  | 'WAL_OLDER_FORMAT'
  | 'WAL_IO'
  /** There is no such directory of backups, or none in it. */
  | 'BACKUP_MISSING'
  /** The directory holds something else, or backups of another store. */
  | 'BACKUP_FOREIGN'
  /** A backup holds records that the log does not. */
  | 'BACKUP_DIVERGED'
  | 'BACKUP_DAMAGED'
  /** Another process writes there. */
  | 'BACKUP_BUSY'
  /** Nothing of the log can be kept, or not what was asked for. */
  | 'REPAIR_IMPOSSIBLE'
  /** A repair was interrupted while it put the repaired log in place. */
  | 'REPAIR_UNFINISHED'
  | 'STORE_IN_USE'
  | 'STORE_MISSING'
  /** The directory holds something else. */
  | 'STORE_FOREIGN';

/** The advice that every finding of damage shares. */
export const DAMAGE_WAY_OUT =
  'Nothing was changed. Keep a copy of the store directory before anything else touches it. `mcp-vector-server verify` has every finding, `mcp-vector-server repair` what can be saved.';
