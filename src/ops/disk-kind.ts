/** What kind of disk a path lies on, as far as the system tells. */
import { execFile } from 'node:child_process';
import { readFile, realpath, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface DiskKind {
  /** As the system names it: ext4, xfs, apfs, nfs4. `unknown` where it does not tell. */
  readonly file_system: string;
  readonly mount_point: string;
  /** Device or share, as it is mounted. */
  readonly source: string;
  /** A disk with moving parts; absent where the system does not tell, as of most virtual and network disks. */
  readonly rotational?: boolean;
  /** Another machine's, over a network: its locks and flushes cannot be relied upon. */
  readonly is_network: boolean;
  /** Gone when the machine stops. */
  readonly is_memory: boolean;
}

/** mount(8) and statfs(2) names; a FUSE file system says its own behind `fuse.`. */
const NETWORK = new Set([
  'nfs',
  'nfs3',
  'nfs4',
  'cifs',
  'smb',
  'smb2',
  'smb3',
  'smbfs',
  'afpfs',
  'webdav',
  'davfs',
  'davfs2',
  'ncpfs',
  '9p',
  'virtiofs',
  'ceph',
  'glusterfs',
  'lustre',
  'afs',
  'ocfs2',
  'gfs2',
  'beegfs',
  'sshfs',
  'rclone',
  's3fs',
  'gcsfuse',
  'moosefs',
  'juicefs',
]);
const MEMORY = new Set(['tmpfs', 'ramfs']);

/** @throws what the file system throws for a path that is not there */
export async function diskKind(path: string): Promise<DiskKind> {
  const real = await realpath(path);
  const mount =
    process.platform === 'linux'
      ? mountOf(await readFile('/proc/self/mountinfo', 'utf8'), real)
      : process.platform === 'darwin'
        ? mountOfMac(await run('mount', []), real)
        : undefined;
  const rotational = process.platform === 'linux' ? await isRotational((await stat(real)).dev) : undefined;
  const { fileSystem = 'unknown', point = '', source = '' } = mount ?? {};
  const name = fileSystem.replace(/^fuse\./, '');
  return {
    file_system: fileSystem,
    mount_point: point,
    source,
    ...(rotational !== undefined && { rotational }),
    is_network: NETWORK.has(name) || real.startsWith('\\\\') || source.startsWith('//'),
    is_memory: MEMORY.has(name),
  };
}

export interface Mount {
  readonly point: string;
  readonly fileSystem: string;
  readonly source: string;
}

/**
 * The mount that a path lies on.
 * @param mountinfo /proc/self/mountinfo, see proc_pid_mountinfo(5): `36 35 98:0 / /mnt rw shared:1 - ext4 /dev/sda1 rw`; blanks in names are octal
 */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  const mounts = mountinfo.split('\n').flatMap((line): Mount[] => {
    const [front, back] = line.split(' - ');
    const point = front?.split(' ')[4];
    const [fileSystem, source] = back?.split(' ') ?? [];
    if (point === undefined || fileSystem === undefined) return [];
    return [{ point: unescaped(point), fileSystem, source: unescaped(source ?? '') }];
  });
  return deepest(mounts, path);
}

/** @param output of mount(8) on macOS: `/dev/disk3s1 on /System/Volumes/Data (apfs, local, journaled)` */
export function mountOfMac(output: string, path: string): Mount | undefined {
  const mounts = [...output.matchAll(/^(.*?) on (.*) \(([^,)]+)[^)]*\)$/gm)].map(
    ([, source, point, fileSystem]) => ({
      point: point!,
      fileSystem: fileSystem!,
      source: source!,
    }),
  );
  return deepest(mounts, path);
}

/** Of those over a path the longest; of several at one place the last one hides the others. */
function deepest(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const isOver = mount.point === '/' || path === mount.point || path.startsWith(`${mount.point}/`);
    if (isOver && (best === undefined || mount.point.length >= best.point.length)) best = mount;
  }
  return best;
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** From sysfs: of a partition, its disk says it. Undefined for what is no block device. */
async function isRotational(dev: number): Promise<boolean | undefined> {
  // As gnu_dev_major(3) and gnu_dev_minor(3) take a dev_t apart.
  const major = ((dev >>> 8) & 0xfff) | (Math.floor(dev / 2 ** 32) & ~0xfff);
  const minor = (dev & 0xff) | ((dev >>> 12) & ~0xff);
  for (const place of ['queue', '../queue']) {
    try {
      const text = await readFile(`/sys/dev/block/${major}:${minor}/${place}/rotational`, 'utf8');
      return text.trim() === '1';
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return undefined;
}

async function run(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { timeout: 5_000 });
  return stdout;
}
