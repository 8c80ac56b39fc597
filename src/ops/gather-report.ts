/** Everything that a report is made of, from the engine and from the files beside the log. */
import { totalmem } from 'node:os';
import { readOwner } from '../../wal/owner.js';
import { isCoded } from '../domain/errors.js';
import type { CallContext, Engine } from '../domain/face.js';
import type { BackupOverview } from '../engine/backup-list.js';
import { directoryFiles } from '../engine/disk-space.js';
import { readActivity } from './activity.js';
import { thisMachine } from './machine.js';
import { readSamples } from './monitor.js';
import type { Period } from './periods.js';
import { type Report, type ReportSample, reportOf } from './report.js';
import { SampleHistory } from './sample-history.js';
import { readSlowQueries } from './slow-queries.js';

export interface GatherOptions {
  readonly engine: Engine;
  readonly storeDir: string;
  readonly period: Period;
  /** Where the report ends, in ms. */
  readonly endMs: number;
  /** Undefined: nothing is said of any. */
  readonly backups?: BackupOverview | undefined;
  /** Whether the engine is a server's, so that its memory is told. Default: where another process than this one has the store. */
  readonly isServed?: boolean;
  readonly context: CallContext;
  readonly nowMs: number;
}

/** @throws as the engine's tally and status do; what the file system throws */
export async function gatherReport(options: GatherOptions): Promise<Report> {
  const { engine, storeDir, period, endMs, backups, context, nowMs } = options;
  const bounds = boundsOf(period, endMs);
  const tally = await engine.tally({ bounds }, context);
  const status = await engine.status({}, context);
  const disk = await thisMachine.disk(storeDir);
  const owner = readOwner(storeDir);
  return reportOf({
    period,
    nowMs,
    tally,
    status,
    activity: readActivity(storeDir),
    slow: readSlowQueries(storeDir, bounds[0]!),
    samples: await samplesSince(options, bounds[0]!),
    backups,
    files: directoryFiles(storeDir),
    diskBytes: disk.totalBytes,
    systemMemoryBytes: totalmem(),
    isServed: options.isServed ?? (owner !== undefined && owner.pid !== process.pid),
  });
}

/** What was sampled, from the server that has the store; where no server does, this process has it, and reads its notes. */
async function samplesSince(
  { engine, storeDir, context, nowMs }: GatherOptions,
  sinceMs: number,
): Promise<readonly ReportSample[]> {
  const query = { since: new Date(sinceMs).toISOString() };
  try {
    return (await engine.samples(query, context)).samples;
  } catch (error) {
    if (!isCoded(error) || error.code !== 'OPERATIONS_OFF') throw error;
  }
  const clock = () => nowMs;
  const history = new SampleHistory({ storeDir, clock, warn: () => {} });
  return (await readSamples({ history, engine, clock, sampleSeconds: 0 }, query, context)).samples;
}

const STRETCHES = { day: 24, week: 7, month: 30 } as const satisfies Record<Period, number>;

/**
 * Where the hours of a day, or the days of a week or month, begin in the machine's zone, the last one cut off where the report ends. Days are as long as the
 * clock on the wall makes them.
 */
export function boundsOf(period: Period, endMs: number): number[] {
  const start = new Date(endMs - 1);
  if (period === 'day') start.setMinutes(0, 0, 0);
  else start.setHours(0, 0, 0, 0);
  const bounds: number[] = [];
  for (let back = STRETCHES[period] - 1; back >= 0; back--) {
    const bound = new Date(start);
    if (period === 'day') bound.setTime(start.getTime() - back * 3_600_000);
    else bound.setDate(start.getDate() - back);
    bounds.push(bound.getTime());
  }
  return [...bounds, endMs];
}
