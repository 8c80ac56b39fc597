/** npm, as far as updates need it: its own settings (registry, proxy, login, cache) count. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import { PACKAGE } from './prefix.js';

const TIMEOUT_MS = 10 * 60_000;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws CodedError UPDATE_UNAVAILABLE where it cannot be run */
export function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.on('error', error => reject(unavailable(`${command} cannot be run: ${error.message}`)));
    child.on('close', code => resolve({ code, stdout, stderr }));
  });
}

/** @param registry in place of the one that npm is configured with */
export function npm(args: readonly string[], registry?: string): Promise<Ended> {
  const given = registry === undefined ? [] : [`--registry=${registry}`];
  // npm's own patience is minutes, and a person waits.
  const patience = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'];
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error', ...patience];
  return run('npm', [...args, ...given, ...quiet]);
}

export interface Published {
  /** The newest release that is no prerelease, by the tag `latest`. */
  readonly latest: string;
  /** Oldest first. */
  readonly versions: readonly string[];
}

/** What the registry has of this package. @throws CodedError UPDATE_UNAVAILABLE with npm's own code */
export async function published(registry?: string): Promise<Published> {
  // From its cache npm would answer without a network, too: as of some day or other.
  const cache = mkdtempSync(join(tmpdir(), 'mcp-vector-update-'));
  try {
    const args = ['view', PACKAGE, 'versions', 'dist-tags', '--json', '--cache', cache];
    const { code, stdout, stderr } = await npm(args, registry);
    const answer = jsonOf(stdout);
    const error = answer?.error as { code?: string } | undefined;
    if (code !== 0 || answer === undefined || error !== undefined) {
      const why = error?.code ?? /code (\w+)/.exec(stderr)?.[1] ?? `npm ended with ${code}`;
      throw unavailable(`the npm registry did not tell of ${PACKAGE}: ${why}`);
    }
    const versions = [answer.versions ?? []].flat().map(String).sort(compareVersions);
    const tags = answer['dist-tags'] as Record<string, string> | undefined;
    return { latest: tags?.latest ?? versions.at(-1) ?? '0.0.0', versions };
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The changelog that a published version has in its package; undefined where it cannot be had. */
export async function changelogOf(version: string, registry?: string): Promise<string | undefined> {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-vector-update-'));
  try {
    const packed = await npm(['pack', `${PACKAGE}@${version}`, '--pack-destination', dir], registry);
    const tarball = readdirSync(dir).find(name => name.endsWith('.tgz'));
    if (packed.code !== 0 || tarball === undefined) return undefined;
    const { code, stdout } = await run('tar', ['-xzOf', join(dir, tarball), 'package/CHANGELOG.md']);
    return code === 0 ? stdout : undefined;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The sections of a changelog about versions after one, newest first: `## 1.2.0` and what is below it. */
export function changesAfter(changelog: string, version: string): string[] {
  return changelog
    .split(/^(?=## )/m)
    .filter(section => {
      const named = /^## \[?v?(\d+\.\d+\.\d+[^\s\]]*)/.exec(section)?.[1];
      return named !== undefined && compareVersions(named, version) > 0;
    })
    .map(section => section.trimEnd());
}

/** By Semantic Versioning 2.0.0, section 11; what stands after a + is left out of it. */
export function compareVersions(a: string, b: string): number {
  const parse = (version: string) => {
    const [numbers = '', ...rest] = version.split('+')[0]!.split('-');
    return { numbers: numbers.split('.').map(Number), pre: rest.join('-') };
  };
  const [left, right] = [parse(a), parse(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.pre === right.pre) return 0;
  // A prerelease comes before its release.
  if (left.pre === '' || right.pre === '') return left.pre === '' ? 1 : -1;
  return comparePrereleases(left.pre.split('.'), right.pre.split('.'));
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [left, right] = [a[i], b[i]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    if (left === right) continue;
    const [isLeftNumber, isRightNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isLeftNumber && isRightNumber) return Number(left) - Number(right);
    if (isLeftNumber !== isRightNumber) return isLeftNumber ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}

export const unavailable = (message: string): CodedError =>
  new CodedError(
    'UPDATE_UNAVAILABLE',
    message,
    'Check the network and npm’s settings (`npm config get registry`), or name another registry with --registry. Without a network: update --apply FILE.tgz, or a directory.',
  );
