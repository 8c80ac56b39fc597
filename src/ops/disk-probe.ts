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
import { type DiskVerdict, judge } from './disk-verdicts.js';

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
