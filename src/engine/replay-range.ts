import type { ReadableLog } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type { ResolvedMoment } from '../domain/face.js';
import { parseMoment } from '../domain/moment.js';
import {
  describeSeq,
  type Marks,
  type MomentContext,
  readMarks,
  resolveBounds,
  resolveMoment,
} from './moments.js';

export interface RangeOptions {
  /** A moment; events at and after it count. Default: all. */
  readonly since?: string | undefined;
  /** A moment; events up to and including it count. Default: the head. */
  readonly until?: string | undefined;
}

export interface Range {
  /** The first event in it: the first of its transaction. May be `until.seq` + 1: then there is none. */
  readonly sinceSeq: number;
  readonly until: ResolvedMoment;
}

/**
 * The events that two moments bound, both inclusive.
 * @throws CodedError as resolveMoment and resolveBounds, and INVALID_ARGUMENT when `since` is after `until`
 */
export async function resolveRange(
  log: ReadableLog,
  { since, until: text }: RangeOptions,
  nowMs: number,
): Promise<Range> {
  const context = { log, marks: await marksFor([since, text], log, nowMs), nowMs };
  const until = text === undefined ? describeSeq(log, log.head.seq) : resolveMoment(text, context);
  const sinceSeq = since === undefined ? 1 : resolveSince(since, context);
  // With both given, nothing can lie between them; without `until`, nothing was written since, which is an answer.
  if (text !== undefined && sinceSeq > until.seq)
    throw new CodedError(
      'INVALID_ARGUMENT',
      `since "${since}" begins after until "${text}", which is event ${until.seq} (${until.time})`,
      'Give a since that is not later than until.',
    );
  return { sinceSeq, until };
}

const NO_MARKS: Marks = { seqOf: () => undefined, names: [] };

/** Finding marks takes reading the whole log, so only where one is named. */
async function marksFor(
  texts: readonly (string | undefined)[],
  log: ReadableLog,
  nowMs: number,
): Promise<Marks> {
  const namesMark = (text: string) => parseMoment(text, { nowMs }).kind === 'mark';
  return texts.some(text => text !== undefined && namesMark(text)) ? readMarks(log) : NO_MARKS;
}

function resolveSince(text: string, context: MomentContext): number {
  const { log } = context;
  const { sinceSeq, sinceMs } = resolveBounds(text, undefined, context);
  const seq = sinceSeq ?? firstAtOrAfter(log, sinceMs!);
  return seq < 1 ? 1 : seq > log.head.seq ? log.head.seq + 1 : log.get(seq).txFirst;
}

/** Logical time never runs backwards, so it can be searched; the head's seq + 1 when every event is earlier. */
function firstAtOrAfter(log: ReadableLog, timeMs: number): number {
  let low = 1;
  let high = log.head.seq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (log.get(middle).logicalMs < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
