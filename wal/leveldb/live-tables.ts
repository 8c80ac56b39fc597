/**
 * The part of the look that is about tables: each live one is checked up to its data blocks, and together they tell
 * which keys they hold.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from './coding.js';
import { type DirectoryFile, tableName } from './file-names.js';
import type { Findings } from './findings.js';
import { compareInternalKeys, decodeInternalKey, type InternalKey } from './internal-key.js';
import { type KeyRange, KeyRanges } from './key-ranges.js';
import { readTableIndex } from './table-file.js';
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
  readonly lastSeq: number;
}

/**
 * Check the live tables, mark their files as live and add their keys to `keys`.
 *
 * @returns the newest write that the bounds of any table show; `stamp` is 0 if there is no table
 */
export async function readLiveTables(
  dir: string,
  tables: readonly TableMeta[],
  files: readonly DirectoryFile[],
  keys: KeyRanges,
  findings: Findings,
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
    const known = await checkTable(dir, file, table, smallest, largest, findings);
    if (known !== undefined) checked.push({ name, lastSeq: largest.seq, ...known });
    // A damaged table has its finding; that its keys are missing as well would be no news.
    else claims.push({ first: smallest.seq, last: largest.seq, stamp: smallest.stamp, deleted: false });
  }
  applyRuns([...claims, ...(await settleDoubts(dir, checked, findings))], keys);
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
): Promise<TableKeys | undefined> {
  if (file.sizeBytes !== table.sizeBytes) {
    const code = file.sizeBytes < table.sizeBytes ? 'TABLE_TRUNCATED' : 'TABLE_DAMAGED';
    const message = `${file.name} has ${file.sizeBytes} bytes, not ${table.sizeBytes}`;
    findings.add(code, file.name, message, smallest.seq);
    return undefined;
  }
  return findings.attempt(file.name, async () => {
    const handle = await open(join(dir, file.name), 'r');
    try {
      const { blocks, bytesRead } = await readTableIndex(handle, file.sizeBytes);
      findings.bytesRead += bytesRead;
      if (compareInternalKeys(blocks[0]!.separator, table.smallest) < 0)
        throw new FormatError('holds other keys than the MANIFEST says');
      return keysByIndex(smallest, largest, blocks);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.add('TABLE_DAMAGED', file.name, `${file.name} ${error.message}`, smallest.seq);
      return undefined;
    } finally {
      await handle.close();
    }
  });
}

/**
 * The runs of all tables. Blocks are read only where no table's index tells which keys are there; and the last one of
 * the table that ends the log, as it may say that the tail was deleted.
 */
async function settleDoubts(
  dir: string,
  tables: readonly CheckedTable[],
  findings: Findings,
): Promise<WrittenRun[]> {
  const certain = new KeyRanges();
  for (const table of tables) for (const { first, last } of table.runs) certain.add(first, last);
  const lastSeq = tables.reduce((max, table) => Math.max(max, table.lastSeq), 0);

  const readKeys = async (name: string, isWanted: (range: KeyRange) => boolean): Promise<WrittenRun[]> => {
    const read = await findings.attempt(name, () => keysByReading(join(dir, name), isWanted));
    if (read === undefined) return [];
    findings.bytesRead += read.bytesRead;
    for (const { offset, problem, seq } of read.damaged) {
      findings.add('TABLE_DAMAGED', name, `${name}: the block at byte ${offset} ${problem}`, seq);
    }
    return read.runs;
  };

  const settle = async ({
    name,
    runs,
    doubts,
    holdsDeletions,
    lastSeq: last,
  }: CheckedTable): Promise<WrittenRun[]> => {
    if (holdsDeletions) return readKeys(name, () => true);
    const open = doubts.flatMap(doubt => certain.gaps(doubt.first, doubt.last));
    if (last === lastSeq) open.push({ first: lastSeq, last: lastSeq });
    if (open.length === 0) return [...runs];
    const found = await readKeys(name, range =>
      open.some(gap => gap.first <= range.last && range.first <= gap.last),
    );
    return found.some(({ deleted }) => deleted) ? readKeys(name, () => true) : [...runs, ...found];
  };

  const settled: WrittenRun[] = [];
  for (const table of tables) for (const run of await settle(table)) settled.push(run);
  return settled;
}
