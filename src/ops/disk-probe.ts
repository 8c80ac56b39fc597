/**
 * How fast a disk is at what this program asks of it: flushed appends, as the log writes, and reads. On a file of its own in the store, which has no
 * name any more while it is worked on (but on Windows), so that whatever ends the process leaves nothing behind.
 */
import { randomFillSync } from 'node:crypto';
import { constants, existsSync, mkdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PATHS } from '../../wal/paths.js';
import { CodedError } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import { type DiskKind, diskKind } from './disk-kind.js';

export interface DiskProbeOptions {
  readonly storeDir: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Flushed appends at most. Default 400, or as many as 4 s allow. */
  readonly appends?: number;
  /** Size of the file that is read. Default 128 MiB, at most a tenth of what is free. */
  readonly fileBytes?: number;
  /** Random reads at most. Default 2000, or as many as 3 s allow. */
  readonly reads?: number;
}

export interface DiskProfile {
  readonly kind: DiskKind;
  readonly free_bytes: number;
  /** A flushed append of a record: write, then fdatasync, as before each acknowledgement. Milliseconds. */
  readonly fsync: {
    readonly count: number;
    readonly p50_ms: number;
    readonly p99_ms: number;
    readonly max_ms: number;
  };
  readonly write_bytes_per_second: number;
  readonly sequential_read: { readonly bytes_per_second: number; readonly is_cached: boolean };
  /** Reads of 4 KiB, one after the other. Milliseconds. */
  readonly random_read: {
    readonly count: number;
    readonly per_second: number;
    readonly p50_ms: number;
    readonly p99_ms: number;
    /** Read through the cache of files, since the file system would not be read past it: the disk itself may be slower. */
    readonly is_cached: boolean;
  };
  readonly verdicts: readonly DiskVerdict[];
}

export interface DiskVerdict {
  readonly level: 'ok' | 'warn' | 'unsafe';
  readonly about: 'kind' | 'fsync' | 'read' | 'space';
  readonly message: string;
}

/** What an item of a text of some lines and 612 dimensions takes in the log, roughly. */
const RECORD_BYTES = 4096;
const BLOCK_BYTES = 1024 * 1024;
const READ_BYTES = 4096;
const APPEND_BUDGET_MS = 4_000;
const READ_BUDGET_MS = 3_000;
const MIB = 1024 * 1024;

/**
 * @throws CodedError PATH_NOT_FOUND where there is no store, DISK_FULL, CANCELLED; what the file system throws
 */
export async function probeDisk(options: DiskProbeOptions): Promise<DiskProfile> {
  const { storeDir, onProgress, signal } = options;
  if (!existsSync(storeDir))
    throw new CodedError('PATH_NOT_FOUND', `${storeDir} is not there`, 'Name the store by --store DIR.');
  const kind = await diskKind(storeDir);
  const { bavail, bsize } = await statfs(storeDir);
  const freeBytes = bavail * bsize;
  const fileBytes = wholeBlocks(Math.min(options.fileBytes ?? 128 * MIB, freeBytes / 10));
  if (fileBytes < 4 * MIB)
    throw new CodedError(
      'DISK_FULL',
      `${freeBytes} bytes are free: too few to measure with`,
      'Make room, or name a store on another disk.',
      { details: { freeBytes } },
    );
  const say = (done: number, message: string) => {
    if (signal?.aborted) throw cancelled();
    onProgress?.({ done, total: 4, unit: 'measurements', message });
  };
  say(0, 'flushed appends');
  const file = await ProbeFile.create(storeDir);
  try {
    const appended = await measure(options.appends ?? 400, APPEND_BUDGET_MS, signal, at => file.append(at));
    say(1, 'writing');
    const writtenMs = await file.fill(fileBytes, signal);
    say(2, 'reading from the beginning to the end');
    const sequentialMs = await file.readAll(fileBytes, signal);
    say(3, 'reading here and there');
    const random = await measure(options.reads ?? 2000, READ_BUDGET_MS, signal, () =>
      file.readSomewhere(fileBytes),
    );
    const { isCached } = file;
    const figures = {
      kind,
      free_bytes: freeBytes,
      fsync: {
        count: appended.length,
        p50_ms: at(appended, 0.5),
        p99_ms: at(appended, 0.99),
        max_ms: at(appended, 1),
      },
      write_bytes_per_second: perSecond(fileBytes, writtenMs),
      sequential_read: { bytes_per_second: perSecond(fileBytes, sequentialMs), is_cached: isCached },
      random_read: {
        count: random.length,
        per_second: perSecond(
          random.length,
          random.reduce((sum, ms) => sum + ms, 0),
        ),
        p50_ms: at(random, 0.5),
        p99_ms: at(random, 0.99),
        is_cached: isCached,
      },
    };
    return { ...figures, verdicts: judge(figures) };
  } finally {
    await file.close();
  }
}

const wholeBlocks = (bytes: number): number => Math.floor(bytes / BLOCK_BYTES) * BLOCK_BYTES;
const perSecond = (amount: number, ms: number): number => Math.round((amount * 1000) / Math.max(ms, 0.001));
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
const cancelled = () =>
  new CodedError(
    'CANCELLED',
    'the measurement was cancelled',
    'Nothing of it is left on the disk; run it again.',
  );

/** Times in ms, sorted: as many as wanted, or as the time allows. */
async function measure(
  most: number,
  budgetMs: number,
  signal: AbortSignal | undefined,
  once: (at: number) => Promise<void>,
): Promise<number[]> {
  const times: number[] = [];
  for (const endMs = performance.now() + budgetMs; times.length < most && performance.now() < endMs; ) {
    if (signal?.aborted) throw cancelled();
    const startedMs = performance.now();
    await once(times.length);
    times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b);
}

class ProbeFile {
  private readonly block: Buffer;
  private readonly into: Buffer;
  /** Where reads into `into` begin: what goes past the cache must lie at a whole page of memory. */
  private intoAt = 0;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** Past the cache of files; undefined where the system or the file system has no such way. */
    private direct: FileHandle | undefined,
  ) {
    this.block = randomFillSync(Buffer.allocUnsafeSlow(BLOCK_BYTES));
    this.into = Buffer.allocUnsafeSlow(BLOCK_BYTES + READ_BYTES);
  }

  static async create(storeDir: string): Promise<ProbeFile> {
    const dir = join(storeDir, PATHS.scratch);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, `disk-probe-${process.pid}`);
    const file = await open(path, 'wx+', 0o600);
    let direct: FileHandle | undefined;
    try {
      if (constants.O_DIRECT !== undefined)
        direct = await open(path, constants.O_RDONLY | constants.O_DIRECT);
    } catch (error) {
      // tmpfs of older kernels and some FUSE file systems: read through the cache then, and said so.
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    } finally {
      // The name goes at once; the file, when both handles are closed. Windows keeps names that are in use.
      if (process.platform !== 'win32') rmSync(path);
    }
    return new ProbeFile(path, file, direct);
  }

  get isCached(): boolean {
    return this.direct === undefined;
  }

  async append(n: number): Promise<void> {
    await this.file.write(this.block, (n % 64) * RECORD_BYTES, RECORD_BYTES, n * RECORD_BYTES);
    await this.file.datasync();
  }

  /** @returns ms, the flush at the end included */
  async fill(bytes: number, signal: AbortSignal | undefined): Promise<number> {
    const startedMs = performance.now();
    for (let offset = 0; offset < bytes; offset += BLOCK_BYTES) {
      if (signal?.aborted) throw cancelled();
      await this.file.write(this.block, 0, BLOCK_BYTES, offset);
    }
    await this.file.datasync();
    const ms = performance.now() - startedMs;
    await this.findAlignment();
    return ms;
  }

  /** Where V8 puts a buffer is not for us to say: tried are all places that may lie at a whole page. */
  private async findAlignment(): Promise<void> {
    for (let offset = 0; this.direct !== undefined && offset < READ_BYTES; offset += 16) {
      try {
        await this.direct.read(this.into, offset, READ_BYTES, 0);
        this.intoAt = offset;
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      }
    }
    await this.direct?.close();
    this.direct = undefined;
  }

  async readAll(bytes: number, signal: AbortSignal | undefined): Promise<number> {
    const startedMs = performance.now();
    for (let offset = 0; offset < bytes; offset += BLOCK_BYTES) {
      if (signal?.aborted) throw cancelled();
      await (this.direct ?? this.file).read(this.into, this.intoAt, BLOCK_BYTES, offset);
    }
    return performance.now() - startedMs;
  }

  async readSomewhere(bytes: number): Promise<void> {
    const offset = Math.floor(Math.random() * (bytes / READ_BYTES)) * READ_BYTES;
    await (this.direct ?? this.file).read(this.into, this.intoAt, READ_BYTES, offset);
  }

  async close(): Promise<void> {
    await this.direct?.close();
    await this.file.close();
    rmSync(this.path, { force: true });
  }
}

/** Flushes that nobody notices; that a person waits for; that make a server useless. */
const FSYNC_GOOD_MS = 5;
const FSYNC_BAD_MS = 50;
/** A search reads up to ten texts, one after the other. */
const READ_GOOD_MS = 2;

/** Compares with what the program needs. */
export function judge({
  kind,
  fsync,
  random_read: read,
  free_bytes: freeBytes,
}: Omit<DiskProfile, 'verdicts'>): DiskVerdict[] {
  const verdicts: DiskVerdict[] = [];
  const say = (level: DiskVerdict['level'], about: DiskVerdict['about'], message: string) =>
    verdicts.push({ level, about, message });
  if (kind.is_network)
    say(
      'unsafe',
      'kind',
      `${kind.file_system} is a network mount: locks and flushes of such cannot be relied upon. Keep the store on a disk of this machine, and reach it over HTTP (serve).`,
    );
  else if (kind.is_memory)
    say(
      'unsafe',
      'kind',
      `${kind.file_system} is memory: the store is gone when the machine stops. Keep it on a disk.`,
    );
  else if (kind.rotational === true)
    say(
      'warn',
      'kind',
      'a disk with moving parts: first searches after a start wait for it. An SSD is what helps.',
    );
  else
    say(
      'ok',
      'kind',
      `${kind.file_system}, ${kind.rotational === false ? 'no moving parts' : 'the system does not tell what is below'}`,
    );
  const writes = Math.max(1, Math.round(1000 / Math.max(fsync.p50_ms, 0.001)));
  if (fsync.p50_ms <= FSYNC_GOOD_MS)
    say(
      'ok',
      'fsync',
      `some ${writes} single writes a second. VECTOR_DURABILITY=strict takes a second flush each, ${(2 * fsync.p50_ms).toFixed(1)} ms in all: affordable; interval is the default.`,
    );
  else
    say(
      'warn',
      'fsync',
      `only some ${writes} single writes a second: leave VECTOR_DURABILITY at interval, since strict would halve that, and write many items a call.`,
    );
  if (fsync.p99_ms > FSYNC_BAD_MS)
    say(
      'warn',
      'fsync',
      `one flush in a hundred takes over ${Math.floor(fsync.p99_ms)} ms: something else writes to this disk, or it is shared.`,
    );
  if (fsync.p50_ms < 0.02 && !kind.is_memory)
    say(
      'warn',
      'fsync',
      'flushes take next to no time: the disk, or the machine below a virtual one, may acknowledge what is not on it yet.',
    );
  if (read.p50_ms <= READ_GOOD_MS)
    say(
      'ok',
      'read',
      `ten texts of a search come in some ${(10 * read.p50_ms).toFixed(1)} ms${read.is_cached ? ' from the cache of files' : ' when they are not cached'}.`,
    );
  else
    say(
      'warn',
      'read',
      `ten texts of a search take some ${(10 * read.p50_ms).toFixed(0)} ms when they are not cached: more memory keeps them there.`,
    );
  if (freeBytes < 1024 * MIB) say('warn', 'space', `${Math.floor(freeBytes / MIB)} MiB are free.`);
  return verdicts;
}
