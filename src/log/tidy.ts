/** What becomes of log files that were put aside: compressed, and deleted when there are too many. */
import {
  createReadStream,
  createWriteStream,
  fstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { partOf, type RotatedFile, rotatedFiles } from './rotated.js';
import type { LogKeep } from './settings.js';

const DAY_MS = 86_400_000;
/** Longer than compressing a file of any size takes between two of its writes: whoever left it is gone. */
const ABANDONED_MS = 10 * 60_000;

export interface TidyOptions {
  readonly keep: LogKeep;
  /** A file is compressed once it was put aside this long ago: another process may still write its last line into it. */
  readonly settleMs: number;
}

/**
 * Deletes what is beyond the bounds, first, since it may be the disk that is full; then compresses the rest. Several processes may do so
 * at once. A file that cannot be compressed stays as it is until the next time.
 * @returns whether a file was left for later
 */
export async function tidy(path: string, { keep, settleMs }: TidyOptions): Promise<boolean> {
  for (const file of superfluous(rotatedFiles(path), keep)) rmSync(file.path, { force: true });
  let isLeft = false;
  for (const file of rotatedFiles(path))
    if (!file.isCompressed) isLeft = !(await compress(file.path, settleMs)) || isLeft;
  for (const file of superfluous(rotatedFiles(path), keep)) rmSync(file.path, { force: true });
  return isLeft;
}

/** Those beyond the bounds. @param files the oldest first */
function superfluous(files: readonly RotatedFile[], { files: most, days, bytes }: LogKeep): RotatedFile[] {
  let total = 0;
  const newestFirst = files.toReversed();
  const end = newestFirst.findIndex((file, n) => {
    total += statSync(file.path, { throwIfNoEntry: false })?.size ?? 0;
    return n >= most || total > bytes || Date.now() - file.timeMs > days * DAY_MS;
  });
  return end < 0 ? [] : newestFirst.slice(end);
}

/** @returns whether there is nothing left to do with it */
async function compress(path: string, settleMs: number): Promise<boolean> {
  const part = partOf(path);
  const source = await open(path, 'r').catch(() => undefined);
  // Another process was faster.
  if (source === undefined) return true;
  try {
    const { mtime, ctimeMs } = await source.stat();
    if (Date.now() - ctimeMs < settleMs) return false;
    const claimed = claim(part);
    if (claimed === undefined) return false;
    let readBytes = 0;
    const counted = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        readBytes += chunk.length;
        done(null, chunk);
      },
    });
    const target = createWriteStream(part, { fd: claimed, flush: true });
    await pipeline(
      createReadStream(path, { fd: source.fd, autoClose: false }),
      counted,
      createGzip(),
      target,
    );
    // Nothing waits from here on: what is deleted is what was read.
    if (fstatSync(source.fd).size !== readBytes) {
      rmSync(part);
      return false;
    }
    utimesSync(part, mtime, mtime);
    renameSync(part, `${path}.gz`);
    rmSync(path);
    return true;
  } catch {
    // A full disk, mostly: the lines are where they were.
    rmSync(part, { force: true });
    return false;
  } finally {
    await source.close();
  }
}

/** The file that a compressed one grows in, for one process alone; undefined where another is at it. */
function claim(part: string): number | undefined {
  const stat = statSync(part, { throwIfNoEntry: false });
  if (stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED_MS) rmSync(part, { force: true });
  try {
    return openSync(part, 'wx', 0o600);
  } catch {
    return undefined;
  }
}
