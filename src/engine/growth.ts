/** How a log grew, told from its own times and sizes: bounded work, however long it is. */
import type { ReadableLog } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { GrowthAnswer, GrowthQuery } from '../domain/health.js';
import type { Catalog } from '../projections/catalog.js';
import { lastAtOrBefore } from './moments.js';
import { Slices } from './slices.js';

const MAX_TIMES = 400;
/** Records of each span that are read for their size. */
const SAMPLED = 48;
/** Versions looked at between two looks at the clock. */
const STRIDE = 4096;

/**
 * The state at each of the given times. Events by a search over the log's times; items and versions in one pass over two columns
 * of the catalog; bytes by the mean size of a sample of each span's records, spread evenly over it.
 * @throws CodedError INVALID_ARGUMENT, CANCELLED; WalError as ReadableLog.get
 */
export async function growthOf(
  log: ReadableLog,
  catalog: Catalog,
  { times_ms }: GrowthQuery,
  context: CallContext,
): Promise<GrowthAnswer> {
  assertTimes(times_ms);
  const slices = new Slices(context);
  const { head } = log;
  if (head.seq === 0) return { points: [] };
  const ends: number[] = [];
  const logBytes: number[] = [];
  let bytes = 0;
  for (const timeMs of times_ms) {
    if (slices.isOver) await slices.next();
    // The end is exclusive.
    const seq = lastAtOrBefore(log, head, timeMs - 1);
    bytes += sampledBytes(log, ends.at(-1) ?? 0, seq);
    ends.push(seq);
    logBytes.push(Math.round(bytes));
  }
  const written = new Array<number>(ends.length + 1).fill(0);
  const died = new Array<number>(ends.length + 1).fill(0);
  const { size } = catalog;
  for (let ordinal = 0; ordinal < size; ordinal++) {
    written[spanOf(ends, catalog.seqOf(ordinal))]! += 1;
    const end = catalog.diedOf(ordinal);
    if (end !== 0) died[spanOf(ends, end)]! += 1;
    if (ordinal % STRIDE === 0 && slices.isOver) await slices.next();
  }
  let [versions, dead] = [0, 0];
  const points = ends.map((seq, n) => {
    versions += written[n]!;
    dead += died[n]!;
    const time = new Date(times_ms[n]!).toISOString();
    return { time, seq, items: versions - dead, versions, log_bytes: logBytes[n]! };
  });
  return { first: new Date(log.get(1).logicalMs).toISOString(), points };
}

function assertTimes(times: unknown): asserts times is readonly number[] {
  const isFit =
    Array.isArray(times) &&
    times.length <= MAX_TIMES &&
    times.every((time, n) => Number.isSafeInteger(time) && (n === 0 || time > times[n - 1]));
  if (isFit && times.every(time => Math.abs(time) <= 8.64e15)) return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    'times_ms: not times in ms since the epoch, ascending',
    `Give at most ${MAX_TIMES} whole numbers, each greater than the one before it.`,
  );
}

/** The first span whose end is not before `seq`; ends.length behind the last. */
function spanOf(ends: readonly number[], seq: number): number {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ends[middle]! < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Bytes of the records in (after, to]. */
function sampledBytes(log: ReadableLog, after: number, to: number): number {
  const count = to - after;
  const sampled = Math.min(count, SAMPLED);
  let bytes = 0;
  for (let n = 0; n < sampled; n++) bytes += log.get(after + 1 + Math.floor((n * count) / sampled)).sizeBytes;
  return sampled === 0 ? 0 : (bytes / sampled) * count;
}
