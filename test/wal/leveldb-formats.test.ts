import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, FormatError } from '#wal/leveldb/coding.js';
import { crc32c, maskedCrc32c } from '#wal/leveldb/crc32c.js';
import {
  compareInternalKeys,
  decodeInternalKey,
  decodeKey,
  encodeInternalKey,
} from '#wal/leveldb/internal-key.js';
import { KeyRanges } from '#wal/leveldb/key-ranges.js';
import { internalKey, userKey, varint } from '../helpers/leveldb-files.js';

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

/** Numbers in ascending order as intervals. */
class KeyRangesOf {
  readonly ranges: { first: number; last: number }[] = [];
  constructor(keys: readonly number[]) {
    for (const key of keys) {
      const run = this.ranges.at(-1);
      if (run?.last === key - 1) run.last = key;
      else this.ranges.push({ first: key, last: key });
    }
  }
}

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
        for (let key = 0; key <= 50; key++) {
          expect(ranges.has(key)).toBe(set.has(key));
          expect(ranges.gaps(key, key)).toEqual(set.has(key) ? [] : [{ first: key, last: key }]);
        }
        expect(ranges.gaps(7, 30)).toEqual(
          new KeyRangesOf(Array.from({ length: 24 }, (_, i) => 7 + i).filter(key => !set.has(key))).ranges,
        );
        for (let i = 1; i < [...ranges].length; i++) {
          expect([...ranges][i]!.first).toBeGreaterThan([...ranges][i - 1]!.last + 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('keys', () => {
  const number = fc.oneof(
    fc.integer({ min: 1, max: 300 }),
    fc.maxSafeNat().filter(seq => seq > 0),
  );
  const stamp = fc.oneof(fc.nat(300), fc.maxSafeNat());

  test('are sequence numbers, with the counter and the kind of a write', () => {
    fc.assert(
      fc.property(number, stamp, fc.boolean(), (seq, stamp, deleted) => {
        expect(decodeKey(userKey(seq))).toBe(seq);
        const bytes = internalKey(seq, stamp, deleted ? 0 : 1);
        expect(encodeInternalKey({ seq, stamp, deleted })).toEqual(bytes);
        expect(decodeInternalKey(bytes)).toEqual({ seq, stamp, deleted });
      }),
    );
  });

  test('that this program does not write are none', () => {
    expect(decodeKey(Buffer.alloc(8))).toBeUndefined();
    expect(decodeKey(userKey(5).subarray(1))).toBeUndefined();
    expect(decodeKey(Buffer.concat([userKey(5), Buffer.alloc(1)]))).toBeUndefined();
    expect(decodeKey(Buffer.from([0, 0x20, 0, 0, 0, 0, 0, 0]))).toBeUndefined();
    expect(decodeKey(Buffer.from([0, 0x1f, 255, 255, 255, 255, 255, 255]))).toBe(Number.MAX_SAFE_INTEGER);
    expect(decodeKey(Buffer.alloc(8, 255))).toBeUndefined();
    for (const bytes of [
      internalKey(0, 1),
      internalKey(1, 1, 2),
      internalKey(1, 2 ** 53),
      internalKey(Buffer.alloc(8, 255), 1),
      internalKey(userKey(1).subarray(1), 1),
      Buffer.concat([internalKey(1, 1), Buffer.alloc(1)]),
      Buffer.alloc(0),
    ])
      expect(decodeInternalKey(bytes)).toBeUndefined();
  });

  test('are in order by number, the newest write of one first', () => {
    fc.assert(
      fc.property(number, number, stamp, stamp, (seqA, seqB, stampA, stampB) => {
        const order = Math.sign(seqA - seqB) || Math.sign(stampB - stampA);
        expect(Math.sign(compareInternalKeys(internalKey(seqA, stampA), internalKey(seqB, stampB)))).toBe(
          order,
        );
      }),
    );
    // Of keys of any length the shorter one that the other begins with comes first.
    expect(compareInternalKeys(internalKey(Buffer.from([1]), 1), internalKey(Buffer.from([1, 0]), 9))).toBe(
      -1,
    );
    expect(compareInternalKeys(internalKey(Buffer.from([2]), 1), internalKey(Buffer.from([1, 0]), 9))).toBe(
      1,
    );
    expect(compareInternalKeys(Buffer.alloc(8, 1), Buffer.alloc(8, 1))).toBe(0);
  });
});

describe('ByteReader', () => {
  test('reads numbers of any length', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(300), fc.maxSafeNat()), value => {
        const bytes = varint(value);
        const reader = new ByteReader(Buffer.concat([bytes, Buffer.from([7])]));
        expect(reader.varint()).toBe(value);
        expect([reader.at, reader.remaining]).toEqual([bytes.length, 1]);
        for (let end = 0; end < bytes.length; end++)
          expect(() => new ByteReader(bytes, 0, end).varint()).toThrow('ends inside a value');
      }),
    );
    // 2^53 is one too many, and so is a ninth byte.
    const tooLong = (...bytes: number[]) =>
      expect(() => new ByteReader(Buffer.from(bytes)).varint()).toThrow(FormatError);
    tooLong(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    tooLong(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0);
    expect(new ByteReader(varint(2 ** 53 - 1)).varint()).toBe(2 ** 53 - 1);
  });

  test('reads within its bounds', () => {
    const bytes = Buffer.from([9, 2, 5, 6, 9]);
    const reader = new ByteReader(bytes, 1, 4);
    expect(reader.lengthPrefixed()).toEqual(Buffer.from([5, 6]));
    expect(reader.remaining).toBe(0);
    expect(() => reader.byte()).toThrow('ends inside a value');
    expect(() => reader.varint()).toThrow('ends inside a value');
    expect(() => reader.skip(1)).toThrow('a length of 1 exceeds the 0 bytes left');
    expect(reader.take(0)).toHaveLength(0);
    expect(new ByteReader(bytes, 1).take(4)).toEqual(bytes.subarray(1));
    expect(() => new ByteReader(bytes, 1, 3).lengthPrefixed()).toThrow(
      'a length of 2 exceeds the 1 bytes left',
    );
  });
});
