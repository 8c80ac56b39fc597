/** Commands and queries over time: what was changed, between which moments, and taking it back. Part of the engine's face. */
import type { Receipt, ResolvedMoment, Where, Within, WriteSpan } from './face.js';
import type { Actor, Erased, Metadata } from './model.js';

export const CHANGE_TYPES = [
  'created',
  'updated',
  'deleted',
  'restored',
  'marked',
  'collection_created',
  'reembedding_begun',
  'reembedding_abandoned',
  'reembedded',
  'history_erased',
  'redacted',
] as const;
export type ChangeType = (typeof CHANGE_TYPES)[number];

/** Which changes: every bound that is given must hold. */
export interface HistoryQuery extends Within {
  /** One item of `collection` (default: "default"); without it all of the collection's, or of the store's. */
  readonly id?: string;
  readonly collection?: string;
  /** Moments, inclusive. */
  readonly since?: string;
  readonly until?: string;
  /** Part of the client's name, in any case. */
  readonly actor?: string;
  /** A session's id; "current" is the caller's. */
  readonly session?: string;
  /** A project's directory. */
  readonly project?: string;
  readonly types?: readonly ChangeType[];
  readonly limit: number;
  /** From an earlier answer; pins the head that the first page saw. */
  readonly cursor?: string;
}

/** An item as it was before or after a change. */
export interface VersionView {
  readonly version: number;
  readonly text: string;
  /** The text goes on: in a history of more than one item only its first 200 characters are shown. */
  readonly cut?: true;
  readonly metadata: Metadata;
  /** Its content is gone: text and metadata are empty. */
  readonly erased?: Erased;
}

export interface Change {
  readonly seq: number;
  /** ISO 8601 in UTC. */
  readonly time: string;
  readonly type: ChangeType;
  readonly actor: Actor | null;
  /** First and last event of the transaction: what undoing the whole call takes. */
  readonly write: { readonly first_seq: number; readonly last_seq: number };
  readonly collection?: string;
  readonly id?: string;
  /** Absent for what did not exist before, or does not exist after. */
  readonly before?: VersionView;
  readonly after?: VersionView;
  /** For `restored`: the version whose content came back. */
  readonly restored_from?: number;
  readonly mark?: { readonly name: string; readonly note: string };
  /** For a collection that was created or embedded anew: the space's id. */
  readonly space?: string;
  /** For a horizon: contents of versions that died at this event or before were erased. */
  readonly through?: number;
  /** For a redaction: why, where that was said. */
  readonly reason?: string;
}

export interface HistoryAnswer {
  /** Newest first. */
  readonly changes: readonly Change[];
  /** A cursor that continues after changes[i], for each i. */
  readonly cursors: readonly string[];
  readonly more: boolean;
  readonly moment: ResolvedMoment;
}

export interface DiffQuery extends Within {
  /** Moments; `to` defaults to now. */
  readonly from: string;
  readonly to?: string;
  readonly collection?: string;
  /** Only items that match at one of the two moments. */
  readonly where?: Where;
  readonly limit: number;
  readonly cursor?: string;
}

/** A run of words of the older text (-), the newer (+) or both (=). */
export interface WordRun {
  readonly op: '=' | '+' | '-';
  readonly text: string;
}

export interface ItemDiff {
  readonly collection: string;
  readonly id: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly from?: VersionView;
  readonly to?: VersionView;
  /** For a changed text: joined, the runs of = and - are the older text, those of = and + the newer. */
  readonly words?: readonly WordRun[];
  /** Metadata keys that differ. */
  readonly metadata?: readonly string[];
  /** The vector given by hand differs. */
  readonly vector?: true;
}

export interface DiffAnswer {
  readonly from: ResolvedMoment;
  readonly to: ResolvedMoment;
  /** Of all, not only of this page. */
  readonly counts: { readonly added: number; readonly changed: number; readonly removed: number };
  /** Latest change first. */
  readonly items: readonly ItemDiff[];
  readonly cursors: readonly string[];
  readonly more: boolean;
}

/**
 * What to take back: everything after `to`; or the last change of each of `ids` (with `to`: all of theirs after it); or what a
 * session, a span of time or single events changed. `collection` narrows each of them.
 */
export interface RevertCommand extends Within {
  readonly to?: string;
  readonly ids?: readonly string[];
  /** A session's id; "current" is the caller's. May be narrowed by since and until. */
  readonly session?: string;
  readonly since?: string;
  readonly until?: string;
  readonly seqs?: readonly number[];
  readonly collection?: string;
  /** Only show what would change, and give the plan. Default true. */
  readonly dry_run?: boolean;
  /** Of a dry run: refuse unless exactly that would be done. */
  readonly plan?: string;
  /** Also take back what someone else changed later. */
  readonly overwrite_conflicts?: boolean;
}

/** One item's change by a revert. Version 0: it does not exist. */
export interface RevertStep {
  readonly collection: string;
  readonly id: string;
  /** What it is now, and what it becomes again. */
  readonly version: number;
  readonly to_version: number;
  /** How the text begins now, and how it will; absent where there is none. */
  readonly text?: string;
  readonly to_text?: string;
}

export interface RevertConflict {
  readonly collection: string;
  readonly id: string;
  /** The later change that is not among what is taken back, and who made it; of `erased` the version that would come back. */
  readonly seq: number;
  readonly actor: Actor | null;
  /** Nobody changed it later, but the content that would come back is gone. */
  readonly erased?: Erased;
}

export interface RevertAnswer extends Receipt, WriteSpan {
  readonly dry_run: boolean;
  /** Digest of the arguments and of the versions affected: 16 hex digits. */
  readonly plan: string;
  /** Counts of all; `steps` and `conflicts` hold the first of them. */
  readonly counts: { readonly restored: number; readonly deleted: number; readonly conflicts: number };
  readonly steps: readonly RevertStep[];
  readonly conflicts: readonly RevertConflict[];
  /** Vectors that had to be made, since the versions restored have none in the collection's present space. */
  readonly embedded: number;
}

export interface MarkCommand {
  readonly name: string;
  readonly note?: string;
}

export interface MarkAnswer extends Receipt {
  readonly name: string;
  readonly moment: ResolvedMoment;
}

export interface MarkView {
  readonly name: string;
  readonly note: string;
  readonly seq: number;
  readonly time: string;
}

export interface ReembedCommand {
  /**
   * `provider/model`; URL, key and dimension are those of the environment of the process that has the store. Default: the
   * embedder that is configured there.
   */
  readonly to?: string;
  /** Only these. Default: every collection whose vectors a model made. */
  readonly collections?: readonly string[];
  /** Give up what was begun. */
  readonly abandon?: boolean;
  /** Only tell what would be done. */
  readonly dry_run?: boolean;
  /** Answer after this many ms with done:false; the same call goes on. At least one batch of texts is embedded. */
  readonly budget_ms?: number;
}

export interface ReembeddedCollection {
  readonly name: string;
  /** Ids of the spaces: the one it had before this call, and the other. */
  readonly from: string;
  readonly to: string;
  /** `planned`: a dry run, or the time was up before it. `begun`: not all of it is there yet. */
  readonly state: 'planned' | 'begun' | 'switched' | 'abandoned' | 'unchanged';
  readonly items: number;
  /** Items without vectors in `to`. */
  readonly remaining: number;
  /** Items whose texts this call embedded, or on a dry run would embed. */
  readonly embedded: number;
  /** Items whose vectors in `to` were in the log already. */
  readonly reused: number;
  /** A dry run: characters (UTF-16 code units) of the texts that would be embedded. */
  readonly characters?: number;
  /** The event that switched it: moments before it answer from the old space. */
  readonly switched_seq?: number;
}

export interface ReembedAnswer {
  readonly done: boolean;
  readonly dry_run: boolean;
  readonly collections: readonly ReembeddedCollection[];
}
