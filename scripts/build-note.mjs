// What dist/ was built of and how it was left, so that a build of the same need not be repeated: npm runs one before almost every command.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** In dist/, and not part of what it describes. */
const NOTE = '.build';
const SOURCES = ['src', 'wal', 'tools', 'bench', 'test', 'scripts'];
/** What a compiler, a bundler or the page takes in. */
const TAKEN_IN = /\.(ts|tsx|mts|mjs|json|css|html|svg)$/;

/** @param kind what was asked for besides: another kind of build of the same sources is another */
export function isBuilt(root, kind) {
  const note = join(root, 'dist', NOTE);
  return existsSync(note) && readFileSync(note, 'utf8') === describe(root, kind);
}

export function noteBuild(root, kind) {
  writeFileSync(join(root, 'dist', NOTE), describe(root, kind));
}

/** Sources by content, since a checkout gives them any time; outputs by size and time, since nobody but a build writes them. */
function describe(root, kind) {
  const sources = createHash('sha256').update(`${kind} ${process.version}\n`);
  const top = readdirSync(root).filter(name => /^(package|package-lock|tsconfig.*)\.json$/.test(name));
  for (const file of [...top, ...SOURCES.flatMap(folder => filesIn(root, folder, TAKEN_IN))].sort())
    sources.update(`${file}\n`).update(readFileSync(join(root, file)));
  const outputs = createHash('sha256');
  for (const file of filesIn(root, 'dist').sort()) {
    if (file === join('dist', NOTE)) continue;
    const { size, mtimeMs } = statSync(join(root, file));
    outputs.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return `${sources.digest('hex')}\n${outputs.digest('hex')}\n`;
}

function filesIn(root, folder, pattern = /./) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && pattern.test(entry.name))
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)));
}
