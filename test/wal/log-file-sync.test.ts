import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, test } from 'vitest';
import { LOG_OPTIONS } from '#wal/level.js';
import { LogFileSync, memtableBytes } from '#wal/log-file-sync.js';
import { encodeKey } from '#wal/record.js';
import { temporaryDirectory } from '../helpers/engine.js';

const MB = 1024 * 1024;
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

/** A seeded stream of numbers in [0, 1) (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values of one batch: many small ones, those of notes, or a few large ones. */
function sizesOfBatch(next: () => number): number[] {
  const kind = next();
  if (kind < 0.3) return Array.from({ length: 4000 }, () => Math.floor(next() * 300));
  if (kind < 0.6) return Array.from({ length: 500 }, () => 1000 + Math.floor(next() * 3000));
  if (kind < 0.9) return [Math.floor(next() * 3 * MB)];
  // More than LevelDB's write buffer: the very next write begins another file.
  return [LOG_OPTIONS.writeBufferSize + Math.floor(next() * MB)];
}

test('through to the platter: each write waits for a flush of the newest file, and hears of one that fails', async () => {
  const dir = temporaryDirectory('mvs-log-files-');
  const [old, newer, other] = ['000009.log', '000010.log', '99.txt'].map(name => join(dir, name));
  for (const path of [old!, other!]) writeFileSync(path, '');
  const logFile = new LogFileSync(dir, true);
  await logFile.settle(1);
  expect(logFile.newestFlushed).toBe('000009.log');
  // A merge begins another file, however little is in the old one, which then goes.
  writeFileSync(newer!, '');
  rmSync(old!);
  await logFile.settle(1);
  expect(logFile.newestFlushed).toBe('000010.log');
  rmSync(newer!);
  mkdirSync(newer!);
  await expect(logFile.settle(1)).rejects.toMatchObject({ code: 'EISDIR' });
  rmdirSync(newer!);
  await expect(logFile.settle(1)).rejects.toMatchObject({ code: 'EISDIR' });
  expect(new LogFileSync(dir, false).settle(1)).toBeUndefined();
});

test('the newest file is that of the highest number, however many digits it has', () => {
  const dir = temporaryDirectory('mvs-log-files-');
  for (const name of ['1000000.log', '999999.log', '000003.log']) writeFileSync(join(dir, name), '');
  expect(new LogFileSync(dir, false).newestFlushed).toBe('1000000.log');
});

test(`no write is acknowledged before the entry of its log file is flushed, whatever the sizes (seed ${SEED})`, async () => {
  const dir = temporaryDirectory('mvs-log-files-');
  const database = new Level<Buffer, Uint8Array>(dir, LOG_OPTIONS);
  await database.open();
  const newestOnDisk = () =>
    readdirSync(dir)
      .filter(name => name.endsWith('.log'))
      .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
      .at(-1);
  const logFile = new LogFileSync(dir, false);
  const next = seeded(SEED);
  const files = new Set([newestOnDisk()]);
  let seq = 0;
  for (let written = 0; written < 200 * MB; ) {
    const sizes = sizesOfBatch(next);
    const batch = database.batch();
    let used = 0;
    for (const sizeBytes of sizes) {
      batch.put(encodeKey(++seq), Buffer.alloc(sizeBytes));
      used += memtableBytes(sizeBytes);
      written += sizeBytes;
    }
    await batch.write({ sync: true });
    await logFile.settle(used);
    expect(logFile.newestFlushed).toBe(newestOnDisk());
    files.add(newestOnDisk());
  }
  await database.close();
  expect(files.size).toBeGreaterThan(6);
});
