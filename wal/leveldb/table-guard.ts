import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from '../errors.js';
import { FormatError } from './coding.js';
import type { LookReport } from './look.js';
import { type BadBlock, findBadBlocks } from './table-file.js';

interface GuardedTable {
  readonly file: string;
  readonly first: number;
  readonly last: number;
  /** Undefined until the table has been read through. */
  bad: readonly BadBlock[] | undefined;
}

/**
 * Stands between readers and LevelDB, which reads data blocks without checking them and on some damage ends the process. A
 * table that was there when the store was opened is read through once, before the first read that touches it; 16 MiB take about
 * 15 ms. Tables that LevelDB writes later are new from memory.
 */
export class TableGuard {
  private readonly tables: GuardedTable[];
  /** Tables not read through yet; with none left and nothing bad, there is nothing to guard. */
  private unread: number;
  private anyBad = false;

  constructor(
    private readonly dir: string,
    looked: Pick<LookReport, 'files'>,
  ) {
    this.tables = looked.files.flatMap(({ name, live, range }) =>
      live && range !== undefined
        ? [{ file: name, first: range.first, last: range.last, bad: undefined }]
        : [],
    );
    this.unread = this.tables.length;
  }

  /**
   * To be called before LevelDB is asked for records `from` to `to`.
   * @throws WalError WAL_BAD_RECORD if any of them may lie in a damaged block
   */
  assertReadable(from: number, to: number): void {
    if (this.unread === 0 && !this.anyBad) return;
    for (const table of this.tables) {
      if (table.last < from || table.first > to) continue;
      table.bad ??= this.readThrough(table);
      // The block before a range is read as well, to find where it starts: bounds that only touch count.
      const hit = table.bad.find(
        block => block.firstSeq <= to && (block.lastSeq === 0 || block.lastSeq >= from - 1),
      );
      if (hit !== undefined) throw damagedBlock(table, hit);
    }
  }

  /**
   * To be called before LevelDB merges the tables that hold any of records `from` to `to`, which go: it would write what else is in
   * them with new checksums, damaged or not.
   * @throws WalError WAL_BAD_RECORD
   */
  assertMergeable(from: number, to: number): void {
    let [first, last] = [from, to];
    for (let merged = 0; ; ) {
      const tables = this.tables.filter(table => table.first <= last && table.last >= first);
      // A merge takes in every table that overlaps one of those it takes in.
      if (tables.length === merged) return;
      merged = tables.length;
      for (const table of tables) {
        first = Math.min(first, table.first);
        last = Math.max(last, table.last);
        table.bad ??= this.readThrough(table);
        const hit = table.bad.find(block => (block.firstSeq || table.first) < from);
        if (hit !== undefined) throw damagedBlock(table, hit);
      }
    }
  }

  private readThrough(table: GuardedTable): readonly BadBlock[] {
    this.unread -= 1;
    try {
      const bad = readBadBlocks(join(this.dir, table.file));
      this.anyBad ||= bad.length > 0;
      return bad;
    } catch (error) {
      // LevelDB has merged the table into a new one since, and read it without dying of it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      if (!(error instanceof FormatError)) throw error;
      this.anyBad = true;
      return [{ offset: 0, firstSeq: table.first, lastSeq: table.last }];
    }
  }
}

function readBadBlocks(path: string): readonly BadBlock[] {
  const file = openSync(path, 'r');
  try {
    return findBadBlocks(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function damagedBlock(table: GuardedTable, block: BadBlock): WalError {
  const first = block.firstSeq || table.first;
  const last = block.lastSeq || table.last;
  return new WalError(
    'WAL_BAD_RECORD',
    `${table.file} is damaged at byte ${block.offset}: records ${first} to ${last} cannot be read`,
    DAMAGE_WAY_OUT,
    { details: { seq: first, to: last } },
  );
}
