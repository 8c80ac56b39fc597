/** Changing a file that belongs to somebody else: backup first, all or nothing, its mode kept. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { TextDecoder } from 'node:util';
import { CodedError } from '../../domain/errors.js';

export interface Edited {
  readonly path: string;
  readonly outcome: 'created' | 'changed' | 'unchanged';
  /** The copy of what was there before; undefined where nothing was, or nothing changed. */
  readonly backup: string | undefined;
}

/** The text of a file, undefined where there is none. @throws CodedError CONFIG_UNREADABLE */
export function readText(path: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error instanceof Error ? error.message : String(error), error);
  }
}

/** CONFIG_UNREADABLE for a file that is not in the form that it should have. */
export function unreadable(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError(
    'CONFIG_UNREADABLE',
    `${path}: ${why}`,
    'Nothing was changed. Add the snippet that `mcp-vector-server setup` prints without --write by hand, or mend the file.',
    { cause },
  );
}

/**
 * Replaces a file's text by what `change` makes of it: a timestamped copy of the old one is left beside it, the new one is
 * written to a temporary file, fsynced and renamed over it. A symbolic link stays one, its target is what changes.
 * @param change from the text (undefined: no file) to the new text; the same text means that there is nothing to do
 * @param mode of a new file; an existing one keeps its own
 * @throws CodedError CONFIG_UNREADABLE where the file cannot be read or written; whatever `change` throws
 */
export function editFile(
  path: string,
  change: (text: string | undefined) => string,
  { mode, now = new Date() }: { mode: number; now?: Date },
): Edited {
  const before = readText(path);
  const after = change(before);
  if (after === before) return { path, outcome: 'unchanged', backup: undefined };
  try {
    if (before === undefined) {
      mkdirSync(dirname(path), { recursive: true });
      replace(path, after, mode);
      return { path, outcome: 'created', backup: undefined };
    }
    const target = realpathSync(path);
    const backup = `${target}.backup-${now.toISOString().replace(/[-:.]/g, '')}`;
    copyFileSync(target, backup, constants.COPYFILE_EXCL);
    replace(target, after, statSync(target).mode & 0o777);
    return { path, outcome: 'changed', backup };
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : String(error), error);
  }
}

function replace(path: string, text: string, mode: number): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      const bytes = Buffer.from(text, 'utf8');
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    // The umask may have taken bits that the file had.
    chmodSync(temporary, mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
