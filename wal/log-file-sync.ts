import { closeSync, fsync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fsyncDirectory } from './head-file.js';
import { LOG_OPTIONS } from './level.js';

const fsyncAsync = promisify(fsync);

/** An eighth less than LevelDB's bound, at which it begins another file: what memtableBytes may have missed, and then some. */
const LOOK_FROM_BYTES = (LOG_OPTIONS.writeBufferSize / 8) * 7;

/**
 * What LevelDB's memtable takes for a value of so many bytes at most: its arena cuts small entries from blocks of 4 KiB, of which a
 * quarter may be wasted, and gives others a block of their own; a skip list's node has up to 12 pointers.
 */
export function memtableBytes(valueBytes: number): number {
  const entry = valueBytes + 32;
  return (entry > 1024 ? entry : Math.ceil((entry * 4) / 3)) + 160;
}

/**
 * What LevelDB leaves out of a synced write: it fdatasyncs the log file that it writes to, but not the directory in which a new
 * one appeared; on macOS it calls plain fsync, which does not reach the platter, where Node's fsync (F_FULLFSYNC) does.
 */
export class LogFileSync {
  private current: string;
  /** What the memtable that belongs to the file takes, at most. */
  private bytesInCurrent = 0;

  /**
   * @param dir the database's directory, whose entries are flushed at this moment
   * @param throughToPlatter flush the log file itself as well after each write
   */
  constructor(
    private readonly dir: string,
    private readonly throughToPlatter: boolean,
  ) {
    this.current = this.newest();
  }

  /**
   * To be called after each synced write, before it is acknowledged.
   * @param bytes memtableBytes of all the values in it
   * @returns what is to be awaited, if anything
   */
  settle(bytes: number): Promise<void> | undefined {
    this.bytesInCurrent += bytes;
    // A new file that matters can only have appeared once the old one's share of the write buffer is used up. One that a merge began is
    // flushed with the MANIFEST that names it, but the old one is gone.
    if (this.throughToPlatter || this.bytesInCurrent >= LOOK_FROM_BYTES) {
      const newest = this.newest();
      if (newest !== this.current) {
        fsyncDirectory(this.dir);
        this.current = newest;
        // LevelDB begins a file before a write, so this one went into the new file, large as it may be.
        this.bytesInCurrent = bytes;
      }
    }
    return this.throughToPlatter ? this.flushCurrent() : undefined;
  }

  /** The newest log file whose entry in the directory is on the disk. */
  get newestFlushed(): string {
    return this.current;
  }

  private async flushCurrent(): Promise<void> {
    const fd = openSync(join(this.dir, this.current), 'r+');
    try {
      await fsyncAsync(fd);
    } finally {
      closeSync(fd);
    }
  }

  private newest(): string {
    const number = (name: string) => Number.parseInt(name, 10);
    const logs = readdirSync(this.dir).filter(name => /^\d+\.log$/.test(name));
    return logs.sort((a, b) => number(a) - number(b)).at(-1) ?? '';
  }
}
