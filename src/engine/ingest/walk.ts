import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import { generatedReason, isForeignDirectory, secretReason } from './file-rules.js';
import { type Globs, globNames } from './globs.js';
import { IgnoreRules } from './ignore-rules.js';
import { isBelow, type NamedPath, toPosix } from './paths.js';

/** A file or directory that the walk passed by, and why. Paths are absolute, with `/`. */
export interface Skipped {
  readonly path: string;
  readonly reason: string;
}

/** What lies below one named path. Paths are absolute, with `/`, in a fixed order. */
export interface WalkResult {
  readonly files: string[];
  /** Only what a reader may miss: what .gitignore, globs and node_modules leave out is not listed. */
  readonly skipped: Skipped[];
  /** Files and directories of which it is not known what they hold; what is stored of them must stay. */
  readonly uncertain: string[];
}

const OWN_FILES = "this store's own files";

export interface WalkOptions {
  /** A directory that is not even looked into, absolute and free of links: see ChunkStore.directory. */
  readonly keepOut?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists the files below a named path that are to be ingested. Links are not followed (the named path itself has been
 * resolved), so there are no cycles and no ways out. A path that is named overrides the rules that would leave it out,
 * except for keys and credentials and for the store's own files; what lies below it is judged by the rules.
 * @throws CodedError CANCELLED
 */
export async function walk(named: NamedPath, globs: Globs, options: WalkOptions = {}): Promise<WalkResult> {
  const { keepOut, signal } = options;
  const result: WalkResult = { files: [], skipped: [], uncertain: [] };
  const root = toPosix(named.root);
  const skip = (path: string, reason: string, uncertain = false): void => {
    result.skipped.push({ path: toPosix(path), reason });
    if (uncertain) result.uncertain.push(toPosix(path));
  };

  const isKeptOut = (path: string): boolean => keepOut !== undefined && isBelow(path, keepOut);

  const takeFile = (path: string): void => {
    const secret = secretReason(toPosix(path), root);
    if (secret !== undefined) skip(path, secret);
    else result.files.push(toPosix(path));
  };

  const enter = async (directory: string, rulesAbove: IgnoreRules | undefined): Promise<void> => {
    if (signal?.aborted === true) throw cancelledWhileWalking();
    let entries: Dirent[];
    let rules: IgnoreRules;
    try {
      entries = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      const code = errnoOf(error);
      return code === 'ENOENT' ? undefined : skip(directory, `unreadable (${code})`, true);
    }
    try {
      rules = await (rulesAbove === undefined
        ? IgnoreRules.in(named.path, named.root)
        : rulesAbove.below(directory));
    } catch (error) {
      return skip(directory, `its ignore rules are unreadable (${errnoOf(error)})`, true);
    }
    // By code unit: the order must not depend on the machine's language or file system.
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) await visit(entry, directory, rules);
  };

  const visit = async (entry: Dirent, directory: string, rules: IgnoreRules): Promise<void> => {
    const path = join(directory, entry.name);
    if (isKeptOut(path)) return skip(path, OWN_FILES);
    if (entry.isDirectory()) {
      if (isForeignDirectory(entry.name) || rules.ignores(path, true)) return;
      if (globs.excludes(globNames(path, named).map(name => `${name}/`))) return;
      return enter(path, rules);
    }
    if (rules.ignores(path, false) || !globs.selects(globNames(path, named))) return;
    if (entry.isSymbolicLink()) return skip(path, 'symbolic link: name its target to ingest it');
    if (!entry.isFile()) return skip(path, 'not a regular file');
    const generated = generatedReason(entry.name);
    if (generated !== undefined) return skip(path, generated);
    takeFile(path);
  };

  if (isKeptOut(named.path)) {
    skip(named.path, OWN_FILES);
    return result;
  }
  let stat: Stats;
  try {
    stat = await lstat(named.path);
  } catch (error) {
    skip(named.path, `unreadable (${errnoOf(error)})`, true);
    return result;
  }
  if (stat.isDirectory()) {
    const secret = secretReason(`${toPosix(named.path)}/.`, root);
    if (secret !== undefined) skip(named.path, secret);
    else await enter(named.path, undefined);
  } else if (stat.isFile()) {
    if (globs.selects(globNames(named.path, named))) takeFile(named.path);
  } else skip(named.path, 'not a regular file');
  return result;
}

function errnoOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) throw error;
  return code;
}

function cancelledWhileWalking(): CodedError {
  return new CodedError('CANCELLED', 'Cancelled while listing files; nothing was written', 'Call again.');
}
