import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Globs } from '#src/engine/ingest/globs.js';
import { walk } from '#src/engine/ingest/walk.js';
import { tree, write } from './ingest-map-store.js';

const env = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};
const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', args, { cwd, env, encoding: 'utf8' });

/** The oracle: what git would add. */
function gitFiles(root: string, below = '.'): string[] {
  const listed = git(root, 'ls-files', '-z', '--others', '--exclude-standard', '--', below);
  return listed.split('\0').filter(Boolean).sort();
}

async function walked(root: string, below = '.'): Promise<string[]> {
  const path = join(root, below);
  const { files } = await walk({ named: below, path, root, exists: true }, new Globs(undefined, undefined));
  return files.map(file => file.slice(root.length + 1)).sort();
}

describe('.gitignore, with git as the oracle', () => {
  const directory = fc.constantFrom('a', 'b', 'c', 'a b', 'x[1]', 'd*');
  const file = fc.constantFrom(
    'a',
    'b.md',
    'c.txt',
    'note.md',
    'b',
    '.hidden',
    'x1.md',
    'a b.md',
    '#h.md',
    '!n.md',
  );
  const path = fc
    .tuple(fc.array(directory, { maxLength: 3 }), file)
    .map(([directories, name]) => [...directories, name].join('/'));
  const name = fc.constantFrom(
    'a',
    'b',
    'c',
    '*',
    '**',
    '*.md',
    'note.*',
    'b.md',
    '?',
    '[ab]',
    '[!a]',
    'x[1]',
    'x\\[1\\]',
    'a b',
    '.*',
    '\\#h.md',
    '\\!n.md',
    'n*e.md',
    'd\\*',
    'c.txt',
  );
  const pattern = fc
    .record({
      negated: fc.boolean(),
      leading: fc.boolean(),
      names: fc.array(name, { minLength: 1, maxLength: 3 }),
      trailing: fc.boolean(),
      space: fc.constantFrom('', '', ' ', '\r'),
    })
    .map(
      p =>
        `${p.negated ? '!' : ''}${p.leading ? '/' : ''}${p.names.join('/')}${p.trailing ? '/' : ''}${p.space}`,
    );
  const lines = fc
    .tuple(
      fc.constantFrom('', '', '', '\uFEFF'),
      fc.array(fc.oneof({ weight: 8, arbitrary: pattern }, fc.constantFrom('', '# a', '/', '!')), {
        maxLength: 4,
      }),
    )
    .map(([mark, patterns]) => `${mark}${patterns.join('\n')}`);
  const rules = fc.array(fc.tuple(fc.array(directory, { maxLength: 2 }), lines), { maxLength: 3 });

  it('takes exactly the files that git takes, in random trees with nested rules', {
    timeout: 240_000,
  }, async () => {
    const root = tree();
    await fc.assert(
      fc.asyncProperty(
        fc.array(path, { minLength: 3, maxLength: 14 }),
        rules,
        lines,
        async (paths, nested, info) => {
          const repository = join(root, 'repository');
          rmSync(repository, { recursive: true, force: true });
          mkdirSync(join(repository, '.git/info'), { recursive: true });
          // The least that git takes for a repository; `git init` would cost ten times as much.
          write(repository, { '.git/HEAD': 'ref: refs/heads/main\n', '.git/config': '' });
          for (const below of ['objects', 'refs']) mkdirSync(join(repository, '.git', below));
          writeFileSync(join(repository, '.git/info/exclude'), info);
          for (const path of paths) writeUnlessTaken(repository, path, 'text');
          for (const [directories, content] of nested) {
            writeUnlessTaken(repository, [...directories, '.gitignore'].join('/'), content);
          }
          expect(await walked(repository)).toEqual(gitFiles(repository));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('ends the last line at a carriage return too, where no line feed follows', async () => {
    const root = tree({ '.git/HEAD': 'ref: refs/heads/main\n', '.git/config': '' });
    for (const below of ['objects', 'refs']) mkdirSync(join(root, '.git', below));
    write(root, { 'b/.gitignore': 'b/\r', 'b/a/b/a': 'text', a: 'text' });
    expect(gitFiles(root)).toEqual(['a', 'b/.gitignore']);
    expect(await walked(root)).toEqual(['a', 'b/.gitignore']);
  });

  it('obeys the rules above a folder that is named, up to the top of the repository', async () => {
    const root = tree({
      '.gitignore': '*.log\n/docs/private/\n',
      'docs/.gitignore': 'draft*\n!draft-2.md\n',
      'docs/sub/one.md': '1',
      'docs/sub/one.log': '1',
      'docs/sub/draft-1.md': '1',
      'docs/sub/draft-2.md': '2',
    });
    git(root, 'init', '-q');
    expect(await walked(root, 'docs/sub')).toEqual(['docs/sub/draft-2.md', 'docs/sub/one.md']);
    expect(await walked(root, 'docs/sub')).toEqual(gitFiles(root, 'docs/sub'));
  });

  it('starts afresh in a nested repository and reads info/exclude of a work tree', async () => {
    const root = tree({
      '.gitignore': '*.log\n',
      'a.md': 'a',
      'inner/kept.log': 'x',
      'inner/.gitignore': 'no.md\n',
    });
    git(root, 'init', '-q');
    git(join(root, 'inner'), 'init', '-q');
    write(root, { 'inner/no.md': 'x' });
    expect(await walked(root)).toEqual(['.gitignore', 'a.md', 'inner/.gitignore', 'inner/kept.log']);

    git(root, '-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-q', '--allow-empty', '-m', 'start');
    git(root, 'worktree', 'add', '-q', 'tree');
    write(root, { '.git/info/exclude': 'hidden.md\n', 'tree/hidden.md': 'x', 'tree/shown.md': 'x' });
    const shown = (await walked(root, 'tree')).filter(file => file.endsWith('.md'));
    expect(shown).toEqual(['tree/shown.md']);
  });

  it('takes a path that is named although it is ignored, with only the rules below it', async () => {
    const root = tree({
      '.gitignore': 'dist/\nnode_modules\n',
      'dist/guide.md': 'g',
      'dist/x.log': 'x',
      'dist/.gitignore': '*.log\n',
      'node_modules/foo/README.md': 'foo',
      'node_modules/foo/node_modules/bar/README.md': 'bar',
    });
    git(root, 'init', '-q');
    expect(await walked(root)).toEqual(['.gitignore']);
    expect(await walked(root, 'dist')).toEqual(['dist/.gitignore', 'dist/guide.md']);
    expect(await walked(root, 'node_modules/foo')).toEqual(['node_modules/foo/README.md']);
    expect(await walked(root, 'dist/guide.md')).toEqual(['dist/guide.md']);
  });
});

/** A random tree wants some names as file and as directory: the first one keeps it. */
function writeUnlessTaken(root: string, path: string, content: string): void {
  try {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EEXIST' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
  }
}
