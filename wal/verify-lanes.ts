/**
 * Checks a whole log in several threads at once, a table at a time. A log that is sound is proved so in a fraction of the time that a
 * walk takes; of any other log this says no more than that a walk is needed, which then names everything.
 *
 * What makes it possible is how an append-only log lies in LevelDB: its tables hold disjoint, consecutive keys, each put once, and the
 * live log those behind them.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FormatError } from './leveldb/coding.js';
import { readLogEntries } from './leveldb/live-values.js';
import type { LookReport } from './leveldb/look.js';
import { readTableValues } from './leveldb/table-values.js';
import type { LogRecord } from './record.js';
import { type BodyCheck, type Stretch, StretchCheck } from './stretch.js';

const MAX_LANES = 4;
/** A thread takes as long to start as 16 MiB to check. */
const TABLE_BYTES_PER_LANE = 48 * 1024 * 1024;

/** How a record's body is checked in whatever thread has the record. */
export interface RecordCheck {
  /** URL of a module that exports `checkRecord(record: LogRecord)`, which throws an error with a `code`. */
  readonly url: string;
  /**
   * If given, the module's `beginSummary(summary)` is called for each stretch of records, and what it returns is given each record with what
   * `checkRecord` returned (see RecordSummary). A message between threads.
   */
  readonly summary?: unknown;
  /** Numbers of the records that the caller wants to see. */
  readonly asked: readonly number[];
  /** Threads, the calling one included. Default: as many as the tables' size is worth, at most one for each processor, at most 4. */
  readonly threads?: number;
}

export interface TableTask {
  readonly path: string;
  readonly first: number;
  readonly last: number;
}

/** What a lane is given: the tables, and the number of the next one that nobody has taken. */
export interface LaneWork {
  readonly tables: readonly TableTask[];
  /** One Int32, shared. */
  readonly next: SharedArrayBuffer;
  readonly check: RecordCheck;
}

/** What a lane tells: of which table, and what it comes to; undefined if it must be walked. */
export interface LaneMessage {
  readonly table: number;
  readonly stretch: Stretch | undefined;
}

/**
 * @param looked what look() found out about the directory: it is sound
 * @returns the stretches of a log that is sound as far as each goes, in order; undefined if a walk is needed
 */
export async function checkInLanes(
  dir: string,
  looked: LookReport,
  check: RecordCheck,
  onProgress: (records: number) => void,
): Promise<Stretch[] | undefined> {
  const live = looked.files.filter(({ kind, live }) => kind === 'table' && live);
  const tables: TableTask[] = live.map(({ name, range }) => ({ path: join(dir, name), ...range! }));
  tables.sort((a, b) => a.first - b.first);
  if (tables.some(({ first }, i) => i > 0 && first <= tables[i - 1]!.last)) return undefined;
  const work: LaneWork = { tables, next: new SharedArrayBuffer(4), check };
  const stretches: (Stretch | undefined)[] = tables.map(() => undefined);
  /** No lane takes another table. */
  const stop = () => Atomics.store(new Int32Array(work.next), 0, tables.length);
  let records = 0;
  const take = ({ table, stretch }: LaneMessage): void => {
    stretches[table] = stretch;
    if (stretch === undefined) {
      stop();
      return;
    }
    records += stretch.records;
    onProgress(records);
  };

  const tableBytes = live.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const worthwhile = Math.floor(tableBytes / TABLE_BYTES_PER_LANE) + 1;
  const lanes = check.threads ?? Math.min(availableParallelism(), MAX_LANES, worthwhile);
  const others = Promise.all(Array.from({ length: lanes - 1 }, () => laneInThread(work, take)));
  // A rejection while this thread still works is met below.
  others.catch(() => {});
  let tail: Stretch | undefined | 'walk' = 'walk';
  try {
    tail = await checkLogs(dir, looked, check);
    if (tail !== 'walk') await runLane(work, take);
  } finally {
    stop();
    await others;
  }
  if (tail === 'walk' || stretches.includes(undefined)) return undefined;
  return [...(stretches as Stretch[]), ...(tail === undefined ? [] : [tail])];
}

/** What the live logs hold, as a stretch behind the tables; undefined if they are empty. */
async function checkLogs(
  dir: string,
  looked: LookReport,
  check: RecordCheck,
): Promise<Stretch | undefined | 'walk'> {
  const entries = await readLogEntries(dir, looked);
  const stretch = new StretchCheck(new Set(check.asked), (await loadCheck(check))());
  const passed = passes(() => {
    for (const [seq, { value }] of entries) {
      if (value === undefined) throw new FormatError('is a deletion');
      stretch.take(seq, value);
    }
  });
  return passed ? stretch.result() : 'walk';
}

/** Takes one table after the other until none is left. */
export async function runLane(work: LaneWork, take: (message: LaneMessage) => void): Promise<void> {
  const next = new Int32Array(work.next);
  const asked = new Set(work.check.asked);
  const newCheck = await loadCheck(work.check);
  for (let i = Atomics.add(next, 0, 1); i < work.tables.length; i = Atomics.add(next, 0, 1)) {
    const { path, ...range } = work.tables[i]!;
    const stretch = new StretchCheck(asked, newCheck());
    const passed = await readTableValues(path, range, (seq, value) => stretch.take(seq, value)).then(
      () => true,
      needsWalk,
    );
    take({ table: i, stretch: passed ? stretch.result() : undefined });
  }
}

function passes(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    return needsWalk(error);
  }
}

/** Damage and failed reads, which the walk meets again and describes. @returns false @throws any other error: a fault of the program */
function needsWalk(error: unknown): false {
  if (error instanceof FormatError || typeof (error as { code?: unknown }).code === 'string') return false;
  throw error;
}

/** What a caller wants to know of all records together. */
export interface RecordSummary {
  take(record: LogRecord, checked: unknown): void;
  /** A message between threads. */
  result(): unknown;
}

/** @returns what makes the check of a stretch */
export async function loadCheck({ url, summary }: RecordCheck): Promise<() => BodyCheck> {
  const { checkRecord, beginSummary } = (await import(url)) as {
    checkRecord(record: LogRecord): unknown;
    beginSummary(summary: unknown): RecordSummary;
  };
  if (summary === undefined) return () => ({ check: checkRecord });
  return () => {
    const begun = beginSummary(summary);
    return { check: record => begun.take(record, checkRecord(record)), summary: () => begun.result() };
  };
}

function laneInThread(work: LaneWork, take: (message: LaneMessage) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./verify-worker.js', import.meta.url), {
      workerData: work,
      execArgv: [],
    });
    worker.on('message', take);
    worker.once('error', reject);
    worker.once('exit', code => {
      if (code === 0) resolve();
      else reject(new Error(`a thread of verify ended with code ${code}`));
    });
  });
}
