/** Single values of a LevelDB directory, read from its files without LevelDB. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { assertFormatError } from './coding.js';
import { describeHeld, type Findings } from './findings.js';
import { decodeInternalKey } from './internal-key.js';
import { attemptAfter, type Entry, readLogEntries } from './live-values.js';
import type { LookReport } from './look.js';
import { blocksWith, readAtSync, readTableBlocks } from './table-blocks.js';
import { blockEntries, checkBlock } from './table-file.js';

/**
 * The values of some keys: the blocks of tables that may hold one, its checksum checked, and the live logs. What is not there, or deleted, is left out.
 * @param looked what look() found out about the directory
 * @param findings where blocks and files that cannot be read are reported
 */
export async function readLiveValuesAt(
  dir: string,
  looked: LookReport,
  seqs: ReadonlySet<number>,
  findings: Findings,
): Promise<Map<number, Buffer>> {
  const newest = new Map<number, Entry>();
  const offer = (seq: number, entry: Entry) => {
    const known = newest.get(seq);
    if (seqs.has(seq) && (known === undefined || known.stamp < entry.stamp)) newest.set(seq, entry);
  };
  const attempt = attemptAfter(looked, findings);
  for (const { name, kind, live, range } of looked.files) {
    if (kind !== 'table' || !live || range === undefined) continue;
    const wanted = [...seqs].filter(seq => range.first <= seq && seq <= range.last);
    if (wanted.length > 0) await attempt(name, async () => readFromTable(dir, name, wanted, offer, findings));
  }
  for (const [seq, entry] of await readLogEntries(dir, looked, attempt)) offer(seq, entry);
  return new Map([...newest].flatMap(([seq, { value }]) => (value === undefined ? [] : [[seq, value]])));
}

const numbersOf = ({ start, end }: { start: number; end: number }): number[] =>
  Array.from({ length: end - start + 1 }, (_, i) => start + i);

function readFromTable(
  dir: string,
  name: string,
  wanted: readonly number[],
  offer: (seq: number, entry: Entry) => void,
  findings: Findings,
): void {
  const file = openSync(join(dir, name), 'r');
  try {
    const blocks = readTableBlocks(join(dir, name));
    const { seqs, offsets } = blocks;
    for (const block of new Set(wanted.flatMap(seq => numbersOf(blocksWith(blocks, seq, seq)))))
      try {
        const at = offsets[block]!;
        for (const { key, value } of blockEntries(
          checkBlock(readAtSync(file, at, offsets[block + 1]! - at)),
        )) {
          const found = decodeInternalKey(key);
          if (found !== undefined)
            offer(found.seq, { stamp: found.stamp, value: found.deleted ? undefined : value });
        }
      } catch (error) {
        assertFormatError(error);
        const first = block === 0 ? undefined : seqs[block - 1]! || undefined;
        findings.add(
          'TABLE_DAMAGED',
          name,
          `${name}: the block at byte ${offsets[block]} ${error.message}; ${describeHeld(first, seqs[block])}`,
          first,
        );
      }
  } catch (error) {
    // A damaged index is among the look's findings already.
    assertFormatError(error);
  } finally {
    closeSync(file);
  }
}
