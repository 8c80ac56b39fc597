/** Giving up contents for good: the horizon, and the redaction of an item. Part of the engine's face. */
import type { Receipt, ResolvedMoment } from './face.js';

export interface HorizonCommand {
  /** A moment: what died at it or before goes, such as "90 days ago". */
  readonly through: string;
  /** Only tell what would go. Default true. */
  readonly dry_run?: boolean;
}

export interface HorizonAnswer extends Receipt {
  readonly dry_run: boolean;
  /** Null where the log begins later: nothing is that old. */
  readonly through: ResolvedMoment | null;
  /** Versions whose contents went, or would go. */
  readonly versions: number;
  /** Dead versions of then that stay: they lived at a mark, or a version that is kept was restored from them. */
  readonly kept: number;
  /** By which the log becomes smaller. */
  readonly freed_bytes: number;
  /** From this event on every moment is whole, apart from what was redacted; before it only those at which nothing lived that went. */
  readonly whole_from: ResolvedMoment;
}
