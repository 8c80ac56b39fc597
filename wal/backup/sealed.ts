/** Small files of a directory of backups: a line of JSON, and a line with the SHA-256 of that line, so that nothing in them can change unseen. */
import { createHash } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsyncDirectory } from '../head-file.js';
import { readText } from '../read-text.js';
import { writeFlushed } from '../record-file.js';

/** Ends the name of a file that is still being written. */
export const UNFINISHED = '.unfinished';

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @param json one line */
export const seal = (json: string): string => `${json}\n${sha256Of(json)}\n`;

/** Why a sealed file does not tell what it holds. */
export interface Unread {
  readonly value?: never;
  readonly problem: string;
  /** What the file system answered, where that is why: what stands in the file is not known to be wrong. */
  readonly error?: NodeJS.ErrnoException;
}

/** What a sealed file holds, or what is wrong with it. */
export function readSealed(
  path: string,
): { readonly value: unknown; readonly problem?: never; readonly error?: never } | Unread {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    const { message } = error as Error;
    return { problem: `cannot be read: ${message}`, error: error as NodeJS.ErrnoException };
  }
  const [json = ''] = text.split('\n', 1);
  return text === seal(json) ? { value: JSON.parse(json) } : { problem: 'does not match its sha256' };
}

/** Writes a file that is there whole, and flushed, or not at all. What is there under its name is replaced. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const unfinished = `${path}${UNFINISHED}`;
  rmSync(unfinished, { force: true });
  await writeFlushed(unfinished, text);
  renameSync(unfinished, path);
  fsyncDirectory(dirname(path));
}
