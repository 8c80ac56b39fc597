/** Moves the horizon by itself: history of so long is kept, at most once a day, and not while the clock cannot be trusted. */
import type { GroupCommitLog } from '../../wal/group-commit.js';
import type { CallContext } from '../domain/face.js';
import { type Moment, parseMoment } from '../domain/moment.js';
import type { Logger } from '../log.js';
import type { Horizon } from './horizon.js';
import type { Projections } from './projections.js';
import { scheduledActor } from './scheduled-actor.js';

const DAY_MS = 86_400_000;

/** What a look came to: nothing was due, so many versions are erased, or why the age of anything is not known. */
export type HistoryLook =
  | { readonly versions: number; readonly freedBytes: number }
  | { readonly doubt: string };

const NOTHING_DUE: HistoryLook = { versions: 0, freedBytes: 0 };

export interface KeepHistoryOptions {
  /** An age: "90 days". */
  readonly keep: string;
  readonly log: GroupCommitLog;
  readonly projections: () => Projections;
  readonly horizon: Horizon;
  readonly clock: () => number;
  /** Ms that passed since whenever, whatever the clock was set to. */
  readonly elapsed?: () => number;
  readonly logger: Logger;
  readonly warn: (message: string) => void;
}

export class HistoryKeeper {
  private readonly elapsed: () => number;
  private readonly started: { readonly clockMs: number; readonly elapsedMs: number };
  private hasWarned = false;

  constructor(private readonly options: KeepHistoryOptions) {
    this.elapsed = options.elapsed ?? (() => performance.now());
    this.started = { clockMs: options.clock(), elapsedMs: this.elapsed() };
  }

  /**
   * Moves the horizon if it is a day since it was moved last, and something would go. An age is counted from now, but at most from a day after the last
   * write: a clock that leapt ahead, or a store that nobody wrote to for a year, makes nothing old.
   */
  async look(more: Pick<CallContext, 'signal' | 'onProgress'> = {}): Promise<HistoryLook> {
    const { projections, horizon, clock, keep, logger } = this.options;
    const nowMs = clock();
    const { milestones } = projections().catalog.registry;
    const last = milestones.findLast(({ type }) => type === 'history_erased');
    if (last !== undefined && nowMs - last.timeMs < DAY_MS) return NOTHING_DUE;
    const doubt = this.doubtOfClock(nowMs);
    if (doubt !== undefined) {
      if (!this.hasWarned) this.options.warn(`history older than ${keep} is not erased: ${doubt}`);
      this.hasWarned = true;
      return { doubt };
    }
    // What the horizon itself writes is no sign of life.
    const reference = Math.min(nowMs, projections().catalog.lastChangeMs + DAY_MS);
    // What ends in "ago" is a time, or refused.
    const { timeMs } = parseMoment(`${keep} ago`, { nowMs: reference }) as Moment & { kind: 'time' };
    const through = new Date(timeMs).toISOString();
    const context: CallContext = { actor: scheduledActor('horizon'), ...more };
    const { versions } = await horizon.move({ through, dry_run: true }, context);
    if (versions === 0) return NOTHING_DUE;
    const answer = await horizon.move({ through, dry_run: false }, context);
    logger.info({ versions, freed_bytes: answer.freed_bytes }, `history older than ${keep} is erased`);
    return { versions, freedBytes: answer.freed_bytes };
  }

  /** Why ages may not be what the clock says; undefined where nothing is known against it. */
  private doubtOfClock(nowMs: number): string | undefined {
    const { head } = this.options.log;
    if (head.logicalMs > nowMs + DAY_MS)
      return 'the clock is more than a day behind the last event. Set it right, or move the horizon by tools/horizon';
    const byClockMs = nowMs - this.started.clockMs;
    const leapMs = byClockMs - (this.elapsed() - this.started.elapsedMs);
    if (Math.abs(leapMs) > DAY_MS)
      return 'the clock leapt by more than a day since the server started (or the machine slept). If it is right, start the server again, or move the horizon by tools/horizon';
    return undefined;
  }
}
