/** HEAD as a file: which slot counts, what is no slot of this program, and who may write. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { xxh64 } from '#wal/hash.js';
import {
  encodeSlot,
  HEAD_FILE_BYTES,
  HeadFile,
  type HeadProof,
  holdsHead,
  Intent,
  isHeadPaddingClean,
  readHeadFile,
} from '#wal/head-file.js';
import { flip, overwriteWith, truncate, zero } from '../helpers/damage.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const SLOTS = [0, 4096] as const;
const OURS = 'cd'.repeat(16);
const THEIRS = 'ef'.repeat(16);
const FIRST: Omit<HeadProof, 'counter'> = {
  ...{ intent: Intent.none, storeId: '0123456789abcdef'.repeat(2), epoch: 1, seq: 2 ** 33 + 7 },
  ...{ hash: 0x1122334455667788n, nonce: OURS, wallMs: Date.UTC(2026, 0, 1), lineageSeq: 1, epochSeq: 0 },
};

let path: string;
beforeEach(() => {
  path = directories.path('HEAD');
  HeadFile.create(path, FIRST);
});

const slot = (at: number) => readFileSync(path).subarray(at, at + 128);

/** Writes so many slots more, with seq 1, 2, ... */
async function written(count: number): Promise<void> {
  const head = HeadFile.open(path, OURS);
  for (let seq = 1; seq <= count; seq++) await head.write({ ...FIRST, seq }, { claim: seq === 1 });
  head.close();
}

/** A slot with some of its bytes set, and its hash right again. */
function sealed(proof: HeadProof, change: (slot: Buffer) => void): Buffer {
  const bytes = encodeSlot(proof);
  change(bytes);
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, 120)), 120);
  return bytes;
}

test('what was created is read, whole, for its user alone', () => {
  expect(readHeadFile(path)).toEqual({ proof: { ...FIRST, counter: 1 }, damagedSlots: 0 });
  expect(existsSync(`${path}.tmp`)).toBe(false);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(path).size).toBe(HEAD_FILE_BYTES);
  expect(readHeadFile(`${path}-elsewhere`)).toBeUndefined();
});

test.each<[string, Partial<HeadProof>]>([
  ['a later epoch', { epoch: 3, epochSeq: 2 ** 34 }],
  ['a clean close', { intent: Intent.closed, epoch: 2, epochSeq: 9 }],
  [
    'a cut',
    { intent: Intent.truncate, epoch: 2, epochSeq: 9, cut: { seq: 2 ** 35, hash: 0xffeeddccbbaa9988n } },
  ],
  // No store writes it so, but the version of a slot follows from the intent alone.
  ['a cut without an epoch', { intent: Intent.truncate, epochSeq: 0, cut: { seq: 4, hash: 1n } }],
])('%s is read as it was written', (_, given) => {
  HeadFile.create(path, { ...FIRST, ...given });
  expect(readHeadFile(path)!.proof).toEqual({ ...FIRST, ...given, counter: 1 });
});

test('what is cut and the intent to cut go together', () => {
  const cut = { seq: 9, hash: 1n };
  expect(() => encodeSlot({ ...FIRST, counter: 1, cut })).toThrow(RangeError);
  expect(() => encodeSlot({ ...FIRST, counter: 1, intent: Intent.truncate })).toThrow(RangeError);
});

test('slots are written in turn, and the newest counts', async () => {
  const head = HeadFile.open(path, OURS);
  for (let count = 2; count <= 6; count++) {
    const [first, second] = SLOTS.map(at => Buffer.from(slot(at)));
    await head.write({ ...FIRST, seq: count }, { claim: count === 2 });
    const [kept, before] = count % 2 === 0 ? [SLOTS[1], second!] : [SLOTS[0], first!];
    expect(slot(kept).equals(before)).toBe(true);
    expect(readHeadFile(path)).toMatchObject({ proof: { counter: count, seq: count }, damagedSlots: 0 });
  }
  head.close();
});

describe('a slot that is damaged', () => {
  test('in any bit leaves the other one', async () => {
    await written(2);
    for (const [index, at] of SLOTS.entries())
      for (let offset = 0; offset < 128; offset++) {
        flip(path, at + offset, offset % 8);
        const { proof, damagedSlots } = readHeadFile(path)!;
        // Slot 1 was written last.
        expect([proof.seq, damagedSlots], `slot ${index} byte ${offset}`).toEqual([index === 0 ? 2 : 1, 1]);
        flip(path, at + offset, offset % 8);
      }
  });

  test('and another one too: nothing is proved', async () => {
    await written(2);
    flip(path, 3, 3);
    flip(path, 4096 + 3, 3);
    const damaged = expect.objectContaining({ code: 'WAL_HEAD_DAMAGED' });
    expect(() => readHeadFile(path)).toThrow(damaged);
    expect(() => HeadFile.open(path, OURS)).toThrow(damaged);
  });

  test('is one that is empty, or not there, but for the one that was never written', async () => {
    await written(1);
    zero(path, 4096, 128);
    expect(readHeadFile(path)).toMatchObject({ proof: { seq: 1 }, damagedSlots: 1 });
    truncate(path, 4096);
    expect(readHeadFile(path)).toMatchObject({ proof: { seq: 1 }, damagedSlots: 1 });
    truncate(path, 127);
    expect(() => readHeadFile(path)).toThrow(expect.objectContaining({ code: 'WAL_HEAD_DAMAGED' }));
  });

  test('is one of another program, whatever its hash', async () => {
    await written(1);
    overwriteWith(
      path,
      4096,
      sealed({ ...FIRST, counter: 9 }, bytes => bytes.write('OTHER')),
    );
    expect(readHeadFile(path)).toMatchObject({ proof: { counter: 2 }, damagedSlots: 1 });
  });
});

describe('of a later version: refused by name, though the other slot can be read', () => {
  test.each<[string, Partial<HeadProof>, (slot: Buffer) => void, string]>([
    ['version 3', {}, bytes => bytes.writeUInt32LE(3, 8), 'format version 3'],
    ['version 0', {}, bytes => bytes.writeUInt32LE(0, 8), 'format version 0'],
    ['intent 3 in version 1', {}, bytes => bytes.writeUInt32LE(3, 12), 'the intent 3'],
    ['intent 4', { epochSeq: 5 }, bytes => bytes.writeUInt32LE(4, 12), 'the intent 4'],
  ])('%s', (_, given, change, message) => {
    overwriteWith(path, 0, sealed({ ...FIRST, ...given, counter: 2 }, change));
    expect(() => readHeadFile(path)).toThrow(
      expect.objectContaining({ code: 'WAL_NEWER_FORMAT', message: expect.stringContaining(message) }),
    );
  });
});

describe('writing', () => {
  const foreign = expect.objectContaining({ code: 'WAL_FOREIGN_OWNER' });

  test('needs a claim where another process wrote last, and ends where another one claims it', async () => {
    const theirs = HeadFile.open(path, THEIRS);
    await expect(theirs.write(FIRST)).rejects.toEqual(foreign);
    await theirs.write(FIRST, { claim: true });
    const ours = HeadFile.open(path, OURS);
    await ours.write(FIRST, { claim: true });
    await ours.write(FIRST);
    await expect(theirs.write(FIRST)).rejects.toEqual(foreign);
    expect(readHeadFile(path)!.proof).toMatchObject({ nonce: OURS, counter: 4 });
    theirs.close();
    ours.close();
  });

  test('ends where the file was put back as it was, or goes on elsewhere', async () => {
    const head = HeadFile.open(path, OURS);
    const before = readFileSync(path);
    await head.write(FIRST, { claim: true });
    await head.write(FIRST);
    writeFileSync(path, before);
    await expect(head.write(FIRST)).rejects.toEqual(foreign);
    head.close();
  });
});

describe('what is a HEAD', () => {
  test('is told by either slot, sound or not', () => {
    expect(holdsHead(path)).toBe(true);
    zero(path, 4096, 128);
    expect(holdsHead(path)).toBe(false);
    writeFileSync(path, 'MVSHEAD1');
    expect(holdsHead(path)).toBe(true);
    writeFileSync(path, 'ref: refs/heads/main');
    expect(holdsHead(path)).toBe(false);
    writeFileSync(path, '');
    expect(holdsHead(path)).toBe(false);
  });

  test('holds nothing between its slots, nor behind them', () => {
    for (const [offset, isClean] of [
      [0, true],
      [127, true],
      [128, false],
      [4095, false],
      [4096, true],
    ] as const) {
      flip(path, offset, 0);
      expect(isHeadPaddingClean(path), `byte ${offset}`).toBe(isClean);
      flip(path, offset, 0);
    }
    expect(isHeadPaddingClean(path)).toBe(true);
    writeFileSync(path, 'x', { flag: 'a' });
    expect(isHeadPaddingClean(path)).toBe(false);
  });
});
