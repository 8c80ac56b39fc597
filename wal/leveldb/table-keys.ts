/**
 * Which keys a table holds, without reading it: the events of a log are put once each, in order, so from one key to
 * the next LevelDB's write counter rises by one as the key does. Two entries of a table whose keys are as far apart as
 * their counters enclose all keys between them. Where that fails (events that were written again, or deleted) the
 * blocks concerned must be read.
 */
import { open } from 'node:fs/promises';
import type { InternalKey } from './internal-key.js';
import { type KeyRange, KeyRanges } from './key-ranges.js';
import { entryOf, readTableBlocks, type TableBlocks } from './table-blocks.js';
import { readDataBlock } from './table-file.js';

/** Consecutive keys, put (or deleted) in ascending order one after the other. */
export interface WrittenRun extends KeyRange {
  /** LevelDB's write counter for `first`. */
  readonly stamp: number;
  readonly deleted: boolean;
}

export interface TableKeys {
  readonly runs: readonly WrittenRun[];
  /** Ranges within the table of which its index does not say which keys are there. */
  readonly doubts: readonly KeyRange[];
  readonly holdsDeletions: boolean;
}

/** What footer and index tell of a table's keys. @param smallest @param largest its first and last key */
export function keysByIndex(
  smallest: InternalKey,
  largest: InternalKey,
  { seqs, stamps, deleted }: TableBlocks,
): TableKeys {
  const runs: { first: number; last: number; stamp: number; deleted: boolean }[] = [];
  const runOf = new Map<number, (typeof runs)[number]>();
  let holdsDeletions = smallest.deleted || largest.deleted;
  const enter = (seq: number, stamp: number) => {
    const lead = stamp - seq;
    const known = runOf.get(lead);
    if (known !== undefined) {
      known.last = seq;
      return;
    }
    const run = { first: seq, last: seq, stamp, deleted: false };
    runs.push(run);
    runOf.set(lead, run);
  };
  if (!smallest.deleted) enter(smallest.seq, smallest.stamp);
  // The separator of the last block lies beyond its keys; others are mostly the last key of theirs, whole.
  const inside = seqs.length - 1;
  for (let i = 0; i < inside; i++) {
    if (deleted[i] === 1) holdsDeletions = true;
    else if (seqs[i] !== 0) {
      // Of puts that go on from one to the next, the last one tells all.
      const goesOn = i + 1 < inside && stamps[i + 1]! - seqs[i + 1]! === stamps[i]! - seqs[i]!;
      const began =
        i === 0 || deleted[i - 1] === 1 || stamps[i - 1]! - seqs[i - 1]! !== stamps[i]! - seqs[i]!;
      if (!goesOn || deleted[i + 1] === 1 || began) enter(seqs[i]!, stamps[i]!);
    }
  }
  if (!largest.deleted) enter(largest.seq, largest.stamp);
  const known = new KeyRanges();
  for (const { first, last } of runs) known.add(first, last);
  return { runs, doubts: known.gaps(smallest.seq, largest.seq), holdsDeletions };
}

/**
 * Read the keys of those blocks of a table that may hold wanted ones.
 *
 * @param isWanted called with the range of keys that a block can hold
 * @throws FormatError if the index is damaged; or the file system's error
 */
export async function keysByReading(
  path: string,
  isWanted: (range: KeyRange) => boolean,
): Promise<{
  runs: WrittenRun[];
  damaged: { offset: number; problem: string; seq: number }[];
  bytesRead: number;
}> {
  const file = await open(path, 'r');
  try {
    const blocks = readTableBlocks(path);
    const count = blocks.seqs.length;
    const runs: { first: number; last: number; stamp: number; deleted: boolean }[] = [];
    const damaged: { offset: number; problem: string; seq: number }[] = [];
    let { bytesRead } = blocks;
    let newest = 0;
    let after = 0;
    for (let i = 0; i < count; i++) {
      const upTo = (i < count - 1 && blocks.seqs[i]!) || Infinity;
      const range = { first: after, last: upTo };
      after = Number.isFinite(upTo) ? upTo : after;
      if (!isWanted(range)) continue;
      const entries = i === 0 ? [entryOf(blocks, i)] : [entryOf(blocks, i - 1), entryOf(blocks, i)];
      const block = await readDataBlock(file, entries, entries.length - 1);
      bytesRead += block.sizeBytes;
      if (block.problem !== undefined)
        damaged.push({ offset: block.offset, problem: block.problem, seq: range.first });
      for (const { seq, stamp, deleted } of block.entries) {
        // The newest entry of a key comes first; the older ones no longer count.
        if (seq === newest) continue;
        newest = seq;
        const run = runs.at(-1);
        const goesOn =
          run?.last === seq - 1 && run.deleted === deleted && stamp - seq === run.stamp - run.first;
        if (goesOn) run.last = seq;
        else runs.push({ first: seq, last: seq, stamp, deleted });
      }
    }
    return { runs, damaged, bytesRead };
  } finally {
    await file.close();
  }
}

/** Apply puts and deletions in the order in which they were written. */
export function applyRuns(runs: readonly WrittenRun[], keys: KeyRanges): void {
  for (const { first, last, deleted } of [...runs].sort((a, b) => a.stamp - b.stamp)) {
    if (deleted) keys.remove(first, last);
    else keys.add(first, last);
  }
}
