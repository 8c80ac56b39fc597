/** What a verification says, whoever made it. */

/** `quick`: files, head proof and the end of the log. `full`: every record. `deep`: and every byte of every file. */
export type VerifyLevel = 'quick' | 'full' | 'deep';

export interface Finding {
  readonly code: string;
  readonly message: string;
  /** The first record concerned, where one is known. */
  readonly seq?: number;
  /** The file concerned, relative to the store. */
  readonly file?: string;
}

/** A record that was reached, and when. Times are ISO 8601 in UTC. */
export interface VerifiedRecord {
  readonly seq: number;
  /** 16 hex digits. */
  readonly hash: string;
  /** When it was verified. */
  readonly time: string;
  /** `deep` only without a server; absent in notes of before there were levels. */
  readonly level?: 'full' | 'deep';
}

/** What is remembered of verifications: how far the last one has come, by a running server or without one. A note of the store, never truth. */
export interface VerifiedState {
  /** The last record of the round that goes on, or of the last one. */
  readonly verified?: VerifiedRecord;
  /** The last record of the last round that reached the head. */
  readonly completed?: VerifiedRecord;
  /** What that round, and the one that goes on, found. */
  readonly findings: readonly Finding[];
}

/** What the status of a store says of its verification. */
export interface VerificationStatus extends VerifiedState {
  /** When it is verified by itself: a cron expression, or "off". */
  readonly schedule: string;
  readonly is_running: boolean;
}

/** The newest backup beside the log. A log that lacks its last record is found unsound by it. */
export interface Coverage {
  readonly path: string;
  /** Absent where there is no backup. */
  readonly backup?: string;
  readonly last?: { readonly seq: number; readonly hash: string; readonly time: string };
  /** Records that are in no backup. */
  readonly missing: number;
}

/** What can be restored: every moment from the first record to this one. */
export interface RestorableWindow {
  /** From the store itself: the last transaction up to which every record was proved; absent where none is, or the level does not prove it. */
  readonly store?: { readonly seq: number; readonly time: string };
  /** From the newest backup. */
  readonly backup?: { readonly seq: number; readonly time: string };
}

/** What to do about findings of one kind. */
export interface NextStep {
  readonly codes: readonly string[];
  readonly step: string;
}

/** Asks the process that has the store for a verification while it goes on. */
export interface VerifyCommand {
  readonly level: 'quick' | 'full';
  /** Bytes read of the disk in a second, at most. Default: as fast as it goes. */
  readonly bytes_per_second?: number;
  /** A directory of backups to compare with, absolute. */
  readonly backups?: string;
}

export interface VerifyAnswer {
  readonly level: 'quick' | 'full';
  readonly store: { readonly path: string; readonly id: string; readonly epoch: number };
  /** The records that were checked one by one, on the disk and through LevelDB; absent where there was none. */
  readonly range?: { readonly first: number; readonly last: number };
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string };
  readonly records: number;
  /** Bytes read of table and log files. */
  readonly bytes: number;
  readonly tables: number;
  readonly findings: readonly Finding[];
  readonly notes: readonly Finding[];
  readonly next: readonly NextStep[];
  readonly restorable: RestorableWindow;
  readonly coverage?: Coverage;
}
