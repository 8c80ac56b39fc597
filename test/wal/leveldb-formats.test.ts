import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, maskedCrc32c } from '#wal/leveldb/crc32c.js';
import { KeyRanges } from '#wal/leveldb/key-ranges.js';

describe('crc32c', () => {
  // RFC 3720, appendix B.4; the last one is the check value of the CRC catalogue.
  test.each([
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(0), 0],
  ])('of the published vectors', (bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  test('equals the bit-by-bit definition for any bytes and bounds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
        const start = Math.min(a, bytes.length);
        const end = Math.max(start, Math.min(b, bytes.length));
        let crc = -1;
        for (const byte of bytes.subarray(start, end)) {
          crc ^= byte;
          for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
        }
        expect(crc32c(bytes, start, end)).toBe(~crc >>> 0);
      }),
    );
  });

  test('is masked as in LevelDB, so that it can be unmasked', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        const rotated = (maskedCrc32c(bytes) - 0xa282ead8) >>> 0;
        expect(((rotated >>> 17) | (rotated << 15)) >>> 0).toBe(crc32c(bytes));
      }),
    );
  });
});

describe('KeyRanges', () => {
  const step = fc.record({ adds: fc.boolean(), first: fc.integer({ min: 1, max: 40 }), length: fc.nat(8) });

  test('is a set of numbers', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const ranges = new KeyRanges();
        const set = new Set<number>();
        for (const { adds, first, length } of steps) {
          if (adds) ranges.add(first, first + length);
          else ranges.remove(first, first + length);
          for (let key = first; key <= first + length; key++) adds ? set.add(key) : set.delete(key);
        }
        const keys = [...set].sort((a, b) => a - b);
        const listed = [...ranges].flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        expect(listed).toEqual(keys);
        expect(ranges.max).toBe(keys.at(-1) ?? 0);
        const gaps = ranges
          .gaps(1, 50)
          .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
        expect(gaps).toEqual(Array.from({ length: 50 }, (_, i) => i + 1).filter(key => !set.has(key)));
        for (let i = 1; i < [...ranges].length; i++) {
          expect([...ranges][i]!.first).toBeGreaterThan([...ranges][i - 1]!.last + 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
