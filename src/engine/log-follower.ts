import type { GroupCommitLog } from '../../wal/group-commit.js';
import type { LogRecord } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import type { PreparedEvents, Projections } from './projections.js';

export interface LogFollowerOptions {
  readonly log: GroupCommitLog;
  /** Complete through the log's head. */
  readonly projections: Projections;
  /** Called when a transaction is applied. */
  readonly onApplied: () => void;
}

/** Applies to the projections what the log makes durable, in its order: short transactions at once, a long one in pieces. */
export class LogFollower {
  private readonly unsubscribe: () => void;
  /** A long transaction that is being applied; nothing else is written meanwhile. */
  private applying: Promise<void> | undefined;

  constructor(private readonly options: LogFollowerOptions) {
    const { log, projections } = options;
    this.unsubscribe = log.subscribe<PreparedEvents>(
      (records, prepared) => this.apply(records, prepared),
      records => projections.prepare(records),
    );
  }

  private apply(records: readonly LogRecord[], prepared: PreparedEvents | undefined): void {
    const { log, projections, onApplied } = this.options;
    const [first] = records;
    // Of a transaction that was written in parts there is only its commit.
    if (first.seq !== first.txFirst)
      this.applying = projections
        .applyInPieces(first.txFirst, readCommitted(log, first.txFirst, first.seq))
        .then(onApplied);
    else {
      projections.apply(records, prepared);
      onApplied();
    }
  }

  /** Resolves when nothing is queued, in flight, or durable and not yet applied. */
  async settled(): Promise<void> {
    await this.options.log.drained();
    await this.applying;
  }

  /** What is written from now on is not applied any more. */
  end(): void {
    this.unsubscribe();
  }
}
