import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from '../errors.js';
import type { Fragment } from '../log.js';
import { assertFormatError, FormatError } from './coding.js';
import { firstWhere } from './first-where.js';
import type { LookReport } from './look.js';
import { blocksWith, KEPT_INDEXES, readAtSync, readTableBlocks, type TableBlocks } from './table-blocks.js';
import { checkBlock } from './table-file.js';

/** A data block whose checksum is wrong, and the sequence numbers it may hold; 0 where the index does not say. */
interface BadBlock {
  readonly offset: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

interface GuardedTable {
  readonly file: string;
  readonly first: number;
  readonly last: number;
  /** By block: 1 where it has been checked. Undefined until one was. */
  checked: Uint8Array | undefined;
  /** All blocks have been checked. */
  isDone: boolean;
  readonly bad: BadBlock[];
}

/** A table is small below a quarter of what the log's tables are made to be. */
const SMALL_BYTES = 4 * 1024 * 1024;
/** So many small tables in a row are worth being written anew. */
const MIN_SMALL = 4;
/** But not more than this at a time. */
const FRAGMENT_BYTES = 32 * 1024 * 1024;

/** Blocks are checked in pieces of at most about this size. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Stands between readers and LevelDB, which reads data blocks without checking them and on some damage ends the process. Of a
 * table that was there when the store was opened, each block is checked once, before the first read that touches it. Tables that
 * LevelDB writes later are new from memory.
 */
export class TableGuard {
  /** By their first key. */
  private readonly tables: GuardedTable[];
  /** The highest last key of a table and of all before it. */
  private readonly lastUpTo: number[] = [];
  /** By file; more of them than are kept are read again when they are needed. */
  private readonly indexes: Map<string, TableBlocks>;
  /** Tables with blocks that have not been checked; with none left and nothing bad, there is nothing to guard. */
  private unread: number;
  private anyBad = false;

  constructor(
    private readonly dir: string,
    looked: Pick<LookReport, 'files' | 'indexes'>,
  ) {
    this.tables = looked.files.flatMap(({ name, live, range }) =>
      live && range !== undefined
        ? [{ file: name, first: range.first, last: range.last, checked: undefined, isDone: false, bad: [] }]
        : [],
    );
    this.tables.sort((a, b) => a.first - b.first);
    for (const { last } of this.tables) this.lastUpTo.push(Math.max(last, this.lastUpTo.at(-1) ?? 0));
    this.unread = this.tables.length;
    this.indexes = new Map(looked.indexes);
  }

  /**
   * To be called before LevelDB is asked for records `from` to `to`.
   * @throws WalError WAL_BAD_RECORD if any of them may lie in a damaged block
   */
  assertReadable(from: number, to: number): void {
    if (this.unread === 0 && !this.anyBad) return;
    for (let i = this.beginningAfter(to) - 1; i >= 0 && this.lastUpTo[i]! >= from; i--) {
      const table = this.tables[i]!;
      if (table.last < from) continue;
      // The block before a range is read as well, to find where it starts: bounds that only touch count.
      if (!table.isDone) this.check(table, from - 1, to);
      const hit = table.bad.find(
        block => block.firstSeq <= to && (block.lastSeq === 0 || block.lastSeq >= from - 1),
      );
      if (hit !== undefined) throw damagedBlock(table, hit);
    }
  }

  /**
   * To be called before LevelDB merges the tables that hold any of records `from` to `to`, all of which stay: it would write damaged
   * ones with new checksums.
   * @throws WalError WAL_BAD_RECORD
   */
  assertSound(from: number, to: number): void {
    for (const table of this.overlapping(from, to)) {
      if (!table.isDone) this.check(table, 0, Number.MAX_SAFE_INTEGER);
      const [hit] = table.bad;
      if (hit !== undefined) throw damagedBlock(table, hit);
    }
  }

  /**
   * To be called before LevelDB merges the tables that hold any of records `from` to `to`, which go: it would write what else is in
   * them with new checksums, damaged or not.
   * @throws WalError WAL_BAD_RECORD
   */
  assertMergeable(from: number, to: number): void {
    for (const table of this.overlapping(from, to)) {
      if (!table.isDone) this.check(table, 0, Number.MAX_SAFE_INTEGER);
      const hit = table.bad.find(block => (block.firstSeq || table.first) < from);
      if (hit !== undefined) throw damagedBlock(table, hit);
    }
  }

  /** Stretches of small tables among those that were there when the store was opened. See GroupCommitLog.fragments. */
  fragments(): Fragment[] {
    const found: Fragment[] = [];
    let open: Fragment | undefined;
    const close = () => {
      if (open !== undefined && open.files >= MIN_SMALL) found.push(open);
      open = undefined;
    };
    for (const { file, first, last } of this.tables) {
      const stat = statSync(join(this.dir, file), { throwIfNoEntry: false });
      // Merged since: what it became is no business of this list.
      if (stat === undefined) continue;
      if (stat.size >= SMALL_BYTES) {
        close();
        continue;
      }
      if (open !== undefined && open.sizeBytes + stat.size > FRAGMENT_BYTES) close();
      open = {
        firstSeq: open?.firstSeq ?? first,
        lastSeq: Math.max(open?.lastSeq ?? 0, last),
        files: (open?.files ?? 0) + 1,
        sizeBytes: (open?.sizeBytes ?? 0) + stat.size,
      };
    }
    close();
    return found;
  }

  /** A merge takes in every table that overlaps one of those it takes in. */
  private overlapping(from: number, to: number): readonly GuardedTable[] {
    let [first, last] = [from, to];
    for (let tables: readonly GuardedTable[] = []; ; ) {
      const wider = this.tables.filter(table => table.first <= last && table.last >= first);
      if (wider.length === tables.length) return tables;
      tables = wider;
      for (const table of tables) {
        first = Math.min(first, table.first);
        last = Math.max(last, table.last);
      }
    }
  }

  /** How many tables begin at `seq` or before it. */
  private beginningAfter(seq: number): number {
    return firstWhere(this.tables.length, i => this.tables[i]!.first > seq);
  }

  /** Checks the blocks that may hold a record of `from` to `to` and have not been checked. */
  private check(table: GuardedTable, from: number, to: number): void {
    try {
      const blocks = this.index(table);
      table.checked ??= new Uint8Array(blocks.seqs.length);
      const { start, end } = blocksWith(blocks, from, to);
      this.checkBlocks(table, table.checked, blocks, start, end);
      if (!table.checked.includes(0)) this.done(table);
    } catch (error) {
      // LevelDB has merged the table into a new one since, and read it without dying of it.
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!isGone && !(error instanceof FormatError)) throw error;
      if (!isGone) this.found(table, { offset: 0, firstSeq: table.first, lastSeq: table.last });
      this.done(table);
    }
  }

  private index(table: GuardedTable): TableBlocks {
    const known = this.indexes.get(table.file);
    if (known !== undefined) return known;
    const index = readTableBlocks(join(this.dir, table.file));
    if (this.indexes.size === KEPT_INDEXES) this.indexes.delete(this.indexes.keys().next().value!);
    this.indexes.set(table.file, index);
    return index;
  }

  /** @param start @param end the first block and the last */
  private checkBlocks(
    table: GuardedTable,
    checked: Uint8Array,
    { offsets, seqs }: TableBlocks,
    start: number,
    end: number,
  ): void {
    let file: number | undefined;
    try {
      for (let first = start; first <= end; ) {
        if (checked[first] === 1) {
          first++;
          continue;
        }
        let next = first + 1;
        while (next <= end && checked[next] === 0 && offsets[next + 1]! - offsets[first]! <= PIECE_BYTES)
          next++;
        file ??= openSync(join(this.dir, table.file), 'r');
        const at = offsets[first]!;
        const bytes = readAtSync(file, at, offsets[next]! - at);
        for (let i = first; i < next; i++) {
          if (!isSound(bytes.subarray(offsets[i]! - at, offsets[i + 1]! - at)))
            this.found(table, { offset: offsets[i]!, firstSeq: seqs[i - 1] ?? 0, lastSeq: seqs[i]! });
          checked[i] = 1;
        }
        first = next;
      }
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  private found(table: GuardedTable, block: BadBlock): void {
    table.bad.push(block);
    this.anyBad = true;
  }

  private done(table: GuardedTable): void {
    table.isDone = true;
    table.checked = undefined;
    this.indexes.delete(table.file);
    this.unread -= 1;
  }
}

function isSound(bytes: Buffer): boolean {
  try {
    checkBlock(bytes);
    return true;
  } catch (error) {
    assertFormatError(error);
    return false;
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
