/** Files below <store>/ops: for the user alone, whole or not there, and none of them needed. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PATHS } from '../../wal/paths.js';

/** @param name of the file */
export const opsPath = (storeDir: string, name: string): string => join(storeDir, PATHS.ops, name);

/** Writes it under another name, flushes it, and renames it: a crash leaves the old one or the new. @throws what the file system throws */
export async function writeOpsFile(path: string, text: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * A JSON file as `read` takes it; undefined where there is none. One that is damaged, or of a form that `read` refuses by returning undefined, is
 * renamed, so that it can be looked at, and told of: it keeps nothing from going on.
 */
export function readOpsFile<T>(
  path: string,
  read: (value: unknown) => T | undefined,
  onDamaged: (path: string) => void,
): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    onDamaged(path);
    return undefined;
  }
  let value: T | undefined;
  try {
    value = read(JSON.parse(text));
  } catch {
    value = undefined;
  }
  if (value === undefined) {
    try {
      renameSync(path, `${path}.damaged`);
    } catch {
      // What cannot be renamed is written over.
    }
    onDamaged(`${path}.damaged`);
  }
  return value;
}
