/**
 * The keys of the event database, and LevelDB's internal form of them (db/dbformat.h).
 *
 * A key is the event's sequence number, 8 bytes big-endian. In tables and in the MANIFEST, LevelDB appends a fixed64:
 * its own write counter in the upper 56 bits and the kind of entry (0 deletion, 1 value) in the lowest byte. To keep
 * the two numbers apart, the event's is `seq` and LevelDB's is `stamp` throughout this directory.
 */

/** Sizes in bytes. */
export const KEY_SIZE = 8;
const TRAILER_SIZE = 8;

export interface InternalKey {
  /** The event's sequence number, 1 or more. */
  readonly seq: number;
  /** LevelDB's write counter at the time of the write. */
  readonly stamp: number;
  readonly deleted: boolean;
}

/** The event's sequence number of an 8-byte key; undefined for anything that this program does not write. */
export function decodeKey(key: Uint8Array): number | undefined {
  return key.length === KEY_SIZE ? seqAt(key) : undefined;
}

/** The sequence number that the first 8 bytes are; undefined if they are none. Allocates nothing: whole logs go through it. */
function seqAt(key: Uint8Array): number | undefined {
  const upper = ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0;
  const lower = ((key[4]! << 24) | (key[5]! << 16) | (key[6]! << 8) | key[7]!) >>> 0;
  const seq = upper * 2 ** 32 + lower;
  return seq >= 1 && Number.isSafeInteger(seq) ? seq : undefined;
}

/** The parts of an internal key; undefined if it is malformed or its user key is not one of this program's. */
export function decodeInternalKey(bytes: Buffer): InternalKey | undefined {
  if (bytes.length !== KEY_SIZE + TRAILER_SIZE) return undefined;
  const seq = seqAt(bytes);
  const kind = bytes[KEY_SIZE]!;
  const stamp = bytes.readUIntLE(KEY_SIZE + 1, 6) + bytes[KEY_SIZE + 7]! * 2 ** 48;
  if (seq === undefined || kind > 1 || !Number.isSafeInteger(stamp)) return undefined;
  return { seq, stamp, deleted: kind === 0 };
}

/** What decodeInternalKey decodes. */
export function encodeInternalKey({ seq, stamp, deleted }: InternalKey): Buffer {
  const bytes = Buffer.alloc(KEY_SIZE + TRAILER_SIZE);
  bytes.writeUInt32BE(Math.floor(seq / 2 ** 32), 0);
  bytes.writeUInt32BE(seq >>> 0, 4);
  bytes[KEY_SIZE] = deleted ? 0 : 1;
  bytes.writeUIntLE(stamp % 2 ** 48, KEY_SIZE + 1, 6);
  bytes[KEY_SIZE + 7] = Math.floor(stamp / 2 ** 48);
  return bytes;
}

/** LevelDB's order of internal keys: ascending user key, then newest first (InternalKeyComparator::Compare). */
export function compareInternalKeys(a: Buffer, b: Buffer): number {
  const byUserKey = a.compare(b, 0, b.length - TRAILER_SIZE, 0, a.length - TRAILER_SIZE);
  if (byUserKey !== 0) return byUserKey;
  const trailerA = a.readBigUInt64LE(a.length - TRAILER_SIZE);
  const trailerB = b.readBigUInt64LE(b.length - TRAILER_SIZE);
  return trailerA > trailerB ? -1 : trailerA < trailerB ? 1 : 0;
}
