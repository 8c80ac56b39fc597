/**
 * The engine's public face: serialisable commands and queries and their answers. A process that does not own the store
 * calls the same face over a local socket, so nothing in them is a function or a live object (except in CallContext).
 */
import type { ActivityAnswer, ActivityQuery } from './activity.js';
import type { BackupAnswer, BackupCommand } from './backup.js';
import type { CapacityAnswer, CapacityQuery } from './capacity.js';
import type { HorizonAnswer, HorizonCommand } from './erase.js';
import type {
  AlertTestAnswer,
  GrowthAnswer,
  GrowthQuery,
  HealthAnswer,
  HealthQuery,
  SamplesAnswer,
  SamplesQuery,
} from './health.js';
import type { Actor, Erased, JsonValue, Metadata, Metric, Origin, Space } from './model.js';
import type { OptimizeAnswer, OptimizeCommand } from './optimize.js';
import type { ExportAnswer, ExportQuery, ImportAnswer, ImportCommand } from './portable.js';
import type { CpuProfileAnswer, CpuProfileCommand, SearchTimings } from './profile.js';
import type { ScheduleAnswer, ScheduleCommand } from './schedule.js';
import type { SearchTrace } from './search-trace.js';
import type { TallyAnswer, TallyQuery } from './tally.js';
import type {
  DiffAnswer,
  DiffQuery,
  HistoryAnswer,
  HistoryQuery,
  MarkAnswer,
  MarkCommand,
  MarkView,
  ReembedAnswer,
  ReembedCommand,
  RevertAnswer,
  RevertCommand,
} from './travel.js';
import type { VerificationStatus, VerifyAnswer, VerifyCommand } from './verify.js';
import type { CompleteAnswer, CompleteQuery, WatchAnswer, WatchQuery } from './watch.js';

/** What a call brings along besides its arguments. */
export interface CallContext {
  readonly actor: Actor;
  /** Aborting stops the work; what was acknowledged before stays. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Told how a search was done, before it is answered. */
  readonly onTrace?: (trace: SearchTrace) => void;
  /**
   * IANA time zone of the caller's moments; null where nobody said which, so that moments that depend on one are refused. Default: the
   * machine's.
   */
  readonly zone?: string | null;
}

export interface Progress {
  readonly done: number;
  /** Absent while unknown. */
  readonly total?: number;
  /** What is counted, in the plural, where that is not what the whole work counts. */
  readonly unit?: string;
  readonly message: string;
}

/** A resolved point in the log: `time` is ISO 8601 in UTC. */
export interface ResolvedMoment {
  readonly seq: number;
  readonly time: string;
}

/** Set by the transport from its configuration, never by a model. */
export interface Within {
  /** The only collections that there are for this call, by name. Default: all. */
  readonly within?: readonly string[];
}

/** A query that can be asked of the past. */
export interface AsOf extends Within {
  /** A moment (see moment.ts): answer as a store rebuilt to it would. Default: now. */
  readonly as_of?: string;
}

/** A filter over metadata: equality, $ne $gt $gte $lt $lte $in $nin $exists $contains $and $or $not. */
export type Where = { readonly [key: string]: JsonValue };

export interface UpsertItem {
  readonly id?: string;
  readonly text?: string;
  /** Merged into what is there; a null removes its key. */
  readonly metadata?: Metadata;
  readonly vector?: readonly number[];
  /** Compare and set: the version the item must have now; 0 means it must not exist. */
  readonly if_version?: number;
}

export interface UpsertCommand {
  readonly collection: string;
  readonly items: readonly UpsertItem[];
  readonly origin?: Origin;
  /** Store text that looks like a credential all the same. */
  readonly allow_secrets?: boolean;
}

export interface Similar {
  readonly id: string;
  readonly score: number;
  readonly preview: string;
}

export interface UpsertedItem {
  readonly id: string;
  readonly version: number;
  readonly outcome: 'created' | 'updated' | 'unchanged';
  /** Near-duplicates that were already there when this was created. */
  readonly similar?: readonly Similar[];
}

/** The receipt of a write: the last event it appended, or the head where it changed nothing. */
export interface Receipt {
  readonly seq: number;
  /** The event's record hash, 16 hex digits. */
  readonly hash: string;
}

/** What undoing a write needs to know. */
export interface WriteSpan {
  /**
   * First event of the first transaction that this call wrote, with what the transaction declares before the caller's
   * own events (a seq inside a transaction means its last): the moment before the call is first_seq - 1. 0 where
   * nothing changed.
   */
  readonly first_seq: number;
}

export interface UpsertAnswer extends Receipt, WriteSpan {
  readonly items: readonly UpsertedItem[];
}

export interface DeleteCommand extends Within {
  readonly collection: string;
  /** Exactly one of ids and where. */
  readonly ids?: readonly string[];
  readonly where?: Where;
  readonly dry_run?: boolean;
}

export interface DeleteAnswer extends Receipt, WriteSpan {
  /** Ids that were (or, on a dry run, would be) deleted. */
  readonly deleted: readonly string[];
  readonly missing: readonly string[];
  readonly dry_run: boolean;
}

export type SearchMode = 'hybrid' | 'semantic' | 'keyword';

export interface SearchQuery extends AsOf {
  readonly query?: string;
  readonly vector?: readonly number[];
  /** Without it: all that the query's space can search. */
  readonly collections?: readonly string[];
  readonly k: number;
  readonly where?: Where;
  /** Moments: only items last written at or after / at or before. */
  readonly since?: string;
  readonly until?: string;
  readonly mode: SearchMode;
  /** Neighbouring chunks of the same document to add on each side of a hit. */
  readonly context?: number;
  readonly min_score?: number;
  /** Tell where the time went. Default false. */
  readonly timings?: boolean;
}

export interface SearchHit {
  readonly id: string;
  readonly collection: string;
  readonly score: number;
  /** The item's whole text; the caller trims it to its budget around `passage`. */
  readonly text: string;
  /** Range of the best passage within text, in UTF-16 code units. */
  readonly passage: { readonly start: number; readonly end: number };
  readonly metadata: Metadata;
  readonly version: number;
  readonly updated_at: string;
  readonly origin: Origin;
  readonly actor: Actor | null;
  /** Only with `context`: neighbouring chunks, in document order, without the hit itself. */
  readonly context?: readonly { readonly id: string; readonly text: string }[];
}

export interface SearchAnswer {
  readonly results: readonly SearchHit[];
  readonly moment: ResolvedMoment;
  /** Which events are lost that may have changed this answer: the log was damaged and repaired. */
  readonly warning?: string;
  /** Where there would be hits, when there are none here; which collections the query has no vector for, and the way out. */
  readonly hint?: string;
  /** Only with `timings`. */
  readonly timings?: SearchTimings;
}

export interface GetQuery extends AsOf {
  readonly collection: string;
  readonly ids: readonly string[];
}

export interface ItemView {
  readonly id: string;
  readonly collection: string;
  readonly text: string;
  readonly metadata: Metadata;
  readonly version: number;
  readonly updated_at: string;
  readonly origin: Origin;
  readonly actor: Actor | null;
  /** Its content is gone: text and metadata are empty. */
  readonly erased?: Erased;
}

export interface GetAnswer {
  readonly items: readonly ItemView[];
  readonly missing: readonly string[];
  readonly moment: ResolvedMoment;
  /** Which events are lost that may have changed this answer: the log was damaged and repaired. */
  readonly warning?: string;
}

export interface ListQuery extends AsOf {
  readonly collection: string;
  readonly where?: Where;
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
  /** From an earlier answer; pins the head that the first page saw. */
  readonly cursor?: string;
}

export interface ListAnswer {
  /** Newest first. */
  readonly items: readonly ItemView[];
  /** A cursor that continues after items[i] for each i, so that a caller who shows fewer can go on from there. */
  readonly cursors: readonly string[];
  readonly more: boolean;
  readonly moment: ResolvedMoment;
  /** Which events are lost that may have changed this answer: the log was damaged and repaired. */
  readonly warning?: string;
}

export interface IngestCommand {
  /** Files and folders, absolute or relative to the first root. */
  readonly paths: readonly string[];
  readonly collection: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Delete chunks of files that vanished below these paths. Default true. */
  readonly prune?: boolean;
  /** Prune even where it would delete more than half of what is there. */
  readonly prune_over_half?: boolean;
  readonly allow_secrets?: boolean;
  /** Directories that may be read; everything else is refused. Set by the transport, never by a model. */
  readonly roots: readonly string[];
  /** Answer after this many ms with done:false; the same call goes on. */
  readonly budgetMs?: number;
}

export interface IngestAnswer extends Receipt, WriteSpan {
  readonly done: boolean;
  readonly files: number;
  /** Files not yet read when the budget ran out. */
  readonly remaining: number;
  readonly chunks: {
    readonly added: number;
    readonly updated: number;
    readonly unchanged: number;
    readonly removed: number;
  };
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

export interface CollectionStatus {
  readonly name: string;
  readonly items: number;
  readonly passages: number;
  readonly space: Space;
  readonly metric: Metric;
  readonly index: {
    readonly kind: 'scan' | 'hnsw';
    readonly indexed: number;
    readonly pending: number;
    readonly dead: number;
  };
  /** A space that the collection is being embedded into, and how many of its items have vectors there. */
  readonly reembedding?: { readonly space: string; readonly items: number };
}

export interface StatusAnswer {
  readonly version: string;
  readonly store: {
    readonly path: string;
    readonly id: string;
    readonly epoch: number;
    readonly durability: 'interval' | 'strict';
    readonly state: 'ok' | 'poisoned';
    /** The error that poisoned it. */
    readonly reason?: string;
    /** Where a horizon took something: from this moment on every one is whole; before it only some are. */
    readonly whole_from?: ResolvedMoment;
  };
  /** The last event, or the one that was the last at the moment asked for. */
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string };
  /** Newest first, at most 100. */
  readonly marks: readonly MarkView[];
  readonly collections: readonly CollectionStatus[];
  readonly checkpoint: {
    readonly seq: number;
    readonly age_events: number;
    readonly warnings: readonly string[];
  };
  /** How far the log was verified beside the work, and what was found. */
  readonly verification: VerificationStatus;
  readonly embedder: { readonly space: string; readonly state: string };
  readonly memory: {
    readonly rss_bytes: number;
    readonly heap_bytes: number;
    readonly vectors_bytes: number;
    /** What is known of every version: the catalog and the keyword index, with the room that they have to grow. */
    readonly tables_bytes: number;
    /** Texts and vectors that were read and are kept for a while: about 48 MiB at most. */
    readonly caches_bytes: number;
  };
  readonly disk: { readonly store_bytes: number; readonly free_bytes: number };
}

/** What the owner's operations answer, which run beside its engine (see src/ops). Where none run: OPERATIONS_OFF. */
export interface OperationsFace {
  health(query: HealthQuery, context: CallContext): Promise<HealthAnswer>;
  samples(query: SamplesQuery, context: CallContext): Promise<SamplesAnswer>;
  capacity(query: CapacityQuery, context: CallContext): Promise<CapacityAnswer>;
  /** Sends a test by every channel that is configured. */
  testAlert(command: object, context: CallContext): Promise<AlertTestAnswer>;
  schedule(command: ScheduleCommand, context: CallContext): Promise<ScheduleAnswer>;
}

/** The engine as every transport sees it. */
export interface Engine extends OperationsFace {
  upsert(command: UpsertCommand, context: CallContext): Promise<UpsertAnswer>;
  delete(command: DeleteCommand, context: CallContext): Promise<DeleteAnswer>;
  search(query: SearchQuery, context: CallContext): Promise<SearchAnswer>;
  get(query: GetQuery, context: CallContext): Promise<GetAnswer>;
  list(query: ListQuery, context: CallContext): Promise<ListAnswer>;
  ingest(command: IngestCommand, context: CallContext): Promise<IngestAnswer>;
  status(query: AsOf, context: CallContext): Promise<StatusAnswer>;
  watch(query: WatchQuery, context: CallContext): Promise<WatchAnswer>;
  complete(query: CompleteQuery, context: CallContext): Promise<CompleteAnswer>;
  activity(query: ActivityQuery, context: CallContext): Promise<ActivityAnswer>;
  history(query: HistoryQuery, context: CallContext): Promise<HistoryAnswer>;
  diff(query: DiffQuery, context: CallContext): Promise<DiffAnswer>;
  mark(command: MarkCommand, context: CallContext): Promise<MarkAnswer>;
  revert(command: RevertCommand, context: CallContext): Promise<RevertAnswer>;
  reembed(command: ReembedCommand, context: CallContext): Promise<ReembedAnswer>;
  backup(command: BackupCommand, context: CallContext): Promise<BackupAnswer>;
  horizon(command: HorizonCommand, context: CallContext): Promise<HorizonAnswer>;
  verify(command: VerifyCommand, context: CallContext): Promise<VerifyAnswer>;
  tally(query: TallyQuery, context: CallContext): Promise<TallyAnswer>;
  optimize(command: OptimizeCommand, context: CallContext): Promise<OptimizeAnswer>;
  profileCpu(command: CpuProfileCommand, context: CallContext): Promise<CpuProfileAnswer>;
  export(query: ExportQuery, context: CallContext): Promise<ExportAnswer>;
  import(command: ImportCommand, context: CallContext): Promise<ImportAnswer>;
  growth(query: GrowthQuery, context: CallContext): Promise<GrowthAnswer>;
  close(): Promise<void>;
}

/** What a process that does not own the store may call: everything but `close`, which is the owner's business. */
export type EngineMethod = Exclude<keyof Engine, 'close'>;

/**
 * Every method of the engine that is forwarded over the local socket, by what it may do: `read` changes nothing, so that it can be
 * repeated when the owner died in the middle; the outcome of a `write` is unknown then.
 */
export const ENGINE_METHODS = {
  upsert: 'write',
  delete: 'write',
  search: 'read',
  get: 'read',
  list: 'read',
  ingest: 'write',
  status: 'read',
  watch: 'read',
  complete: 'read',
  activity: 'read',
  history: 'read',
  diff: 'read',
  mark: 'write',
  revert: 'write',
  reembed: 'write',
  backup: 'read',
  horizon: 'write',
  verify: 'read',
  tally: 'read',
  optimize: 'write',
  profileCpu: 'read',
  export: 'read',
  import: 'write',
  schedule: 'read',
  growth: 'read',
  health: 'read',
  samples: 'read',
  capacity: 'read',
  // Repeated at the next owner it only tells people twice.
  testAlert: 'read',
} as const satisfies Record<EngineMethod, 'read' | 'write'>;
