/** Making a managed installation with its service, and taking the service away again. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeWhole } from '../../../wal/backup/sealed.js';
import { makeDirectory } from '../../../wal/directory.js';
import { WalError } from '../../../wal/errors.js';
import { exists } from '../../../wal/exists.js';
import { storeState } from '../../../wal/open.js';
import { readConfig } from '../../config.js';
import { CodedError } from '../../domain/errors.js';
import { installVersion, type Source } from '../update/install-version.js';
import type { Installation, Prefix, ServiceNote } from '../update/prefix.js';
import { serviceFailed } from './control.js';
import { plistPath, plistText } from './launchd.js';
import { resumeScript } from './resume-script.js';
import { runsSystemd } from './state.js';
import { type Memory, unitPath, unitText } from './systemd.js';

export interface InstallOptions {
  readonly prefix: Prefix;
  readonly installation: Installation;
  /** The variables of the service; secrets may be among them. */
  readonly settings: Readonly<Record<string, string>>;
  readonly source: Source;
  readonly memory: Memory;
  readonly registry?: string | undefined;
}

/** The file by which the machine's manager knows the service; undefined where there is none. */
export function managerFile({
  prefix,
  installation,
  settings,
  memory,
}: InstallOptions): { path: string; text: string } | undefined {
  const { service, store } = installation;
  if (service.manager === 'process') return undefined;
  const node = process.execPath;
  const { schedules, logFile } = readConfig(settings);
  const written = [schedules.backup.dir, logFile && dirname(logFile)].filter(dir => dir !== undefined);
  return service.manager === 'systemd'
    ? { path: unitPath(service), text: unitText(prefix, service, { store, written, memory, node }) }
    : { path: plistPath(service), text: plistText(prefix, service, settings, node) };
}

/**
 * Installs the program beside whatever versions are there, and makes the service known. May be repeated: settings and unit are written anew, and a version
 * that is there stays the one that counts unless another source is named.
 * @throws CodedError SERVICE_UNAVAILABLE, SERVICE_FAILED, UPDATE_FAILED
 */
export async function installService(
  options: InstallOptions,
): Promise<{ version: string; file: string | undefined }> {
  const { prefix, installation, settings, source, registry } = options;
  const { service } = installation;
  assertMayManage(service);
  assertOurs(prefix, installation.store);
  if (service.user !== undefined) makeUser(service.user, prefix.dir);
  mkdirSync(prefix.dir, { recursive: true, mode: 0o700 });
  makeStoreDirectory(installation.store);
  await prefix.writeSettings(settings);
  await prefix.writeInstallation(installation);
  await writeWhole(prefix.path('resume.mjs'), resumeScript(prefix));
  if (prefix.current === undefined) prefix.switchTo(await installVersion(prefix, source, { registry }));
  if (service.user !== undefined)
    for (const dir of new Set([prefix.dir, installation.store])) chownTree(dir, service.user);
  const file = managerFile(options);
  if (file !== undefined) {
    mkdirSync(dirname(file.path), { recursive: true });
    await writeWhole(file.path, file.text);
    // A unit has no secrets, and whoever asks systemd about it may read it; a job of launchd holds the settings.
    if (service.manager === 'systemd') chmodSync(file.path, 0o644);
  }
  if (service.manager === 'systemd') {
    systemctl(service, 'daemon-reload');
    systemctl(service, 'enable', `${service.name}.service`);
  }
  return { version: prefix.packageVersion(prefix.current!), file: file?.path };
}

/** What is installed into belongs to the service from then on, and changes hands. @throws WalError STORE_FOREIGN */
function assertOurs(prefix: Prefix, store: string): void {
  const foreign = (dir: string) =>
    new WalError('STORE_FOREIGN', `${dir} holds something else`, 'Name a directory of its own.');
  if (storeState(store) === 'foreign') throw foreign(store);
  const isOurs = !exists(prefix.dir) || exists(prefix.path('installation.json'));
  // The system's holds the store, which may be older than the service.
  const others = isOurs ? [] : readdirSync(prefix.dir).filter(name => prefix.path(name) !== store);
  // What a first installation that failed left.
  if (others.some(name => !['settings.env', 'versions'].includes(name))) throw foreign(prefix.dir);
}

/** What a hardened unit may write to has to be there before it starts. */
function makeStoreDirectory(store: string): void {
  if (!exists(store)) makeDirectory(store);
}

/** Takes the service away from its manager. The program, its settings, the store and the backups stay. */
export async function uninstallService(service: ServiceNote): Promise<string | undefined> {
  assertMayManage(service);
  const path =
    service.manager === 'systemd'
      ? unitPath(service)
      : service.manager === 'launchd'
        ? plistPath(service)
        : undefined;
  if (path === undefined || !exists(path)) return undefined;
  if (service.manager === 'systemd') systemctl(service, 'disable', `${service.name}.service`);
  rmSync(path);
  if (service.manager === 'systemd') systemctl(service, 'daemon-reload');
  return path;
}

function assertMayManage({ manager, scope }: ServiceNote): void {
  const expected = manager === 'systemd' ? 'linux' : manager === 'launchd' ? 'darwin' : undefined;
  const wayOut = 'Choose another one with --manager: systemd, launchd, or process where there is neither.';
  if (expected !== undefined && process.platform !== expected)
    throw unavailable(`${manager} is not of this system (${process.platform})`, wayOut);
  if (manager === 'systemd' && !runsSystemd())
    throw unavailable('systemd does not run this machine (as in most containers)', wayOut);
  if (scope === 'system' && process.getuid?.() !== 0)
    throw unavailable(
      'a service of the system is installed by root alone',
      'Repeat it with sudo, or leave out --system.',
    );
}

function systemctl({ scope }: ServiceNote, ...args: readonly string[]): void {
  const all = [...(scope === 'user' ? ['--user'] : []), ...args];
  try {
    execFileSync('systemctl', all, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? (error as Error).message).trim();
    throw serviceFailed(
      `systemctl ${all.join(' ')} failed: ${said.split('\n')[0]?.slice(0, 300)}`,
      scope === 'user'
        ? 'Is there a session of this user? `loginctl enable-linger` keeps one without a login.'
        : 'See `systemctl status`.',
    );
  }
}

/** A user that nobody logs in as. One of that name that is there is taken. */
function makeUser(user: string, home: string): void {
  try {
    execFileSync('id', ['-u', user], { stdio: 'ignore' });
  } catch {
    execFileSync(
      'useradd',
      ['--system', '--user-group', '--home-dir', home, '--shell', '/usr/sbin/nologin', user],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
  }
}

export const uidOf = (user: string): number => Number(execFileSync('id', ['-u', user], { encoding: 'utf8' }));
export const gidOf = (user: string): number => Number(execFileSync('id', ['-g', user], { encoding: 'utf8' }));

function chownTree(dir: string, user: string): void {
  const [uid, gid] = [uidOf(user), gidOf(user)];
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inside = join(path, entry.name);
      if (entry.isDirectory()) visit(inside);
      else lchownSync(inside, uid, gid);
    }
    chownSync(path, uid, gid);
  };
  visit(dir);
}

const unavailable = (message: string, wayOut: string): CodedError =>
  new CodedError('SERVICE_UNAVAILABLE', message, wayOut);
