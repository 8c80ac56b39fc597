import { isOwnType, type LogRecord } from '../../wal/record.js';
import { checkEvent, decodeResidue } from './event-codec.js';

/**
 * Whether the event of an intact record can be read. A module of its own, since the threads of verify load it.
 * @throws CodedError EVENT_UNKNOWN, EVENT_MALFORMED
 */
export function checkRecord({ type, body, residue, seq }: LogRecord): void {
  if (isOwnType(type)) return;
  if (body !== undefined) checkEvent(type, body, seq);
  else if (residue !== undefined) decodeResidue(type, residue, seq);
}
