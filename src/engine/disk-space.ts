import { type Dirent, readdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists } from '../../wal/exists.js';
import { LOG_OPTIONS } from '../../wal/level.js';
import { CodedError } from '../domain/errors.js';

/** Bytes of all files under a directory; 0 where there is none. What goes meanwhile, as LevelDB compacts or a graph is built, takes no space. */
export function directoryBytes(dir: string): number {
  let bytes = 0;
  for (const entry of entriesOf(dir)) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) bytes += directoryBytes(path);
    else if (entry.isFile()) bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** How many files there are under a directory; 0 where there is none. */
export function directoryFiles(dir: string): number {
  let files = 0;
  for (const entry of entriesOf(dir)) {
    if (entry.isDirectory()) files += directoryFiles(join(dir, entry.name));
    else if (entry.isFile()) files++;
  }
  return files;
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** An upper estimate of a log of so many bytes of records: beside its tables LevelDB keeps up to two write buffers in log files. */
export const storeBytes = (recordBytes: number): number => recordBytes + 2 * LOG_OPTIONS.writeBufferSize;

/**
 * An upper estimate of a checkpoint, and of the scratch files its graphs pass through, for a log of so many bytes: it holds the
 * vectors twice (in the graph, too), the words, and no texts.
 */
export const checkpointBytes = (logBytes: number): number => 3 * logBytes;

/** What a piece of work takes on a disk, and what the disk has. */
export interface DiskSpace {
  /** An upper estimate. */
  readonly neededBytes: number;
  /** Free to this user. */
  readonly freeBytes: number;
}

/**
 * @param path a file or directory that is there or will be: its nearest directory that is there says which disk is meant
 * @throws CodedError DISK_FULL when less is free than needed
 */
export async function assertSpace(path: string, neededBytes: number): Promise<DiskSpace> {
  let present = path;
  while (!exists(present)) present = dirname(present);
  const { bavail, bsize } = await statfs(present);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return { neededBytes, freeBytes };
  throw new CodedError(
    'DISK_FULL',
    `${path} needs up to ${neededBytes} bytes, and ${freeBytes} are free`,
    'Make room, or name a directory on another disk. Nothing was changed.',
    { details: { neededBytes, freeBytes } },
  );
}
