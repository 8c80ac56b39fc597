/**
 * The one door to LevelDB. `level` is classic-level (bindings to Google's LevelDB 1.20) in Node.
 */
import { Level } from 'level';

export { Level };

/** Deletes a database, taking its lock first. (`level` types itself by its abstract interface, which leaves this out.) */
export const destroyDatabase = (Level as unknown as { destroy(location: string): Promise<void> }).destroy;

/**
 * Merges the tables that hold keys of [first, last], both inclusive, so that what was deleted or written over is gone from
 * the disk. No iterator may be open. LevelDB does not tell of a failure: it refuses the next write.
 */
export function compactRange<K>(database: Level<K, Uint8Array>, first: K, last: K): Promise<void> {
  return (database as unknown as { compactRange(first: K, last: K): Promise<void> }).compactRange(
    first,
    last,
  );
}

/** What is used of an iterator of the log's database. */
interface LogIterator {
  nextv(count: number): Promise<[Buffer, Uint8Array][]>;
  seek(key: Buffer): void;
  close(): Promise<void>;
}

/**
 * The next entries of an iterator, at most `count`; then it is closed, whatever happened.
 *
 * The binding keeps what an iterator read last until the garbage collector comes to the iterator, closed or not. To V8 that is a small object,
 * which may wait while hundreds of megabytes gather. So the iterator reads something small in their place, from where it has just been.
 */
export async function readAndClose(iterator: LogIterator, count: number): Promise<[Buffer, Uint8Array][]> {
  try {
    const entries = await iterator.nextv(count);
    if (entries.length > 0) {
      const smallest = entries.reduce((least, entry) => (entry[1].length < least[1].length ? entry : least));
      iterator.seek(smallest[0]);
      await iterator.nextv(1);
    }
    return entries;
  } finally {
    await iterator.close();
  }
}

/** The options the log is always opened with; wal/leveldb/ reads its files on the strength of them. */
export const LOG_OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'view',
  /** Records are read back byte for byte by our own parsers, and vectors do not compress. */
  compression: false,
  /** Also the size of the table files that come of it: 4 MB would make 25 000 files of 100 GB, 64 MB slows reopening. */
  writeBufferSize: 16 * 1024 * 1024,
  maxFileSize: 16 * 1024 * 1024,
  /** Tables are mapped, so that a larger block costs no larger read; an index of a quarter the size makes opening faster. */
  blockSize: 16 * 1024,
  /** A warm block cache halves the cost of fetching ten texts. */
  cacheSize: 64 * 1024 * 1024,
} as const;
