/** Reading log files line by line: the present one, and those that were put aside before it, compressed or not. */
import { closeSync, createReadStream, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { earlierFiles } from './rotated.js';

/** What of a line is taken in: whoever wrote a longer one wrote no line of ours. */
const MAX_LINE_CHARS = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** Makes lines of chunks. */
class LineSplitter {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';

  *push(chunk: Buffer): Generator<string> {
    this.rest += this.decoder.write(chunk);
    const lines = this.rest.split('\n');
    this.rest = lines.pop()!.slice(0, MAX_LINE_CHARS);
    yield* lines;
  }

  /** A last line without its newline. */
  *end(): Generator<string> {
    if (this.rest !== '') yield this.rest;
    this.rest = '';
  }
}

/**
 * The lines of one file. A compressed one that is cut off ends where it does.
 * @param sizeBytes how much of it is read. Default: all
 * @throws what the file system throws
 */
export async function* linesOf(
  path: string,
  isCompressed: boolean,
  sizeBytes?: number,
): AsyncGenerator<string> {
  if (sizeBytes === 0) return;
  const splitter = new LineSplitter();
  const source = createReadStream(path, sizeBytes === undefined ? {} : { end: sizeBytes - 1 });
  const stream = isCompressed ? source.pipe(createGunzip()) : source;
  source.once('error', error => stream.destroy(error));
  try {
    for await (const chunk of stream) yield* splitter.push(chunk as Buffer);
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
  }
  yield* splitter.end();
}

/** The files of a log, the oldest first; the present one is the last, where it is there. */
export function logFiles(path: string): { path: string; timeMs: number; isCompressed: boolean }[] {
  const present = statSync(path, { throwIfNoEntry: false });
  return [
    ...earlierFiles(path),
    ...(present === undefined ? [] : [{ path, timeMs: present.mtimeMs, isCompressed: false }]),
  ];
}

export interface LinesOptions {
  passes(line: string): boolean;
  /** Files that were written to last before are not read. Default: all may be. */
  readonly sinceMs?: number | undefined;
  /** Nothing that was written after this point is read. Default: everything is. */
  readonly until?: LogTail | undefined;
}

/** The last lines that pass, the oldest first. Files are read from the newest on, and no more of them than are needed. @param most how many */
export async function lastLines(path: string, most: number, options: LinesOptions): Promise<string[]> {
  let found: string[] = [];
  for (const file of filesNewestFirst(path, options)) {
    if (found.length >= most) break;
    const wanted = most - found.length;
    let lines: string[] = [];
    for await (const line of passing(file, options)) {
      lines.push(line);
      // Not one at a time: that would move all of them each time.
      if (lines.length > 2 * wanted) lines = lines.slice(-wanted);
    }
    found = [...lines.slice(-wanted), ...found];
  }
  return found;
}

/** Every line that passes, the oldest first; no more than one is held at a time. */
export async function* allLines(path: string, options: LinesOptions): AsyncGenerator<string> {
  for (const file of filesNewestFirst(path, options).toReversed()) yield* passing(file, options);
}

interface Readable {
  readonly path: string;
  readonly isCompressed: boolean;
  readonly sizeBytes: number | undefined;
}

function filesNewestFirst(path: string, { sinceMs = 0, until }: LinesOptions): Readable[] {
  return logFiles(path)
    .filter(({ timeMs }) => timeMs >= sinceMs)
    .toReversed()
    .map(file => ({ ...file, sizeBytes: until?.sizeOf(file.path) }));
}

async function* passing(
  { path, isCompressed, sizeBytes }: Readable,
  { passes }: LinesOptions,
): AsyncGenerator<string> {
  try {
    for await (const line of linesOf(path, isCompressed, sizeBytes)) if (passes(line)) yield line;
  } catch (error) {
    // It was compressed, or became too old, while the others were read.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

const POLL_MS = 250;

/** The end of a log at one moment, and what comes after it, whoever puts the file aside meanwhile. */
export class LogTail {
  private fd: number | undefined;
  private offset: number;
  /** The file as it was at that moment; undefined where there was none. */
  private readonly start: { readonly ino: number; readonly dev: number; readonly size: number } | undefined;
  private readonly chunk = Buffer.alloc(CHUNK_BYTES);
  /** Whether the file of that moment was met, looking from the newest on. */
  private isMet = false;

  /** A file that is not there yet is waited for. @throws what the file system throws */
  constructor(private readonly path: string) {
    this.fd = openAt(path);
    this.start = this.fd === undefined ? undefined : fstatSync(this.fd);
    this.offset = this.start?.size ?? 0;
  }

  /** How much of a file was there at that moment; undefined for all of it. To be asked of the newest file first. */
  sizeOf(path: string): number | undefined {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (this.start === undefined) return path === this.path ? 0 : undefined;
    if (stat !== undefined && isSame(stat, this.start)) {
      this.isMet = true;
      return this.start.size;
    }
    return this.isMet ? undefined : 0;
  }

  /** Lines written since, as they come, until the signal comes. */
  async *lines(signal: AbortSignal): AsyncGenerator<string> {
    let splitter = new LineSplitter();
    try {
      while (!signal.aborted) {
        // Read to its end only after the look at its name: what is written before the file is put aside is not missed.
        const present = statSync(this.path, { throwIfNoEntry: false });
        yield* this.rest(splitter);
        if (this.isOther(present)) {
          this.goOn();
          splitter = new LineSplitter();
        } else await pause(POLL_MS, signal);
      }
    } finally {
      this.close();
    }
  }

  private isOther(present: Stats | undefined): boolean {
    if (present === undefined || this.fd === undefined) return present !== undefined;
    return !isSame(fstatSync(this.fd), present);
  }

  /** To the next file: mostly the present one, unless several were put aside since the last look. */
  private goOn(): void {
    const open = this.fd === undefined ? undefined : fstatSync(this.fd);
    this.close();
    const files = logFiles(this.path).filter(({ isCompressed }) => !isCompressed);
    const at = files.findIndex(({ path }) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return open !== undefined && stat !== undefined && isSame(stat, open);
    });
    this.fd = openAt(at < 0 ? this.path : (files[at + 1]?.path ?? this.path));
    this.offset = 0;
  }

  private *rest(splitter: LineSplitter): Generator<string> {
    if (this.fd === undefined) return;
    // Somebody emptied it.
    if (fstatSync(this.fd).size < this.offset) this.offset = 0;
    for (;;) {
      const read = readSync(this.fd, this.chunk, 0, CHUNK_BYTES, this.offset);
      if (read === 0) return;
      this.offset += read;
      yield* splitter.push(this.chunk.subarray(0, read));
    }
  }

  private close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}

const isSame = (a: Pick<Stats, 'ino' | 'dev'>, b: Pick<Stats, 'ino' | 'dev'>): boolean =>
  a.ino === b.ino && a.dev === b.dev;

function openAt(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
