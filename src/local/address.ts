/**
 * Where the owner of a store listens: a Unix domain socket in a directory that only its user may enter, a named pipe on
 * Windows. The name is derived from the store's real path, so that the next owner finds what a killed one left behind.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { CodedError } from '../domain/errors.js';
import { privacyFault } from '../private-directory.js';

/** The parts of the machine that an address depends on; tests pass their own. */
export interface Host {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  /** Absolute. */
  readonly tmpdir: string;
  /** Undefined on Windows, which has none. */
  readonly uid: number | undefined;
}

export const thisHost = (): Host => ({
  platform: process.platform,
  env: process.env,
  tmpdir: tmpdir(),
  uid: process.getuid?.(),
});

/** sun_path with its terminating zero: 104 bytes on macOS, 108 on Linux. Beyond it libuv binds a name cut short. */
const MAX_PATH_BYTES = 103;
const HASH_DIGITS = 16;

/**
 * The address for a store: `<directory>/<hash>.sock`. The directory is `mcp-vector-server` in XDG_RUNTIME_DIR where that is
 * what its specification wants (absolute, the user's, mode 0700), else `mcp-vector-server-<uid>` in the temporary
 * directory, else in /tmp, whichever is first short enough.
 * @param storePath the store's real path
 * @throws CodedError SOCKET_UNAVAILABLE where every path is too long
 */
export function socketAddress(storePath: string, host: Host = thisHost()): string {
  const hash = createHash('sha256').update(storePath).digest('hex').slice(0, HASH_DIGITS);
  if (host.platform === 'win32') return `\\\\.\\pipe\\mcp-vector-server-${hash}`;
  const runtime = host.env.XDG_RUNTIME_DIR;
  const directories = [
    ...(runtime !== undefined && isAbsolute(runtime) && isPrivateDirectory(runtime, host)
      ? [join(runtime, 'mcp-vector-server')]
      : []),
    ...[host.tmpdir, '/tmp'].map(parent => join(parent, `mcp-vector-server-${host.uid}`)),
  ];
  const addresses = directories.map(directory => join(directory, `${hash}.sock`));
  const address = addresses.find(path => Buffer.byteLength(path) <= MAX_PATH_BYTES);
  if (address !== undefined) return address;
  throw new CodedError(
    'SOCKET_UNAVAILABLE',
    `${addresses[0]} is longer than the ${MAX_PATH_BYTES} bytes that the name of a socket may have`,
    'Set XDG_RUNTIME_DIR or TMPDIR to a directory with a shorter path.',
  );
}

/**
 * Makes the directory of a socket where there is none.
 * @throws CodedError SOCKET_UNSAFE where it is not this user's alone
 */
export function makePrivateDirectory(directory: string, host: Host = thisHost()): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  assertPrivateDirectory(directory, host);
}

/**
 * Refuses what another user could have put there: in a temporary directory any user may make a name first.
 * @throws CodedError SOCKET_UNSAFE
 */
export function assertPrivateDirectory(directory: string, host: Host = thisHost()): void {
  const reason = privacyFault(lstatSync(directory), host.uid);
  if (reason === undefined) return;
  throw new CodedError(
    'SOCKET_UNSAFE',
    `${directory} ${reason}`,
    `Remove it, or give it to this user alone: chmod 700 ${JSON.stringify(directory)}`,
  );
}

/** Whether a directory is there, and is this user's alone. */
export function isPrivateDirectory(directory: string, host: Host): boolean {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  return stat !== undefined && privacyFault(stat, host.uid) === undefined;
}
