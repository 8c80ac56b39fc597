/**
 * The record: the only thing that stands in the log's LevelDB, one per value. wal/FORMAT.md has the byte table, a worked
 * example and what each kind of damage looks like; this file is its codec. All integers are little-endian.
 *
 *   off size
 *    0   1   format version (1)
 *    1   1   form: 1 whole, 2 erased, 3 lost   not under the record hash (taken as 0): erasing must not break the chain
 *    2   2   event type; bit 15: a reader that does not know it may skip it
 *    4   4   payload length, bytes, nonce included
 *    8   8   seq, equal to the key
 *   16   8   wall time, ms since the epoch
 *   24   8   logical time, ms since the epoch
 *   32   8   transaction: seq of its first record
 *   40   4   transaction: index of this record in it
 *   44   2   flags: bit 0 last of its transaction, bit 1 member of a transaction of several batches
 *   46   2   zero
 *   48   8   actor: seq of the record that declared it, 0 for none
 *   56   8   payload hash, xxh64
 *   64   8   hash of the previous record, 0 for the first
 *   72   8   record hash: xxh64 of bytes 0..71
 *   80   n   payload: 8 random bytes (nonce), then the body; of an erased record a proof that it is one, and what is still told
 */
import { randomFillSync } from 'node:crypto';
import { DAMAGE_WAY_OUT, WalError } from './errors.js';
import { hashHex, xxh64 } from './hash.js';

export const FORMAT_VERSION = 1;
export const HEADER_BYTES = 80;
export const NONCE_BYTES = 8;
/** A record never exceeds this; a length beyond it is damage, not a reason to allocate. */
export const MAX_PAYLOAD_BYTES = 64 * 1024 * 1024;
/** What an erased record may still tell. */
export const MAX_RESIDUE_BYTES = 4096;
/** Types below this belong to the log itself; the rest are the caller's. */
export const FIRST_CALLER_TYPE = 16;
/** Set in a type that a reader may skip when it does not know it. */
export const MAY_SKIP = 0x8000;

/** The log's own record types. Numbers on disk never change meaning; a retired one keeps its comment. */
export const RecordType = {
  /** Stands for a record that is lost: see lost.ts. In form 3 alone, and form 3 has no other. */
  lost: 0,
  /** Seq 1: the store's identity. */
  genesis: 1,
  /** The store continues another's records under an id of its own. */
  fork: 2,
  /** The log was cut after the record before this one; a new epoch begins. */
  epoch: 3,
  /** Ends a transaction of several batches: it counts. */
  commit: 4,
  /** Ends one that never got its commit: it is void. */
  abort: 5,
  /** The log was repaired: which records are lost, and which were put back from where. */
  repair: 6,
  // 7: was reserved for erasure, which the caller's events tell of; free.
} as const;

const OWN_TYPES: ReadonlySet<number> = new Set(Object.values(RecordType));

/** Whether a record is one of the log's own, which mean nothing to a reader of events. An own type of a later version is not. */
export const isOwnType = (type: number): boolean => OWN_TYPES.has(type);

const FORM_WHOLE = 1;
const FORM_ERASED = 2;
const FORM_LOST = 3;
const FLAG_LAST = 1;
const FLAG_LONG = 2;

export interface LogRecord {
  readonly type: number;
  readonly seq: number;
  readonly wallMs: number;
  readonly logicalMs: number;
  readonly txFirst: number;
  readonly txIndex: number;
  readonly last: boolean;
  /** Member of a transaction of several batches: it counts only if a commit record follows. */
  readonly long: boolean;
  readonly actor: number;
  readonly prevHash: bigint;
  /** What the next record names; of a lost one the hash that it had, 0 where nobody knows it. */
  readonly hash: bigint;
  /** The payload without its nonce; undefined once erased or lost. */
  readonly body: Uint8Array | undefined;
  /** Of an erased record: what whoever erased it left in place of the body; empty where nothing was. */
  readonly residue?: Uint8Array | undefined;
  /** Bytes of the record as stored. */
  readonly sizeBytes: number;
}

/** What a record says besides its body. */
export type HeaderFields = Omit<LogRecord, 'hash' | 'body' | 'residue' | 'sizeBytes'>;
export type RecordFields = HeaderFields & { readonly body: Uint8Array };

/** The body of a record to be written: bytes, or what writes them at the place where they are needed. */
export type Body = Uint8Array | { readonly length: number; writeTo(bytes: Buffer, offset: number): void };

/** A sequence number as LevelDB's key: 8 bytes big-endian, so that byte order is numeric order. */
export function encodeKey(seq: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(Math.floor(seq / 2 ** 32), 0);
  key.writeUInt32BE(seq >>> 0, 4);
  return key;
}

/** @throws WalError WAL_BAD_RECORD for a key that is no sequence number */
export function decodeKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  if (key.length === 8) {
    const seq = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
    if (seq >= 1 && seq <= Number.MAX_SAFE_INTEGER) return seq;
  }
  throw new WalError(
    'WAL_BAD_RECORD',
    `the log holds a key that is no sequence number: ${Buffer.from(key).toString('hex')}`,
    DAMAGE_WAY_OUT,
  );
}

// Node's crypto costs about a microsecond a call; nonces are cut from a refilled pool instead.
const noncePool = Buffer.alloc(NONCE_BYTES * 512);
let nonceAt = noncePool.length;

function writeNonce(into: Buffer, offset: number): void {
  if (nonceAt === noncePool.length) {
    randomFillSync(noncePool);
    nonceAt = 0;
  }
  noncePool.copy(into, offset, nonceAt, nonceAt + NONCE_BYTES);
  noncePool.fill(0, nonceAt, nonceAt + NONCE_BYTES);
  nonceAt += NONCE_BYTES;
}

function writeU64(into: DataView, offset: number, value: number): void {
  into.setUint32(offset, value >>> 0, true);
  into.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

const readU64 = (from: DataView, offset: number): number =>
  from.getUint32(offset + 4, true) * 2 ** 32 + from.getUint32(offset, true);

/**
 * Encodes a record and computes its hash.
 * @param nonce for tests and worked examples only; random by default
 * @throws WalError WAL_TOO_LARGE
 */
export function encodeRecord(fields: RecordFields, nonce?: Uint8Array): { bytes: Buffer; hash: bigint } {
  const bytes = new RecordBytes(recordBytes(fields.body.length));
  const hash = bytes.encode(0, fields, fields.body, nonce);
  return { bytes: bytes.buffer, hash };
}

/** Bytes of a record with a body of so many. @throws WalError WAL_TOO_LARGE */
export function recordBytes(bodyBytes: number): number {
  const payloadBytes = NONCE_BYTES + bodyBytes;
  if (payloadBytes > MAX_PAYLOAD_BYTES)
    throw new WalError(
      'WAL_TOO_LARGE',
      `an event of ${payloadBytes} bytes exceeds ${MAX_PAYLOAD_BYTES}`,
      'Split it into smaller ones.',
    );
  return HEADER_BYTES + payloadBytes;
}

/** Room for records: one piece of memory, into which bodies are written only once. */
export class RecordBytes {
  readonly buffer: Buffer;
  private readonly view: DataView;

  constructor(sizeBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(sizeBytes);
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, sizeBytes);
  }

  /**
   * Encodes a record at an offset, where there is room for recordBytes(body), and computes its hash.
   * @param nonce random by default; of a lost record the hash that it had
   */
  encode(offset: number, fields: HeaderFields, body: Body, nonce?: Uint8Array): bigint {
    const { buffer, view } = this;
    const payloadBytes = NONCE_BYTES + body.length;
    const payloadAt = offset + HEADER_BYTES;
    if (nonce) buffer.set(nonce, payloadAt);
    else writeNonce(buffer, payloadAt);
    if (body instanceof Uint8Array) buffer.set(body, payloadAt + NONCE_BYTES);
    else body.writeTo(buffer, payloadAt + NONCE_BYTES);
    view.setUint8(offset, FORMAT_VERSION);
    view.setUint8(offset + 1, 0);
    view.setUint16(offset + 2, fields.type, true);
    view.setUint32(offset + 4, payloadBytes, true);
    writeU64(view, offset + 8, fields.seq);
    writeU64(view, offset + 16, fields.wallMs);
    writeU64(view, offset + 24, fields.logicalMs);
    writeU64(view, offset + 32, fields.txFirst);
    view.setUint32(offset + 40, fields.txIndex, true);
    view.setUint16(offset + 44, (fields.last ? FLAG_LAST : 0) | (fields.long ? FLAG_LONG : 0), true);
    view.setUint16(offset + 46, 0, true);
    writeU64(view, offset + 48, fields.actor);
    view.setBigUint64(offset + 56, xxh64(buffer.subarray(payloadAt, payloadAt + payloadBytes)), true);
    view.setBigUint64(offset + 64, fields.prevHash, true);
    const hash = xxh64(buffer.subarray(offset, offset + 72));
    view.setBigUint64(offset + 72, hash, true);
    view.setUint8(offset + 1, fields.type === RecordType.lost ? FORM_LOST : FORM_WHOLE);
    return hash;
  }
}

const headerScratch = new Uint8Array(72);

/** Whether the first 80 bytes are a header that matches its hash, of whatever version and form. */
export function isHeader(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false;
  headerScratch.set(bytes.subarray(0, 72));
  headerScratch[1] = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return xxh64(headerScratch) === view.getBigUint64(72, true);
}

/** What a header says; its body is not read. @param bytes at least those 80, checked by isHeader; `sizeBytes` is that of the whole record, but for the residue of an erased one */
export function readHeader(bytes: Uint8Array): { -readonly [Field in keyof LogRecord]: LogRecord[Field] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(44, true);
  return {
    type: view.getUint16(2, true),
    seq: readU64(view, 8),
    wallMs: readU64(view, 16),
    logicalMs: readU64(view, 24),
    txFirst: readU64(view, 32),
    txIndex: view.getUint32(40, true),
    last: (flags & FLAG_LAST) !== 0,
    long: (flags & FLAG_LONG) !== 0,
    actor: readU64(view, 48),
    prevHash: view.getBigUint64(64, true),
    hash: view.getBigUint64(72, true),
    body: undefined,
    sizeBytes: HEADER_BYTES + (bytes[1] === FORM_WHOLE ? view.getUint32(4, true) : NONCE_BYTES),
  };
}

/**
 * Decodes and checks a stored value: version, form, lengths, record hash, payload hash, and that it stands under its own
 * key. The chain (prevHash against the record before) is the caller's to check.
 * @param value the bytes as LevelDB gave them; `body` is a view into them
 * @param seq the key it was found under
 * @throws WalError WAL_BAD_RECORD, WAL_NEWER_FORMAT or WAL_OLDER_FORMAT for a sound record of another version
 */
export function decodeRecord(value: Uint8Array, seq: number): LogRecord {
  const bad = (what: string) =>
    new WalError('WAL_BAD_RECORD', `record ${seq}: ${what}`, DAMAGE_WAY_OUT, { details: { seq } });
  if (value.length < HEADER_BYTES) throw bad(`${value.length} bytes are no record`);
  if (!isHeader(value)) throw bad('its header does not match its hash');
  if (value[0] !== FORMAT_VERSION) throw otherFormat(seq, value[0]!);
  const record = readHeader(value);
  if (record.seq !== seq) throw bad(`it says it is record ${record.seq}`);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const payloadLength = view.getUint32(4, true);
  if (payloadLength < NONCE_BYTES || payloadLength > MAX_PAYLOAD_BYTES)
    throw bad(`payload length ${payloadLength} is out of bounds`);
  const form = value[1]!;
  if (form < FORM_WHOLE || form > FORM_LOST) throw bad(`form ${form} is unknown`);
  if ((form === FORM_LOST) !== (record.type === RecordType.lost))
    throw bad(`form ${form} does not go with type ${record.type}`);
  record.sizeBytes = value.length;
  if (form === FORM_ERASED) record.residue = residueOf(value, record.hash, bad);
  else {
    if (value.length !== HEADER_BYTES + payloadLength)
      throw bad(`${value.length - HEADER_BYTES} payload bytes where ${payloadLength} belong`);
    const payload = value.subarray(HEADER_BYTES);
    if (xxh64(payload) !== view.getBigUint64(56, true)) throw bad('its payload does not match its hash');
    if (form === FORM_WHOLE) record.body = payload.subarray(NONCE_BYTES);
    else record.hash = view.getBigUint64(HEADER_BYTES, true);
  }
  return record;
}

/** The refusal of a sound record of a format version that this program does not read. */
export const otherFormat = (seq: number, version: number): WalError =>
  new WalError(
    version < FORMAT_VERSION ? 'WAL_OLDER_FORMAT' : 'WAL_NEWER_FORMAT',
    `record ${seq} has format version ${version}; this program reads version ${FORMAT_VERSION}`,
    version < FORMAT_VERSION
      ? 'Bring the store to the present format: `mcp-vector-server migrate`.'
      : 'Open the store with the program version that wrote it, or a later one.',
    { details: { seq } },
  );

const STUB_BYTES = HEADER_BYTES + 8;

/** A stub is the 80 header bytes, xxh64(`erased` + record hash + residue), and the residue: one flipped bit in `form` cannot make one. */
function stubHash(hash: bigint, residue: Uint8Array): bigint {
  return xxh64(Buffer.concat([Buffer.from(`erased${hashHex(hash)}`), residue]));
}

/**
 * How long the stub is that begins `bytes`: nothing in it says so, and what comes after it is not known. Every length is tried
 * against its hash, some 0.1 ms for a residue of 300 bytes.
 * @returns undefined where none is right: it is damaged, or cut off
 */
export function findStubBytes(bytes: Uint8Array): number | undefined {
  if (bytes[1] !== FORM_ERASED || bytes.length < STUB_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stored = view.getBigUint64(HEADER_BYTES, true);
  const most = bytes.subarray(STUB_BYTES, STUB_BYTES + MAX_RESIDUE_BYTES);
  const hashed = Buffer.concat([Buffer.from(`erased${hashHex(view.getBigUint64(72, true))}`), most]);
  for (let residue = 0; residue <= most.length; residue++)
    if (xxh64(hashed.subarray(0, hashed.length - most.length + residue)) === stored)
      return STUB_BYTES + residue;
  return undefined;
}

function residueOf(value: Uint8Array, hash: bigint, bad: (what: string) => WalError): Uint8Array {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const residue = value.subarray(STUB_BYTES);
  const isStub =
    value.length >= STUB_BYTES &&
    residue.length <= MAX_RESIDUE_BYTES &&
    view.getBigUint64(HEADER_BYTES, true) === stubHash(hash, residue);
  if (!isStub) throw bad('it is marked as erased but its stub does not verify');
  return residue;
}

/**
 * The erased form of a stored record: header kept, payload gone, still verifiable in the chain. One that is erased already stays as it is.
 * @param residue what is left in place of the body. Default: nothing
 * @throws WalError WAL_BAD_RECORD, WAL_NEWER_FORMAT
 * @throws RangeError for more than MAX_RESIDUE_BYTES
 */
export function eraseRecord(value: Uint8Array, seq: number, residue: Uint8Array = new Uint8Array(0)): Buffer {
  const { hash, body } = decodeRecord(value, seq);
  if (body === undefined) return Buffer.from(value);
  if (residue.length > MAX_RESIDUE_BYTES)
    throw new RangeError(`a residue of ${residue.length} bytes exceeds ${MAX_RESIDUE_BYTES}`);
  const stub = Buffer.alloc(STUB_BYTES + residue.length);
  stub.set(value.subarray(0, HEADER_BYTES));
  stub[1] = FORM_ERASED;
  stub.writeBigUInt64LE(stubHash(hash, residue), HEADER_BYTES);
  stub.set(residue, STUB_BYTES);
  return stub;
}

/**
 * Checks that `record` follows `prev` (undefined before the first): dense sequence, hash chain, time that never runs
 * backwards, and transaction fields that continue or begin one.
 * @throws WalError WAL_GAP, WAL_CHAIN_BROKEN
 */
export function checkFollows(prev: ChainLink | undefined, record: Omit<LogRecord, 'body'>): void {
  const expected = (prev?.seq ?? 0) + 1;
  const broken = (what: string) =>
    new WalError('WAL_CHAIN_BROKEN', `record ${record.seq}: ${what}`, DAMAGE_WAY_OUT, {
      details: { seq: record.seq },
    });
  if (record.seq !== expected)
    throw new WalError('WAL_GAP', `records ${expected} to ${record.seq - 1} are missing`, DAMAGE_WAY_OUT, {
      details: { from: expected, to: record.seq - 1 },
    });
  if (record.prevHash !== (prev?.hash ?? 0n))
    throw broken('it does not name the hash of the record before it');
  if (prev !== undefined && record.logicalMs < prev.logicalMs)
    throw broken('its logical time runs backwards');
  const begins = record.txFirst === record.seq && record.txIndex === 0;
  const continues =
    prev !== undefined &&
    record.txFirst === prev.txFirst &&
    record.txIndex === prev.txIndex + 1 &&
    record.long === prev.long;
  if (prev === undefined || prev.last ? !begins : !continues)
    throw broken('its transaction fields do not follow');
  const ends = record.type === RecordType.commit || record.type === RecordType.abort;
  // How a transaction ended whose end is lost, nobody knows.
  if (record.type !== RecordType.lost && ends !== (record.long && record.last))
    throw broken('a transaction of several batches ends in a commit or abort record, and no other does');
}

/** What of a record the next one is checked against. */
export type ChainLink = Pick<
  LogRecord,
  'seq' | 'hash' | 'logicalMs' | 'txFirst' | 'txIndex' | 'last' | 'long'
>;
