/**
 * The names of log files that were put aside: `server.log.20261128T003015.123Z.4711`, with `.gz` once it is compressed. Time, process and
 * number make each one new, so that no rename ever replaces a file.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** One log file that was put aside. */
export interface RotatedFile {
  readonly path: string;
  /** When it was put aside, in ms. */
  readonly timeMs: number;
  readonly isCompressed: boolean;
  /** Of several of one millisecond, in which order. */
  readonly n: number;
}

const OURS = /^\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z\.\d+(?:-(\d+))?(\.gz)?$/;
/** As logrotate names them, with and without its dateext. */
const LOGROTATES = /^(?:\.\d+|-\d{8}(?:-\d+)?)(\.gz)?$/;

/** @param n to tell files of one millisecond apart; 0 for the first */
export function rotatedName(path: string, timeMs: number, pid: number, n: number): string {
  const stamp = new Date(timeMs).toISOString().replace(/[-:]/g, '');
  return `${path}.${stamp}.${pid}${n === 0 ? '' : `-${n}`}`;
}

/** What this program put aside, the oldest first. @throws what the file system throws, but for a directory that is not there */
export function rotatedFiles(path: string): RotatedFile[] {
  const found = suffixesOf(path).flatMap(suffix => {
    const match = OURS.exec(suffix);
    if (match === null) return [];
    const [, year, month, day, hour, minute, second, ms, n, gz] = match;
    const timeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
    if (Number.isNaN(timeMs)) return [];
    return [{ path: path + suffix, timeMs, isCompressed: gz !== undefined, n: Number(n ?? 0) }];
  });
  return found.sort(byAge);
}

/** Every log file that came before the present one, whoever put it aside, the oldest first. */
export function earlierFiles(path: string): RotatedFile[] {
  const ours = rotatedFiles(path);
  const others = suffixesOf(path).flatMap(suffix => {
    const match = LOGROTATES.exec(suffix);
    const stat = match === null ? undefined : statSync(path + suffix, { throwIfNoEntry: false });
    return stat === undefined
      ? []
      : [{ path: path + suffix, timeMs: stat.mtimeMs, isCompressed: match![1] !== undefined, n: 0 }];
  });
  // Of a file that is being compressed there are two for a moment.
  const plain = new Set(ours.filter(file => !file.isCompressed).map(file => `${file.path}.gz`));
  return [...ours.filter(file => !plain.has(file.path)), ...others].sort(byAge);
}

const byAge = (a: RotatedFile, b: RotatedFile): number => a.timeMs - b.timeMs || a.n - b.n;

function suffixesOf(path: string): string[] {
  const name = basename(path);
  try {
    return readdirSync(dirname(path))
      .filter(entry => entry.startsWith(name))
      .map(entry => entry.slice(name.length));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Where a compressed file grows before it has its name. */
export const partOf = (path: string): string => join(dirname(path), `.${basename(path)}.gz.part`);
