import { fileURLToPath } from 'node:url';
import { prefixOf } from '../../ops/update/prefix.js';
import type { Launcher } from '../choices.js';
import { findInstallation, type Installation } from '../installation.js';

/** How a client starts the server. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** True where the first start may download and compile, which takes longer than some clients wait. */
  readonly isSlowAtFirst: boolean;
}

const PACKAGE = 'mcp-vector-server';
/**
 * What fits how this program was installed: fetched by npx or into some project's node_modules it may be gone tomorrow,
 * so npx; a checkout, a global or a managed installation stays, starts at once and needs no network.
 */
export function likelyLauncher({ kind }: Pick<Installation, 'kind'> = findInstallation()): Launcher {
  return kind === 'npx' || kind === 'project' ? 'npx' : 'path';
}

/**
 * @param store the store's directory, absolute; undefined leaves it to the server's default
 */
export function serverCommand(
  launcher: Launcher,
  store: string | undefined,
  platform: NodeJS.Platform = process.platform,
  packageRoot = findInstallation().packageRoot,
): ServerCommand {
  const env: Record<string, string> = store === undefined ? {} : { VECTOR_DB_PATH: store };
  if (launcher === 'path') {
    const own = fileURLToPath(new URL('../main.js', import.meta.url));
    // A version goes some updates later; what leads to the one that counts stays.
    const main = prefixOf(packageRoot)?.currentMain ?? own;
    return { command: process.execPath, args: [main], env, isSlowAtFirst: false };
  }
  const npx = ['-y', PACKAGE];
  // Windows starts no .cmd file without a shell.
  return platform === 'win32'
    ? { command: 'cmd', args: ['/c', 'npx', ...npx], env, isSlowAtFirst: true }
    : { command: 'npx', args: npx, env, isSlowAtFirst: true };
}
