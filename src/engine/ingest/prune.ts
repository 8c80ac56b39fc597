import { lstat } from 'node:fs/promises';
import { relative } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { IngestCommand } from '../../domain/face.js';
import { isForeignDirectory } from './file-rules.js';
import { type Globs, globNames } from './globs.js';
import { isBelow, type NamedPath, toPosix } from './paths.js';
import type { ChunkStore } from './port.js';
import type { Skipped } from './walk.js';

/** What is stored below one named path, counted before the call changes anything. */
export interface StoredBelow {
  readonly named: NamedPath;
  /** Chunks by file. */
  readonly chunks: ReadonlyMap<string, number>;
}

/** What the walk and the reading found out about files. */
export interface Seen {
  /** Files that are documents now. */
  readonly files: ReadonlySet<string>;
  /** Files and directories of which it is not known what they hold. */
  readonly uncertain: readonly string[];
}

/**
 * Counts what is stored below the named paths.
 * @throws CodedError PATH_NOT_FOUND for a path that does not exist, unless the call asks to prune what is stored of it.
 */
export async function storedBelow(
  named: readonly NamedPath[],
  command: IngestCommand,
  store: ChunkStore,
): Promise<StoredBelow[]> {
  const found: StoredBelow[] = [];
  for (const one of named) {
    const chunks = new Map<string, number>();
    for (const file of await store.filesBelow(command.collection, toPosix(one.path))) {
      chunks.set(file, (await store.existing(command.collection, file)).length);
    }
    const prunable = chunks.size > 0 && command.prune !== false;
    if (!one.exists && !(prunable && command.prune_over_half === true)) {
      throw new CodedError(
        'PATH_NOT_FOUND',
        `${one.named} does not exist`,
        prunable
          ? `Name a path that exists. To delete the ${chunks.size} stored file(s) of it, call again with prune_over_half: true.`
          : 'Name a file or folder that exists.',
      );
    }
    found.push({ named: one, chunks });
  }
  return found;
}

/**
 * The stored files that are no documents any more: gone, or now left out by .gitignore or by what they hold. Left alone
 * are files that the call's globs do not select, files in node_modules and the like (only naming ingests them, so only
 * naming prunes them, unless they are gone), and whatever could not be read. Where more than half of the chunks below a
 * named path would go, none of them does, and `refused` says so, unless the call asks for it.
 */
export async function planPrune(
  stored: readonly StoredBelow[],
  seen: Seen,
  globs: Globs,
  pruneOverHalf: boolean,
): Promise<{ vanished: string[]; refused: Skipped[] }> {
  const vanished = new Set<string>();
  const protectedFiles = new Set<string>();
  const refused: Skipped[] = [];
  for (const { named, chunks } of stored) {
    const gone: string[] = [];
    let total = 0;
    let lost = 0;
    for (const [file, count] of chunks) {
      total += count;
      if (seen.files.has(file) || !(await hasVanished(file, named, seen, globs))) continue;
      gone.push(file);
      lost += count;
    }
    if (lost * 2 > total && !pruneOverHalf) {
      for (const file of gone) protectedFiles.add(file);
      refused.push({
        path: toPosix(named.path),
        reason:
          `PRUNE_REFUSED: ${lost} of the ${total} chunks stored below it belong to ${gone.length} file(s) that are ` +
          'gone, which is over half; they were kept. To delete them, call again with prune_over_half: true; ' +
          'to keep them without this notice, with prune: false.',
      });
    } else for (const file of gone) vanished.add(file);
  }
  return { vanished: [...vanished].filter(file => !protectedFiles.has(file)).sort(), refused };
}

async function hasVanished(file: string, named: NamedPath, seen: Seen, globs: Globs): Promise<boolean> {
  if (!globs.selects(globNames(file, named))) return false;
  if (seen.uncertain.some(path => isBelow(file, path))) return false;
  const directories = toPosix(relative(named.path, file)).split('/').slice(0, -1);
  return !directories.some(isForeignDirectory) || !(await isThere(file));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    // Anything else means that it is not known, and what is not known is kept.
    if (code !== undefined) return true;
    throw error;
  }
}
