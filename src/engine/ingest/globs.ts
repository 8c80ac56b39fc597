import { basename, relative } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { CodedError } from '../../domain/errors.js';
import { type NamedPath, toPosix } from './paths.js';

/** The names by which globs know a file: relative to the named path (its own name, where it was named) and to the root. */
export function globNames(path: string, named: NamedPath): string[] {
  const below = relative(named.path, path);
  return [toPosix(below === '' ? basename(path) : below), toPosix(relative(named.root, path))];
}

/** How many patterns one pattern may expand to: `{a,b}{c,d}…` doubles with every brace. */
const maxExpansions = 256;

/**
 * The files a call is about: those that match `include` (all, where there is none) and not `exclude`. Patterns are
 * written as in .gitignore, and `{a,b}` alternatives are understood; they may be relative to the named path or to its
 * root, since callers write both.
 */
export class Globs {
  private readonly include: Ignore | undefined;
  private readonly exclude: Ignore;

  constructor(include: readonly string[] | undefined, exclude: readonly string[] | undefined) {
    this.include = include === undefined || include.length === 0 ? undefined : matcher(include);
    this.exclude = matcher(exclude ?? []);
  }

  /** @param names One file's globNames. */
  selects(names: readonly string[]): boolean {
    if (this.excludes(names)) return false;
    return this.include === undefined || some(this.include, names);
  }

  /** Whether `exclude` matches; a directory's name ends with `/`. What lies below it is then excluded as well. */
  excludes(names: readonly string[]): boolean {
    return some(this.exclude, names);
  }
}

function matcher(patterns: readonly string[]): Ignore {
  const expanded = patterns.flatMap(pattern => expandBraces(pattern.replace(/^\.\//, '')));
  return ignore().add(expanded.map(pattern => ({ pattern })));
}

function some(rules: Ignore, names: readonly string[]): boolean {
  return names.some(name => ignore.isPathValid(name) && rules.ignores(name));
}

/**
 * `src/*.{js,ts}` -> `src/*.js`, `src/*.ts`; nested braces too. A brace without a comma stands for itself.
 * @throws CodedError INVALID_ARGUMENT beyond 256 alternatives
 */
export function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    if (done.length + open.length > maxExpansions) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `A glob expands to more than ${maxExpansions} alternatives`,
        'Write several shorter patterns.',
      );
    }
    const next = open.pop()!;
    const match = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/su.exec(next);
    if (match === null) done.push(next);
    else for (const choice of match[2]!.split(',').reverse()) open.push(`${match[1]}${choice}${match[3]}`);
  }
  return [...new Set(done)];
}
