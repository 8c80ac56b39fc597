import { accessSync, constants, existsSync, lstatSync, readdirSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readHeadFile } from '../../../wal/head-file.js';
import { look } from '../../../wal/leveldb/look.js';
import { storeState } from '../../../wal/open.js';
import { readOwner } from '../../../wal/owner.js';
import { PATHS } from '../../../wal/paths.js';
import { isCoded } from '../../domain/errors.js';
import { connectToOwner } from '../../local/client.js';
import { contextOf } from '../engine.js';
import { count, size } from '../printing.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** LevelDB needs room to open: tables are merged, and the log is written anew. */
const LOW_DISK_BYTES = 200_000_000;
const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;

/** statfs f_type of file systems that are not of this machine (linux/magic.h); locks on them cannot be relied on. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x47504653, 'GPFS'],
  [0x0bd00bd0, 'Lustre'],
]);

/** Looks at a store without opening it: opening changes files, and a server may own it. */
export async function checkStore(path: string): Promise<Finding[]> {
  const state = storeState(path);
  if (state === 'foreign') {
    return [fail('store', `${path} holds something else`, 'Set VECTOR_DB_PATH to a directory of its own.')];
  }
  if (state === 'none') return [checkPlace(path), checkDisk(path)];
  return [checkWritable(path), checkModes(path), checkDisk(path), ...(await checkContents(path))];
}

/** The first write makes the store, so its nearest existing ancestor must be writable. */
function checkPlace(path: string): Finding {
  const ancestor = existingAncestor(path);
  return isWritable(ancestor)
    ? ok('store', `${path}: not there yet; the first write makes it`)
    : fail(
        'store',
        `${path}: cannot be made, ${ancestor} is not writable`,
        'Set VECTOR_DB_PATH to a directory that you may write to.',
      );
}

function checkWritable(path: string): Finding {
  return isWritable(path)
    ? ok('store', path)
    : fail('store', `${path}: not writable for this user`, 'Check its owner and mode.');
}

/** Whatever an agent was told is in there: it is for the user alone. */
function checkModes(path: string): Finding {
  const check = 'permissions';
  if (process.platform === 'win32') return ok(check, 'as the user’s profile has them');
  const open = openPaths(path);
  // Files inside a directory that nobody else may enter are out of reach whatever their own mode.
  if (!open.includes(path)) return ok(check, 'for the user alone');
  return warn(
    check,
    `others may enter ${path}${open.length === 1 ? '' : ` and ${count(open.length - 1, 'file')} in it`}`,
    `chmod -R go= ${JSON.stringify(path)}`,
  );
}

/** The store's directory and what in it has a mode by which others may have access. */
export function openPaths(storePath: string): string[] {
  const open: string[] = [];
  if (process.platform === 'win32') return open;
  const visit = (at: string): void => {
    const { mode } = lstatSync(at);
    const isDirectory = (mode & constants.S_IFMT) === constants.S_IFDIR;
    const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK;
    if (!isLink && (mode & 0o777 & ~(isDirectory ? PRIVATE_DIRECTORY : PRIVATE_FILE)) !== 0) open.push(at);
    if (isDirectory) for (const name of readdirSync(at)) visit(join(at, name));
  };
  visit(storePath);
  return open;
}

function checkDisk(path: string): Finding {
  const check = 'disk';
  const { type, bavail, bsize } = statfsSync(existingAncestor(path));
  const freeBytes = bavail * bsize;
  const network = process.platform === 'linux' ? NETWORK_FILE_SYSTEMS.get(type) : undefined;
  if (network !== undefined) {
    return warn(
      check,
      `${network}: a network file system, whose locks may let two servers write at once`,
      'Set VECTOR_DB_PATH to a local disk.',
    );
  }
  return freeBytes < LOW_DISK_BYTES
    ? warn(check, `only ${size(freeBytes)} free`, 'Free some space: a full disk stops writes.')
    : ok(check, `${size(freeBytes)} free`);
}

async function checkContents(path: string): Promise<Finding[]> {
  const owner = readOwner(path);
  if (owner !== undefined && isAlive(owner.pid)) {
    // Its files change while they are looked at.
    return [
      ok('log', `in use by process ${owner.pid} since ${owner.startedAt}: not looked at while it runs`),
      await checkOwner(path, owner.pid),
    ];
  }
  const findings = [checkHead(path)];
  const report = await look(join(path, PATHS.log));
  const wayOut = 'Do not open it. Keep a copy of the directory, and run `mcp-vector-server verify` on it.';
  for (const { file, message } of report.findings) findings.push(fail('log', `${file}: ${message}`, wayOut));
  if (report.state === 'absent') findings.push(fail('log', 'has no database', wayOut));
  if (report.state === 'sound') {
    const tail = report.tornTail === undefined ? '' : ', with an unacknowledged write that a crash cut off';
    const tables = count(report.files.filter(f => f.live).length, 'live file');
    findings.push(ok('log', `files sound to event ${report.headSeq}, ${tables}${tail}`));
  }
  return findings;
}

/** Whether a command at a terminal would reach the store through the server that has it. */
async function checkOwner(path: string, pid: number): Promise<Finding> {
  const check = 'server';
  try {
    const engine = await connectToOwner(path);
    if (engine === undefined) {
      return warn(
        check,
        `process ${pid} has the store and does not listen: commands beside it answer STORE_IN_USE`,
        'Restart it: an earlier version does not listen, and the log of a later one says why it cannot.',
      );
    }
    try {
      const { version, head } = await engine.status({}, contextOf('doctor'));
      return ok(check, `process ${pid} answers for the store, version ${version}, at event ${head.seq}`);
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!isCoded(error)) throw error;
    return fail(check, `${error.code}: ${error.message}`, error.wayOut);
  }
}

function checkHead(path: string): Finding {
  const check = 'head proof';
  try {
    const head = readHeadFile(join(path, PATHS.head));
    if (head === undefined) {
      return fail(
        check,
        'is missing',
        'Run `mcp-vector-server verify` for what is there, or restore a backup.',
      );
    }
    if (head.proof.cut !== undefined)
      return warn(
        check,
        `a rollback to event ${head.proof.seq} was interrupted`,
        'The next start of the server, or of any command on the store, finishes it.',
      );
    return ok(check, `event ${head.proof.seq}, written ${new Date(head.proof.wallMs).toISOString()}`);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return fail(check, `${error.code}: ${error.message}`, error.wayOut);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function existingAncestor(path: string): string {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
