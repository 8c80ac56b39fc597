/** The preloaded library of shim.c: compiling it, starting processes under it, and the commands that such a process gives it. */
import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const SOURCE = join(dirname(require.resolve('#test/faults/shim.js')), '../../../test/faults/shim.c');

/** Set in a process under the shim. LD_PRELOAD is not: the shim keeps itself from what such a process starts. */
const UNDER_SHIM = 'MVS_UNDER_FAULT_SHIM';

/** Why the campaigns that need it cannot run here; undefined where they can. */
export const UNSUPPORTED: string | undefined = whyUnsupported();

function whyUnsupported(): string | undefined {
  if (process.platform !== 'linux')
    return `power loss and failing system calls are made on Linux only, and this is ${process.platform}`;
  if (!['x64', 'arm64'].includes(process.arch))
    return `power loss and failing system calls are made on x64 and arm64 only, and this is ${process.arch}`;
  if (process.env[UNDER_SHIM] !== undefined) return undefined;
  // Some sandboxes do not let a process trap its own calls.
  const env = { ...process.env, LD_PRELOAD: compiled() };
  const { status, stderr } = spawnSync(process.execPath, ['-e', ''], { env, encoding: 'utf8' });
  return status === 0 ? undefined : `power loss and failing system calls cannot be made: ${stderr.trim()}`;
}

/** Compiles the library where that has not been done yet. @returns its path */
function compiled(): string {
  const digest = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const dir = join(tmpdir(), `mvs-fault-shim-${process.getuid!()}`);
  const library = join(dir, `${digest}-${process.arch}.so`);
  if (existsSync(library)) return library;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const own = `${library}.${process.pid}`;
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', own, SOURCE, '-ldl'], { stdio: 'inherit' });
  renameSync(own, library);
  return library;
}

/** Starts a module of ours, such as `#test/power/recorder.js`, in a process under the shim. */
export function forkUnderShim(module: string, args: readonly string[] = []): ChildProcess {
  if (UNSUPPORTED !== undefined) throw new Error(UNSUPPORTED);
  return fork(require.resolve(module), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, LD_PRELOAD: compiled(), UV_USE_IO_URING: '0', [UNDER_SHIM]: '1' },
  });
}

function command(text: string): void {
  try {
    openSync(`/@faults/${text}`, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
}

/** The calls that can be made to fail, by the names that the shim has for them; variants of one count as one. */
export const CALLS = [
  'open',
  'read',
  'pread',
  'write',
  'pwrite',
  'fsync',
  'fdatasync',
  'ftruncate',
  'close',
  'rename',
  'link',
  'unlink',
  'mkdir',
  'rmdir',
  'stat',
  'mmap',
  'readdir',
  'lock',
] as const;
export type Call = (typeof CALLS)[number];

export const ERRNO = { EIO: 5, ENOSPC: 28, EMFILE: 24, EINTR: 4 } as const;

export interface Fault {
  readonly call: Call;
  /** Which of these calls, from 1. */
  readonly nth: number;
  /** `short`: only half of the bytes are read or written. */
  readonly kind: keyof typeof ERRNO | 'short';
  /** Every later one as well; of calls that are interrupted one in five, so that whoever tries again comes through. */
  readonly fromThenOn: boolean;
}

/** For processes under the shim only. */
export const shim = {
  /** Watch files under this directory, and no others. To be told before any is opened. */
  watch: (root: string) => command(`root/${root}`),
  /** Begin a journal of what is done to them. The directory must be empty or known to whoever reads the journal. */
  record: (path: string) => command(`record/${path}`),
  mark: (text: string) => command(`mark/${text}`),
  /** Count calls from 1 again, and make this one fail. */
  inject({ call, nth, kind, fromThenOn }: Fault): void {
    const errno = kind === 'short' ? 0 : ERRNO[kind];
    command(`inject/${call}/${nth}/${errno}/${Number(kind === 'short')}/${Number(fromThenOn)}`);
  },
  /** Count calls from 1 again, and let none fail. */
  count: () => command('count'),
  /** Ends journal and fault; what was counted stays. */
  stop: () => command('stop'),
  /** Calls since the counting began, by name; `injected` of them were made to fail. @param path of a file to be used for it */
  report(path: string): Record<Call | 'other' | 'injected', number> {
    command(`report/${path}`);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    return Object.fromEntries(
      lines.map(line => {
        const [name, count] = line.split(' ');
        return [name, Number(count)];
      }),
    ) as Record<Call | 'other' | 'injected', number>;
  },
};
