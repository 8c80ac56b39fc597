/** How much was written, in stretches of time: from the log's own history. */
import type { ResolvedMoment } from './face.js';

export interface TallyQuery {
  /**
   * Where stretches begin and end, ms since 1970, each later than the one before it: the first stretch is from bounds[0] up to and without
   * bounds[1]. 2 to 1001 of them.
   */
  readonly bounds: readonly number[];
}

/** Changes of items by what they were. */
export interface ChangeCounts {
  readonly created: number;
  readonly updated: number;
  readonly restored: number;
  readonly deleted: number;
}

export interface TallyStretch extends ChangeCounts {
  /** ISO 8601 in UTC; the end is not in it any more. */
  readonly from: string;
  readonly to: string;
  /** Events of every kind that the log took in. */
  readonly events: number;
  /** Items that were there at its end. */
  readonly items: number;
}

export interface NamedCounts extends ChangeCounts {
  readonly name: string;
}

export interface TallyAnswer {
  readonly stretches: readonly TallyStretch[];
  /** Items and events that were there before the first stretch. */
  readonly before: { readonly items: number; readonly events: number };
  /** Of all stretches together, the busiest first, at most 100 each; clients and tools as they named themselves. */
  readonly clients: readonly NamedCounts[];
  readonly tools: readonly NamedCounts[];
  readonly collections: readonly NamedCounts[];
  /** The head that was seen. */
  readonly moment: ResolvedMoment;
}
