/** Putting a version of the program beside those that are there. */
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { exists } from '../../../wal/exists.js';
import { fsyncDirectory } from '../../../wal/head-file.js';
import { readText } from '../../../wal/read-text.js';
import { CodedError } from '../../domain/errors.js';
import { npm, run } from './npm.js';
import { PACKAGE, type Prefix } from './prefix.js';
import { failed, lastLine } from './run-version.js';

/** Ends the name of one that is not there whole yet. */
const PARTIAL = '.partial';

export type Source =
  | { readonly kind: 'registry'; readonly version: string }
  | { readonly kind: 'tarball' | 'package'; readonly path: string }
  /** A directory with `node_modules` that has the package and all that it needs, such as an npm prefix: it is copied as it is. */
  | { readonly kind: 'tree'; readonly path: string };

/** @param spec a version, the path of a tarball or of a directory @throws CodedError INVALID_ARGUMENT */
export function sourceOf(spec: string): Source {
  const path = resolve(spec);
  if (exists(path)) {
    if (!statSync(path).isDirectory()) return { kind: 'tarball', path };
    if (exists(join(path, 'node_modules', PACKAGE, 'package.json'))) return { kind: 'tree', path };
    if (packageName(path) === PACKAGE) return { kind: 'package', path };
    throw invalid(`${spec} holds no ${PACKAGE}`);
  }
  if (/^(\d+\.\d+\.\d+[0-9A-Za-z.+-]*|latest)$/.test(spec)) return { kind: 'registry', version: spec };
  throw invalid(
    `${JSON.stringify(spec.slice(0, 200))} is neither a version nor a file or directory that is there`,
  );
}

function packageName(dir: string): unknown {
  const path = join(dir, 'package.json');
  return exists(path) ? (JSON.parse(readText(path)) as { name?: unknown }).name : undefined;
}

/**
 * Installs a version into a directory of its own; it appears under its id when it is whole.
 * @param seed the version whose dependencies are looked at first, so that nothing need be downloaded that is there
 * @returns its id: its version, with a number behind it where one of that version is there
 * @throws CodedError UPDATE_FAILED, INVALID_ARGUMENT
 */
export async function installVersion(
  prefix: Prefix,
  source: Source,
  { seed, registry }: { seed?: string | undefined; registry?: string | undefined } = {},
): Promise<string> {
  const versions = prefix.path('versions');
  mkdirSync(versions, { recursive: true, mode: 0o700 });
  removeLeftovers(prefix);
  const partial = join(versions, `new${PARTIAL}`);
  mkdirSync(partial, { mode: 0o700 });
  try {
    if (source.kind === 'tree') {
      const modules = join(partial, 'node_modules');
      cpSync(join(source.path, 'node_modules'), modules, { recursive: true, verbatimSymlinks: true });
    } else await npmInstall(prefix, partial, source, seed, registry);
    const installed = join(partial, 'node_modules', PACKAGE);
    if (packageName(installed) !== PACKAGE) throw failed(`what was installed holds no ${PACKAGE}`);
    const { version } = JSON.parse(readText(join(installed, 'package.json'))) as { version: string };
    const id = freeId(prefix, version);
    renameSync(partial, prefix.versionDir(id));
    fsyncDirectory(versions);
    return id;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}

async function npmInstall(
  prefix: Prefix,
  partial: string,
  source: Exclude<Source, { kind: 'tree' }>,
  seed: string | undefined,
  registry: string | undefined,
): Promise<void> {
  writeFileSync(join(partial, 'package.json'), `{"private":true,"dependencies":{"${PACKAGE}":"*"}}\n`);
  const spec = source.kind === 'registry' ? `${PACKAGE}@${source.version}` : await tarballOf(source, partial);
  if (source.kind !== 'registry' && seed !== undefined) {
    await layOut(spec, prefix.versionDir(seed), partial);
    if ((await unmet(partial)).length === 0) return;
    rmSync(join(partial, 'node_modules'), { recursive: true, force: true });
  }
  const { code, stderr } = await npm(
    ['install', spec, '--prefix', partial, '--prefer-offline', '--omit=dev', '--no-save', '--ignore-scripts'],
    registry,
  );
  if (code !== 0) throw failed(`npm could not install it: ${npmError(stderr)}`);
}

/** A directory is packed first: npm would only link to it. */
async function tarballOf(
  { kind, path }: Exclude<Source, { kind: 'registry' | 'tree' }>,
  into: string,
): Promise<string> {
  if (kind === 'tarball') return path;
  const { code, stderr } = await npm(['pack', path, '--ignore-scripts', '--pack-destination', into]);
  const packed = readdirSync(into).find(name => name.endsWith('.tgz'));
  if (code !== 0 || packed === undefined) throw failed(`npm could not pack ${path}: ${npmError(stderr)}`);
  return join(into, packed);
}

/** What is in a tarball, beside the dependencies of a version that is there. @throws CodedError UPDATE_FAILED */
async function layOut(tarball: string, seedDir: string, partial: string): Promise<void> {
  const modules = join(partial, 'node_modules');
  const isDependency = (path: string) =>
    !['.bin', '.package-lock.json', PACKAGE].some(name => path === join(seedDir, 'node_modules', name));
  cpSync(join(seedDir, 'node_modules'), modules, {
    recursive: true,
    verbatimSymlinks: true,
    filter: isDependency,
  });
  const own = join(modules, PACKAGE);
  mkdirSync(own);
  const { code, stderr } = await run('tar', ['-xzf', tarball, '-C', own, '--strip-components=1']);
  if (code !== 0) throw failed(`${tarball} cannot be unpacked${lastLine(stderr)}`);
}

/** Dependencies that are not there, or not of a version that is asked for: npm says so without a network. */
async function unmet(dir: string): Promise<readonly string[]> {
  const { stdout } = await npm(['ls', '--all', '--omit=dev', '--json', '--prefix', dir]);
  try {
    const { problems = [] } = JSON.parse(stdout) as { problems?: string[] };
    return problems.filter(problem => !problem.startsWith('extraneous'));
  } catch {
    return ['npm did not say'];
  }
}

/** What npm says first: its code and what it means; the rest names its log. */
function npmError(stderr: string): string {
  const lines = stderr.split('\n').flatMap(line => /^npm error (.+)$/.exec(line)?.[1] ?? []);
  return lines.slice(0, 2).join(', ').slice(0, 300) || lastLine(stderr).slice(2) || 'it did not say why';
}

/** A version that is there already may be the very one that runs: another one is put beside it. */
function freeId(prefix: Prefix, version: string): string {
  for (let n = 1; ; n++) {
    const id = n === 1 ? version : `${version}-${n}`;
    if (!exists(prefix.versionDir(id))) return id;
  }
}

/** What installations that were killed left. */
export function removeLeftovers(prefix: Prefix): void {
  const versions = prefix.path('versions');
  if (!exists(versions)) return;
  for (const name of readdirSync(versions))
    if (name.endsWith(PARTIAL)) rmSync(join(versions, name), { recursive: true, force: true });
}

const invalid = (message: string): CodedError =>
  new CodedError(
    'INVALID_ARGUMENT',
    message,
    'Give a version such as 1.2.0, the path of a tarball (.tgz), or of a directory with the package in its node_modules.',
  );
