import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WalError } from '#wal/errors.js';
import { hashHex, xxh64 } from '#wal/hash.js';
import { encodeSlot, Intent } from '#wal/head-file.js';
import { epochBody, epochStartOf } from '#wal/lineage.js';
import { encodeLost } from '#wal/lost.js';
import {
  checkFollows,
  decodeKey,
  decodeRecord,
  encodeKey,
  encodeRecord,
  eraseRecord,
  FIRST_CALLER_TYPE,
  HEADER_BYTES,
  isHeader,
  MAX_PAYLOAD_BYTES,
  MAX_RESIDUE_BYTES,
  NONCE_BYTES,
  RecordBytes,
  type RecordFields,
  RecordType,
  readHeader,
  recordBytes,
} from '#wal/record.js';

const fields = fc.record<RecordFields>({
  type: fc.integer({ min: 1, max: 0xffff }),
  seq: fc.maxSafeNat().map(seq => Math.max(seq, 1)),
  wallMs: fc.maxSafeNat(),
  logicalMs: fc.maxSafeNat(),
  txFirst: fc.maxSafeNat(),
  txIndex: fc.integer({ min: 0, max: 0xffffffff }),
  last: fc.boolean(),
  long: fc.boolean(),
  actor: fc.maxSafeNat(),
  prevHash: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  body: fc.uint8Array({ maxLength: 300 }),
});

const EXAMPLE: RecordFields = {
  type: FIRST_CALLER_TYPE,
  seq: 2,
  wallMs: Date.UTC(2026, 0, 1),
  logicalMs: Date.UTC(2026, 0, 1),
  txFirst: 2,
  txIndex: 0,
  last: true,
  long: false,
  actor: 0,
  prevHash: 0x0123456789abcdefn,
  body: Buffer.from('hello'),
};
const NONCE = Buffer.from('0011223344556677', 'hex');

const codeOf = (what: () => unknown): string => {
  try {
    what();
  } catch (error) {
    if (error instanceof WalError) return error.code;
    throw error;
  }
  return 'fine';
};

/** Sets bytes in a header and puts the hash right again. */
function reheaded(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  const form = copy[1]!;
  copy[1] = 0;
  copy.writeBigUInt64LE(xxh64(copy.subarray(0, 72)), 72);
  copy[1] = form;
  return copy;
}

/** The hash that a record's header gives. */
const hashIn = (bytes: Buffer): bigint => bytes.readBigUInt64LE(72);

const RESIDUE = Buffer.from('{"why":"horizon"}');
const FORMS: [string, () => Buffer][] = [
  ['whole', () => encodeRecord(EXAMPLE).bytes],
  ['erased', () => eraseRecord(encodeRecord(EXAMPLE).bytes, 2)],
  ['lost', () => encodeLost(EXAMPLE, encodeRecord(EXAMPLE).hash)],
  ['erased and tells something', () => eraseRecord(encodeRecord(EXAMPLE).bytes, 2, RESIDUE)],
];

describe('the record', () => {
  test('comes back as it went in', () => {
    fc.assert(
      fc.property(fields, given => {
        const { bytes, hash } = encodeRecord(given);
        const { body, ...rest } = decodeRecord(bytes, given.seq);
        const { body: givenBody, ...givenRest } = given;
        expect(rest).toEqual({ ...givenRest, hash, sizeBytes: bytes.length });
        expect(Buffer.from(body!).equals(Buffer.from(givenBody))).toBe(true);
      }),
    );
  });

  test('is read where it does not lie at the start of its buffer', () => {
    const { bytes } = encodeRecord(EXAMPLE);
    for (const offset of [1, 4, 7]) {
      const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset);
      expect(decodeRecord(shifted, 2)).toMatchObject({ seq: 2, txFirst: 2, wallMs: EXAMPLE.wallMs });
    }
  });

  test('the same event twice has two payload hashes: what was erased cannot be guessed', () => {
    const hashes = [0, 1].map(() => encodeRecord(EXAMPLE).bytes.readBigUInt64LE(56));
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  test.each(FORMS)('every flipped bit of a record that is %s is found', (_, make) => {
    const value = make();
    expect(codeOf(() => decodeRecord(value, 2))).toBe('fine');
    for (let bit = 0; bit < value.length * 8; bit++) {
      value[bit >> 3]! ^= 1 << (bit & 7);
      expect(codeOf(() => decodeRecord(value, 2))).toBe('WAL_BAD_RECORD');
      value[bit >> 3]! ^= 1 << (bit & 7);
    }
  });

  test.each(FORMS)('every truncation of a record that is %s is found, and every byte too many', (_, make) => {
    const value = make();
    for (let length = 0; length < value.length; length++)
      expect(codeOf(() => decodeRecord(value.subarray(0, length), 2))).toBe('WAL_BAD_RECORD');
    expect(codeOf(() => decodeRecord(Buffer.concat([value, Buffer.alloc(1)]), 2))).toBe('WAL_BAD_RECORD');
  });

  test('under another key it is found', () => {
    expect(codeOf(() => decodeRecord(encodeRecord(EXAMPLE).bytes, 3))).toBe('WAL_BAD_RECORD');
  });

  test('a length beyond the bound is damage even under a right hash', () => {
    const { bytes } = encodeRecord(EXAMPLE);
    for (const length of [0, 7, 64 * 1024 * 1024 + 1, 0xffffffff])
      expect(
        codeOf(() =>
          decodeRecord(
            reheaded(bytes, b => b.writeUInt32LE(length, 4)),
            2,
          ),
        ),
      ).toBe('WAL_BAD_RECORD');
  });

  test('a later version is refused by name, if it is sound', () => {
    const { bytes } = encodeRecord(EXAMPLE);
    const later = reheaded(bytes, b => b.writeUInt8(2, 0));
    expect(() => decodeRecord(later, 2)).toThrow(/version 2; this program reads version 1/);
    later[20]! ^= 1;
    expect(codeOf(() => decodeRecord(later, 2))).toBe('WAL_BAD_RECORD');
  });

  test('erased, it keeps header and place in the chain, and nothing of the payload', () => {
    const { bytes, hash } = encodeRecord({ ...EXAMPLE, body: Buffer.from('a secret') });
    const stub = eraseRecord(bytes, 2);
    expect(stub.includes('secret')).toBe(false);
    expect(stub).toHaveLength(HEADER_BYTES + 8);
    const erased = decodeRecord(stub, 2);
    expect(erased).toMatchObject({ ...decodeRecord(bytes, 2), body: undefined, sizeBytes: stub.length });
    expect(erased.hash).toBe(hash);
    expect(eraseRecord(stub, 2).equals(stub)).toBe(true);
  });

  test('erased, it tells what was left in place of the payload, up to a bound', () => {
    const { bytes, hash } = encodeRecord({ ...EXAMPLE, body: Buffer.from('a secret') });
    const stub = eraseRecord(bytes, 2, RESIDUE);
    expect(decodeRecord(stub, 2)).toMatchObject({ hash, body: undefined });
    expect(Buffer.from(decodeRecord(stub, 2).residue!).toString()).toBe(RESIDUE.toString());
    expect(decodeRecord(eraseRecord(bytes, 2), 2).residue).toHaveLength(0);
    expect(decodeRecord(bytes, 2)).not.toHaveProperty('residue');
    expect(() => eraseRecord(bytes, 2, new Uint8Array(4097))).toThrow(RangeError);
  });

  test('a residue as long as it may be is taken and read, and no longer one', () => {
    const { bytes } = encodeRecord(EXAMPLE);
    const longest = Buffer.alloc(MAX_RESIDUE_BYTES, 7);
    const erased = eraseRecord(bytes, 2, longest);
    expect(Buffer.from(decodeRecord(erased, 2).residue!)).toEqual(longest);
    const one = Buffer.alloc(MAX_RESIDUE_BYTES + 1, 7);
    expect(() => eraseRecord(bytes, 2, one)).toThrow(RangeError);
    const forged = Buffer.concat([erased.subarray(0, HEADER_BYTES + 8), one]);
    const told = Buffer.concat([Buffer.from(`erased${hashHex(hashIn(bytes))}`), one]);
    forged.writeBigUInt64LE(xxh64(told), HEADER_BYTES);
    expect(codeOf(() => decodeRecord(forged, 2))).toBe('WAL_BAD_RECORD');
    // Erased once more it tells what it told.
    expect(eraseRecord(erased, 2, Buffer.from('other')).equals(erased)).toBe(true);
  });

  test('every record has a nonce of its own', () => {
    const nonces = Array.from({ length: 1500 }, () =>
      encodeRecord(EXAMPLE).bytes.toString('hex', HEADER_BYTES, HEADER_BYTES + 8),
    );
    expect(new Set(nonces).size).toBe(1500);
    expect(nonces).not.toContain('0'.repeat(16));
  });

  test('the longest body there may be', () => {
    const most = MAX_PAYLOAD_BYTES - NONCE_BYTES;
    expect(recordBytes(most)).toBe(HEADER_BYTES + MAX_PAYLOAD_BYTES);
    expect(codeOf(() => recordBytes(most + 1))).toBe('WAL_TOO_LARGE');
  });

  test('a body may write itself', () => {
    const room = new RecordBytes(recordBytes(5));
    const { body, ...header } = EXAMPLE;
    room.encode(0, header, { length: 5, writeTo: (bytes, at) => bytes.write('hello', at) });
    expect(Buffer.from(decodeRecord(room.buffer, 2).body!)).toEqual(body);
  });

  test('a header alone tells what it is of, and how long that is', () => {
    const { bytes, hash } = encodeRecord(EXAMPLE);
    const header = bytes.subarray(0, HEADER_BYTES);
    expect([isHeader(header), isHeader(header.subarray(1)), isHeader(bytes.subarray(0, 79))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(readHeader(header)).toMatchObject({ hash, seq: 2, body: undefined, sizeBytes: bytes.length });
    const lost = encodeLost(EXAMPLE, hash);
    expect(readHeader(lost).sizeBytes).toBe(lost.length);
    const erased = eraseRecord(bytes, 2);
    expect([erased.length < bytes.length, readHeader(erased).sizeBytes]).toEqual([true, erased.length]);
    expect(codeOf(() => decodeRecord(header.subarray(1), 2))).toBe('WAL_BAD_RECORD');
  });

  test('an error names the record for a program, too', () => {
    const error = (what: () => unknown) => {
      try {
        what();
      } catch (thrown) {
        return thrown as WalError;
      }
      throw new Error('nothing was thrown');
    };
    const { bytes } = encodeRecord(EXAMPLE);
    expect(error(() => decodeRecord(bytes, 3))).toMatchObject({
      ...{ code: 'WAL_BAD_RECORD', details: { seq: 3 }, message: 'record 3: it says it is record 2' },
    });
    const newer = reheaded(bytes, copy => {
      copy[0] = 2;
    });
    expect(error(() => decodeRecord(newer, 2))).toMatchObject({
      ...{ code: 'WAL_NEWER_FORMAT', details: { seq: 2 } },
      message: expect.stringContaining('record 2 has format version 2'),
    });
    const older = reheaded(bytes, copy => {
      copy[0] = 0;
    });
    expect(error(() => decodeRecord(older, 2))).toMatchObject({
      ...{ code: 'WAL_OLDER_FORMAT', details: { seq: 2 } },
      wayOut: expect.stringContaining('migrate'),
    });
    const record = decodeRecord(bytes, 2);
    expect(error(() => checkFollows(undefined, record))).toMatchObject({
      ...{ code: 'WAL_GAP', details: { from: 1, to: 1 }, message: 'records 1 to 1 are missing' },
    });
    const first = decodeRecord(encodeRecord({ ...EXAMPLE, seq: 1, txFirst: 1, prevHash: 0n }).bytes, 1);
    expect(error(() => checkFollows(first, record))).toMatchObject({
      ...{ code: 'WAL_CHAIN_BROKEN', details: { seq: 2 } },
      message: 'record 2: it does not name the hash of the record before it',
    });
  });

  test('the first and the last number that a key may have', () => {
    for (const seq of [1, Number.MAX_SAFE_INTEGER]) expect(decodeKey(encodeKey(seq))).toBe(seq);
  });

  test('keys order as numbers do, and nothing else is a key', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(Math.sign(Buffer.compare(encodeKey(a), encodeKey(b)))).toBe(Math.sign(a - b));
        if (a > 0) expect(decodeKey(encodeKey(a))).toBe(a);
      }),
    );
    for (const hex of ['', '00', '0000000000000000', 'ffffffffffffffff', '000000000000000100'])
      expect(codeOf(() => decodeKey(Buffer.from(hex, 'hex')))).toBe('WAL_BAD_RECORD');
  });
});

describe('what follows what', () => {
  const made = (over: Partial<RecordFields>) =>
    decodeRecord(encodeRecord({ ...EXAMPLE, ...over }).bytes, over.seq ?? EXAMPLE.seq);
  const first = made({ seq: 1, txFirst: 1, prevHash: 0n });
  const next = { seq: 2, prevHash: first.hash };
  const inLong = made({ seq: 1, txFirst: 1, prevHash: 0n, long: true, last: false });
  const afterLong = { seq: 2, txFirst: 1, txIndex: 1, prevHash: inLong.hash, long: true };

  const lostAfter = (given: Partial<RecordFields>) =>
    decodeRecord(encodeLost({ ...EXAMPLE, ...given }, 5n), given.seq!);
  test.each([
    ['the first record', undefined, first, 'fine'],
    [
      'a first record inside a transaction',
      undefined,
      made({ seq: 1, prevHash: 0n, txFirst: 1, txIndex: 1 }),
      'WAL_CHAIN_BROKEN',
    ],
    [
      'a first record with a predecessor',
      undefined,
      made({ seq: 1, txFirst: 1, prevHash: 1n }),
      'WAL_CHAIN_BROKEN',
    ],
    ['the second', first, made(next), 'fine'],
    ['a gap', first, made({ ...next, seq: 3, txFirst: 3 }), 'WAL_GAP'],
    ['another history', first, made({ ...next, prevHash: 7n }), 'WAL_CHAIN_BROKEN'],
    ['time running backwards', first, made({ ...next, logicalMs: first.logicalMs - 1 }), 'WAL_CHAIN_BROKEN'],
    ['the wall clock put back', first, made({ ...next, wallMs: 0 }), 'fine'],
    ['an index in a new transaction', first, made({ ...next, txIndex: 1 }), 'WAL_CHAIN_BROKEN'],
    ['a transaction that began elsewhere', first, made({ ...next, txFirst: 1 }), 'WAL_CHAIN_BROKEN'],
    ['a member of another one', inLong, made({ ...afterLong, txFirst: 2, last: false }), 'WAL_CHAIN_BROKEN'],
    ['a member too many', inLong, made({ ...afterLong, txIndex: 2, last: false }), 'WAL_CHAIN_BROKEN'],
    ['a transaction that was over', first, made({ ...next, txFirst: 1, txIndex: 1 }), 'WAL_CHAIN_BROKEN'],
    ['a stray commit record', first, made({ ...next, type: RecordType.commit }), 'WAL_CHAIN_BROKEN'],
    ['a member of a long transaction', inLong, made({ ...afterLong, last: false }), 'fine'],
    ['its commit', inLong, made({ ...afterLong, type: RecordType.commit }), 'fine'],
    ['its abort', inLong, made({ ...afterLong, type: RecordType.abort }), 'fine'],
    ['its end, lost', inLong, lostAfter({ ...afterLong }), 'fine'],
    ['a lost one of another history', first, lostAfter({ ...next, prevHash: 7n }), 'WAL_CHAIN_BROKEN'],
    ['its end without either', inLong, made(afterLong), 'WAL_CHAIN_BROKEN'],
    [
      'an end in its middle',
      inLong,
      made({ ...afterLong, last: false, type: RecordType.abort }),
      'WAL_CHAIN_BROKEN',
    ],
    ['a short member of a long one', inLong, made({ ...afterLong, long: false }), 'WAL_CHAIN_BROKEN'],
    ['a new one before its end', inLong, made({ seq: 2, prevHash: inLong.hash }), 'WAL_CHAIN_BROKEN'],
  ])('%s', (_, previous, record, code) => {
    expect(codeOf(() => checkFollows(previous, record))).toBe(code);
  });
});

describe('wal/FORMAT.md shows what the code writes', () => {
  const document = readFileSync(new URL('../../wal/FORMAT.md', import.meta.url), 'utf8');
  /** The bytes of a hex dump under a heading: lines of an offset, bytes, and a remark behind two spaces. */
  const dump = (heading: string): string => {
    const block = document.split(`### ${heading}\n`)[1]!.split('```')[1]!;
    const lines = block.trim().split('\n').slice(1);
    return lines
      .map(line => /^\s*\d+ {2}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2}|$)/.exec(line)![1]!.replaceAll(' ', ''))
      .join('');
  };

  test('a record', () => {
    expect(dump('Worked example: a record')).toBe(encodeRecord(EXAMPLE, NONCE).bytes.toString('hex'));
  });

  test('the same record, erased', () => {
    const erased = eraseRecord(encodeRecord(EXAMPLE, NONCE).bytes, 2).toString('hex');
    expect(erased.slice(0, 4) + erased.slice(160)).toBe(dump('The same record, erased'));
    const telling = eraseRecord(encodeRecord(EXAMPLE, NONCE).bytes, 2, Buffer.from('gone')).toString('hex');
    expect(telling.slice(0, 4) + telling.slice(160)).toBe(
      dump('The same record, erased, with the residue "gone"'),
    );
  });

  test('the same record, lost', () => {
    const { hash } = encodeRecord(EXAMPLE, NONCE);
    const bytes = encodeLost(EXAMPLE, hash);
    expect(dump('The same record, lost')).toBe(bytes.toString('hex'));
    expect(decodeRecord(bytes, 2)).toMatchObject({ type: RecordType.lost, hash, body: undefined });
  });

  const CUT = { seq: 9, hash: 0x1122334455667788n };

  test('an epoch record', () => {
    const given: RecordFields = {
      ...EXAMPLE,
      ...{ type: RecordType.epoch, seq: 3, txFirst: 3, prevHash: encodeRecord(EXAMPLE, NONCE).hash },
      ...{ wallMs: EXAMPLE.wallMs + 1000, logicalMs: EXAMPLE.logicalMs + 1000 },
      body: epochBody({ epoch: 2, cut: CUT }),
    };
    const { bytes } = encodeRecord(given, NONCE);
    expect(dump('Worked example: an epoch record')).toBe(bytes.toString('hex'));
    expect(epochStartOf(decodeRecord(bytes, 3))).toEqual({ epoch: 2, cut: CUT });
  });

  test('a slot of HEAD', () => {
    const proof = {
      counter: 7,
      intent: Intent.none,
      storeId: '000102030405060708090a0b0c0d0e0f',
      epoch: 1,
      seq: 2,
      hash: encodeRecord(EXAMPLE, NONCE).hash,
      nonce: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
      wallMs: Date.UTC(2026, 0, 1),
      lineageSeq: 1,
      epochSeq: 0,
    };
    expect(dump('Worked example: a slot')).toBe(encodeSlot(proof).toString('hex'));
    const cutting = encodeSlot({ ...proof, intent: Intent.truncate, epoch: 2, epochSeq: 3, cut: CUT });
    const shown = [cutting.subarray(8, 16), cutting.subarray(40, 44), cutting.subarray(96)];
    expect(dump('The same slot, while the log is being cut')).toBe(Buffer.concat(shown).toString('hex'));
  });
});
