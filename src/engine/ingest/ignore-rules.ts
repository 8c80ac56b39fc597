import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { isBelow, toPosix } from './paths.js';

/** Git compares names as the file system does: by case on Linux, without it elsewhere. */
const ignorecase = process.platform !== 'linux';

/**
 * The .gitignore rules that hold in one directory: its own, those of the directories above it up to `base`, and
 * .git/info/exclude. Immutable: `below` gives the rules of a child. Semantics as in gitignore(5): the last pattern that
 * matches decides, deeper files come later, and nothing below an ignored directory can be taken back.
 */
export class IgnoreRules {
  private constructor(
    /** The directory that all patterns are relative to: the repository's top, or where the walk starts without one. */
    private readonly base: string,
    private readonly rules: Ignore,
  ) {}

  /** The rules of `directory` alone, as the top of a repository or of a walk outside of any. */
  static async at(directory: string): Promise<IgnoreRules> {
    const rules = ignore({ ignorecase });
    const exclude = await infoExclude(directory);
    rules.add(patternsOf(exclude, ''));
    rules.add(patternsOf(await readIfThere(join(directory, '.gitignore')), ''));
    return new IgnoreRules(directory, rules);
  }

  /**
   * The rules in force in `directory`, gathered from the top of its repository downwards, or from `outermost` where it
   * lies in none. Where those rules ignore `directory` itself its caller asked for it by name, so only its own hold.
   */
  static async in(directory: string, outermost: string): Promise<IgnoreRules> {
    const base = (await repositoryTop(directory)) ?? outermost;
    let rules = await IgnoreRules.at(base);
    const steps = toPosix(relative(base, directory)).split('/').filter(Boolean);
    let at = base;
    for (const step of steps) {
      at = join(at, step);
      if (rules.ignores(at, true)) return IgnoreRules.at(directory);
      rules = await rules.below(at);
    }
    return rules;
  }

  /** The rules of a directory right below one that these rules hold in. A nested repository starts afresh. */
  async below(directory: string): Promise<IgnoreRules> {
    if (await isRepositoryTop(directory)) return IgnoreRules.at(directory);
    const text = await readIfThere(join(directory, '.gitignore'));
    const prefix = toPosix(relative(this.base, directory));
    const patterns = patternsOf(text, prefix);
    if (patterns.length === 0) return this;
    return new IgnoreRules(this.base, ignore({ ignorecase }).add(this.rules).add(patterns));
  }

  /** Whether the rules ignore this absolute path; a directory is not the same to them as a file of that name. */
  ignores(path: string, isDirectory: boolean): boolean {
    const name = toPosix(relative(this.base, path));
    if (name === '' || !isBelow(path, this.base)) return false;
    return this.rules.ignores(isDirectory ? `${name}/` : name);
  }
}

/** The patterns of a .gitignore in `directory` (relative, with `/`) rewritten so that they hold from the base. */
function patternsOf(text: string, directory: string): { pattern: string }[] {
  const patterns: { pattern: string }[] = [];
  // Git ends the last line itself, so that a carriage return before the end of the file goes like any other.
  for (const line of `${text.replace(/^\uFEFF/, '')}\n`.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    const negated = line.startsWith('!');
    const body = negated ? line.slice(1) : line;
    const meaningful = body.replace(/ +$/, '');
    // A lone slash matches nothing in git; with a prefix it would match the directory itself.
    if (/^\/*$/.test(meaningful)) continue;
    if (directory === '') {
      patterns.push({ pattern: line });
      continue;
    }
    const anchored = meaningful.slice(0, -1).includes('/');
    const prefix = `/${directory.replace(/[\\*?[]/g, '\\$&')}/`;
    const rest = anchored ? body.replace(/^\//, '') : `**/${body}`;
    patterns.push({ pattern: `${negated ? '!' : ''}${prefix}${rest}` });
  }
  return patterns;
}

async function repositoryTop(directory: string): Promise<string | undefined> {
  for (let at = directory; ; at = dirname(at)) {
    if (await isRepositoryTop(at)) return at;
    if (dirname(at) === at) return undefined;
  }
}

/** A directory with `.git/HEAD`, or a `.git` file that points to one (work trees, submodules). */
async function isRepositoryTop(directory: string): Promise<boolean> {
  if ((await readIfThere(join(directory, '.git', 'HEAD'))) !== '') return true;
  return (await readIfThere(join(directory, '.git'))).startsWith('gitdir:');
}

/** The text of .git/info/exclude, which work trees share with their main repository (gitrepository-layout(5)). */
async function infoExclude(directory: string): Promise<string> {
  const link = /^gitdir:\s*(.+?)\s*$/m.exec(await readIfThere(join(directory, '.git')));
  if (link === null) return readIfThere(join(directory, '.git', 'info', 'exclude'));
  const gitDir = resolve(directory, link[1]!);
  const common = (await readIfThere(join(gitDir, 'commondir'))).trim();
  return readIfThere(join(resolve(gitDir, common), 'info', 'exclude'));
}

/**
 * A file's text, or '' where there is no such file. Other errors are thrown: rules that cannot be read must not
 * turn into "nothing is ignored".
 */
async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return '';
    throw error;
  }
}
