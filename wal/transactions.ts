import { DAMAGE_WAY_OUT, WalError } from './errors.js';
import type { ReadableLog } from './log.js';
import { isLost } from './lost.js';
import { type HeaderFields, type LogRecord, RecordType } from './record.js';

/**
 * Groups a log's records into what counts: transactions that are whole. Records of a transaction of several batches that was
 * aborted are left out, and of one whose end is lost; whether it was is found by looking ahead to its end, so memory stays bounded by one piece. Of the one that is
 * asked for last the end is known.
 * @param from first seq, which must begin a transaction
 * @param to last seq; the transaction that it falls into is given whole
 * @returns pieces in order: each holds records of one or more committed transactions; a long transaction may span pieces
 */
export async function* readCommitted(
  log: ReadableLog,
  from: number,
  to: number,
): AsyncGenerator<LogRecord[]> {
  let skipUntil = 0;
  let committedUntil = 0;
  const lastSeq = Math.min(to, log.head.seq);
  if (from > lastSeq) return;
  const end = await endOf(log, log.get(lastSeq));
  for await (const piece of log.read({ from, to: end.seq })) {
    const kept: LogRecord[] = [];
    for (const record of piece) {
      // That something is lost must be told, wherever it was.
      if (isLost(record)) {
        kept.push(record);
        continue;
      }
      if (record.seq <= skipUntil) continue;
      if (record.long && record.seq > committedUntil) {
        const { type, seq } = record.txFirst === end.txFirst ? end : await endOf(log, record);
        if (type === RecordType.commit) committedUntil = seq;
        else {
          skipUntil = seq;
          continue;
        }
      }
      kept.push(record);
    }
    if (kept.length > 0) yield kept;
  }
}

/** The last record of the transaction that `record` belongs to. Recovery has made sure that there is one. */
async function endOf(log: ReadableLog, record: LogRecord): Promise<LogRecord> {
  if (record.last) return record;
  for await (const piece of log.read({ from: record.seq })) {
    const end = piece.find(candidate => candidate.last);
    if (end) return end;
  }
  throw new WalError(
    'WAL_CHAIN_BROKEN',
    `the transaction that begins at record ${record.txFirst} has no end`,
    DAMAGE_WAY_OUT,
    { details: { seq: record.txFirst } },
  );
}

/** What voids a transaction of several batches that a crash has left without its end. @param last its last record that is there */
export function abortAfter(
  last: Pick<LogRecord, 'seq' | 'hash' | 'logicalMs' | 'txFirst' | 'txIndex'>,
  nowMs: number,
): HeaderFields & { readonly body: Uint8Array } {
  return {
    type: RecordType.abort,
    seq: last.seq + 1,
    wallMs: nowMs,
    logicalMs: Math.max(nowMs, last.logicalMs),
    txFirst: last.txFirst,
    txIndex: last.txIndex + 1,
    last: true,
    long: true,
    actor: 0,
    prevHash: last.hash,
    body: new Uint8Array(0),
  };
}
