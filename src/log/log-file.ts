/**
 * A log file that any number of processes append to, and that any of them puts aside when it is due. Everything is synchronous: the
 * last words before a crash are there. Nothing of it throws or waits: a disk that is full costs lines, which are counted, and no more.
 *
 * Before each line the file's inode is compared with the one that is open (2 µs): so every process notices that another one, or
 * logrotate, has put the file aside, and goes on in the new one. Whoever puts it aside holds a lock made by exclusive creation; the
 * others meanwhile write on. A line that was on its way goes into the file that was put aside, which is therefore not compressed at once.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { rotatedName } from './rotated.js';
import type { LogKeep, LogRotation } from './settings.js';

export interface LogFileOptions {
  readonly path: string;
  readonly rotation: LogRotation;
  readonly keep: LogKeep;
  /** Says no by throwing: the file is another one than it should be. */
  readonly check?: (fd: number) => void;
  /** See TidyOptions. Default 5000. */
  readonly settleMs?: number;
}

const SETTLE_MS = 5_000;
/** A line that took longer than this share of the time may have gone into a file that was compressed and deleted meanwhile. */
const LATE_SHARE = 0.2;
/** A lock is held for less than a millisecond: after this long its holder is gone. */
const ABANDONED_LOCK_MS = 60_000;
/** How soon what failed is tried again. */
const RETRY_MS = 60_000;
/** The longest pause between two looks at files that cannot be compressed. */
const LATEST_MS = 3_600_000;
const LEVEL_WARN = 40;

export class LogFile {
  private fd: number;
  private identity: Stats;
  private readonly pause: number;
  /** Lines that could not be written since the last that could, and why. */
  private lost = { lines: 0, reason: '' };
  /** The last write broke off within a line. */
  private isTorn = false;
  /** The day for which this process has put a file aside: once, whatever the clocks of disk and machine say. */
  private turnedDayMs = 0;
  private nextRotationMs = 0;
  private tidying: NodeJS.Timeout | undefined;

  /** @throws what the file system, or `check`, throws: only here, where somebody can still mend it */
  constructor(private readonly options: LogFileOptions) {
    this.pause = options.settleMs ?? SETTLE_MS;
    [this.fd, this.identity] = this.open();
    if (this.identity.isFile() && isRotating(options.rotation)) this.tidySoon();
  }

  /** Appends a line, which ends with its newline. */
  write(line: string): void {
    const startedMs = performance.now();
    try {
      this.prepare(Buffer.byteLength(line));
    } catch (error) {
      this.lost = { ...this.lost, reason: codeOf(error) };
    }
    try {
      this.append(line);
      if (
        performance.now() - startedMs > this.pause * LATE_SHARE &&
        this.identity.isFile() &&
        fstatSync(this.fd).nlink === 0
      ) {
        this.reopen();
        this.append(line);
      }
      if (this.lost.lines > 0) this.tellOfLost();
    } catch (error) {
      this.lost = { lines: this.lost.lines + 1, reason: codeOf(error) };
    }
  }

  /** Goes on in the file that has the name now. The one that is open stays so where there can be none. */
  reopen(): void {
    try {
      const [fd, identity] = this.open();
      closeSync(this.fd);
      this.fd = fd;
      this.identity = identity;
      this.isTorn = false;
    } catch (error) {
      this.lost = { ...this.lost, reason: codeOf(error) };
    }
  }

  private open(): [number, Stats] {
    const { path, check } = this.options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, 'a', 0o600);
    try {
      check?.(fd);
      const stat = fstatSync(fd);
      if (stat.isFile()) fchmodSync(fd, 0o600);
      return [fd, stat];
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  private prepare(lineBytes: number): void {
    if (!this.identity.isFile()) return;
    const present = statSync(this.options.path, { throwIfNoEntry: false });
    if (!this.isOpen(present)) this.reopen();
    else if (this.isDue(present, lineBytes)) this.rotate(lineBytes);
  }

  private isOpen(present: Stats | undefined): present is Stats {
    return present !== undefined && present.ino === this.identity.ino && present.dev === this.identity.dev;
  }

  private isDue({ size, mtimeMs }: Stats, lineBytes: number): boolean {
    const { maxBytes, daily } = this.options.rotation;
    if (size === 0) return false;
    if (maxBytes !== undefined && size + lineBytes > maxBytes) return true;
    if (!daily) return false;
    const todayMs = new Date().setHours(0, 0, 0, 0);
    return mtimeMs < todayMs && this.turnedDayMs !== todayMs;
  }

  private rotate(lineBytes: number): void {
    const { path } = this.options;
    if (performance.now() < this.nextRotationMs) return;
    const lock = `${path}.lock`;
    try {
      if (!take(lock)) return;
    } catch (error) {
      this.rotationFailed(error);
      return;
    }
    try {
      // Another process may have been faster, before we held the lock.
      const present = statSync(path, { throwIfNoEntry: false });
      if (this.isOpen(present) && this.isDue(present, lineBytes)) renameSync(path, freeName(path));
      this.turnedDayMs = new Date().setHours(0, 0, 0, 0);
      this.reopen();
    } catch (error) {
      this.rotationFailed(error);
    } finally {
      rmSync(lock, { force: true });
    }
    this.tidySoon();
  }

  private rotationFailed(error: unknown): void {
    this.nextRotationMs = performance.now() + RETRY_MS;
    this.append(ownLine(`the log file could not be put aside (${codeOf(error)}): it grows on`));
  }

  private append(line: string): void {
    const bytes = Buffer.from(this.isTorn ? `\n${line}` : line);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.fd, bytes, written);
      this.isTorn = false;
    } catch (error) {
      this.isTorn ||= written > 0;
      throw error;
    }
  }

  private tellOfLost(): void {
    const { lines, reason } = this.lost;
    this.append(ownLine(`${lines} log lines before this one could not be written (${reason})`));
    this.lost = { lines: 0, reason: '' };
  }

  /** Beside everything else, and never what a process lives for: what is left, the next one does. */
  private tidySoon(failures = 0): void {
    const { path, keep } = this.options;
    const delayMs = Math.min(this.pause * 1.1 * 2 ** failures, LATEST_MS);
    this.tidying ??= setTimeout(async () => {
      let isLeft = false;
      try {
        const { tidy } = await import('./tidy.js');
        isLeft = await tidy(path, { keep, settleMs: this.pause });
      } catch (error) {
        this.write(ownLine(`old log files could not be looked through (${codeOf(error)})`));
      }
      this.tidying = undefined;
      if (isLeft) this.tidySoon(failures + 1);
    }, delayMs).unref();
  }
}

const isRotating = ({ maxBytes, daily }: LogRotation): boolean => maxBytes !== undefined || daily;

/** Whether the lock is ours now. One that was left behind is removed, for the next to take. */
function take(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const held = statSync(lock, { throwIfNoEntry: false });
    // That two believe to hold it then does no harm: both look at the file again, and no name is used twice.
    if (held !== undefined && Math.abs(Date.now() - held.mtimeMs) > ABANDONED_LOCK_MS)
      rmSync(lock, { force: true });
    return false;
  }
}

function freeName(path: string): string {
  const nowMs = Date.now();
  for (let n = 0; ; n++) {
    const name = rotatedName(path, nowMs, process.pid, n);
    if (statSync(name, { throwIfNoEntry: false }) === undefined) return name;
  }
}

/** A line about the log itself, in the form of the others. */
const ownLine = (msg: string): string =>
  `${JSON.stringify({ level: LEVEL_WARN, time: new Date().toISOString(), pid: process.pid, msg })}\n`;

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).name;
