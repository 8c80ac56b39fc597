import type { WalError } from './errors.js';
import { readError } from './io-error.js';
import { readAndClose } from './level.js';
import type { TableGuard } from './leveldb/table-guard.js';
import type { LogDatabase, OpenedDatabase } from './open-database.js';
import { decodeKey, encodeKey } from './record.js';

/** Records fetched by one seek of a range read; about a megabyte of them at most. */
const PIECE_RECORDS = 1000;
const PIECE_BYTES = 1024 * 1024;

/**
 * Reads stored values from the database that is open at the moment: each block of a table is checked on the disk before LevelDB reads it,
 * and whoever reads while the database is being reopened waits.
 */
export class LevelReader {
  private reopening: Promise<void> | undefined;
  /** Why nothing can be read: set while the database is closed. */
  private unreadable: WalError | undefined;

  constructor(private opened: Pick<OpenedDatabase, 'database' | 'guard'>) {}

  get database(): LogDatabase {
    return this.opened.database;
  }

  get guard(): TableGuard {
    return this.opened.guard;
  }

  /** Reads go on, in another database. */
  use(opened: Pick<OpenedDatabase, 'database' | 'guard'>): void {
    this.opened = opened;
    this.unreadable = undefined;
  }

  /** To be called before the database is closed. @param why whoever reads is told */
  stop(why: WalError): void {
    this.unreadable = why;
  }

  /** Lets readers wait while the database is closed and another one opened. */
  async during(reopening: Promise<void>): Promise<void> {
    this.reopening = reopening.finally(() => {
      this.reopening = undefined;
    });
    await this.reopening;
  }

  /** Resolves when reads work. @throws WalError why they do not */
  async readable(): Promise<void> {
    await this.reopening;
    if (this.unreadable) throw this.unreadable;
  }

  value(seq: number): Uint8Array | undefined {
    if (this.unreadable) throw this.unreadable;
    try {
      this.guard.assertReadable(seq, seq);
      return this.database.getSync(encodeKey(seq));
    } catch (error) {
      throw readError(error, `record ${seq}`);
    }
  }

  /** One seek a piece: so a reopening in the middle of a long read costs a seek, and tables are checked as they are reached. */
  async *values(from: number, to: number, reverse: boolean): AsyncGenerator<[number, Uint8Array][]> {
    const pieceOf = (first: number, last: number) => {
      const low = reverse ? Math.max(first, last - PIECE_RECORDS + 1) : first;
      const high = reverse ? last : Math.min(last, first + PIECE_RECORDS - 1);
      const piece = this.piece(low, high, reverse).then(piece => {
        // Nothing where something must be: the reader sees it by the next piece.
        const reached = piece.at(-1)?.[0] ?? (reverse ? low : high);
        return { piece, rest: reverse ? ([first, reached - 1] as const) : ([reached + 1, last] as const) };
      });
      // Whoever waits for it hears of a failure.
      piece.catch(() => {});
      return piece;
    };
    let next = from <= to ? pieceOf(from, to) : undefined;
    try {
      while (next !== undefined) {
        const { piece, rest }: Awaited<ReturnType<typeof pieceOf>> = await next;
        // Read while the reader is busy with this one.
        next = rest[0] <= rest[1] ? pieceOf(...rest) : undefined;
        if (piece.length > 0) yield piece;
      }
    } finally {
      await next?.catch(() => {});
    }
  }

  private async piece(first: number, last: number, reverse: boolean): Promise<[number, Uint8Array][]> {
    for (;;) {
      await this.readable();
      const { database } = this;
      try {
        this.guard.assertReadable(first, last);
        const iterator = database.iterator({
          gte: encodeKey(first),
          lte: encodeKey(last),
          reverse,
          highWaterMarkBytes: PIECE_BYTES,
        });
        // No more than there are: to find its end, LevelDB would look into the next block, which nobody has checked.
        const entries = await readAndClose(iterator, last - first + 1);
        const piece = entries.map(([key, value]): [number, Uint8Array] => [decodeKey(key), value]);
        const skipped = firstSkipped(piece, reverse ? last : first, reverse);
        // Iteration passes over a table that cannot be opened, and does not tell; asked for a key of it, LevelDB does.
        if (skipped !== undefined) database.getSync(encodeKey(skipped));
        return piece;
      } catch (error) {
        // Closed in the middle of it: it is the reopening's to say what becomes of it, or the end of the log.
        if (this.unreadable === undefined && this.database === database)
          throw readError(error, `records ${first} to ${last}`);
      }
    }
  }
}

/** @param start the number that comes first @returns the first one that is not there though something else is, or though nothing is */
function firstSkipped(
  piece: readonly [seq: number, value: Uint8Array][],
  start: number,
  reverse: boolean,
): number | undefined {
  if (piece.length === 0) return start;
  const expected = (index: number) => (reverse ? start - index : start + index);
  const index = piece.findIndex(([seq], index) => seq !== expected(index));
  return index < 0 ? undefined : expected(index);
}
