/** Processes of this machine: what they run, whether they live, and ending them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isLiving } from '../../../wal/living.js';
import { readOwner } from '../../../wal/owner.js';
import { readText } from '../../../wal/read-text.js';
import type { Machine } from '../../paths.js';
import { defaultStorePath, expandHome } from '../../paths.js';

const POLL_MS = 25;

/** The words of a process' command line; undefined where there is no such process, or it may not be asked. */
export function commandOf(pid: number): readonly string[] | undefined {
  try {
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/cmdline`).toString('utf8').split('\0').slice(0, -1);
    if (process.platform === 'win32') return undefined;
    // ps(1) joins them by spaces: enough to recognise a program by.
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(' ');
  } catch {
    return undefined;
  }
}

/** Gone counts a process whose parent has not asked for its exit code yet: it holds no lock any more. */
export function lives(pid: number): boolean {
  if (!isLiving({ pid, host: hostname() })) return false;
  if (process.platform !== 'linux') return true;
  try {
    return !/^State:\s+Z/m.test(readText(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** @returns whether it ended within the time */
export async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= timeoutMs; waitedMs += POLL_MS) {
    if (!lives(pid)) return true;
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
  return !lives(pid);
}

/** Asks a process to end, and ends it if it does not. @returns how it ended */
export async function endProcess(
  pid: number,
  { graceMs = 15_000 }: { graceMs?: number } = {},
): Promise<'gone' | 'asked' | 'killed' | 'stays'> {
  if (!lives(pid)) return 'gone';
  process.kill(pid, 'SIGTERM');
  // One that is stopped hears of it only when it goes on.
  if (process.platform !== 'win32' && lives(pid)) process.kill(pid, 'SIGCONT');
  if (await waitForEnd(pid, graceMs)) return 'asked';
  process.kill(pid, 'SIGKILL');
  return (await waitForEnd(pid, 5_000)) ? 'killed' : 'stays';
}

export interface StoreUser {
  readonly pid: number;
  /** `owner`: it has the store. `window`: a server of this program that is configured for it, and reaches it through the owner. */
  readonly role: 'owner' | 'window';
  /** What it was started as, in a few words, such as `serve`. */
  readonly command: string;
}

/** Of a server's command line: `node …/cli/main.js stdio`. The shim that npm links is not followed by the system, so its name counts as well. */
const IS_OURS = /(^|[\\/])(cli[\\/]main\.js|mcp-vector-server)$/;

/**
 * The processes that have a store or use it, this one left out. The owner is known by its note on every system; windows by what Linux tells of processes of the
 * same user (their command lines and environments): elsewhere they are not seen.
 */
export function usersOf(storeDir: string, self: readonly number[] = [process.pid]): StoreUser[] {
  const users = new Map<number, StoreUser>();
  const owner = ownerOf(storeDir);
  if (owner !== undefined && !self.includes(owner))
    users.set(owner, { pid: owner, role: 'owner', command: wordOf(owner) });
  if (process.platform === 'linux')
    for (const pid of readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(Number))
      if (!users.has(pid) && !self.includes(pid) && isWindowOf(pid, storeDir))
        users.set(pid, { pid, role: 'window', command: wordOf(pid) });
  return [...users.values()];
}

function ownerOf(storeDir: string): number | undefined {
  const owner = readOwner(storeDir);
  if (owner === undefined || owner.host !== hostname() || !lives(owner.pid)) return undefined;
  // A note that was left behind may name a number that has been given to somebody else since.
  const command = commandOf(owner.pid);
  return command === undefined || command.some(word => /node|mcp-vector-server/.test(word))
    ? owner.pid
    : undefined;
}

const wordOf = (pid: number): string => serverWord(commandOf(pid) ?? []) ?? 'process';

/** What follows the program's file: the command; undefined for another program. */
function serverWord(words: readonly string[]): string | undefined {
  const at = words.slice(0, 4).findIndex(word => IS_OURS.test(word));
  return at < 0 ? undefined : (words[at + 1] ?? 'stdio');
}

function isWindowOf(pid: number, storeDir: string): boolean {
  const words = commandOf(pid);
  const word = words && serverWord(words);
  if (words === undefined || word === undefined || !['stdio', 'serve'].includes(word)) return false;
  try {
    const env = environmentOf(pid);
    const cwd = readlinkSync(`/proc/${pid}/cwd`);
    const machine: Machine = { platform: process.platform, home: env.HOME ?? '/', cwd };
    const given = optionOf(words, '--store') ?? env.VECTOR_DB_PATH?.trim();
    const store =
      given === undefined || given === '' ? defaultStorePath(env, machine) : expandHome(given, machine);
    return (
      realpathSync(join('/', store.startsWith('/') ? store : join(cwd, store))) === realpathSync(storeDir)
    );
  } catch {
    // It has ended, is another user's, or its store is not there.
    return false;
  }
}

function optionOf(words: readonly string[], name: string): string | undefined {
  const at = words.findIndex(word => word === name || word.startsWith(`${name}=`));
  if (at < 0) return undefined;
  return words[at]!.includes('=') ? words[at]!.slice(name.length + 1) : words[at + 1];
}

function environmentOf(pid: number): NodeJS.ProcessEnv {
  const pairs = readFileSync(`/proc/${pid}/environ`).toString('utf8').split('\0');
  return Object.fromEntries(
    pairs
      .filter(pair => pair.includes('='))
      .map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}
