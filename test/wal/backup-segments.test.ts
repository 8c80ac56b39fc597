/** Which records go into which segment, and what a manifest says of them: from logs in memory, where each record is as it is wanted. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { BackupCheck } from '#wal/backup/check.js';
import { Erasures } from '#wal/backup/erased.js';
import {
  type BackupManifest,
  listBackups,
  manifestPath,
  SEGMENTS,
  type Segment,
} from '#wal/backup/manifest.js';
import { seal } from '#wal/backup/sealed.js';
import { scanSegment } from '#wal/backup/segment.js';
import { type BackUpOptions, backUp } from '#wal/backup/write.js';
import type { RecordSource } from '#wal/log.js';
import { encodeLost } from '#wal/lost.js';
import { decodeRecord } from '#wal/record.js';
import { storedBytes } from '#wal/record-file.js';
import { refusal } from '../helpers/backups.js';
import { chained, type Link } from '../helpers/chained.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

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
