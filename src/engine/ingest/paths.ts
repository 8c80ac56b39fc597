import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { CodedError } from '../../domain/errors.js';

/** A path that the caller named, resolved and found to lie within a root. All of it free of symbolic links. */
export interface NamedPath {
  /** As the caller wrote it. */
  readonly named: string;
  readonly path: string;
  /** The innermost allowed root that holds it. */
  readonly root: string;
  readonly exists: boolean;
}

/** The path with `/` as separator: how paths are stored and shown. */
export function toPosix(path: string): string {
  return sep === '/' ? path : path.split(sep).join('/');
}

/** Whether `path` is `directory` or lies below it. Both absolute. */
export function isBelow(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/**
 * Resolves the paths a call names against the allowed roots. Links are followed on both sides before they are compared,
 * so neither a link nor `..` leads out; a path outside is refused before it is said whether it exists.
 * @param paths Absolute, or relative to the first root.
 * @throws CodedError INVALID_ARGUMENT (no paths), ROOTS_UNSET, OUTSIDE_ROOTS
 */
export async function resolveWithinRoots(
  paths: readonly string[],
  roots: readonly string[],
): Promise<NamedPath[]> {
  if (paths.length === 0) {
    throw new CodedError('INVALID_ARGUMENT', 'paths: empty', 'Name at least one file or folder.');
  }
  const real: string[] = [];
  for (const root of roots) {
    const { path, exists } = await realpathAsFar(resolve(root));
    if (exists) real.push(path);
  }
  if (real.length === 0) {
    const why =
      roots.length === 0
        ? 'No directory may be read'
        : `None of the allowed roots exists: ${roots.join(', ')}`;
    throw new CodedError(
      'ROOTS_UNSET',
      why,
      'Set VECTOR_ROOTS to the directories that may be ingested, or start the server in the project directory.',
    );
  }
  const found = new Map<string, NamedPath>();
  for (const named of paths) {
    if (named.includes('\0')) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        'paths: a path holds a NUL character',
        'Name a file or folder.',
      );
    }
    const { path, exists } = await realpathAsFar(resolve(real[0]!, named));
    const root = real.filter(r => isBelow(path, r)).sort((a, b) => b.length - a.length)[0];
    if (root === undefined) {
      throw new CodedError(
        'OUTSIDE_ROOTS',
        `${named} lies outside the directories that may be read`,
        `Name a path below ${real.join(' or ')}, or add its directory to VECTOR_ROOTS.`,
      );
    }
    found.set(path, { named, path, root, exists });
  }
  return [...found.values()];
}

/** The real path; where the end of it does not exist, the real path of the part that does, with the rest appended. */
async function realpathAsFar(path: string): Promise<{ path: string; exists: boolean }> {
  try {
    return { path: await realpath(path), exists: true };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || dirname(path) === path) throw unresolvable(path, error);
    const parent = await realpathAsFar(dirname(path));
    return { path: join(parent.path, basename(path)), exists: false };
  }
}

function unresolvable(path: string, error: unknown): CodedError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new CodedError(
    'PATH_NOT_FOUND',
    `${path} cannot be reached (${code})`,
    'Name a path that exists and that this user may read.',
    { cause: error },
  );
}
