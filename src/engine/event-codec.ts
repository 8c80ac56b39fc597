/**
 * Domain events as bodies of log records: docs/events.md is the contract. A body is
 *
 *   u32 n · n bytes of UTF-8 JSON (padded with spaces so that 4 + n is a multiple of 4) · vectors, f32 little-endian
 *
 * What is left of one that was erased, its residue, is JSON alone: why, and the fields that the catalog needs.
 *
 * Type numbers never change meaning; a retired one keeps its comment.
 */
import { endianness } from 'node:os';
import { isOwnType, type LogRecord } from '../../wal/record.js';
import { CodedError } from '../domain/errors.js';
import type { DomainEvent, Erased, ItemPut, PassageRange, VectorsAdded } from '../domain/model.js';
import { assertFields } from './event-fields.js';

const TYPES: Record<DomainEvent['type'], number> = {
  actor_declared: 16,
  collection_created: 17,
  // 18 collection changed (dropped, renamed): reserved.
  space_switched: 19,
  space_begun: 20,
  space_abandoned: 21,
  item_put: 32,
  item_deleted: 33,
  item_restored: 34,
  vectors_added: 35,
  mark_set: 48,
  history_erased: 49,
  item_redacted: 50,
  erasure_finished: 51,
};
const NAMES = new Map(Object.entries(TYPES).map(([name, number]) => [number, name as DomainEvent['type']]));
const MAY_SKIP = 0x8000;
/** For readers that look for marks alone. */
export const MARK_TYPE = TYPES.mark_set;

/** Whether an event of this type gives up contents that earlier ones hold. */
export const givesUpContents = (type: number): boolean =>
  type === TYPES.history_erased || type === TYPES.item_redacted;

if (endianness() !== 'LE') throw new Error('vectors are stored little-endian; this machine is big-endian');

const decoder = new TextDecoder('utf-8', { fatal: true });
const NO_VECTORS = new Float32Array(0);

/** The two events whose body ends in vectors. */
const hasVectors = (type: DomainEvent['type']): boolean => type === 'item_put' || type === 'vectors_added';

export interface AppendedEvent {
  readonly type: number;
  readonly body: EventBody;
  readonly actor: number;
}

/**
 * An event as the log takes it: its body is written where the log wants it, and nowhere before. Until then the event must not change.
 * @param actor the event that declared who writes; 0 for none
 */
export function eventToAppend(event: DomainEvent, actor: number): AppendedEvent {
  return { type: TYPES[event.type], body: new EventBody(jsonOf(event), vectorsOf(event)), actor };
}

/** An event as type number and bytes. */
export function encodeEvent(event: DomainEvent): { type: number; body: Uint8Array } {
  const { type, body } = eventToAppend(event, 0);
  const bytes = Buffer.allocUnsafe(body.length);
  body.writeTo(bytes, 0);
  return { type, body: bytes };
}

function jsonOf(event: DomainEvent): string {
  if (event.type === 'item_put') {
    // Most events by far, and in bulk: to leave out two fields by name takes several times as long.
    const { collection, id, text, metadata, origin, space, passages } = event;
    return JSON.stringify({ collection, id, text, metadata, origin, space, passages });
  }
  const { type, vectors, ...rest } = event as DomainEvent & { readonly vectors?: Float32Array };
  return JSON.stringify(rest);
}

const vectorsOf = (event: DomainEvent): Float32Array =>
  event.type === 'item_put' || event.type === 'vectors_added' ? event.vectors : NO_VECTORS;

class EventBody {
  /** Bytes in all. */
  readonly length: number;
  private readonly jsonBytes: number;
  /** With the spaces behind it. */
  private readonly paddedBytes: number;

  constructor(
    private readonly json: string,
    private readonly vectors: Float32Array,
  ) {
    this.jsonBytes = Buffer.byteLength(json);
    this.paddedBytes = Math.ceil(this.jsonBytes / 4) * 4;
    this.length = 4 + this.paddedBytes + vectors.byteLength;
  }

  writeTo(bytes: Buffer, offset: number): void {
    const { json, jsonBytes, paddedBytes, vectors } = this;
    bytes.writeUInt32LE(paddedBytes, offset);
    bytes.write(json, offset + 4, 'utf8');
    for (let at = offset + 4 + jsonBytes; at < offset + 4 + paddedBytes; at++) bytes[at] = 0x20;
    bytes.set(
      new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength),
      offset + 4 + paddedBytes,
    );
  }
}

/** The event's name by its type number; undefined for one that this version does not know. */
export function nameOfType(type: number): DomainEvent['type'] | undefined {
  return NAMES.get(type & ~MAY_SKIP);
}

/**
 * @param seq for error messages
 * @returns undefined for an event that this version does not know and may skip
 * @throws CodedError EVENT_UNKNOWN (must be understood, and is not), EVENT_MALFORMED
 */
export function decodeEvent(type: number, body: Uint8Array, seq: number): DomainEvent | undefined {
  return decodeWith(floats, type, body, seq);
}

/** An event without its vectors. */
export type CheckedEvent = DomainEvent extends infer E
  ? E extends DomainEvent
    ? Omit<E, 'vectors'>
    : never
  : never;

/** Decodes an event but for its vectors, for whoever wants to know whether it can be read. @returns and throws as decodeEvent */
export function checkEvent(type: number, body: Uint8Array, seq: number): CheckedEvent | undefined {
  return decodeWith(assertFloats, type, body, seq);
}

function decodeWith(
  vectorsOf: (bytes: Uint8Array) => Float32Array | undefined,
  type: number,
  body: Uint8Array,
  seq: number,
): DomainEvent | undefined {
  const name = nameOfType(type);
  if (name === undefined) {
    if ((type & MAY_SKIP) !== 0) return undefined;
    throw new CodedError(
      'EVENT_UNKNOWN',
      `event ${seq} has type ${type}, which this version does not know and may not skip`,
      'Open the store with the program version that wrote it, or a later one.',
      { details: { seq, type } },
    );
  }
  try {
    const vectorsAt = endOfJson(body);
    // Completed in place: copying an event by spread costs more than parsing it, and searches decode many.
    const event = JSON.parse(decoder.decode(body.subarray(4, vectorsAt)));
    assertFields(name, event);
    event.type = name;
    if (hasVectors(name)) event.vectors = vectorsOf(body.subarray(vectorsAt));
    return event;
  } catch (error) {
    throw malformed(seq, error);
  }
}

/**
 * The vectors of an item_put or vectors_added alone, without reading the rest of it.
 * @returns undefined for any other event
 * @throws CodedError EVENT_MALFORMED
 */
export function decodeVectors(type: number, body: Uint8Array, seq: number): Float32Array | undefined {
  const name = NAMES.get(type & ~MAY_SKIP);
  if (name === undefined || !hasVectors(name)) return undefined;
  try {
    return floats(body.subarray(endOfJson(body)));
  } catch (error) {
    throw malformed(seq, error);
  }
}

/** Fields of the two events whose content can be erased, without the content. `passages` is their number. */
interface Residue {
  readonly why: Erased;
  readonly collection: number;
  readonly id: string;
  readonly passages: number;
  /** Of an item_put. */
  readonly origin?: ItemPut['origin'];
  /** Of a vectors_added. */
  readonly version?: number;
  readonly space?: string;
}

/** What is left of an event in the log when its content is erased. */
export function encodeResidue(event: ItemPut | VectorsAdded, why: Erased): Uint8Array {
  const { collection, id, passages } = event;
  const residue: Residue = {
    why,
    collection,
    id,
    passages: passages.length,
    ...(event.type === 'item_put'
      ? { origin: event.origin }
      : { version: event.version, space: event.space }),
  };
  return Buffer.from(JSON.stringify(residue));
}

/**
 * The event that an erased record was, without its content; undefined for one that left nothing.
 * @throws CodedError EVENT_MALFORMED
 */
export function decodeResidue(
  type: number,
  residue: Uint8Array,
  seq: number,
): ItemPut | VectorsAdded | undefined {
  if (residue.length === 0) return undefined;
  const name = nameOfType(type);
  try {
    const { why, passages, ...fields } = JSON.parse(decoder.decode(residue)) as Residue;
    const content = {
      passages: Array<PassageRange>(passages).fill([0, 0]),
      vectors: NO_VECTORS,
      erased: why,
    };
    if (name === 'item_put')
      return { type: name, text: '', metadata: {}, space: '', ...content, ...fields } as ItemPut;
    if (name === 'vectors_added') return { type: name, ...content, ...fields } as VectorsAdded;
    throw new TypeError(`an event ${name ?? type} has no content to erase`);
  } catch (error) {
    throw malformed(seq, error);
  }
}

function endOfJson(body: Uint8Array): number {
  const jsonBytes = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0, true);
  if (4 + jsonBytes > body.length)
    throw new RangeError(`JSON of ${jsonBytes} bytes in a body of ${body.length}`);
  return 4 + jsonBytes;
}

/** A view of the bytes, or a copy where they do not happen to be aligned for f32. */
function floats(bytes: Uint8Array): Float32Array {
  assertFloats(bytes);
  return bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    : new Float32Array(new Uint8Array(bytes).buffer);
}

function assertFloats(bytes: Uint8Array): undefined {
  if (bytes.length % 4 !== 0) throw new RangeError(`${bytes.length} bytes are no f32 vectors`);
}

function malformed(seq: number, cause: unknown): CodedError {
  return new CodedError(
    'EVENT_MALFORMED',
    `event ${seq} is intact but cannot be read: ${(cause as Error).message}`,
    'It was written by a faulty program version; report it with the version that wrote it.',
    { cause, details: { seq } },
  );
}

/** The domain event of a record, without its content where that was erased; undefined for the log's own records and what may be skipped. */
export function eventOf({ type, body, residue, seq }: LogRecord): DomainEvent | undefined {
  if (isOwnType(type)) return undefined;
  return body === undefined ? residue && decodeResidue(type, residue, seq) : decodeEvent(type, body, seq);
}
