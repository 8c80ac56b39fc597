import type { Body, LogRecord } from './record.js';

/** One event to append. */
export interface NewEvent {
  /** The caller's types start at FIRST_CALLER_TYPE; bit 15 marks one that readers may skip. */
  readonly type: number;
  readonly body: Body;
  /** Seq of the record that declared the actor, 0 for none. May name a record of the same transaction. */
  readonly actor: number;
}

/** The last event, or {seq: 0} of an empty log. */
export interface Head {
  readonly seq: number;
  readonly hash: bigint;
  readonly logicalMs: number;
}

/** Who this log is. Records copied to a fork or backup keep theirs. */
export interface Lineage {
  /** 32 hex digits, chosen at random at init. */
  readonly storeId: string;
  /** 1 in a new store; each cut of the log begins another. */
  readonly epoch: number;
  /** The record that began the epoch; 0 in the first one of a lineage. */
  readonly epochSeq: number;
  /** The genesis or fork record that gave the store its id. */
  readonly lineageSeq: number;
}

/** What append answers at once, before anything is durable. */
/** Records that lie in more files than they need. */
export interface Fragment {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly files: number;
  readonly sizeBytes: number;
}

export interface Appended {
  readonly firstSeq: number;
  /** The last record of the transaction, a commit record included. */
  readonly lastSeq: number;
  readonly hash: bigint;
  readonly wallMs: number;
  readonly logicalMs: number;
  /**
   * Resolves once every record is durable; transactions resolve in sequence order. Rejects with WAL_OUTCOME_UNKNOWN, or,
   * when nothing was written, with the code of what stopped the writes: mostly WAL_POISONED.
   */
  readonly durable: Promise<void>;
}

/**
 * A transaction that is written in parts, because it is too long to be held in memory. It counts as a whole with its commit,
 * or not at all. While one is open, append refuses with WAL_BUSY.
 */
export interface OpenTransaction {
  readonly firstSeq: number;
  /**
   * Writes a part. Resolves when it is durable: to wait for each part bounds the memory.
   * @throws WalError what stopped the writes; the transaction is then void
   */
  append(events: readonly NewEvent[]): Promise<void>;
  /** Makes it count. `durable` has resolved. */
  commit(): Promise<Appended>;
  /** Makes it void. */
  abort(): Promise<void>;
}

export interface ReadOptions {
  /** First and last seq, both inclusive. Default: 1 to the durable head. */
  readonly from?: number;
  readonly to?: number;
  /** Newest first. */
  readonly reverse?: boolean;
}

/** A record whose payload is to be erased, and what is left in its place: see eraseRecord. */
export interface Erasure {
  readonly seq: number;
  readonly residue: Uint8Array;
}

/** What only reads a log needs of it. */
export type ReadableLog = Pick<Log, 'lineage' | 'head' | 'get' | 'read'>;

/** What a log is copied from: one that is open, or a backup. */
export interface RecordSource extends ReadableLog {
  /** Stored values as they are, unchecked: for copies that must be equal byte for byte. In pieces of about a megabyte, in order. */
  raw(from: number, to: number): AsyncIterable<[number, Uint8Array][]>;
}

/**
 * An append-only log of checked, chained records. Small on purpose: what it takes to move to another engine is
 * append-with-expected-sequence, read, follow, head. It knows nothing of what its events mean.
 */
export interface Log {
  readonly lineage: Lineage;
  /** The last durable record: what readers see. */
  readonly head: Head;
  /** The seq that the next appended event will have: head plus what is queued. */
  readonly nextSeq: number;
  /** The error that stopped writes, or undefined while all is well. */
  readonly failure: Error | undefined;

  /**
   * Queues the events as one transaction: all of it becomes durable or none. Encoding and sequence numbers happen now, so
   * a caller can go on deciding against what it queued; the write is shared with whatever else is queued (group commit).
   * @param events at least one
   * @param expectedSeq refuse unless it equals nextSeq
   * @throws WalError WAL_CONFLICT, WAL_BUSY (queue full: nothing was queued), WAL_CLOSED (also while it closes), WAL_TOO_LARGE, and
   *   the code of what stopped the writes: WAL_POISONED, or damage or a foreign owner that a running log met
   * @throws RangeError for no events, or a type that is not the caller's
   */
  append(events: readonly NewEvent[], expectedSeq?: number): Appended;

  /**
   * Begins a transaction that is written in parts, behind all that is queued.
   * @throws WalError as append does
   */
  begin(): OpenTransaction;

  /**
   * One record by its number, checked.
   * @throws WalError WAL_BAD_RECORD, WAL_GAP when it is not there though it must be, WAL_IO while the log is being reopened, WAL_CLOSED
   * @throws RangeError for a number outside 1..head
   */
  get(seq: number): LogRecord;

  /**
   * Records in pieces of about a megabyte, each record checked, and in forward order the chain as well.
   * @throws WalError as get does, and WAL_CHAIN_BROKEN
   */
  read(options?: ReadOptions): AsyncIterable<LogRecord[]>;

  /**
   * Calls `listener` with the records of every transaction when it has become durable, in order, before its append resolves; of one
   * that was written in parts with its commit record alone, since the rest may be more than memory holds. Whoever
   * subscribes and then reads up to `head` misses nothing and sees nothing twice. It must not throw. Returns the unsubscribe.
   * @param prepare called while a transaction is on its way to the disk and the thread would be idle; the listener gets what it
   *   returned. It may never count: whatever is made of it must not be seen. Not called for one in parts, or found after a
   *   failure. It must not throw.
   */
  subscribe<P>(
    listener: (records: readonly LogRecord[], prepared: P | undefined) => void,
    prepare?: (records: readonly LogRecord[]) => P,
  ): () => void;

  /** Resolves when reads work (they always do but during the reopening that follows a failed write). */
  readable(): Promise<void>;

  /** Refuses appends from now on, waits for what is queued, writes the head proof and lets go. */
  close(): Promise<void>;
}
