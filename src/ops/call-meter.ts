/** What calls of the engine take, counted where they come in: from this process and from all windows. */
import type { EngineMethod } from '../domain/face.js';
import type { Latency } from '../domain/health.js';
import type { CallRecord } from './call-feed.js';
import { Histogram } from './histogram.js';

/** Calls that somebody waits for; the others take as long as what they do, or wait for what may happen. */
const AWAITED: ReadonlySet<EngineMethod> = new Set([
  'upsert',
  'delete',
  'search',
  'get',
  'list',
  'complete',
  'history',
  'diff',
  'mark',
]);

/** The guide's first threshold for a slow search. */
export const SLOW_MS = 1_000;

export interface CallFigures {
  readonly calls: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly slow: number;
  readonly latency_ms?: Latency;
  readonly search_ms?: Latency;
}

const HOUR_MS = 3_600_000;
const SLOTS = 60;

/** Figures of calls since the last look, and how many were slow within the last hour. */
export class CallMeter {
  private calls: Partial<Record<EngineMethod, number>> = {};
  private errors = 0;
  private slow = 0;
  private all = new Histogram();
  private searches = new Histogram();
  /** Slow calls by the minute of the hour, and which minute each slot was last used for. */
  private readonly slots = Array.from({ length: SLOTS }, () => ({ minute: 0, count: 0 }));

  constructor(private readonly clock: () => number) {}

  readonly observe = ({
    method,
    durationMs,
    code,
  }: Pick<CallRecord, 'method' | 'durationMs' | 'code'>): void => {
    this.calls[method] = (this.calls[method] ?? 0) + 1;
    // A client that went away, or a server that ends, is no failure.
    if (code !== 'ok' && code !== 'CANCELLED' && code !== 'ENGINE_CLOSED') this.errors += 1;
    if (!AWAITED.has(method)) return;
    this.all.add(durationMs);
    if (method === 'search') this.searches.add(durationMs);
    if (durationMs < SLOW_MS) return;
    this.slow += 1;
    const minute = Math.floor(this.clock() / 60_000);
    const slot = this.slots[minute % SLOTS]!;
    if (slot.minute !== minute) slot.count = 0;
    slot.minute = minute;
    slot.count += 1;
  };

  slowLately(): number {
    const since = Math.floor((this.clock() - HOUR_MS) / 60_000);
    return this.slots.reduce((sum, { minute, count }) => (minute > since ? sum + count : sum), 0);
  }

  /** The figures since the last take, which are forgotten. */
  take(): CallFigures {
    const { calls, errors, slow, all, searches } = this;
    this.calls = {};
    this.errors = 0;
    this.slow = 0;
    this.all = new Histogram();
    this.searches = new Histogram();
    return {
      calls: calls as Record<string, number>,
      errors,
      slow,
      ...(all.count > 0 && { latency_ms: all.latency() }),
      ...(searches.count > 0 && { search_ms: searches.latency() }),
    };
  }
}
