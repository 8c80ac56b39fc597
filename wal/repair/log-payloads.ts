/**
 * What a LevelDB log file holds, without the headers that divide it every 32 KiB: so the records in it are in one piece, whatever their
 * checksums say. The format is in leveldb/log-file.ts.
 */
const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const TYPES = 4;

/** The payloads one after the other. Where a header cannot be one, the rest of its block is taken as it is. */
export function logPayloads(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    const block = bytes.subarray(start, start + BLOCK_BYTES);
    for (let at = 0; at + HEADER_BYTES <= block.length; ) {
      const length = block.readUInt16LE(at + 4);
      const type = block[at + 6]!;
      const end = at + HEADER_BYTES + length;
      if (type < 1 || type > TYPES || end > block.length) {
        parts.push(block.subarray(at + HEADER_BYTES));
        break;
      }
      parts.push(block.subarray(at + HEADER_BYTES, end));
      at = end;
    }
  }
  return Buffer.concat(parts);
}
