import type { Log } from './log.js';
import { type LogRecord, RecordType } from './record.js';

/**
 * Groups a log's records into what counts: transactions that are whole. Records of a transaction of several batches that was
 * aborted are left out; whether it was is found by looking ahead to its end, so memory stays bounded by one piece.
 * @param from first seq, which must begin a transaction
 * @param to last seq; the transaction that it falls into is given whole
 * @returns pieces in order: each holds records of one or more committed transactions; a long transaction may span pieces
 */
export async function* readCommitted(log: Log, from: number, to: number): AsyncGenerator<LogRecord[]> {
  let skipUntil = 0;
  let committedUntil = 0;
  for await (const piece of log.read({ from, to })) {
    const kept: LogRecord[] = [];
    for (const record of piece) {
      if (record.seq <= skipUntil) continue;
      if (record.long && record.seq > committedUntil) {
        const end = await endOfLong(log, record);
        if (end.type === RecordType.commit) committedUntil = end.seq;
        else {
          skipUntil = end.seq;
          continue;
        }
      }
      kept.push(record);
    }
    if (kept.length > 0) yield kept;
  }
}

/** The commit or abort record that ends a transaction of several batches. Recovery has made sure that there is one. */
async function endOfLong(log: Log, record: LogRecord): Promise<LogRecord> {
  for await (const piece of log.read({ from: record.seq })) {
    const end = piece.find(candidate => candidate.last);
    if (end) return end;
  }
  throw new Error(`transaction ${record.txFirst} has no end`);
}
