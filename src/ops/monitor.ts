/** Looks at everything every minute or so: keeps a sample of it, and tells people when a level changes. */
import type { CapacityQuery } from '../domain/capacity.js';
import { isCoded } from '../domain/errors.js';
import type { CallContext, Engine, StatusAnswer } from '../domain/face.js';
import type { Level, Sample, SamplesAnswer, SamplesQuery } from '../domain/health.js';
import { type Moment, parseMoment } from '../domain/moment.js';
import { Alerts } from './alerts.js';
import { type CallFigures, CallMeter } from './call-meter.js';
import { Health } from './health.js';
import { type Machine, thisMachine } from './machine.js';
import type { Operation, OperationsContext } from './operations.js';
import type { Readings } from './readings.js';
import { SampleHistory } from './sample-history.js';

export interface MonitorOptions {
  /** For tests. */
  readonly machine?: Machine;
  readonly clock?: () => number;
}

const DAY_MS = 86_400_000;
const CLOSE_MS = 1_000;

export class Monitor implements Operation {
  readonly face;
  readonly health: Health;
  readonly history: SampleHistory;
  private readonly alerts: Alerts;
  private readonly meter: CallMeter;
  private readonly unsubscribe: () => void;
  private timer: NodeJS.Timeout | undefined;
  private ticking: Promise<void> | undefined;
  /** Said once, and again once it worked in between. */
  private isFailing = false;
  private isClosed = false;

  constructor(
    private readonly context: Omit<OperationsContext, 'savedConfig'>,
    { machine = thisMachine, clock = Date.now }: MonitorOptions = {},
  ) {
    const { engine, config, logger, calls, windows } = context;
    this.meter = new CallMeter(clock);
    this.unsubscribe = calls.subscribe(this.meter.observe);
    const { storePath: storeDir, monitoring } = config;
    this.health = new Health({
      ...{ engine, config, machine, clock, windows },
      limits: monitoring.limits,
      averageMs: monitoring.averageMs,
      isServed: true,
      pid: process.pid,
      startedMs: clock(),
      slowLately: () => this.meter.slowLately(),
    });
    this.history = new SampleHistory({
      storeDir,
      clock,
      warn: ({ code, message }) => logger.warn({ code }, message),
    });
    this.alerts = new Alerts({ storeDir, settings: monitoring.alerts, logger, clock });
    this.face = {
      health: (query: Parameters<Health['report']>[0]) => this.health.report(query),
      samples: (query: SamplesQuery, context: CallContext) =>
        readSamples(
          { history: this.history, engine, clock, sampleSeconds: monitoring.sampleSeconds },
          query,
          context,
        ),
      capacity: async (query: CapacityQuery, context: CallContext) => {
        const { capacityOf } = await import('./capacity.js');
        return capacityOf({ engine, config, machine, clock, history: this.history }, query, context);
      },
      testAlert: async () => ({ deliveries: await this.alerts.test(await this.health.report()) }),
    };
  }

  start(): void {
    const { sampleSeconds } = this.context.config.monitoring;
    if (sampleSeconds === 0) return;
    this.timer = setInterval(() => void this.tick(), sampleSeconds * 1000).unref();
  }

  /** Takes a sample, unless the last one is still being taken. Does not reject. */
  tick(): Promise<void> {
    this.ticking ??= this.sample().finally(() => {
      this.ticking = undefined;
    });
    return this.ticking;
  }

  private async sample(): Promise<void> {
    const { logger } = this.context;
    try {
      const { readings, answer } = await this.health.look();
      if (this.isClosed) return;
      await this.alerts.take(answer);
      if (this.isClosed) return;
      // Of a store that does not tell its state a sample would be zeros, and a lie.
      if (readings.status !== undefined)
        await this.history.add(sampleOf(readings, readings.status, answer.level, this.meter.take()));
      this.isFailing = false;
    } catch (error) {
      const [code, what] = isCoded(error)
        ? [error.code, error.message]
        : ['WAL_IO', (error as Error).message];
      logger[this.isFailing ? 'debug' : 'warn']({ code }, `no sample was kept: ${what}`);
      this.isFailing = true;
    }
  }

  /** A look that hangs, as where the log is being reopened, is not waited for: nothing is written after it any more. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    this.unsubscribe();
    this.alerts.close();
    const patience = new Promise<void>(resolve => setTimeout(resolve, CLOSE_MS).unref());
    await Promise.race([this.ticking, patience]);
  }
}

export async function startMonitor(context: OperationsContext): Promise<Operation> {
  const monitor = new Monitor(context);
  monitor.start();
  return monitor;
}

export function sampleOf(
  readings: Readings,
  status: StatusAnswer,
  level: Level,
  figures: CallFigures,
): Sample {
  const { timeMs, windows, rssBytes = 0, memoryBytes, cpu, disk } = readings;
  const tenths = (value: number) => Math.round(value * 10) / 10;
  return {
    time: new Date(timeMs).toISOString(),
    rss_bytes: rssBytes,
    windows: windows.length,
    heap_bytes: readings.heapBytes,
    memory_percent: tenths((100 * rssBytes) / memoryBytes),
    cpu_percent: tenths(cpu?.all ?? 0),
    own_cpu_percent: tenths(cpu?.own ?? 0),
    disk_percent: tenths(disk?.usedPercent ?? 0),
    free_bytes: disk?.freeBytes ?? 0,
    store_bytes: readings.storeBytes,
    files: readings.files,
    events: status.head.seq,
    items: status.collections.reduce((sum, { items }) => sum + items, 0),
    pending_rows: status.collections.reduce(
      (sum, { index }) => sum + (index.kind === 'hnsw' ? index.pending : 0),
      0,
    ),
    level,
    ...figures,
  };
}

export interface SamplesSource {
  readonly history: SampleHistory;
  readonly engine: Engine;
  readonly clock: () => number;
  readonly sampleSeconds: number;
}

/** @throws CodedError MOMENT_INVALID, MARK_NOT_FOUND and the like, for a moment that is none */
export async function readSamples(
  { history, engine, clock, sampleSeconds }: SamplesSource,
  { since, resolution }: SamplesQuery,
  context: CallContext,
): Promise<SamplesAnswer> {
  const sinceMs = since === undefined ? clock() - DAY_MS : await timeOf(since, engine, clock(), context);
  const chosen = resolution ?? (reachesBack(history, sinceMs) ? 'sample' : 'hour');
  return {
    resolution: chosen,
    every_seconds: sampleSeconds,
    samples: history.read(chosen, sinceMs),
  };
}

/** Whether samples as they were taken tell all that is known since then. */
function reachesBack(history: SampleHistory, sinceMs: number): boolean {
  const { oldestSampleMs } = history;
  if (oldestSampleMs <= sinceMs) return true;
  const [oldestHour] = history.read('hour', sinceMs);
  return oldestHour === undefined || Date.parse(oldestHour.time) + 3_600_000 > oldestSampleMs;
}

async function timeOf(text: string, engine: Engine, nowMs: number, context: CallContext): Promise<number> {
  const moment: Moment = parseMoment(text, { nowMs, zone: context.zone });
  if (moment.kind === 'time') return moment.timeMs;
  if (moment.kind === 'now') return nowMs;
  // An event or a mark: the store knows when that was.
  return Date.parse((await engine.status({ as_of: text }, context)).head.time);
}
