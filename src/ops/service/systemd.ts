/** The unit of systemd (systemd.service(5), systemd.exec(5), systemd.resource-control(5)) that runs `serve`. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { Prefix, ServiceNote } from '../update/prefix.js';

export interface Memory {
  /** Where the system begins to slow it down, such as 1G or 60%; undefined for no bound. */
  readonly high: string | undefined;
  /** Where it is ended and started anew. */
  readonly max: string | undefined;
}

export function unitPath({ scope, name }: Pick<ServiceNote, 'scope' | 'name'>): string {
  const dir = scope === 'user' ? join(configHome(), 'systemd', 'user') : '/etc/systemd/system';
  return join(dir, `${name}.service`);
}

const configHome = (): string => process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');

/** How often systemd wants to hear of it; the server says so twice as often. */
const WATCHDOG = '60s';

/**
 * What a server is given besides its settings, which override it. glibc makes arenas of their own for threads, up to eight a core, and what was freed in one is of
 * no use to another: with two of them it keeps 47 MB under mixed load instead of 115 (docs/soak.md), and writing takes as long.
 */
export const SERVICE_ENVIRONMENT = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2' } as const;

/** What no server of texts needs, taken from it. MemoryDenyWriteExecute is left out: V8 and WebAssembly compile code while they run. */
const HARDENED = `NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount @swap @reboot @module @raw-io @debug @cpu-emulation @obsolete
SystemCallFilter=setpriority ioprio_set sched_setscheduler sched_setaffinity
SystemCallErrorNumber=EPERM
UMask=0077`;

/**
 * A file system, devices and capabilities of its own are the system manager's to give: a user's manager would need user namespaces for them, which many a
 * distribution forbids, and the service would not start.
 */
const OF_THE_SYSTEM = `PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
CapabilityBoundingSet=
AmbientCapabilities=
RemoveIPC=yes
KeyringMode=private`;

/**
 * @param store absolute; where it lies outside the prefix it is made writable too
 * @param written further directories that the settings have it write to, absolute; where one is not there when it starts, it stays without
 * @param node the program that runs Node, absolute
 */
export function unitText(
  prefix: Prefix,
  service: ServiceNote,
  {
    store,
    written = [],
    memory,
    node,
  }: { store: string; written?: readonly string[]; memory: Memory; node: string },
): string {
  const isSystem = service.scope === 'system';
  const serve = [node, prefix.currentMain, 'serve', ...service.arguments].map(word).join(' ');
  const lines = [
    '[Unit]',
    'Description=Memory and document search for AI agents (mcp-vector-server)',
    'Documentation=https://www.npmjs.com/package/mcp-vector-server',
    ...(isSystem ? ['After=network-online.target', 'Wants=network-online.target'] : []),
    'StartLimitIntervalSec=5min',
    'StartLimitBurst=5',
    '',
    '[Service]',
    'Type=notify',
    '# Notices are sent by systemd-notify, a child of the server.',
    'NotifyAccess=all',
    `WatchdogSec=${WATCHDOG}`,
    '# Finishes or undoes an update that was killed; does nothing where there was none.',
    `ExecStartPre=${[node, prefix.path('resume.mjs')].map(word).join(' ')}`,
    `ExecStart=${serve}`,
    `EnvironmentFile=-${prefix.path('settings.env').replaceAll('%', '%%')}`,
    ...Object.entries(SERVICE_ENVIRONMENT).map(([name, value]) => `Environment=${name}=${value}`),
    `WorkingDirectory=${prefix.dir.replaceAll('%', '%%')}`,
    'Restart=on-failure',
    'RestartSec=2s',
    'TimeoutStartSec=15min',
    'TimeoutStopSec=60s',
    'KillMode=mixed',
    ...(memory.high === undefined ? [] : [`MemoryHigh=${memory.high}`]),
    ...(memory.max === undefined ? [] : [`MemoryMax=${memory.max}`]),
    'OOMPolicy=stop',
    HARDENED,
    ...(isSystem ? ofTheSystem(prefix, service, store, written) : []),
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
  ];
  return `${lines.join('\n')}\n`;
}

const STATE = '/var/lib/';

/** The socket for commands lies in a directory of its own in /run: in a private /tmp no command would find it. */
function ofTheSystem(
  prefix: Prefix,
  { user, name }: ServiceNote,
  store: string,
  written: readonly string[],
): string[] {
  // A space would make two directories of it.
  const isState = /^\/var\/lib\/[\w./-]+$/.test(prefix.dir);
  return [
    `User=${user}`,
    `Group=${user}`,
    ...(isState ? [`StateDirectory=${prefix.dir.slice(STATE.length)}`, 'StateDirectoryMode=0700'] : []),
    `RuntimeDirectory=${name}`,
    'RuntimeDirectoryMode=0700',
    `Environment=XDG_RUNTIME_DIR=/run/${name}`,
    `ReadWritePaths=${path(prefix.dir)}`,
    ...[store, ...written.map(dir => `-${dir}`)]
      .filter(dir => !dir.startsWith(`${prefix.dir}/`) && !dir.startsWith(`-${prefix.dir}/`))
      .map(dir => `ReadWritePaths=${path(dir)}`),
    OF_THE_SYSTEM,
  ];
}

/** A word of a command line, in which $ would be replaced. */
const word = (text: string): string => path(text.replaceAll('$', '$$$$'));

/**
 * A path in a list: in quotes where it has to be; % would be replaced otherwise.
 * @throws CodedError INVALID_ARGUMENT for one with a line end, which would begin another line of the unit
 */
function path(text: string): string {
  if (/[\n\r\0]/.test(text))
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text.slice(0, 200))} holds a line end, and cannot stand in a unit`,
      'Leave it out.',
    );
  const plain = text.replaceAll('%', '%%');
  return /^[\w./:=@%$+,-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
