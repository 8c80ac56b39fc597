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
  if (key.length !== KEY_SIZE) return undefined;
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const seq = view.readUInt32BE(0) * 2 ** 32 + view.readUInt32BE(4);
  return seq >= 1 && Number.isSafeInteger(seq) ? seq : undefined;
}

/** The parts of an internal key; undefined if it is malformed or its user key is not one of this program's. */
export function decodeInternalKey(bytes: Buffer): InternalKey | undefined {
  if (bytes.length !== KEY_SIZE + TRAILER_SIZE) return undefined;
  const seq = decodeKey(bytes.subarray(0, KEY_SIZE));
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
