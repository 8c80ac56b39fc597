import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Suites {
  /** A Node that runs them. */
  readonly node: string;
  /** The entry of each suite. */
  readonly old: string;
  readonly latest: string;
}

const NODE_VERSION = '22.23.3';
const needsNode = Number(process.versions.node.split('.')[0]) < 22;

/**
 * Installs the suites, at their pinned versions, into a directory of their own, with the Node that they want where this one is older. As
 * dependencies of the project they would put that Node before the one that is to be tested, in every script that npm runs.
 */
export function installSuites(dir: string): Suites {
  const platform = `${process.platform}-${process.arch}`;
  const dependencies = {
    'conformance-old': 'npm:@modelcontextprotocol/conformance@0.1.16',
    'conformance-latest': 'npm:@modelcontextprotocol/conformance@0.2.0-alpha.12',
    ...(needsNode && { [`node-${platform}`]: NODE_VERSION }),
  };
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    join(dir, 'package.json'),
    `${JSON.stringify({ name: 'conformance-suites', private: true, dependencies }, undefined, 2)}\n`,
  );
  const at = (path: string) => join(dir, 'node_modules', path);
  const suites = {
    node: needsNode ? at(`node-${platform}/bin/node`) : process.execPath,
    old: at('conformance-old/dist/index.js'),
    latest: at('conformance-latest/dist/index.js'),
  };
  if (Object.values(suites).every(path => existsSync(path))) return suites;
  // A shell, because on Windows npm is a script.
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error'], {
    cwd: dir,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32',
  });
  return suites;
}
