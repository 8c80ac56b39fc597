/** From a moment as people write it to the event of the log that it means. */
import type { Head, ReadableLog } from '../../wal/log.js';
import { readCommitted } from '../../wal/transactions.js';
import { CodedError } from '../domain/errors.js';
import type { ResolvedMoment } from '../domain/face.js';
import { type Moment, parseMoment } from '../domain/moment.js';
import { nearest } from '../domain/nearest.js';
import type { ErasedSpan } from '../projections/erased-spans.js';
import type { WrittenWithin } from '../projections/version-table.js';
import { eventOf, MARK_TYPE } from './event-codec.js';

/** The marks of a store, as the catalog keeps them. */
export interface Marks {
  /** The event that set the mark, or undefined. */
  seqOf(name: string): number | undefined;
  readonly names: readonly string[];
}

export interface MomentContext {
  readonly log: ReadableLog;
  readonly marks: Marks;
  /** The last event that counts. Default: the log's. */
  readonly head?: Head;
  readonly nowMs: number;
  /** IANA zone of times without an offset; null where none is known. Default: the machine's. */
  readonly zone?: string | null | undefined;
  /** The moments around one that cannot be told any more: see VersionTable. Default: nothing was erased. */
  readonly erasedSpanAt?: (seq: number) => ErasedSpan | undefined;
}

/**
 * The last event that a moment takes in. A seq inside a transaction means the transaction's last; a time the last transaction
 * at or before it, by logical time, which never runs backwards whatever the clock did; `before X` the transaction before.
 * @throws CodedError MOMENT_INVALID, MARK_NOT_FOUND, MOMENT_TOO_EARLY, MOMENT_TOO_LATE, MOMENT_BEYOND_HORIZON
 */
export function resolveMoment(text: string, context: MomentContext): ResolvedMoment {
  const { log, head = log.head } = context;
  const moment = parseMoment(text, { nowMs: context.nowMs, zone: context.zone });
  const seq = seqOf(text, moment, context);
  if (seq < 1) throw tooEarly(log, text);
  if (seq > head.seq) throw tooLate(head, text);
  const erased = context.erasedSpanAt?.(seq);
  if (erased !== undefined) throw beyondHorizon(log, `"${text}"`, seq, erased);
  return describeSeq(log, seq);
}

/** The answer to whoever asks for a moment of which something was erased. @param name of the moment, for people */
export function beyondHorizon(
  log: ReadableLog,
  name: string,
  seq: number,
  { untilSeq }: ErasedSpan,
): CodedError {
  const isWholeLater = untilSeq <= log.head.seq;
  const next = isWholeLater ? describeSeq(log, endOf(log, untilSeq)) : undefined;
  return new CodedError(
    'MOMENT_BEYOND_HORIZON',
    `${name} is event ${seq}, and of what was stored then some has been erased`,
    next === undefined
      ? 'Ask for another moment, or restore a backup of then.'
      : `Ask for event ${next.seq} (${next.time}) or later, for a mark, or restore a backup of then.`,
    { details: { seq, ...(next && { whole_from: next }) } },
  );
}

function seqOf(text: string, moment: Moment, { log, head = log.head, marks, nowMs }: MomentContext): number {
  const isExclusive = moment.exclusive === true;
  switch (moment.kind) {
    case 'now':
      return isExclusive ? startOf(log, head.seq) - 1 : head.seq;
    case 'time': {
      // Logical time may be ahead of the clock, after one that leapt forward and was set back.
      if (moment.timeMs > Math.max(nowMs, head.logicalMs)) throw tooLate(head, text);
      return lastAtOrBefore(log, head, isExclusive ? moment.timeMs - 1 : moment.timeMs);
    }
    default: {
      const seq = moment.kind === 'seq' ? moment.seq : markSeq(marks, moment.name);
      if (seq < 1 || seq > head.seq) return seq;
      return isExclusive ? startOf(log, seq) - 1 : endOf(log, seq);
    }
  }
}

function markSeq(marks: Marks, name: string): number {
  const seq = marks.seqOf(name);
  if (seq !== undefined) return seq;
  const near = nearest(name, marks.names);
  throw new CodedError(
    'MARK_NOT_FOUND',
    `there is no mark "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`,
    marks.names.length === 0
      ? 'No mark was ever set. Give a sequence number ("1042"), a time ("2026-03-01T14:30") or a relative time ("2 hours ago").'
      : `There are: ${marks.names.slice(-10).join(', ')}. Or give a sequence number, a time or a relative time ("2 hours ago").`,
  );
}

/**
 * Bounds on when something was written, both inclusive.
 * @throws CodedError MOMENT_INVALID (a `since` that is exclusive), MARK_NOT_FOUND
 */
export function resolveBounds(
  since: string | undefined,
  until: string | undefined,
  context: MomentContext,
): WrittenWithin {
  const { log, head = log.head, marks, nowMs, zone } = context;
  const bounds: { -readonly [N in keyof WrittenWithin]: WrittenWithin[N] } = {};
  if (since !== undefined) {
    const from = parseMoment(since, { nowMs, zone });
    if (from.exclusive)
      throw new CodedError(
        'MOMENT_INVALID',
        `since: "${since}" would be a bound that lies before itself`,
        'Leave out "before": since is inclusive.',
      );
    if (from.kind === 'time') bounds.sinceMs = from.timeMs;
    else if (from.kind === 'now') bounds.sinceMs = nowMs;
    else bounds.sinceSeq = from.kind === 'seq' ? from.seq : markSeq(marks, from.name);
  }
  if (until !== undefined) {
    const to = parseMoment(until, { nowMs, zone });
    if (to.kind === 'time') bounds.untilMs = to.exclusive ? to.timeMs - 1 : to.timeMs;
    else if (to.kind !== 'now' || to.exclusive)
      bounds.untilSeq = Math.min(seqOf(until, to, context), head.seq);
  }
  return bounds;
}

/** Events by number, first and last inclusive; none where the last is before the first. */
export interface SeqSpan {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The events that bounds take in, of those up to the head. */
export function spanOf(
  { sinceSeq, sinceMs, untilSeq, untilMs }: WrittenWithin,
  { log, head = log.head }: Pick<MomentContext, 'log' | 'head'>,
): SeqSpan {
  const firstSeq = sinceMs === undefined ? (sinceSeq ?? 1) : lastAtOrBefore(log, head, sinceMs - 1) + 1;
  const lastSeq = untilMs === undefined ? (untilSeq ?? head.seq) : lastAtOrBefore(log, head, untilMs);
  return { firstSeq: Math.max(1, firstSeq), lastSeq: Math.min(lastSeq, head.seq) };
}

export function describeSeq(log: ReadableLog, seq: number): ResolvedMoment {
  return { seq, time: new Date(log.get(seq).logicalMs).toISOString() };
}

/** Reads a log through for its marks, where no catalog is at hand. */
export async function readMarks(log: ReadableLog): Promise<Marks> {
  const found = new Map<string, number>();
  for await (const records of readCommitted(log, 1, log.head.seq))
    for (const record of records) {
      // Only a mark's payload is decoded: of a large log that is almost nothing.
      const event = record.type === MARK_TYPE ? eventOf(record) : undefined;
      if (event?.type === 'mark_set') found.set(event.name, record.seq);
    }
  return { seqOf: name => found.get(name), names: [...found.keys()] };
}

/** Logical time never runs backwards, so it can be searched; 0 when even the first event is later. */
export function lastAtOrBefore(log: ReadableLog, head: Head, timeMs: number): number {
  if (timeMs >= head.logicalMs) return head.seq;
  let low = 0;
  let high = head.seq;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (log.get(middle).logicalMs <= timeMs) low = middle;
    else high = middle - 1;
  }
  return low;
}

const startOf = (log: ReadableLog, seq: number): number => log.get(seq).txFirst;

/** The last event of the transaction that `seq` belongs to, found by strides that double: it may be a million events long. */
export function endOf(log: ReadableLog, seq: number): number {
  const record = log.get(seq);
  if (record.last) return seq;
  const isInside = (at: number) => at <= log.head.seq && log.get(at).txFirst === record.txFirst;
  let inside = seq;
  let stride = 1;
  while (isInside(inside + stride)) {
    inside += stride;
    stride *= 2;
  }
  // The end is in [inside, inside + stride).
  for (; stride > 0; stride = Math.floor(stride / 2)) if (isInside(inside + stride)) inside += stride;
  return inside;
}

function tooEarly(log: ReadableLog, text: string): CodedError {
  const first = describeSeq(log, 1);
  return new CodedError(
    'MOMENT_TOO_EARLY',
    `"${text}" is before the first event`,
    `The log begins with event 1 (${first.time}).`,
    { details: { first } },
  );
}

function tooLate({ seq, logicalMs }: Head, text: string): CodedError {
  const head = { seq, time: new Date(logicalMs).toISOString() };
  return new CodedError(
    'MOMENT_TOO_LATE',
    `"${text}" is beyond the last event and beyond now`,
    `The log ends with event ${head.seq} (${head.time}); "now" means that.`,
    { details: { head } },
  );
}
