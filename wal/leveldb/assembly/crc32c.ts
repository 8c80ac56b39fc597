// What crc32c.ts computes: CRC32C over linear memory, slicing-by-16. Addresses are bytes; the tables fill the first
// 16 KiB, at constant addresses, so that each look-up is one load.

const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_SIZE: usize = 1024;

/** Writes the sixteen tables of 256 u32: table n holds the checksum of a byte that n zero bytes follow. */
export function buildTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
    store<u32>(<usize>byte << 2, crc);
  }
  for (let at: usize = TABLE_SIZE; at < TABLE_SIZE * 16; at += 4) {
    const previous = load<u32>(at - TABLE_SIZE);
    store<u32>(at, (previous >> 8) ^ load<u32>(<usize>(previous & 0xff) << 2));
  }
}

/** Goes on from `crc` (all ones at first, inverted by the caller at last) over the bytes from `at` to `end`. */
export function update(crc: u32, at: usize, end: usize): u32 {
  for (; at + 16 <= end; at += 16) {
    const a = load<u32>(at) ^ crc;
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    crc = look(a, 12 * TABLE_SIZE) ^ look(b, 8 * TABLE_SIZE) ^ look(c, 4 * TABLE_SIZE) ^ look(d, 0);
  }
  for (; at < end; at++) crc = (crc >> 8) ^ load<u32>(<usize>((crc ^ load<u8>(at)) & 0xff) << 2);
  return crc;
}

/** What four bytes come to that are followed by as many as there are tables before `tables`. */
// @ts-ignore: decorator
@inline
function look(word: u32, tables: usize): u32 {
  return (
    load<u32>((<usize>(word & 0xff) << 2) + tables + 3 * TABLE_SIZE) ^
    load<u32>((<usize>((word >> 8) & 0xff) << 2) + tables + 2 * TABLE_SIZE) ^
    load<u32>((<usize>((word >> 16) & 0xff) << 2) + tables + TABLE_SIZE) ^
    load<u32>((<usize>(word >> 24) << 2) + tables)
  );
}
