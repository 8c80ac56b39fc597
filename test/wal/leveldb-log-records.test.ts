/**
 * LevelDB's record log: whatever stands in a file, every intact record is given once, what a crash leaves is told from damage, and no form of it
 * is taken for another.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { type LogScan, scanLogFile } from '#wal/leveldb/log-file.js';
import { seeded } from '../helpers/damage.js';
import { BLOCK_BYTES, logOf, physical, RecordKind } from '../helpers/leveldb-files.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());
const SEED = Number(process.env.LOOK_SEED ?? 20);

let dir: string;
beforeEach(() => {
  dir = dirname(directories.path());
});

/** What a scan says, with the records that it gave: where each began and what it held. */
async function scan(bytes: Buffer): Promise<LogScan & { given: [offset: number, payload: string][] }> {
  const path = join(dir, 'log');
  writeFileSync(path, bytes);
  const given: [number, string][] = [];
  let open: { offset: number; parts: Buffer[] } | undefined;
  const seen = await scanLogFile(path, {
    begin(offset) {
      expect(open).toBeUndefined();
      open = { offset, parts: [] };
    },
    part(part) {
      open!.parts.push(Buffer.from(part));
    },
    end() {
      given.push([open!.offset, Buffer.concat(open!.parts).toString('latin1')]);
      open = undefined;
    },
    abandon() {
      open = undefined;
    },
  });
  // Whoever is told of a beginning is told of the end, or that there is none.
  expect(open).toBeUndefined();
  expect([seen.records, seen.sizeBytes]).toEqual([given.length, bytes.length]);
  return { ...seen, given };
}

const text = (letter: string, length: number): Buffer => Buffer.from(letter.repeat(length));
const { full, first, middle, last } = RecordKind;

describe('sound logs', () => {
  test('of any lengths, cut off at any byte, give each record that is there whole', async () => {
    const random = seeded(SEED);
    for (let run = 0; run < 6; run++) {
      const payloads: Buffer[] = [];
      const ends: number[] = [];
      for (let n = 0; n < 12; n++) {
        const size = ends.at(-1) ?? 0;
        const left = BLOCK_BYTES - ((size + 7) % BLOCK_BYTES);
        // Up to the end of a block, give or take what a header needs; several blocks; or short.
        const kind = random();
        const length =
          kind < 0.5
            ? Math.max(0, left - Math.floor(random() * 17))
            : kind < 0.6
              ? Math.floor(random() * 100_000)
              : Math.floor(random() * 200);
        payloads.push(text(String.fromCharCode(97 + n), length));
        ends.push(logOf(...payloads).length);
      }
      const log = logOf(...payloads);
      const whole = await scan(log);
      expect(whole).toMatchObject({ records: payloads.length, damage: [], tornTail: undefined });
      expect(whole.given.map(([, payload]) => payload)).toEqual(payloads.map(String));
      for (let cut = 0; cut < 20; cut++) {
        const near = ends[Math.floor(random() * ends.length)]!;
        const to = Math.min(log.length, Math.max(0, near - 12 + Math.floor(random() * 24)));
        const { given, damage, tornTail } = await scan(log.subarray(0, to));
        const there = ends.filter(end => end <= to).length;
        expect(given).toEqual(whole.given.slice(0, there));
        expect(damage).toEqual([]);
        const next = whole.given[there]?.[0] ?? log.length;
        // Between two blocks there may be zeros that belong to neither record.
        if (to > next) expect(tornTail).toMatchObject({ offset: next, silent: true });
        else if (to === ends[there - 1] || to === next || to === 0) expect(tornTail).toBeUndefined();
      }
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7])('with %i bytes left in a block', async left => {
    const log = logOf(text('a', BLOCK_BYTES - 7 - left), text('b', 10));
    expect(await scan(log)).toMatchObject({
      given: [
        [0, 'a'.repeat(BLOCK_BYTES - 7 - left)],
        // Where a header fits, the next record begins with nothing but that.
        [left === 7 ? BLOCK_BYTES - 7 : BLOCK_BYTES, 'b'.repeat(10)],
      ],
      damage: [],
      tornTail: undefined,
    });
    // Cut off within those zeros.
    if (left < 7)
      expect(await scan(log.subarray(0, BLOCK_BYTES - left + 1))).toMatchObject({
        records: 1,
        damage: [],
        tornTail: undefined,
      });
  });

  test('a record whose beginning is a header alone, the last of its block, is found behind a damaged one', async () => {
    const log = logOf(text('a', BLOCK_BYTES - 7 - 7), text('b', 10));
    log[100]! ^= 1;
    expect(await scan(log)).toMatchObject({
      given: [[BLOCK_BYTES - 7, 'b'.repeat(10)]],
      damage: [{ offset: 0 }],
      tornTail: undefined,
    });
  });

  test.each([1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024])('of %i bytes', async size => {
    const blocks = Math.ceil(size / BLOCK_BYTES);
    const log = logOf(text('a', size - 7 * blocks - 7 * 2), text('b', 7));
    expect(log.length).toBeGreaterThan(size - 20);
    const { given, damage, tornTail } = await scan(log);
    expect([given.length, damage, tornTail]).toEqual([2, [], undefined]);
    expect(given[0]![1] === 'a'.repeat(size - 7 * blocks - 7 * 2)).toBe(true);
  });

  test('without a byte, or without a byte in a record', async () => {
    expect(await scan(Buffer.alloc(0))).toMatchObject({ given: [], damage: [], tornTail: undefined });
    expect(await scan(logOf(Buffer.alloc(0), text('b', 1)))).toMatchObject({
      given: [
        [0, ''],
        [7, 'b'],
      ],
      damage: [],
    });
  });
});

test(`a bit flipped anywhere loses the record that it is in alone, and is told (seed ${SEED})`, async () => {
  const random = seeded(SEED + 1);
  const payloads = [20, 30_000, 3, 40_000, 0, 500, 32_000, 9].map((length, n) =>
    text(String.fromCharCode(97 + n), length),
  );
  const log = logOf(...payloads);
  const { given: all } = await scan(log);
  const begins = [...all.map(([offset]) => offset), log.length];
  for (let n = 0; n < 250; n++) {
    // Headers are hit as often as all else.
    const near = begins[Math.floor(random() * (begins.length - 1))]!;
    const at = random() < 0.5 ? near + Math.floor(random() * 7) : Math.floor(random() * log.length);
    const bytes = Buffer.from(log);
    bytes[at]! ^= 1 << Math.floor(random() * 8);
    const hit = begins.findLastIndex(begin => begin <= at);
    const { given, damage, tornTail } = await scan(bytes);
    const what = `byte ${at}, seed ${SEED}`;
    const others = all.filter((_, i) => i !== hit);
    // Zeros between blocks belong to no record.
    expect([all, others], what).toContainEqual(given);
    if (hit < all.length - 1) {
      expect(damage.length, what).toBeGreaterThan(0);
      expect(tornTail, what).toBeUndefined();
    } else expect(tornTail ?? damage[0], what).toMatchObject({ offset: all.at(-1)![0] });
  }
});

describe('what a crash may leave at the end of a log', () => {
  const before = physical(full, text('a', 20));
  const at = before.length;
  const bad = (record: Buffer, byte = 0): Buffer => {
    const bytes = Buffer.from(record);
    bytes[byte]! ^= 1;
    return bytes;
  };
  const long = {
    first: physical(first, text('b', 40)),
    middle: physical(middle, text('b', 50)),
    last: physical(last, text('b', 60)),
  };

  test.each<[string, Buffer, reason: string, silent: boolean]>([
    [
      'a header cut off',
      physical(full, text('b', 9)).subarray(0, 6),
      'a record header is cut short by the end of the file',
      true,
    ],
    [
      'a payload cut off',
      physical(full, text('b', 9)).subarray(0, 15),
      'a record is cut short by the end of the file',
      true,
    ],
    ['a first part alone', long.first, 'the file ends inside a record', true],
    ['two parts of three', Buffer.concat([long.first, long.middle]), 'the file ends inside a record', true],
    [
      'a first part and half a header',
      Buffer.concat([long.first, long.last.subarray(0, 4)]),
      'a record header is cut short by the end of the file',
      true,
    ],
    [
      'a first part and half of the last',
      Buffer.concat([long.first, long.last.subarray(0, 30)]),
      'a record is cut short by the end of the file',
      true,
    ],
    ['zeros', Buffer.alloc(100), 'zeros where a record should be', true],
    [
      'zeros up to the end of the block and beyond',
      Buffer.alloc(2 * BLOCK_BYTES),
      'zeros where a record should be',
      true,
    ],
    [
      'a first part, and zeros',
      Buffer.concat([long.first, Buffer.alloc(50)]),
      'zeros where a record should be',
      true,
    ],
    ['a wrong checksum', bad(physical(full, text('b', 9))), 'a record fails its checksum', false],
    [
      'a wrong checksum, and zeros',
      Buffer.concat([bad(physical(full, text('b', 9))), Buffer.alloc(40)]),
      'a record fails its checksum',
      false,
    ],
    ['a wrong type', bad(physical(full, text('b', 9)), 6), 'a record fails its checksum', false],
    ['a type that is none', Buffer.concat([physical(5, text('b', 9))]), 'a record fails its checksum', false],
    [
      'a type of zero, of some length',
      Buffer.concat([physical(0, text('b', 9))]),
      'a record fails its checksum',
      false,
    ],
    [
      'a first part that is wrong, and its last',
      Buffer.concat([bad(long.first, 20), long.last]),
      'a record fails its checksum',
      false,
    ],
    [
      'a first part that is wrong, others, and zeros',
      Buffer.concat([bad(long.first, 20), long.middle, long.last, Buffer.alloc(30)]),
      'a record fails its checksum',
      false,
    ],
    [
      'a first part that is wrong, and any bytes behind it',
      Buffer.concat([bad(long.first, 20), text('?', 30)]),
      'a record fails its checksum',
      false,
    ],
    [
      'a middle part that is wrong',
      Buffer.concat([long.first, bad(long.middle, 20), long.last]),
      'a record fails its checksum',
      false,
    ],
    [
      'a last part that is wrong',
      Buffer.concat([long.first, bad(long.last, 20), Buffer.alloc(9)]),
      'a record fails its checksum',
      false,
    ],
  ])('%s', async (_, tail, reason, silent) => {
    const { given, damage, tornTail } = await scan(Buffer.concat([before, tail]));
    expect(given).toEqual([[0, 'a'.repeat(20)]]);
    expect([damage, tornTail]).toEqual([[], { offset: at, reason, silent }]);
  });

  test.each<[string, Buffer, string]>([
    [
      'a wrong record, and more',
      Buffer.concat([bad(physical(full, text('b', 9))), text('?', 3)]),
      'a record fails its checksum, and more was written after it',
    ],
    [
      'a wrong last part, and more',
      Buffer.concat([long.first, bad(long.last, 20), Buffer.alloc(9), text('?', 1)]),
      'a record fails its checksum, and more was written after it',
    ],
    [
      'a wrong first part, its last one, and more',
      Buffer.concat([bad(long.first, 20), long.last, text('?', 8)]),
      'a record fails its checksum, and more was written after it',
    ],
    [
      'a wrong record, and more in the next block',
      Buffer.concat([bad(physical(full, text('b', 9))), Buffer.alloc(BLOCK_BYTES), text('?', 8)]),
      'a record fails its checksum, and more was written after it',
    ],
    [
      'a wrong record, and another one',
      Buffer.concat([bad(physical(full, text('b', 9))), physical(full, text('c', 4))]),
      'a record fails its checksum, and an intact record follows at 43',
    ],
    [
      'zeros, and another record',
      Buffer.concat([Buffer.alloc(30), physical(first, text('c', 4)), physical(last, text('c', 4))]),
      'zeros where a record should be, and an intact record follows at 57',
    ],
    [
      'a first part, and another record',
      Buffer.concat([long.first, physical(full, text('c', 4))]),
      'a record without its end, and another one follows',
    ],
    [
      'a first part, and another first',
      Buffer.concat([long.first, physical(first, text('c', 4)), physical(last, text('c', 4))]),
      'a record without its end, and another one follows',
    ],
  ])('but not %s', async (_, tail, reason) => {
    const { given, damage, tornTail } = await scan(Buffer.concat([before, tail]));
    expect([damage, tornTail]).toEqual([[{ offset: at, reason }], undefined]);
    expect(given.slice(1).map(([, payload]) => /^c*$/.test(payload))).toEqual(given.slice(1).map(() => true));
  });

  test.each([
    ['middle', long.middle],
    ['last', long.last],
  ])('nor a %s part alone', async (_, part) => {
    const { given, damage, tornTail } = await scan(
      Buffer.concat([before, part, physical(full, text('c', 4))]),
    );
    expect(given.map(([, payload]) => payload)).toEqual(['a'.repeat(20), 'cccc']);
    expect([damage, tornTail]).toEqual([
      [{ offset: at, reason: 'a part of a record without its start' }],
      undefined,
    ]);
  });

  test('nor what is not zero between two blocks', async () => {
    const log = logOf(text('a', BLOCK_BYTES - 7 - 3), text('b', 10));
    log[BLOCK_BYTES - 1] = 1;
    expect(await scan(log)).toMatchObject({
      records: 2,
      damage: [{ offset: BLOCK_BYTES - 3, reason: 'the padding at the end of a block is not zero' }],
      tornTail: undefined,
    });
    // Behind a record that is torn it may be anything.
    const torn = Buffer.concat([
      bad(physical(first, text('a', 9))),
      physical(middle, text('b', BLOCK_BYTES - 16 - 7 - 3)),
      text('?', 3),
    ]);
    expect(await scan(torn)).toMatchObject({
      records: 0,
      damage: [],
      tornTail: { offset: 0, silent: false },
    });
  });

  test('nor a length that goes beyond its block', async () => {
    const log = logOf(text('a', BLOCK_BYTES - 7 - 20), text('b', 100));
    log.writeUInt16LE(14, BLOCK_BYTES - 20 + 4);
    const reason = 'a record exceeds its block';
    const alone = await scan(log.subarray(0, BLOCK_BYTES));
    expect([alone.damage, alone.tornTail]).toEqual([[], { offset: BLOCK_BYTES - 20, reason, silent: false }]);
    const { damage, tornTail } = await scan(Buffer.concat([log, physical(full, text('c', 1))]));
    expect([damage, tornTail]).toEqual([
      [{ offset: BLOCK_BYTES - 20, reason: `${reason}, and an intact record follows at ${log.length}` }],
      undefined,
    ]);
  });

  test('each of several damages is told', async () => {
    const log = Buffer.concat([
      bad(physical(full, text('a', 9))),
      physical(full, text('b', 9)),
      bad(physical(full, text('c', 9))),
      physical(full, text('d', 9)),
      physical(full, text('e', 9)).subarray(0, 10),
    ]);
    const { given, damage, tornTail } = await scan(log);
    expect(given.map(([offset]) => offset)).toEqual([16, 48]);
    expect(damage.map(({ offset }) => offset)).toEqual([0, 32]);
    expect(tornTail).toMatchObject({ offset: 64 });
  });
});
