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

  /** The textbook's: one table, a byte at a time. */
  const table = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    return crc;
  });
  const plain = (bytes: Uint8Array): number => {
    let crc = -1;
    for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
    return ~crc >>> 0;
  };

  test('equals the plain one for every short length at every alignment', () => {
    const bytes = Uint8Array.from({ length: 128 }, (_, i) => (i * 151 + 7) & 0xff);
    for (let start = 0; start < 32; start++)
      for (let end = start; end <= bytes.length; end++)
        expect(crc32c(bytes, start, end), `${start} to ${end}`).toBe(plain(bytes.subarray(start, end)));
  });

  test('equals the plain one for any bytes, bounds and views, beyond what the kernel takes at once', () => {
    const memory = new Uint8Array(400_000);
    for (let i = 0, state = 1; i < memory.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      memory[i] = state >>> 24;
    }
    // The kernel's own memory ends 112 KiB behind its tables.
    const length = fc.oneof(
      fc.nat(200),
      fc.nat(memory.length),
      fc
        .constantFrom(1, 2, 3)
        .chain(pieces => fc.integer({ min: -20, max: 20 }).map(by => pieces * 114_688 + by)),
    );
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(40), length, (offset, start, length) => {
        const view = memory.subarray(offset);
        const end = Math.min(start + length, view.length);
        expect(crc32c(view, start, end)).toBe(plain(view.subarray(start, end)));
        const whole = Buffer.from(view.buffer, view.byteOffset + start, end - start);
        expect(crc32c(whole)).toBe(crc32c(view, start, end));
      }),
      { numRuns: 300 },
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
