import { closeSync, fsync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fsyncDirectory } from './head-file.js';
import { LOG_OPTIONS } from './level.js';

const fsyncAsync = promisify(fsync);

/**
 * What LevelDB leaves out of a synced write: it fdatasyncs the log file that it writes to, but not the directory in which a new
 * one appeared; on macOS it calls plain fsync, which does not reach the platter, where Node's fsync (F_FULLFSYNC) does.
 */
export class LogFileSync {
  private current: string;
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

  /** To be awaited after each synced write, before it is acknowledged. @param bytes of the values in it */
  async settle(values: number, bytes: number): Promise<void> {
    // 128: what LevelDB's memtable needs per entry beyond the value, generously.
    this.bytesInCurrent += bytes + 128 * values;
    // A new file can only have appeared once the old one's share of the write buffer is used up.
    if (this.bytesInCurrent >= LOG_OPTIONS.writeBufferSize / 2) {
      const newest = this.newest();
      if (newest !== this.current) {
        fsyncDirectory(this.dir);
        this.current = newest;
        this.bytesInCurrent = 0;
      }
    }
    if (!this.throughToPlatter) return;
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
