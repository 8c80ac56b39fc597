import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The parts of the machine that paths depend on; tests pass their own. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  /** The user's home directory, absolute. */
  readonly home: string;
  readonly cwd: string;
}

export const thisMachine = (): Machine => ({
  platform: process.platform,
  home: homedir(),
  cwd: process.cwd(),
});

/**
 * Where the store lies unless VECTOR_DB_PATH says otherwise: `mcp-vector-server/store` in the user's data directory,
 * which is %LOCALAPPDATA% on Windows, ~/Library/Application Support on macOS, and elsewhere XDG_DATA_HOME or
 * ~/.local/share (XDG Base Directory Specification 0.8, whose rule it is that a relative XDG_DATA_HOME is invalid and
 * ignored).
 */
export function defaultStorePath(env: NodeJS.ProcessEnv, { platform, home }: Machine): string {
  return join(dataDirectory(env, platform, home), 'mcp-vector-server', 'store');
}

/** Where models lie that were downloaded: beside the default store. */
export function defaultModelsPath(env: NodeJS.ProcessEnv, { platform, home }: Machine): string {
  return join(dataDirectory(env, platform, home), 'mcp-vector-server', 'models');
}

function dataDirectory(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string): string {
  if (platform === 'win32') return env.LOCALAPPDATA ?? join(home, 'AppData', 'Local');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support');
  const xdg = env.XDG_DATA_HOME;
  return xdg !== undefined && isAbsolute(xdg) ? xdg : join(home, '.local', 'share');
}

/** `~` and `~/…` (on Windows also `~\…`) with the home directory in its place; anything else as it is. */
export function expandHome(path: string, { platform, home }: Machine): string {
  if (path === '~') return home;
  if (path.startsWith('~/') || (platform === 'win32' && path.startsWith('~\\'))) {
    return join(home, path.slice(2));
  }
  return path;
}
