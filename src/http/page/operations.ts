/**
 * What the page asks of the owner's operations: health, charts, forecast, backup, schedules. As with /health and /metrics, any login may look: it is figures, codes and
 * fixed words. To run a job is for `admin`: jobs write into other directories of the machine, and one erases for good.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CHART_SPANS, type ChartSpan, chartOf } from '../../domain/charts.js';
import { CodedError } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import { readBackupNote } from '../../engine/backup-note.js';
import { Fields } from './fields.js';

/** How old an answer may be, in ms: several pages, or one that asks without end, cost one look in so long. */
const HEALTH_AGE_MS = 1_000;
const CHART_AGE_MS = 5_000;
const CAPACITY_AGE_MS = 60_000;
/** What ends sooner is answered with its result; else the page asks for the schedule until it is there. */
const RUN_WAIT_MS = 1_000;
const JOB_CHARS = 100;

type OperationCall = (body: unknown, engine: Engine, context: CallContext) => Promise<object>;

export interface PageOperationsOptions {
  /** With all rights. */
  engine(): Promise<Engine>;
  readonly clock: () => number;
}

export class PageOperations {
  private readonly remembered = new Map<
    string,
    { readonly atMs: number; readonly answer: Promise<object> }
  >();

  constructor(private readonly options: PageOperationsOptions) {}

  has(name: string): boolean {
    return this.calls.has(name);
  }

  /** @throws CodedError INVALID_ARGUMENT, OPERATIONS_OFF, and as the engine does */
  async call(name: string, body: unknown, context: CallContext): Promise<object> {
    return this.calls.get(name)!(body, await this.options.engine(), context);
  }

  /**
   * Begins a job, and waits a little for its end. Nobody needs to wait for the rest: how it ended is kept in the schedule, whoever asked for it.
   * @throws CodedError INVALID_ARGUMENT, JOB_RUNNING, JOB_UNAVAILABLE, and as the engine does
   */
  async run(body: unknown, engine: Engine, { signal: _, ...context }: CallContext): Promise<object> {
    const job = new Fields(body, ['job']).needed('job', JOB_CHARS);
    const ending = engine.schedule({ action: 'run', job }, context);
    const ended = await Promise.race([ending, sleep(RUN_WAIT_MS, undefined, { ref: false })]);
    // A later refusal can only be that the server ends: the schedule says so of the run.
    ending.catch(() => undefined);
    return { job, ...(ended?.run && { run: ended.run }) };
  }

  private readonly calls: ReadonlyMap<string, OperationCall> = new Map<string, OperationCall>([
    [
      'health',
      async (body, engine, context) => {
        new Fields(body, []);
        const report = await engine.health({ max_age_ms: HEALTH_AGE_MS }, context);
        return { ...report, checks: report.checks.map(({ detail: _, ...check }) => check) };
      },
    ],
    [
      'charts',
      async (body, engine, context) => {
        const span =
          new Fields(body, ['span']).choice('span', Object.keys(CHART_SPANS) as ChartSpan[]) ?? 'day';
        return this.remember(`charts ${span}`, CHART_AGE_MS, async () => {
          const nowMs = this.options.clock();
          const since = new Date(nowMs - CHART_SPANS[span]).toISOString();
          return chartOf(await engine.samples({ since }, shared(context)), span, nowMs);
        });
      },
    ],
    [
      'capacity',
      async (body, engine, context) => {
        new Fields(body, []);
        return this.remember('capacity', CAPACITY_AGE_MS, async () => {
          const { time, forecasts, advice } = await engine.capacity({}, shared(context));
          return { time, forecasts, advice };
        });
      },
    ],
    [
      'backup',
      async (body, engine, context) => {
        new Fields(body, []);
        const { head, store } = await engine.status({}, context);
        const note = readBackupNote(store.path, store.id);
        if (note === undefined) return {};
        const { timeMs, to, seq } = note;
        const time = new Date(timeMs).toISOString();
        return { newest: { time, to, seq, missing: Math.max(0, head.seq - seq) } };
      },
    ],
    [
      'schedule',
      async (body, engine, context) => {
        new Fields(body, []);
        return engine.schedule({ action: 'list' }, context);
      },
    ],
  ]);

  /** One answer for all who ask within a time; a failure is not kept. */
  private remember(key: string, maxAgeMs: number, ask: () => Promise<object>): Promise<object> {
    const nowMs = this.options.clock();
    const kept = this.remembered.get(key);
    if (kept !== undefined && nowMs >= kept.atMs && nowMs - kept.atMs < maxAgeMs) return kept.answer;
    const answer = ask();
    this.remembered.set(key, { atMs: nowMs, answer });
    answer.catch(() => {
      if (this.remembered.get(key)?.answer === answer) this.remembered.delete(key);
    });
    return answer;
  }
}

/** Others wait for the same answer: it does not end with the one who asked first. */
const shared = ({ signal: _, ...context }: CallContext): CallContext => context;

export function runNeedsAdmin(held: string): CodedError {
  return new CodedError(
    'SCOPE_INSUFFICIENT',
    `to run a job needs the scope admin, and this login has ${held}`,
    'Make another link at a terminal of the server’s machine (mcp-vector-server page --admin), or run it there: mcp-vector-server schedule run JOB',
  );
}
