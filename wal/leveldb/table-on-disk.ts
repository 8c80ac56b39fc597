import { open } from 'node:fs/promises';
import { assertFormatError, FormatError } from './coding.js';
import type { KeyRange } from './key-ranges.js';
import { readTableBlocks } from './table-blocks.js';
import { checkBlock, readAt } from './table-file.js';

/** Blocks are read in pieces of about this size. */
const PIECE_BYTES = 256 * 1024;

/** A place of a table that cannot be trusted. */
export interface BadPlace {
  readonly problem: string;
  /** The records that it may have held. */
  readonly range: KeyRange;
}

/**
 * Reads a whole table from the disk, every checksum checked, while LevelDB has it open.
 * @param table its name, its size in bytes and its keys, as the MANIFEST says
 * @param onRead called after each piece; what it waits for is waited for
 * @throws the file system's error: ENOENT if LevelDB has merged it meanwhile; what `onRead` throws
 */
export async function readTableOnDisk(
  path: string,
  { name, sizeBytes, range }: { name: string; sizeBytes: number; range: KeyRange },
  onRead: (bytes: number) => Promise<void>,
): Promise<BadPlace[]> {
  const file = await open(path, 'r');
  try {
    const bad: BadPlace[] = [];
    try {
      const { size } = await file.stat();
      if (size !== sizeBytes) throw new FormatError(`has ${size} bytes, not ${sizeBytes}`);
      const { offsets, seqs, bytesRead } = readTableBlocks(path);
      await onRead(bytesRead);
      for (let first = 0; first < seqs.length; ) {
        let next = first + 1;
        while (next < seqs.length && offsets[next + 1]! - offsets[first]! <= PIECE_BYTES) next++;
        const at = offsets[first]!;
        const piece = await readAt(file, at, offsets[next]! - at);
        for (let i = first; i < next; i++) {
          const problem = problemOf(piece.subarray(offsets[i]! - at, offsets[i + 1]! - at));
          if (problem === undefined) continue;
          const held = { first: seqs[i - 1] || range.first, last: seqs[i] || range.last };
          bad.push({
            problem: `${name}: the block at byte ${offsets[i]} ${problem}; it holds records ${held.first} to ${held.last}`,
            range: held,
          });
        }
        await onRead(piece.length);
        first = next;
      }
    } catch (error) {
      assertFormatError(error);
      bad.push({ problem: `${name} ${error.message}`, range });
    }
    return bad;
  } finally {
    await file.close();
  }
}

function problemOf(block: Buffer): string | undefined {
  try {
    checkBlock(block);
    return undefined;
  } catch (error) {
    assertFormatError(error);
    return error.message;
  }
}
