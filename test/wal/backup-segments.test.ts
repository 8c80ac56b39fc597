/** Which records go into which segment, and what a manifest says of them: from logs in memory, where each record is as it is wanted. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { BackupCheck } from '#wal/backup/check.js';
import { Erasures } from '#wal/backup/erased.js';
import {
  type BackupManifest,
  epochOfId,
  isPart,
  listBackups,
  manifestPath,
  parseSegmentName,
  SEGMENTS,
  type Segment,
  segmentName,
} from '#wal/backup/manifest.js';
import { planPruning } from '#wal/backup/prune.js';
import { seal } from '#wal/backup/sealed.js';
import { scanSegment } from '#wal/backup/segment.js';
import { type BackedUp, type BackUpOptions, backUp } from '#wal/backup/write.js';
import { hashHex } from '#wal/hash.js';
import type { RecordSource } from '#wal/log.js';
import { encodeLost } from '#wal/lost.js';
import { decodeRecord } from '#wal/record.js';
import { storedBytes } from '#wal/record-file.js';
import { refusal } from '../helpers/backups.js';
import { chained, type Link } from '../helpers/chained.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const NONE = { last: 0, daily: 0, weekly: 0, monthly: 0 };

let dir: string;
beforeEach(() => {
  dir = directories.path('backups');
});

/** A log of these values, which comes in pieces of so many records. */
function logOf(values: readonly Buffer[], { epoch = 1, pieceRecords = 2 } = {}): RecordSource {
  const get = (seq: number) => decodeRecord(values[seq - 1]!, seq);
  return {
    head: get(values.length),
    lineage: { storeId: '0'.repeat(32), epoch, epochSeq: 1, lineageSeq: 1 },
    get,
    async *read() {},
    async *raw(from, to) {
      for (let seq = from; seq <= to; seq += pieceRecords) {
        const piece: [number, Uint8Array][] = [];
        for (let at = seq; at < seq + pieceRecords && at <= to; at++) piece.push([at, values[at - 1]!]);
        yield piece;
      }
    },
  };
}

const backedUp = (log: RecordSource, options: Partial<BackUpOptions> = {}) =>
  backUp(log, dir, { clock: Date.now, ...options });
const spans = ({ manifest }: { manifest: BackupManifest }) =>
  manifest.segments.map(({ first, last }) => `${first.seq}-${last.seq}`);
const of = (count: number, special: Readonly<Record<number, Link>> = {}): Buffer[] =>
  chained(...Array.from({ length: count }, (_, index) => special[index + 1] ?? {}));

describe('what is new', () => {
  test.each([
    // How far each backup reaches, and the segments of the last one.
    [
      [8, 9],
      ['1-8', '9-9'],
    ],
    [
      [8, 10],
      ['1-8', '9-10'],
    ],
    [[7, 9], ['1-9']],
    [
      [8, 9, 10],
      ['1-8', '9-10'],
    ],
    [[8, 9, 10, 11], ['1-11']],
    [
      [16, 20, 21],
      ['1-16', '17-20', '21-21'],
    ],
    [[16, 20, 21, 22], ['1-22']],
    [
      [24, 28, 29, 30],
      ['1-24', '25-30'],
    ],
    [
      [3, 4, 5],
      ['1-4', '5-5'],
    ],
  ] as const)(
    'is merged with segments of less than four times its records: after %j',
    async (ends, expected) => {
      const values = of(30);
      let made: BackedUp | undefined;
      for (const end of ends) made = await backedUp(logOf(values.slice(0, end)));
      expect(spans(made!)).toEqual(expected);
      expect(made!.written).toBe(ends.at(-1)! + 1 - Number(expected.at(-1)!.split('-')[0]));
    },
  );

  test('is not merged with a segment that is full, however few records it has', async () => {
    const values = of(9);
    const segmentBytes = storedBytes(values[0]!) + storedBytes(values[1]!);
    for (const end of [2, 4, 6]) await backedUp(logOf(values.slice(0, end)), { segmentBytes });
    const full = await backedUp(logOf(values), { segmentBytes });
    expect([full.written, spans(full)]).toEqual([3, ['1-2', '3-4', '5-6', '7-8', '9-9']]);
    // Full is what has just so much.
    const more = await backedUp(logOf(values), { segmentBytes: segmentBytes + 1, full: false });
    expect(more.isUnchanged).toBe(true);
  });
});

test.each([8, 9])(
  'a backup up to record %i that was away when the others were read is looked up in them',
  async away => {
    const values = of(10);
    for (const end of [8, 9, 10]) await backedUp(logOf(values.slice(0, end)));
    const { backups } = listBackups(dir);
    // It ends with the last record of a segment, or with the first one.
    expect(spans(backups[2]!)).toEqual(['1-8', '9-10']);
    const { id } = backups[away - 8]!;
    const check = new BackupCheck(dir);
    const removed = async () => (await planPruning(dir, NONE, { check })).removed;
    renameSync(manifestPath(dir, id), `${dir}-aside`);
    expect(await removed()).toHaveLength(1);
    renameSync(`${dir}-aside`, manifestPath(dir, id));
    expect(await removed()).toEqual(backups.slice(0, 2).map(backup => backup.id));
  },
);

test('a manifest says what it is of, when it was made, and how much that is', async () => {
  const values = of(5);
  const clock = () => Date.parse('2026-03-04T05:06:07.089Z');
  const segmentBytes = storedBytes(values[0]!) * 2;
  const { id, manifest } = await backedUp(logOf(values, { epoch: 3 }), { clock, segmentBytes });
  const end = decodeRecord(values[4]!, 5);
  expect(id).toBe('2026-03-04T05-06-07-089Z-3-5');
  expect(manifest).toEqual({
    format: 1,
    howToRead: expect.stringContaining('wal/FORMAT.md'),
    lineage: { storeId: '0'.repeat(32), epoch: 3, epochSeq: 1, lineageSeq: 1 },
    kind: 'full',
    last: { seq: 5, hash: hashHex(end.hash) },
    lastMs: 5000,
    records: 5,
    sizeBytes: values.reduce((sum, value) => sum + storedBytes(value), 0),
    segments: manifest.segments,
    time: '2026-03-04T05:06:07.089Z',
  });
  for (const { file, sizeBytes, sha256, records, first, last } of manifest.segments) {
    const bytes = readFileSync(join(dir, SEGMENTS, file));
    expect([bytes.length, last.seq - first.seq + 1]).toEqual([sizeBytes, records]);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    expect(parseSegmentName(file)).toEqual({ first: first.seq, last });
  }
  // Another one in the same millisecond has the next one.
  const again = await backedUp(logOf(values, { epoch: 3 }), { clock, full: true });
  expect(again.manifest.time).toBe('2026-03-04T05:06:07.090Z');
  expect([again.manifest.kind, again.written]).toEqual(['full', 5]);
});

test('an id tells the epoch, in however many digits', () => {
  for (const epoch of [1, 12, 123_456_789])
    expect(epochOfId(`2026-03-04T05-06-07-089Z-${epoch}-17`)).toBe(epoch);
  for (const id of ['2026-1-17x', 'x1-17', '1-', '']) expect(epochOfId(id), id).toBe(0);
});

test('names tell what belongs into a directory of backups', () => {
  const name = segmentName(3, { seq: 17, hash: '0123456789abcdef' }, 1);
  expect(name).toBe('0000000000000003-0000000000000017-0123456789abcdef.records');
  const parts = { first: 3, last: { seq: 17, hash: '0123456789abcdef' } };
  for (const copy of [1, 2, 13])
    expect(parseSegmentName(segmentName(3, { seq: 17, hash: '0123456789abcdef' }, copy))).toEqual(parts);
  for (const other of [
    `x${name}`,
    `${name}x`,
    name.slice(1),
    name.replace('.r', '-.r'),
    name.replace('f.', 'g.'),
  ])
    expect(parseSegmentName(other), other).toBeUndefined();
  for (const part of ['segments', 'config', 'a.backup.json', 'a.pin.json', '.nfs0001', '@eaDir'])
    expect(isPart(part), part).toBe(true);
  expect(isPart('1767225600000-1-0123456789abcdef-host.lock')).toBe(true);
  for (const part of ['a.backup.json.unfinished', 'a.pin.json.unfinished'])
    expect(isPart(part), part).toBe(true);
  for (const stranger of [
    'segment',
    'a.json',
    'a.backup.json.part',
    'x.unfinished',
    'a.lock',
    'a@eaDir',
    'a.b',
  ])
    expect(isPart(stranger), stranger).toBe(false);
});

describe('a segment', () => {
  test('ends with the record that makes it full, in whichever pieces the log comes', async () => {
    const values = of(9);
    const sizes = values.map(storedBytes);
    // With the third record exactly, a byte before that, and a byte after it.
    const three = sizes[0]! + sizes[1]! + sizes[2]!;
    for (const [segmentBytes, expected] of [
      [three, ['1-3', '4-6', '7-9']],
      [three - 1, ['1-3', '4-6', '7-9']],
      [three + 1, ['1-4', '5-8', '9-9']],
      [1, ['1-1', '2-2', '3-3', '4-4', '5-5', '6-6', '7-7', '8-8', '9-9']],
      [three * 9, ['1-9']],
    ] as const)
      for (const pieceRecords of [1, 2, 4, 9]) {
        dir = directories.path('backups');
        const made = await backedUp(logOf(values, { pieceRecords }), { segmentBytes });
        expect(spans(made)).toEqual(expected);
        expect(await new BackupCheck(dir).problemOf(made)).toBeUndefined();
      }
  });

  test('is described as it is: what is erased in it, and what is lost where something is', async () => {
    const values = of(6, { 2: { is: 'erased' }, 3: { is: 'lost' }, 4: { is: 'lost' } });
    const bytes = (from: number, to: number) =>
      values.slice(from - 1, to).reduce((sum, value) => sum + storedBytes(value), 0);
    const { manifest } = await backedUp(logOf(values), { segmentBytes: bytes(1, 4) });
    const [one, two] = manifest.segments;
    expect(one).toMatchObject({ records: 4, erased: 1, lost: 2, sizeBytes: bytes(1, 4) });
    expect(two).toMatchObject({ records: 2, erased: 0, sizeBytes: bytes(5, 6) });
    expect(two).not.toHaveProperty('lost');
    const { lastRecord, ...read } = await scanSegment(dir, one!.file, undefined);
    expect(read).toEqual(one);
    const { lastRecord: end, ...next } = await scanSegment(dir, two!.file, lastRecord);
    expect(next).toEqual(two);
    expect(end.seq).toBe(6);
    // Lost ones are not erased: no backup that goes takes their payloads with it.
    expect(await new Erasures(dir).in(one!)).toEqual([2]);
  });

  test('is shared as it is, but with lost records only within the epoch: a later repair may have found them', async () => {
    const whole = of(9);
    const third = decodeRecord(whole[2]!, 3);
    const gapped = whole.with(2, encodeLost(third, third.hash));
    const segmentBytes = storedBytes(whole[0]!) + storedBytes(whole[1]!);
    const first = await backedUp(logOf(gapped.slice(0, 5)), { segmentBytes });
    expect(first.manifest.segments.map(({ lost }) => lost)).toEqual([undefined, 1]);
    const shared = (other: { manifest: BackupManifest }) =>
      other.manifest.segments.filter(({ file }) => first.manifest.segments.some(one => one.file === file));
    const same = await backedUp(logOf(gapped.slice(0, 8)), { segmentBytes });
    expect(shared(same)).toEqual(first.manifest.segments);
    const filled = await backedUp(logOf(whole, { epoch: 2 }), { segmentBytes });
    expect(shared(filled)).toEqual(first.manifest.segments.slice(0, 1));
    expect(filled.written).toBe(7);
  });

  test('that is shared is sound only behind the one that it was written behind', async () => {
    const one = await backedUp(logOf(of(4)), { segmentBytes: 1 });
    const elsewhere = directories.path('backups');
    const other = await backUp(logOf(of(4)), elsewhere, {
      clock: Date.now,
      segmentBytes: 1,
    });
    // A manifest as no backup writes it: the first record of another log before those of the one.
    const strange: Segment = other.manifest.segments[0]!;
    copyFileSync(join(elsewhere, SEGMENTS, strange.file), join(dir, SEGMENTS, strange.file));
    const segments = one.manifest.segments.with(0, strange);
    writeFileSync(
      manifestPath(dir, 'mixed-1-4'),
      seal(JSON.stringify({ ...one.manifest, segments, time: '2031-01-01T00:00:00.000Z' })),
    );
    const check = new BackupCheck(dir);
    const [sound, mixed] = listBackups(dir).backups;
    expect(await check.problemOf(sound!)).toBeUndefined();
    expect(await check.problemOf(mixed!)).toEqual(
      refusal('BACKUP_DAMAGED', new RegExp(`${segments[1]!.file}: .*does not name the hash`)),
    );
  });
});
