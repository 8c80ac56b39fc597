/**
 * Damage to files, in words that read like a sentence: flip a bit, cut a file short, take one away.
 */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PATHS } from '#wal/paths.js';

/** Inverts one bit. @param offset byte offset in the file @param bit 0 (lowest) to 7 */
export function flip(file: string, offset: number, bit: number): void {
  overwrite(file, offset, byte => byte ^ (1 << bit));
}

/** Fills `length` bytes from `offset` with zeros, as an unwritten page reads after a power loss. */
export function zero(file: string, offset: number, length: number): void {
  for (let at = offset; at < offset + length; at++) overwrite(file, at, () => 0);
}

/** Puts these bytes in the place of what is at `offset`. */
export function overwriteWith(file: string, offset: number, bytes: Uint8Array): void {
  bytes.forEach((byte, i) => {
    overwrite(file, offset + i, () => byte);
  });
}

/** Cuts the file to its first `sizeBytes` bytes. */
export function truncate(file: string, sizeBytes: number): void {
  truncateSync(file, sizeBytes);
}

/** Overwrites a record of a store's log in whatever file it is, header and all. */
export function destroyRecord(storeDir: string, seq: number): void {
  for (const name of readdirSync(join(storeDir, PATHS.log))) {
    if (!/\.(ldb|log)$/.test(name)) continue;
    const path = join(storeDir, PATHS.log, name);
    const bytes = readFileSync(path);
    for (let at = 0; at + 80 <= bytes.length; at++)
      if (
        bytes[at] === 1 &&
        bytes[at + 1] === 1 &&
        bytes.readBigUInt64LE(at + 8) === BigInt(seq) &&
        bytes[at + 46] === 0
      )
        zero(path, at, 80);
  }
}

export function remove(file: string): void {
  rmSync(file);
}

/**
 * Puts a directory in the place of a file, which can be opened and not read: the disk refuses it. It is as large as the footer of a table, whatever
 * the file system says of the size of directories.
 */
export function refuse(file: string): void {
  rmSync(file, { force: true });
  mkdirSync(file);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(file, name), '');
}

/** A copy of a flat directory in a new temporary one; the caller removes it. */
export function copyStore(dir: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'damage-'));
  for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(copy, name));
  return copy;
}

/** One bit in every `stride` bytes of `[from, to)`, by default of the whole file; which one, the seed says. */
export function* bitsOf(
  file: string,
  stride: number,
  seed: number,
  from = 0,
  to = statSync(file).size,
): Generator<{ offset: number; bit: number }> {
  const random = seeded(seed);
  for (let start = from; start < to; start += stride) {
    const offset = Math.min(to - 1, start + Math.floor(random() * stride));
    yield { offset, bit: Math.floor(random() * 8) };
  }
}

/** Uniform numbers in [0, 1), the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function overwrite(file: string, offset: number, change: (byte: number) => number): void {
  const handle = openSync(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    if (readSync(handle, byte, 0, 1, offset) !== 1) throw new RangeError(`${file} has no byte ${offset}`);
    byte[0] = change(byte[0]!);
    writeSync(handle, byte, 0, 1, offset);
  } finally {
    closeSync(handle);
  }
}
