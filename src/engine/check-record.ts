import { isOwnType, type LogRecord } from '../../wal/record.js';
import type { RecordSummary } from '../../wal/verify-lanes.js';
import { checkEvent, decodeResidue } from './event-codec.js';
import { LogDigest } from './version-digest.js';

/**
 * Whether the event of an intact record can be read. A module of its own, since the threads of verify load it.
 * @returns the event without its vectors, of an erased one what is left; undefined for the log's own records, and what may be skipped
 * @throws CodedError EVENT_UNKNOWN, EVENT_MALFORMED
 */
export function checkRecord({ type, body, residue, seq }: LogRecord): ReturnType<typeof checkEvent> {
  if (isOwnType(type)) return undefined;
  return body === undefined ? residue && decodeResidue(type, residue, seq) : checkEvent(type, body, seq);
}

/** @param throughSeq the event through which the digest is asked for */
export const beginSummary = (throughSeq: unknown): RecordSummary => new LogDigest(throughSeq as number);
