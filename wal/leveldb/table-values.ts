/**
 * Reads a whole table as the log's own appends leave it: every key put once, consecutive, none deleted. In pieces of a megabyte into
 * one buffer, which the processor's cache still holds when the records are checked. Anything else is an error here, and for a slower
 * reader (live-values.ts) to describe.
 */
import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { BlockCursor } from './block-cursor.js';
import { FormatError } from './coding.js';
import { decodeInternalKey } from './internal-key.js';
import type { KeyRange } from './key-ranges.js';
import { BLOCK_TRAILER_SIZE, checkChecksum, type IndexEntry, readTableIndex } from './table-file.js';

const PIECE_SIZE = 1024 * 1024;

/**
 * Every value of a table, in order, each block's checksum checked.
 *
 * @param range the first and last sequence number that it must hold
 * @param take the value is only valid during the call
 * @throws FormatError if anything is not as it should be; what `take` throws; or the file system's error
 */
export async function readTableValues(
  path: string,
  range: KeyRange,
  take: (seq: number, value: Uint8Array) => void,
): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { blocks } = await readTableIndex(file, (await file.stat()).size);
    const reader = new PieceReader(file.fd);
    let next = range.first;
    for (let i = 0; i < blocks.length; ) {
      const end = endOfPiece(blocks, i);
      const bytes = reader.read(blocks[i]!.offset, endOf(blocks[end - 1]!));
      for (const base = blocks[i]!.offset; i < end; i++) {
        const { offset, sizeBytes } = blocks[i]!;
        next = readBlock(bytes, offset - base, sizeBytes, next, take);
      }
    }
    if (next !== range.last + 1) throw new FormatError('does not hold the keys that the MANIFEST says');
  } finally {
    await file.close();
  }
}

function readBlock(
  bytes: Buffer,
  start: number,
  sizeBytes: number,
  first: number,
  take: (seq: number, value: Uint8Array) => void,
): number {
  checkChecksum(bytes, start, start + sizeBytes);
  let seq = first;
  for (const entries = new BlockCursor(bytes, start, start + sizeBytes); entries.next(); seq++) {
    const key = decodeInternalKey(entries.key);
    if (key?.seq !== seq || key.deleted) throw new FormatError('holds other keys than consecutive ones');
    const { valueStart, valueEnd } = entries;
    take(seq, new Uint8Array(bytes.buffer, bytes.byteOffset + valueStart, valueEnd - valueStart));
  }
  return seq;
}

const endOf = ({ offset, sizeBytes }: IndexEntry): number => offset + sizeBytes + BLOCK_TRAILER_SIZE;

/** One past the last of the blocks from `first` on that fit into a piece; one at least. */
function endOfPiece(blocks: readonly IndexEntry[], first: number): number {
  let end = first + 1;
  while (end < blocks.length && endOf(blocks[end]!) - blocks[first]!.offset <= PIECE_SIZE) end++;
  return end;
}

/** Reads into one buffer again and again. */
class PieceReader {
  #piece = Buffer.alloc(0);
  constructor(private readonly fd: number) {}

  /** @returns a buffer that begins with the bytes from `start` to `end`, until the next call */
  read(start: number, end: number): Buffer {
    const size = end - start;
    if (this.#piece.length < size) this.#piece = Buffer.allocUnsafeSlow(Math.max(size, PIECE_SIZE));
    for (let filled = 0; filled < size; ) {
      const got = readSync(this.fd, this.#piece, filled, size - filled, start + filled);
      if (got === 0) throw new FormatError('ends before a block does');
      filled += got;
    }
    return this.#piece;
  }
}
