/**
 * The part of the look that is about tables: each live one is checked up to its data blocks, and together they tell
 * which keys they hold.
 */
import { join } from 'node:path';
import { assertFormatError, FormatError } from './coding.js';
import { type DirectoryFile, tableName } from './file-names.js';
import type { Findings } from './findings.js';
import { compareInternalKeys, decodeInternalKey, type InternalKey } from './internal-key.js';
import { type KeyRange, KeyRanges } from './key-ranges.js';
import { entryOf, KEPT_INDEXES, readTableBlocks, type TableBlocks } from './table-blocks.js';
import { applyRuns, keysByIndex, keysByReading, type TableKeys, type WrittenRun } from './table-keys.js';
import type { TableMeta } from './version-edit.js';

/** A write that a table shows, by LevelDB's counter. */
export interface ShownWrite {
  readonly stamp: number;
  readonly file: string;
  readonly seq: number;
}

interface CheckedTable extends TableKeys {
  readonly name: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/**
 * Check the live tables, mark their files as live, add their keys to `keys` and some of their indexes, by name, to `indexes`.
 *
 * @returns the newest write that the bounds of any table show; `stamp` is 0 if there is no table
 */
export async function readLiveTables(
  dir: string,
  tables: readonly TableMeta[],
  files: readonly DirectoryFile[],
  keys: KeyRanges,
  findings: Findings,
  indexes: Map<string, TableBlocks>,
): Promise<ShownWrite> {
  let newest: ShownWrite = { stamp: 0, file: '', seq: 0 };
  const checked: CheckedTable[] = [];
  const claims: WrittenRun[] = [];
  for (const table of [...tables].sort((a, b) => compareInternalKeys(a.smallest, b.smallest))) {
    const name = tableName(table.number);
    const smallest = decodeInternalKey(table.smallest);
    const largest = decodeInternalKey(table.largest);
    const file = files.find(file => file.name === name);
    if (file === undefined) {
      findings.add('TABLE_MISSING', name, `${name} is missing`, smallest?.seq);
      continue;
    }
    file.live = true;
    if (smallest === undefined || largest === undefined) {
      findings.add('FOREIGN_KEYS', name, `${name} holds keys that are no sequence numbers`);
      continue;
    }
    file.range = { first: smallest.seq, last: largest.seq };
    for (const { stamp, seq } of [smallest, largest])
      if (stamp > newest.stamp) newest = { stamp, file: name, seq };
    const known = await checkTable(dir, file, table, smallest, largest, findings, indexes);
    if (known !== undefined) checked.push({ name, firstSeq: smallest.seq, lastSeq: largest.seq, ...known });
    // A damaged table has its finding; that its keys are missing as well would be no news.
    else claims.push({ first: smallest.seq, last: largest.seq, stamp: smallest.stamp, deleted: false });
  }
  applyRuns(await settleDoubts(dir, checked, claims, findings), keys);
  return newest;
}

/** Returns what its index tells of its keys, undefined if it is damaged. */
async function checkTable(
  dir: string,
  file: DirectoryFile,
  table: TableMeta,
  smallest: InternalKey,
  largest: InternalKey,
  findings: Findings,
  indexes: Map<string, TableBlocks>,
): Promise<TableKeys | undefined> {
  if (file.sizeBytes !== table.sizeBytes) {
    const code = file.sizeBytes < table.sizeBytes ? 'TABLE_TRUNCATED' : 'TABLE_DAMAGED';
    const message = `${file.name} has ${file.sizeBytes} bytes, not ${table.sizeBytes}`;
    findings.add(code, file.name, message, smallest.seq);
    return undefined;
  }
  return findings.attempt(file.name, async () => {
    try {
      const blocks = readTableBlocks(join(dir, file.name));
      findings.bytesRead += blocks.bytesRead;
      if (compareInternalKeys(entryOf(blocks, 0).separator, table.smallest) < 0)
        throw new FormatError('holds other keys than the MANIFEST says');
      // The tables come in the order of their keys, and what is asked for is mostly in the last ones.
      if (indexes.size === KEPT_INDEXES) indexes.delete(indexes.keys().next().value!);
      indexes.set(file.name, blocks);
      return keysByIndex(smallest, largest, blocks);
    } catch (error) {
      assertFormatError(error);
      findings.add('TABLE_DAMAGED', file.name, `${file.name} ${error.message}`, smallest.seq);
      return undefined;
    }
  });
}

/**
 * The runs of all tables. Blocks are read where no table's index tells which keys are there. As to deletions, an index may not show
 * them: of a key that was put and deleted while in memory, a table holds both, and its index may name the put. But only tails are
 * ever deleted, so the keys are a prefix at any time: if the highest one that the indexes claim is there, so is the rest, and if
 * it is not, the tables that delete it are read whole.
 */
async function settleDoubts(
  dir: string,
  tables: readonly CheckedTable[],
  claims: readonly WrittenRun[],
  findings: Findings,
): Promise<WrittenRun[]> {
  /** Damaged blocks; one may be read more than once. */
  const reported = new Set<string>();
  /** Tables that could not be read, once: they have their finding. */
  const refused = new Set<string>();
  const readKeys = async (name: string, isWanted: (range: KeyRange) => boolean): Promise<WrittenRun[]> => {
    if (refused.has(name)) return [];
    const read = await findings.attempt(name, async () => {
      try {
        return await keysByReading(join(dir, name), isWanted);
      } catch (error) {
        // It was sound a moment ago.
        assertFormatError(error);
        findings.add('TABLE_DAMAGED', name, `${name} ${error.message}`);
        return undefined;
      }
    });
    if (read === undefined) {
      refused.add(name);
      return [];
    }
    findings.bytesRead += read.bytesRead;
    for (const { offset, problem, seq } of read.damaged) {
      if (reported.has(`${name} ${offset}`)) continue;
      reported.add(`${name} ${offset}`);
      findings.add('TABLE_DAMAGED', name, `${name}: the block at byte ${offset} ${problem}`, seq);
    }
    return read.runs;
  };
  const overlaps = (a: KeyRange, b: KeyRange) => a.first <= b.last && b.first <= a.last;

  const certain = new KeyRanges();
  for (const table of tables) for (const { first, last } of table.runs) certain.add(first, last);
  const settled = new Map<CheckedTable, readonly WrittenRun[]>();
  const byIndex = new Set<CheckedTable>();
  const readWhole = async (table: CheckedTable) => {
    byIndex.delete(table);
    settled.set(table, await readKeys(table.name, () => true));
  };
  for (const table of tables) {
    if (table.holdsDeletions) {
      await readWhole(table);
      continue;
    }
    const open = table.doubts.flatMap(doubt => certain.gaps(doubt.first, doubt.last));
    const found =
      open.length === 0 ? [] : await readKeys(table.name, range => open.some(gap => overlaps(gap, range)));
    if (found.some(({ deleted }) => deleted)) await readWhole(table);
    else {
      byIndex.add(table);
      settled.set(table, [...table.runs, ...found]);
    }
  }

  for (;;) {
    const runs = [...claims, ...[...settled.values()].flat()];
    const keys = new KeyRanges();
    applyRuns(runs, keys);
    const top = keys.max;
    // What another table seemed to hold was deleted and put again, in blocks that the index does not tell of.
    const gaps = keys.gaps(1, top);
    const suspects = [...byIndex].filter(({ doubts }) =>
      gaps.some(gap => doubts.some(doubt => overlaps(gap, doubt))),
    );
    if (suspects.length === 0) suspects.push(...(await tablesDeleting(top)));
    if (suspects.length === 0) return runs;
    for (const table of suspects) await readWhole(table);
  }

  /** Of the tables that are known by their index, those that delete a key, if that is the last that was done to it. */
  async function tablesDeleting(key: number): Promise<CheckedTable[]> {
    let newest: WrittenRun | undefined;
    const deleting: CheckedTable[] = [];
    for (const table of byIndex) {
      if (table.firstSeq > key || table.lastSeq < key) continue;
      const read = await readKeys(table.name, range => overlaps(range, { first: key, last: key }));
      const entry = read.find(run => run.first <= key && key <= run.last);
      if (entry === undefined) continue;
      if (entry.deleted) deleting.push(table);
      if (newest === undefined || stampOf(entry, key) > stampOf(newest, key)) newest = entry;
    }
    return newest?.deleted === true ? deleting : [];
  }
}

const stampOf = (run: WrittenRun, key: number): number => run.stamp + key - run.first;
