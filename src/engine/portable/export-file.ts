import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fsyncDirectory } from '../../../wal/head-file.js';
import { CodedError } from '../../domain/errors.js';
import type { LineSink } from './write-export.js';

const PIECE_CHARS = 1024 * 1024;

/**
 * Lines into a file that appears under its name only when it is whole and flushed; what was there before is replaced then.
 * @throws CodedError OUTPUT_FAILED, and what `work` throws: nothing is left of it then
 */
export async function writeWholeFile<T>(path: string, work: (sink: LineSink) => Promise<T>): Promise<T> {
  const unfinished = `${path}.partial-${process.pid}`;
  try {
    await assertReplaceable(path);
    await mkdir(dirname(path), { recursive: true });
    // Texts of a store are for its user alone.
    const file = await open(unfinished, 'w', 0o600);
    let result: T;
    try {
      const sink = new FileSink(file);
      result = await work(sink);
      await sink.flush();
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    fsyncDirectory(dirname(path));
    return result;
  } catch (error) {
    await rm(unfinished, { force: true });
    if (!isSystemError(error)) throw error;
    throw new CodedError(
      'OUTPUT_FAILED',
      `${path} could not be written: ${error.message}`,
      'Check space and permissions, or name another file.',
      { cause: error },
    );
  }
}

async function assertReplaceable(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.isFile()) return;
  throw new CodedError('OUTPUT_FAILED', `${path} is there, and no file`, 'Name a file.');
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error;

class FileSink implements LineSink {
  private waiting: string[] = [];
  private waitingChars = 0;

  constructor(private readonly file: FileHandle) {}

  async write(line: string): Promise<void> {
    this.waiting.push(line, '\n');
    this.waitingChars += line.length + 1;
    if (this.waitingChars >= PIECE_CHARS) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.waiting.join('');
    this.waiting = [];
    this.waitingChars = 0;
    await this.file.writeFile(text);
  }
}
