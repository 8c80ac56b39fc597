/**
 * Coded errors: the one shape in which this program says no.
 *
 * `code` is public API (tests assert it, the README lists it); `message` names what was wrong; `wayOut` says what
 * would be right. Errors of `wal/` have the same three fields, so whoever prints an error needs to know one shape.
 */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** What the caller can do about it, as an imperative sentence. */
    readonly wayOut: string,
    options?: ErrorOptions & { details?: Record<string, unknown> },
  ) {
    super(message, options);
    this.details = options?.details;
  }
  /** Facts for a program that reacts to the code, for example `{ current: 17 }` of a VERSION_CONFLICT. */
  readonly details: Record<string, unknown> | undefined;
}

/** Every code that `src/` answers with. The codes of the log are in wal/errors.ts. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'UNKNOWN_TOOL'
  | 'UNKNOWN_PROMPT'
  | 'RESOURCE_NOT_FOUND'
  | 'TOO_LARGE'
  | 'DIMENSION_MISMATCH'
  | 'SPACE_MISMATCH'
  | 'VERSION_CONFLICT'
  | 'DUPLICATE_ID'
  | 'COLLECTION_NOT_FOUND'
  | 'CURSOR_INVALID'
  | 'MOMENT_INVALID'
  | 'MOMENT_TOO_EARLY'
  | 'MOMENT_TOO_LATE'
  | 'MOMENT_BEYOND_HORIZON'
  | 'MARK_NOT_FOUND'
  | 'MARK_EXISTS'
  | 'PLAN_STALE'
  | 'REVERT_EMPTY'
  /** Re-embedding: begun into another space; another call is at it; items without a text. */
  | 'REEMBED_OTHER_SPACE'
  | 'REEMBED_RUNNING'
  | 'REEMBED_NO_TEXT'
  /** A file that is imported: not of a form that can be read; cut off or altered; with items that cannot be taken; with ids that are there. */
  | 'IMPORT_UNREADABLE'
  | 'IMPORT_DAMAGED'
  | 'IMPORT_REFUSED'
  | 'IMPORT_CONFLICT'
  /** A Chroma directory is an SQLite database, which an optional module reads. */
  | 'SQLITE_MISSING'
  | 'SECRET_SUSPECTED'
  | 'ROOTS_UNSET'
  | 'OUTSIDE_ROOTS'
  | 'PATH_NOT_FOUND'
  | 'PRUNE_REFUSED'
  | 'EMBEDDER_UNAVAILABLE'
  | 'EMBEDDER_TIMEOUT'
  | 'EMBEDDER_RATE_LIMITED'
  | 'EMBEDDER_REJECTED'
  | 'EMBEDDER_BAD_ANSWER'
  | 'MODEL_DAMAGED'
  /** A model that runs here is not where it should be, and may not be downloaded. */
  | 'MODEL_MISSING'
  | 'TRANSFORMERS_MISSING'
  | 'CONFIG_INVALID'
  | 'NATIVE_MODULE_MISSING'
  | 'EVENT_UNKNOWN'
  | 'EVENT_MALFORMED'
  | 'PROJECTION_FAILED'
  | 'INDEX_DAMAGED'
  | 'CHECKPOINT_NOT_SAVED'
  | 'DISK_FULL'
  | 'OUTPUT_FAILED'
  | 'KEYWORDS_DAMAGED'
  | 'KEYWORDS_OUTDATED'
  /** A server that only reads, or a collection that may only be read. */
  | 'READ_ONLY'
  /** A server with limited rights: something that is for whoever runs the store. */
  | 'ACCESS_DENIED'
  /** What a client's user was asked: they said no; the answer is none to a question that was asked. */
  | 'CONFIRMATION_DECLINED'
  | 'CONFIRMATION_INVALID'
  | 'CANCELLED'
  | 'ENGINE_CLOSED'
  /** The process that has the store, met over its local socket. */
  | 'OWNER_UNRESPONSIVE'
  | 'OWNER_VERSION_MISMATCH'
  | 'OWNER_AUTH_FAILED'
  | 'OWNER_BUSY'
  /** It runs with an embedder, a metric or a durability other than this window's. */
  | 'CONFIG_MISMATCH'
  /** It ended before it answered; nothing was changed. */
  | 'OWNER_LOST'
  /** It ended before it answered a write, which may or may not be stored. */
  | 'OUTCOME_UNKNOWN'
  /** The socket's directory or note is not this user's alone. */
  | 'SOCKET_UNSAFE'
  | 'SOCKET_UNAVAILABLE'
  /** The process of its own in which a store was verified ended before it said anything. */
  | 'VERIFY_DIED'
  /** Another verification of the running store is asked for already. */
  | 'VERIFY_RUNNING'
  /** Another call is optimizing the store. */
  | 'OPTIMIZE_RUNNING'
  /** Another CPU profile of the process is being taken. */
  | 'PROFILE_RUNNING'
  /** The process of its own in which a load was run ended before it was through. */
  | 'LOAD_DIED'
  /** Recurring work: the job runs already; it cannot run here; a run ended with its server. */
  | 'JOB_RUNNING'
  | 'JOB_UNAVAILABLE'
  | 'RUN_INTERRUPTED'
  /** A job's failure: the clock leapt; a backup was made and nothing pruned; the verification found something. */
  | 'CLOCK_DOUBTED'
  | 'PRUNE_FAILED'
  | 'OPTIMIZE_FAILED'
  | 'VERIFY_FOUND'
  /** Over HTTP: no token that counts, or one that may not do this; a name by which the server is not reached; too much at once. */
  | 'UNAUTHORIZED'
  | 'SCOPE_INSUFFICIENT'
  | 'HOST_FORBIDDEN'
  | 'ORIGIN_FORBIDDEN'
  | 'RATE_LIMITED'
  | 'SERVER_BUSY'
  | 'SESSION_NOT_FOUND'
  /** The link to the page: used, too old or revoked. */
  | 'LOGIN_INVALID'
  /** Tokens as commands manage them. */
  | 'TOKEN_EXISTS'
  | 'TOKEN_NOT_FOUND'
  | 'TOKEN_DAMAGED'
  | 'TOKENS_UNSAFE'
  /** An address that cannot be listened on, or not without TLS. */
  | 'ADDRESS_UNAVAILABLE'
  | 'ADDRESS_UNSAFE'
  /** A store that a later version of the program wrote; a step to the present format that failed. */
  | 'FORMAT_NEWER'
  | 'MIGRATION_FAILED'
  /** Updates of an installation that `service install` made. */
  | 'UPDATE_NOT_MANAGED'
  | 'UPDATE_UNAVAILABLE'
  | 'UPDATE_RUNNING'
  | 'UPDATE_FAILED'
  | 'UPDATE_NOT_FOUND'
  /** What runs the service is not there, or did not do what it was told. */
  | 'SERVICE_UNAVAILABLE'
  | 'SERVICE_FAILED'
  /** Neither repair nor a backup gives a sound store. */
  | 'RECOVERY_IMPOSSIBLE'
  /** The process that has the store runs no operations: it does not serve. */
  | 'OPERATIONS_OFF'
  /** An alert that was not delivered: its program could not be started or failed; its webhook is not reached, refuses, or may not be asked. */
  | 'ALERT_COMMAND_FAILED'
  | 'ALERT_WEBHOOK_FAILED'
  | 'ALERT_ADDRESS_FORBIDDEN'
  | 'ALERT_TIMEOUT'
  /** A file of operations was damaged, and begun anew. */
  | 'OPS_FILE_DAMAGED'
  | 'CLIENT_UNKNOWN'
  | 'CONFIG_UNREADABLE'
  /** A package that the program is made of is not there. */
  | 'INSTALLATION_INCOMPLETE'
  | 'INTERNAL';

/** The shape that CodedError and wal's WalError share. */
export interface Coded {
  readonly code: string;
  readonly message: string;
  readonly wayOut: string;
  readonly details?: Record<string, unknown> | undefined;
}

/** True for errors that carry a code and a way out, whichever layer threw them. */
export function isCoded(error: unknown): error is Error & Coded {
  return (
    error instanceof Error &&
    typeof (error as Partial<Coded>).code === 'string' &&
    typeof (error as Partial<Coded>).wayOut === 'string'
  );
}

/** What was caught, where it has a code. @throws any other: a mistake in the program */
export function asCoded(error: unknown): Error & Coded {
  if (isCoded(error)) return error;
  throw error;
}
