/** Disks that fill up: a small tmpfs where mounting is permitted, else a limit on the size of the server's files. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly dir: string;
  /** From now on there is little room for the process. */
  fill(pid: number): void;
  /** Makes room again. */
  free(pid: number): void;
  dispose(): void;
}

const TMPFS_MIB = 72;
/** What `free` gives back: room for a log file, its table and the probe before them. */
const BALLAST_MIB = 44;
const FILE_LIMIT_BYTES = 6 * 1024 * 1024;

/** @returns undefined where mounting is not permitted */
export function tmpfsDisk(): SmallDisk | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'small-disk-'));
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const run = (...command: string[]) => {
    const [program, ...args] = [...asRoot, ...command];
    execFileSync(program!, args, { stdio: 'ignore' });
  };
  try {
    const owner = `uid=${process.getuid?.()},gid=${process.getgid?.()}`;
    run('mount', '-t', 'tmpfs', '-o', `size=${TMPFS_MIB}m,mode=0700,${owner}`, 'tmpfs', dir);
  } catch {
    rmSync(dir, { recursive: true });
    return undefined;
  }
  const ballast = join(dir, 'ballast');
  return {
    dir,
    fill: () => writeFileSync(ballast, Buffer.alloc(BALLAST_MIB * 1024 * 1024)),
    free: () => rmSync(ballast),
    dispose: () => {
      run('umount', dir);
      rmSync(dir, { recursive: true });
    },
  };
}

/**
 * Every file of the process ends at 6 MiB, then writes fail with EFBIG (Node ignores SIGXFSZ). The limit is soft: whoever runs the
 * process may raise it again. Linux alone has prlimit.
 */
export function fileLimitDisk(): SmallDisk {
  const dir = mkdtempSync(join(tmpdir(), 'limited-disk-'));
  const limit = (pid: number, bytes: string) =>
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  return {
    dir,
    fill: pid => limit(pid, String(FILE_LIMIT_BYTES)),
    free: pid => limit(pid, 'unlimited'),
    dispose: () => rmSync(dir, { recursive: true }),
  };
}
