import type { Log } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type { ResolvedMoment } from '../domain/face.js';
import { parseMoment } from '../domain/moment.js';

/**
 * The point of the log that a moment means: the last event of a transaction. A seq inside a transaction means its last; a
 * time means the last transaction at or before it.
 * @throws CodedError MOMENT_INVALID, MOMENT_OUT_OF_RANGE (before the first event, or beyond the head)
 */
export function resolveMoment(log: Log, text: string, nowMs: number, zone?: string): ResolvedMoment {
  const moment = parseMoment(text, { nowMs, zone });
  if (moment.kind === 'mark')
    throw new CodedError(
      'MOMENT_INVALID',
      `there is no mark "${moment.name}"`,
      'Give a sequence number ("1042"), a time ("2026-03-01T14:30") or a relative time ("2 hours ago").',
    );
  const seq = moment.kind === 'seq' ? moment.seq : lastAtOrBefore(log, moment.timeMs);
  if (seq < 1 || seq > log.head.seq) throw outOfRange(log, text, seq);
  return describeSeq(log, endOfTransaction(log, seq));
}

export function describeSeq(log: Log, seq: number): ResolvedMoment {
  return { seq, time: new Date(log.get(seq).logicalMs).toISOString() };
}

/** Logical time never runs backwards, so it can be searched; 0 when even the first event is later. */
function lastAtOrBefore(log: Log, timeMs: number): number {
  let low = 0;
  let high = log.head.seq;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (log.get(middle).logicalMs <= timeMs) low = middle;
    else high = middle - 1;
  }
  return low;
}

function endOfTransaction(log: Log, seq: number): number {
  let end = seq;
  while (!log.get(end).last) end += 1;
  return end;
}

function outOfRange(log: Log, text: string, seq: number): CodedError {
  const first = describeSeq(log, 1);
  const head = describeSeq(log, log.head.seq);
  return new CodedError(
    'MOMENT_OUT_OF_RANGE',
    seq < 1 ? `"${text}" is before the first event` : `"${text}" is beyond the last event`,
    `The log reaches from 1 (${first.time}) to ${head.seq} (${head.time}).`,
    { details: { first, head } },
  );
}
