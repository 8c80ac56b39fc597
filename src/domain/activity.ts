/** How much was written when, by whom: the time line of a whole log, and the sessions in a part of it. Part of the engine's face. */
import type { ResolvedMoment, Within } from './face.js';

export interface ActivityQuery extends Within {
  /** Moments, inclusive, both taken as whole minutes. Default: the first event, and the last. */
  readonly since?: string;
  readonly until?: string;
  /** At most this many steps of time, 1 to 2 000. Default: 300. */
  readonly steps?: number;
  /** At most this many sessions, the latest first, 0 to 200. Default: 0. */
  readonly sessions?: number;
}

/** One step of time in which something was written; those in which nothing was are left out. */
export interface ActivityStep {
  /** When it begins: ms since 1970 in UTC. */
  readonly at_ms: number;
  /** The last event in it. */
  readonly last_seq: number;
  /** Pairs of a number in `series` and how many events. */
  readonly counts: readonly (readonly [series: number, events: number])[];
}

export interface SessionActivity {
  readonly session: string;
  /** See Actor.sessionSource. */
  readonly source: string;
  readonly project: string;
  /** As clients declared themselves: unverified. */
  readonly clients: readonly string[];
  readonly tools: readonly string[];
  readonly collections: readonly string[];
  /** Events within the span that was asked for. */
  readonly events: number;
  readonly first: ResolvedMoment;
  readonly last: ResolvedMoment;
}

export interface ActivityAnswer {
  /** Of the whole log, for whoever draws it: its first event and its last. Absent of an empty log. */
  readonly begin?: ResolvedMoment;
  readonly moment: ResolvedMoment;
  /** Length of a step: a minute or more. */
  readonly step_ms: number;
  readonly series: readonly { readonly client: string; readonly tool: string }[];
  /** In the order of time. */
  readonly steps: readonly ActivityStep[];
  /** Items written and deleted, marks and changes of collections within the span. */
  readonly events: number;
  readonly sessions: readonly SessionActivity[];
  /** Whether there are more sessions than were asked for. */
  readonly more_sessions: boolean;
}
