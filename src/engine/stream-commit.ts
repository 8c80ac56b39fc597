import type { Appended, Log } from '../../wal/log.js';
import type { Actor, DomainEvent } from '../domain/model.js';
import { eventToAppend } from './event-codec.js';

/** Events that are written as one ordinary transaction; more than these go to the log in parts of as many. */
const PART_EVENTS = 4096;
const PART_BYTES = 8 * 1024 * 1024;

/** Cuts events into the parts in which they are written. */
export function* partsOf(events: Iterable<DomainEvent>): Generator<DomainEvent[]> {
  let part: DomainEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    part.push(event);
    bytes += event.type === 'vectors_added' ? event.vectors.byteLength : 0;
    if (part.length < PART_EVENTS && bytes < PART_BYTES) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}

export function* chain<T>(first: Iterable<T>, rest: Iterable<T>): Generator<T> {
  yield* first;
  yield* rest;
}

/**
 * Writes the parts as one transaction, one after the other: memory holds one of them.
 * @param actor `known` is the event that declared them; 0 where the transaction is to begin with that
 * @param onPart told how many events are written; what it throws makes the transaction void
 * @throws WalError as OpenTransaction does, and what the parts throw: nothing counts then
 */
export async function commitInParts(
  log: Log,
  actor: { readonly known: number; readonly declared: Actor },
  parts: Iterable<readonly DomainEvent[]>,
  onPart: (events: number) => void,
): Promise<Appended> {
  const transaction = log.begin();
  const actorSeq = actor.known === 0 ? transaction.firstSeq : actor.known;
  const write = (part: readonly DomainEvent[]) =>
    transaction.append(part.map(event => eventToAppend(event, actorSeq)));
  try {
    if (actor.known === 0) await write([{ type: 'actor_declared', ...actor.declared }]);
    let written = 0;
    for (const part of parts) {
      await write(part);
      written += part.length;
      onPart(written);
    }
    return await transaction.commit();
  } catch (error) {
    // Where the log itself failed, its reopening makes the transaction void.
    if (log.failure === undefined) await transaction.abort();
    throw error;
  }
}
