/** Disks that fill up: a small tmpfs where mounting is permitted, else a limit on the size of the server's files. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly dir: string;
  /** From now on there is little room for the process: this much, where the disk can be filled as one likes. */
  fill(pid: number, leftBytes: number): void;
  /** Makes room again. */
  free(pid: number): void;
  dispose(): void;
  /** A command that there is little room for as well. */
  limited(command: readonly string[]): readonly string[];
}

/** Room for a log file, its table and the probe before them, several times over. */
const TMPFS_MIB = 72;
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
    fill: (_pid, leftBytes) => {
      const { bavail, bsize } = statfsSync(dir);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leftBytes)));
    },
    free: () => rmSync(ballast),
    limited: command => command,
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
    limited: command => ['prlimit', `--fsize=${FILE_LIMIT_BYTES}:`, ...command],
  };
}
