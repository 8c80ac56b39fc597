/** What a client asks beside the work: what has changed, and how a name may go on. Part of the engine's face. */
import type { Within } from './face.js';

export interface WatchQuery extends Within {
  /** Answer what changed behind this event. Default: the head, so that the answer tells where to begin. */
  readonly after?: number;
  /** How long to wait where nothing has, in ms, 0 to 60 000. Default: 0. */
  readonly wait_ms?: number;
}

export interface WatchedChange {
  readonly collection: string;
  /** Absent for an event of the collection itself, such as that it was created. */
  readonly id?: string;
  /** The last event that changed it. */
  readonly seq: number;
}

export interface WatchAnswer {
  /**
   * The last event that this answer covers: the `after` of the next call. Lower than what was asked for where the log was cut
   * since: whoever watches has to read everything anew.
   */
  readonly head: number;
  /** The log's epoch. Another one than before: the log was cut, and its numbers were used again. */
  readonly epoch: number;
  /** Each item and each collection once, in the order of the events. Marks are events without a change. */
  readonly changed: readonly WatchedChange[];
  /** Whether more has changed behind `head` already. */
  readonly more: boolean;
}

/** What kind of name is to be completed. */
export type Completable = 'collections' | 'ids' | 'marks' | 'metadata_keys';

export interface CompleteQuery extends Within {
  readonly of: Completable;
  /** How the name begins, in any case. */
  readonly prefix: string;
  /** Whose ids or keys; ids need it. Without it keys are those of all collections. */
  readonly collection?: string;
  /** At most this many, 1 to 100. Default: 100. */
  readonly limit?: number;
}

export interface CompleteAnswer {
  /** Collections and keys by name; ids and marks newest first. */
  readonly values: readonly string[];
  /** Whether there are more, or may be: of a large store not every item is looked at. */
  readonly more: boolean;
}
