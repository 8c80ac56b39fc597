import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemKind } from './system.js';

/**
 * Installs the peers, at their pinned versions, into a directory of their own with a package.json of its own: they are no dependencies
 * of the project, and npm's output goes to stderr.
 */
export function installPeers(peersDir: string, kinds: readonly SystemKind[]): void {
  const dependencies = Object.assign({}, ...kinds.map(({ packages }) => packages)) as Record<string, string>;
  mkdirSync(peersDir, { recursive: true });
  writeFileSync(
    join(peersDir, 'package.json'),
    `${JSON.stringify(
      {
        name: 'bench-peers',
        private: true,
        dependencies,
        // Some of them fetch or compile their binaries in an install script.
        allowScripts: Object.fromEntries(Object.keys(dependencies).map(name => [name, true])),
      },
      undefined,
      2,
    )}\n`,
  );
  // A shell, because on Windows npm is a script.
  execFileSync('npm', ['install', '--no-audit', '--no-fund'], {
    cwd: peersDir,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32',
  });
}
