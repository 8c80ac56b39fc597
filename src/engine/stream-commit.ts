import type { Appended, Log, NewEvent } from '../../wal/log.js';
import type { Actor, DomainEvent } from '../domain/model.js';
import { eventToAppend } from './event-codec.js';

/**
 * Events that are written as one ordinary transaction; more than these go to the log in parts of as many. Encoding a part, or applying
 * it, takes a few ms of the event loop.
 */
const PART_EVENTS = 256;
const PART_BYTES = 8 * 1024 * 1024;
/** Parts that may be on their way to the disk: the log writes all that wait in one batch, so a slow fsync is shared by as many. */
const PARTS_IN_FLIGHT = 8;

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
 * Writes the parts as one transaction, with a turn of the event loop after each: memory holds PARTS_IN_FLIGHT of them.
 * @param actor `known` is the event that declared them; 0 where the transaction is to begin with that
 * @param onPart told how many events are on the disk; what it throws makes the transaction void
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
  const inFlight: { readonly durable: Promise<void>; readonly events: number }[] = [];
  const write = (part: readonly DomainEvent[]) => {
    const durable = transaction.append(part.map(event => eventToAppend(event, actorSeq)));
    // Awaited in turn; where an earlier one fails, this one has nobody who waits for it.
    durable.catch(() => undefined);
    inFlight.push({ durable, events: part.length });
  };
  let written = 0;
  const settleFirst = async () => {
    const { durable, events } = inFlight.shift()!;
    await durable;
    written += events;
    onPart(written);
  };
  try {
    if (actor.known === 0) await transaction.append([declared(actor.declared, actorSeq)]);
    for (const part of parts) {
      write(part);
      await new Promise(resolve => setImmediate(resolve));
      if (inFlight.length === PARTS_IN_FLIGHT) await settleFirst();
    }
    while (inFlight.length > 0) await settleFirst();
    return await transaction.commit();
  } catch (error) {
    // Where the log itself failed, its reopening makes the transaction void.
    if (log.failure === undefined) await transaction.abort();
    throw error;
  }
}

const declared = (actor: Actor, actorSeq: number): NewEvent =>
  eventToAppend({ type: 'actor_declared', ...actor }, actorSeq);
