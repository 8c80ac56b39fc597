import { crc32, inflateRawSync } from 'node:zlib';
import { Refusal } from './document.js';
import { maxInflatedBytes, maxZipEntries } from './limits.js';

/** Signatures and lengths: APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16. */
const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22, maxCommentBytes: 0xffff };
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED_FLAG = 1;

/**
 * Looks through a ZIP archive before anything is made of it: each entry is inflated, no further than the limit, and held to the size and the CRC-32
 * that the directory gives. So a bomb is met here, and a flipped bit is not text. ZIP64 is not needed for files of this size.
 * @returns the names of the entries
 * @throws Refusal
 */
export function checkZip(bytes: Buffer): string[] {
  const damaged = (what: string): Refusal =>
    new Refusal(`damaged (${what}): save it again from where it was made`);
  const end = findEnd(bytes);
  if (end === undefined) throw damaged('the directory of its parts is missing');
  const count = bytes.readUInt16LE(end + 10);
  if (count > maxZipEntries) throw new Refusal(`too many parts (${count}, at most ${maxZipEntries})`);
  let at = bytes.readUInt32LE(end + 16);
  let left = maxInflatedBytes;
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL.bytes > bytes.length || bytes.readUInt32LE(at) !== CENTRAL.signature)
      throw damaged('the directory of its parts is cut off');
    const flags = bytes.readUInt16LE(at + 8);
    const method = bytes.readUInt16LE(at + 10);
    const crc = bytes.readUInt32LE(at + 16);
    const packedBytes = bytes.readUInt32LE(at + 20);
    const sizeBytes = bytes.readUInt32LE(at + 24);
    const nameBytes = bytes.readUInt16LE(at + 28);
    const local = bytes.readUInt32LE(at + 42);
    names.push(bytes.toString('utf8', at + CENTRAL.bytes, at + CENTRAL.bytes + nameBytes));
    at += CENTRAL.bytes + nameBytes + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
    if ((flags & ENCRYPTED_FLAG) !== 0)
      throw new Refusal('encrypted: save a copy without a password and ingest that');
    if (sizeBytes > left)
      throw new Refusal(
        `too large once inflated (more than ${maxInflatedBytes / 1024 / 1024} MiB): split it, or take its pictures out`,
      );
    left -= sizeBytes;
    const packed = packedOf(bytes, local, packedBytes);
    if (packed === undefined || (method !== STORED && method !== DEFLATED))
      throw damaged('a part is cut off');
    const content = method === STORED ? packed : inflate(packed, sizeBytes);
    if (content === undefined || content.length !== sizeBytes || crc32(content) !== crc)
      throw damaged('a part does not match its checksum');
  }
  return names;
}

function findEnd(bytes: Buffer): number | undefined {
  const first = Math.max(0, bytes.length - END.bytes - END.maxCommentBytes);
  for (let at = bytes.length - END.bytes; at >= first; at--)
    if (bytes.readUInt32LE(at) === END.signature) return at;
  return undefined;
}

function packedOf(bytes: Buffer, local: number, packedBytes: number): Buffer | undefined {
  if (local + LOCAL.bytes > bytes.length || bytes.readUInt32LE(local) !== LOCAL.signature) return undefined;
  const start = local + LOCAL.bytes + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
  return start + packedBytes > bytes.length ? undefined : bytes.subarray(start, start + packedBytes);
}

/** No byte more than the directory promised, however much the data would give; undefined where it is not valid. */
function inflate(packed: Buffer, sizeBytes: number): Buffer | undefined {
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, sizeBytes) });
  } catch {
    // What zlib has to say of it is of no use to whoever reads the reason.
    return undefined;
  }
}
