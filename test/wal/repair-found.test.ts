/** What a repair finds in bytes that nothing vouches for: records by their hashes, each once, the best copy of it, and where it is. */
import { describe, expect, test } from 'vitest';
import { xxh64 } from '#wal/hash.js';
import { epochBody, genesisBody } from '#wal/lineage.js';
import { encodeLost } from '#wal/lost.js';
import { eraseRecord, isHeader, RecordType } from '#wal/record.js';
import { Candidates, STORE } from '#wal/repair/candidates.js';
import { type Carved, carve } from '#wal/repair/carve.js';
import { logPayloads } from '#wal/repair/log-payloads.js';
import { PlaceReader, recordAt } from '#wal/repair/read-place.js';
import { chained } from '../helpers/chained.js';
import { seeded } from '../helpers/damage.js';
import { headerAlone, ID, recordOf, seqOf } from '../helpers/found.js';
import { BLOCK_BYTES, logOf, physical, RecordKind } from '../helpers/leveldb-files.js';

const SEED = Number(process.env.REPAIR_SEED ?? 20_261_127);

const carved = (bytes: Buffer): Carved[] => {
  const found: Carved[] = [];
  carve(bytes, one => found.push(one));
  return found;
};
const placesIn = (bytes: Buffer) =>
  carved(bytes).map(({ offset, sizeBytes, record }) => [record.seq, offset, sizeBytes]);

describe('records among any bytes', () => {
  const [plain, erased, lost, short] = chained(
    {},
    { is: 'erased' },
    { is: 'lost' },
    { body: Buffer.alloc(0) },
  ) as [Buffer, Buffer, Buffer, Buffer];

  test('are found where they begin, of whatever form', () => {
    const bytes = Buffer.concat([
      Buffer.from('?'),
      plain,
      Buffer.alloc(3, 1),
      erased,
      Buffer.from('??'),
      lost,
      short,
    ]);
    const at = [1, 4 + plain.length];
    at.push(at[1]! + erased.length + 2, at[1]! + erased.length + 2 + lost.length);
    expect(placesIn(bytes)).toEqual([
      [1, at[0], plain.length],
      [2, at[1], erased.length],
      [3, at[2], lost.length],
      [4, at[3], short.length],
    ]);
    expect(carved(bytes).map(({ record: { body } }) => body && Buffer.from(body).toString())).toEqual([
      'body 1',
      undefined,
      undefined,
      '',
    ]);
    expect(Buffer.from(carved(bytes)[1]!.record.residue!).toString()).toBe('left of 2');
  });

  test('are found whatever is between them', () => {
    const random = seeded(SEED);
    for (let run = 0; run < 50; run++) {
      const noise = () =>
        Buffer.from(
          Array.from({ length: Math.floor(random() * 200) }, () => [0, 1, 2, 255][Math.floor(random() * 4)]!),
        );
      const records = [plain, short, lost, plain, short].filter(() => random() < 0.7);
      const bytes = Buffer.concat([...records.flatMap(record => [noise(), record]), noise()]);
      expect(
        carved(bytes).map(({ offset, sizeBytes }) => bytes.subarray(offset, offset + sizeBytes)),
      ).toEqual(records);
    }
  });

  test('of which the payload is damaged are headers, and what is behind a header is looked through', () => {
    const inner = Buffer.concat([Buffer.from('..'), short]);
    const [outer] = chained({ body: inner });
    // Of one that is whole the payload may hold anything.
    expect(placesIn(outer!)).toEqual([[1, 0, outer!.length]]);
    const damaged = Buffer.from(outer!);
    damaged[80]! ^= 1;
    expect(placesIn(damaged)).toEqual([
      [1, 0, 0],
      [4, 90, short.length],
    ]);
    expect(placesIn(headerAlone(plain))).toEqual([[1, 0, 0]]);
    expect(carved(headerAlone(plain))[0]!.record).toMatchObject({
      hash: recordOf(plain).hash,
      body: undefined,
    });
    expect(placesIn(plain.subarray(0, -1))).toEqual([[1, 0, 0]]);
    expect(placesIn(plain.subarray(0, 80))).toEqual([[1, 0, 0]]);
    expect(placesIn(plain.subarray(0, 79))).toEqual([]);
    const stub = Buffer.from(erased);
    stub[81]! ^= 1;
    expect(placesIn(stub)).toEqual([[2, 0, 0]]);
  });

  test('are not found where a header is damaged', () => {
    for (let at = 0; at < 80; at++)
      // A form is none of the three with either.
      for (const bit of [0, 5]) {
        const damaged = Buffer.from(plain);
        damaged[at]! ^= 1 << bit;
        expect(placesIn(damaged), `byte ${at}, bit ${bit}`).toEqual([]);
      }
    // The form is not under the hash: what another one makes of a record is one whose payload is wrong.
    const [two, three] = [2, 3].map(form => {
      const other = Buffer.from(plain);
      other[1] = form;
      return placesIn(other);
    });
    expect([two, three]).toEqual([[[1, 0, 0]], [[1, 0, 0]]]);
  });

  test('of a later version are not taken for lost ones', () => {
    const newer = (version: number) => {
      const bytes = Buffer.from(plain);
      bytes[0] = version;
      bytes[1] = 0;
      bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, 72)), 72);
      bytes[1] = 1;
      expect(isHeader(bytes)).toBe(true);
      return Buffer.concat([Buffer.alloc(5), bytes]);
    };
    for (const version of [2, 15])
      expect(() => carved(newer(version))).toThrow(expect.objectContaining({ code: 'WAL_NEWER_FORMAT' }));
    // Versions are few: so many are none.
    expect(carved(newer(16))).toEqual([]);
    expect(carved(newer(0))).toEqual([]);
  });
});

describe('the payloads of a log of LevelDB', () => {
  test('are in one piece', () => {
    const payloads = [
      Buffer.from('first'),
      Buffer.alloc(80_000, 'second '),
      Buffer.alloc(0),
      Buffer.from('third'),
    ];
    expect(logPayloads(logOf(...payloads)).equals(Buffer.concat(payloads))).toBe(true);
    const padded = logOf(Buffer.alloc(BLOCK_BYTES - 7 - 6, 1), Buffer.from('behind'));
    expect(logPayloads(padded).subarray(-6).toString()).toBe('behind');
    expect(logPayloads(Buffer.alloc(0))).toHaveLength(0);
  });

  test('go on in the next block where a header is none', () => {
    const { full, last } = RecordKind;
    const next = physical(full, Buffer.from('next'));
    const rest = (header: Buffer): string => {
      const block = Buffer.concat([physical(last, Buffer.from('good')), header, Buffer.from('rest')]);
      const filled = Buffer.concat([block, Buffer.alloc(BLOCK_BYTES - block.length, 'filling ')]);
      return logPayloads(Buffer.concat([filled, next])).toString('latin1');
    };
    const header = (type: number, length: number) => {
      const bytes = Buffer.alloc(7);
      bytes.writeUInt16LE(length, 4);
      bytes[6] = type;
      return bytes;
    };
    const whole = `goodrest${'filling '.repeat(BLOCK_BYTES)}`.slice(0, BLOCK_BYTES - 14);
    for (const [type, length] of [
      [0, 4],
      [5, 4],
      [full, BLOCK_BYTES],
      [last, BLOCK_BYTES - 11 - 7],
      [last, BLOCK_BYTES - 11 - 7 + 1],
    ] as const)
      expect(rest(header(type, length)) === `${whole}next`, `type ${type}, ${length} bytes`).toBe(true);
    // As if its checksum were right: the record itself tells.
    expect(rest(header(full, 2)).startsWith('goodre')).toBe(true);
  });
});

describe('candidates', () => {
  const values = chained(
    { type: RecordType.genesis, body: genesisBody(ID) },
    {},
    { type: RecordType.epoch, body: epochBody({ epoch: 2, cut: { seq: 9, hash: 7n } }) },
    {},
  );
  const [first, second] = values as [Buffer, Buffer];
  const [other] = chained({ logicalMs: 77 });
  function of(...files: (readonly Buffer[])[]): Candidates {
    const candidates = new Candidates();
    for (const [i, records] of files.entries()) {
      const payloads = Buffer.concat(records);
      const file = candidates.addFile({ path: `${i}`, source: i === 0 ? STORE : `backups ${i}`, payloads });
      carve(payloads, one => candidates.add(file, one));
    }
    return candidates;
  }
  const erased = eraseRecord(second, 2, Buffer.from('left'));
  const seen = (candidates: Candidates) => {
    const [row] = candidates.of(2);
    const { file, offset, sizeBytes } = candidates.placeOf(row!);
    return {
      rows: candidates.of(2).length,
      in: candidates.filesOf(row!).toSorted(),
      from: file.path,
      offset,
      sizeBytes,
      whole: candidates.isWhole(row!),
    };
  };

  test('are by number, newest first, with what is known of them', () => {
    const candidates = of([values[3]!, ...values.slice(0, 3)], [other!]);
    expect(candidates.numbers()).toEqual([1, 2, 3, 4]);
    expect(candidates.size).toBe(5);
    expect(candidates.of(1).map(row => candidates.hashOf(row))).toEqual([
      recordOf(other!).hash,
      recordOf(first).hash,
    ]);
    expect(candidates.of(9)).toEqual([]);
    const row = candidates.find(2, recordOf(second).hash)!;
    expect([candidates.seqOf(row), candidates.prevHashOf(row), candidates.timeOf(row)]).toEqual([
      2,
      recordOf(first).hash,
      2000,
    ]);
    expect(candidates.find(1, recordOf(second).hash)).toBeUndefined();
    expect(candidates.find(1, recordOf(first).hash)).toBe(1);
    expect(candidates.lineageRows.map(own => candidates.seqOf(own))).toEqual([1, 3]);
  });

  test('that several files hold are one, and all its files are known', () => {
    expect(seen(of(values, values, values))).toEqual({
      rows: 1,
      in: [0, 1, 2],
      from: '0',
      offset: first.length,
      sizeBytes: second.length,
      whole: true,
    });
    expect(seen(of([...values, ...values], [second], [second, second]))).toMatchObject({
      rows: 1,
      in: [0, 1, 2],
      from: '0',
    });
  });

  test.each<[string, Buffer[][], object]>([
    [
      'a whole one is better than a header',
      [[headerAlone(second)], [second]],
      { in: [0, 1], from: '1', whole: true },
    ],
    [
      'a header is no better than a whole one',
      [[second], [headerAlone(second)]],
      { in: [0, 1], from: '0', whole: true },
    ],
    [
      'an erased one is better than a whole one',
      [[second], [erased]],
      { in: [0, 1], from: '1', sizeBytes: erased.length },
    ],
    [
      'a whole one is no better than an erased one',
      [[erased], [second]],
      { in: [0, 1], from: '0', sizeBytes: erased.length },
    ],
    [
      'an erased one is no better than another',
      [[erased], [erased]],
      { in: [0, 1], from: '0', sizeBytes: erased.length },
    ],
    [
      'an erased one is better than a header, and a whole one no more',
      [[headerAlone(second)], [erased], [second]],
      { in: [0, 1, 2], from: '1', sizeBytes: erased.length },
    ],
    [
      'an erased one is better than a whole one that was better than a header',
      [[headerAlone(second)], [second], [erased]],
      { in: [0, 1, 2], from: '2', sizeBytes: erased.length },
    ],
    ['a header is not whole', [[headerAlone(second)]], { in: [0], from: '0', sizeBytes: 0, whole: false }],
  ])('%s', (_, files, expected) => expect(seen(of(...files))).toMatchObject({ rows: 1, ...expected }));

  test('of which only a header is left say what it says, until a whole one is found', () => {
    const header = of([headerAlone(second)]);
    expect(header.headerOf(0)).toMatchObject({ seq: 2, hash: recordOf(second).hash, body: undefined });
    const twice = of([headerAlone(second)], [headerAlone(second)]);
    expect([twice.headerOf(0)?.seq, twice.filesOf(0)]).toEqual([2, [0, 1]]);
    expect(of([headerAlone(second)], [second]).headerOf(0)).toBeUndefined();
    expect(of([second]).headerOf(0)).toBeUndefined();
  });

  test('that only stand for lost ones tell the hash that it had, or are none', () => {
    const { hash } = recordOf(second);
    const standIn = (known: bigint) => encodeLost(recordOf(second), known);
    const candidates = of([standIn(hash)]);
    expect([candidates.size, candidates.isWhole(0), candidates.hashOf(0)]).toEqual([1, false, hash]);
    expect(seen(of([standIn(hash)], [second]))).toMatchObject({
      rows: 1,
      from: '1',
      whole: true,
      in: [0, 1],
    });
    expect(of([standIn(0n)]).size).toBe(0);
    expect(recordOf(standIn(0n)).hash).toBe(0n);
  });

  test('are read from where they are', () => {
    const candidates = of([...values, erased]);
    const reader = new PlaceReader(candidates);
    expect(reader.value(candidates.find(1, recordOf(first).hash)!).equals(first)).toBe(true);
    reader.close();
    expect(recordAt(candidates, candidates.of(2)[0]!)).toMatchObject({ seq: 2, body: undefined });
    // No longer what it was: damaged, or another record.
    const { file, offset } = candidates.placeOf(0);
    const payloads = file.payloads!;
    payloads[offset + 90]! ^= 1;
    expect(() => recordAt(candidates, 0)).toThrow(expect.objectContaining({ code: 'WAL_IO' }));
    const same = chained({ type: RecordType.genesis, body: genesisBody(ID) })[0]!;
    expect(seqOf(same)).toBe(1);
    payloads.set(same, offset);
    expect(() => recordAt(candidates, 0)).toThrow('record 1 was whole in 0 a moment ago, and is not now');
  });
});
