import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { exists } from '../../../wal/exists.js';
import { readConfig } from '../../config.js';
import { controlOf, type ServiceControl } from '../../ops/service/control.js';
import type { InstallOptions } from '../../ops/service/install.js';
import { runsSystemd, type ServiceState, serviceState } from '../../ops/service/state.js';
import type { Source } from '../../ops/update/install-version.js';
import { type Installation, Prefix, type ServiceNote } from '../../ops/update/prefix.js';
import { expandHome, type Machine } from '../../paths.js';
import { parseArguments, usage } from '../arguments.js';
import type { Call, Command } from '../command.js';
import { COMMANDS } from '../commands.js';
import { configOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { findInstallation } from '../installation.js';
import { managedPrefix, SYSTEM_PREFIX, userPrefix } from '../managed.js';
import { columns, printable, say, sayJson } from '../printing.js';

const COMMAND = { name: 'service' };
const NAME = 'mcp-vector-server';
const ACTIONS = ['install', 'uninstall', 'start', 'stop', 'restart', 'status', 'logs'] as const;
type Action = (typeof ACTIONS)[number];
/** Options that only make sense where something is installed. */
const OF_INSTALL = [
  'system',
  'manager',
  'name',
  'memory-high',
  'memory-max',
  'from',
  'registry',
  'store',
  'dry-run',
];

/** `service install|uninstall|start|stop|restart|status|logs`. Exit 1: status of one that does not run. */
export default async function service(call: Call): Promise<number> {
  process.umask(0o077);
  const [word, ...rest] = call.positionals;
  const action = ACTIONS.find(known => known === word);
  if (action === undefined)
    throw usage(COMMAND, `${JSON.stringify(word)} is not one of ${ACTIONS.join(', ')}`);
  if (action === 'install') return await install(call, rest);
  if (rest.length > 0) throw usage(COMMAND, `${action} takes nothing behind it`);
  for (const name of OF_INSTALL) if (call.has(name)) throw usage(COMMAND, `--${name} goes with install`);
  for (const name of ['lines', 'follow'])
    if (call.has(name) && action !== 'logs') throw usage(COMMAND, `--${name} goes with logs`);
  return await manage(call, action);
}

async function install(call: Call, serveArguments: readonly string[]): Promise<number> {
  const options = installOptions(call, serveArguments);
  const { installService, managerFile } = await import('../../ops/service/install.js');
  if (call.has('dry-run')) {
    const file = managerFile(options);
    const { prefix, installation } = options;
    if (call.has('json')) sayJson({ prefix: prefix.dir, installation, file: file ?? null });
    else if (file === undefined) say(`Nothing but this program would run it, from ${prefix.dir}.`);
    else {
      process.stderr.write(`${printable(file.path)}\n`);
      for (const line of file.text.trimEnd().split('\n')) say(line);
    }
    return EXIT.ok;
  }
  const { version, file } = await installService(options);
  const answer = { prefix: options.prefix.dir, version, file: file ?? null, ...options.installation };
  if (call.has('json')) sayJson(answer);
  else
    for (const line of [
      ...columns([
        ['installed', `version ${version} in ${answer.prefix}`],
        ['settings', join(answer.prefix, 'settings.env')],
        ['store', answer.store],
        ...(file === undefined ? [] : [[answer.service.manager === 'systemd' ? 'unit' : 'job', file]]),
      ]),
      '',
      'To start it: mcp-vector-server service start',
    ])
      say(line);
  return EXIT.ok;
}

function installOptions(call: Call, serveArguments: readonly string[]): InstallOptions {
  const isSystem = call.has('system');
  const machine: Machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  const prefix = new Prefix(
    resolve(expandHome(call.text('prefix') ?? (isSystem ? SYSTEM_PREFIX : userPrefix()), machine)),
  );
  const named = call.text('store') ?? process.env.VECTOR_DB_PATH;
  const store = isSystem && named === undefined ? prefix.path('store') : configOf(call).storePath;
  assertServes(serveArguments);
  const manager = (call.text('manager') as ServiceNote['manager'] | undefined) ?? likelyManager();
  const name = call.text('name') ?? (manager === 'launchd' ? `io.github.${NAME}` : NAME);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name))
    throw usage(COMMAND, '--name: letters, digits, dots and dashes');
  const installation: Installation = {
    format: 1,
    store,
    service: {
      manager,
      scope: isSystem ? 'system' : 'user',
      name,
      ...(isSystem && manager !== 'process' && { user: NAME }),
      arguments: serveArguments,
    },
  };
  const given = Object.entries(process.env).flatMap(([variable, value]) =>
    variable.startsWith('VECTOR_') && value !== undefined && value.trim() !== ''
      ? [[variable, value] as const]
      : [],
  );
  const settings = { ...Object.fromEntries(given), VECTOR_DB_PATH: store };
  // What would keep the service from starting is told now.
  readConfig({ ...process.env, ...settings }, machine);
  return {
    prefix,
    installation,
    settings,
    source: sourceFor(call),
    memory: { high: memoryOf(call, 'memory-high'), max: memoryOf(call, 'memory-max') },
    registry: call.text('registry'),
  };
}

/** What `serve` would not take, the service could not be started with. @throws CodedError INVALID_ARGUMENT */
function assertServes(args: readonly string[]): void {
  const serve = COMMANDS.find(({ name }) => name === 'serve') as Command;
  const call = parseArguments(serve, args);
  if (call.text('store') !== undefined) throw usage(COMMAND, 'give --store to service install, not to serve');
}

const likelyManager = (): ServiceNote['manager'] =>
  process.platform === 'darwin'
    ? 'launchd'
    : runsSystemd() || process.platform !== 'linux'
      ? 'systemd'
      : 'process';

function memoryOf(call: Call, name: string): string | undefined {
  const value = call.text(name);
  if (value === undefined || /^(\d+[KMGT]?|\d{1,2}%|infinity)$/.test(value)) return value;
  throw usage(COMMAND, `--${name}: ${JSON.stringify(value)} is not a size such as 1G or 60%`);
}

/** This very program unless another one is named. npx keeps it in a directory of its own, with all that it needs. */
function sourceFor(call: Call): Source {
  const own = findInstallation();
  const given = call.text('from');
  if (given !== undefined) {
    const path = resolve(given);
    if (exists(path)) return exists(join(path, 'node_modules', NAME)) ? { kind: 'tree', path } : fileOf(path);
    return { kind: 'registry', version: given };
  }
  if (own.kind === 'npx') return { kind: 'tree', path: own.npmRoot };
  return { kind: 'package', path: own.packageRoot };
}

const fileOf = (path: string): Source => ({ kind: path.endsWith('.tgz') ? 'tarball' : 'package', path });

async function manage(call: Call, action: Exclude<Action, 'install'>): Promise<number> {
  const prefix = managedPrefix(call);
  const { service: note } = prefix.installation();
  const control = controlOf(prefix, note);
  if (action === 'logs') return await logs(call, prefix, note);
  if (action === 'uninstall') {
    await control.stop();
    const { uninstallService } = await import('../../ops/service/install.js');
    const file = await uninstallService(note);
    if (call.has('json')) sayJson({ removed: file ?? null, kept: prefix.dir });
    else
      say(
        `${file === undefined ? 'It is stopped' : `${file} is removed`}. Programs, settings and backups stay in ${prefix.dir}, and the store where it is.`,
      );
    return EXIT.ok;
  }
  if (action !== 'status') await change(prefix, control, action);
  const state = await serviceState(prefix, control);
  if (call.has('json')) sayJson(state);
  else for (const line of stateLines(state)) say(line);
  return state.running === (action !== 'stop') ? EXIT.ok : EXIT.unsound;
}

async function change(
  prefix: Prefix,
  control: ServiceControl,
  action: 'start' | 'stop' | 'restart',
): Promise<void> {
  const { readJournal } = await import('../../ops/update/journal.js');
  const isInterrupted = readJournal(prefix) !== undefined;
  if (isInterrupted) {
    // Of one that is under way it is the update's to stop and start it.
    const { withUpdateLock } = await import('../../ops/update/transition.js');
    await withUpdateLock(prefix, async () => {});
  }
  if (action !== 'start' || isInterrupted) await control.stop();
  if (action === 'stop') return;
  if (prefix.installation().service.manager === 'process') await finishUpdate(prefix);
  await control.start();
}

/** As systemd and launchd do it before they start the service. */
async function finishUpdate(prefix: Prefix): Promise<void> {
  const { runVersion } = await import('../../ops/update/run-version.js');
  const { code, stderr } = await runVersion(prefix.path('resume.mjs'), [], process.env);
  process.stderr.write(stderr);
  if (code === 0) return;
  const { serviceFailed } = await import('../../ops/service/control.js');
  throw serviceFailed(
    'an interrupted update could be neither finished nor undone',
    'See the lines above, then start it again.',
  );
}

function stateLines(state: ServiceState): string[] {
  const { name, manager, scope, running, pid, version, store, prefix, file, interrupted } = state;
  return columns([
    ['service', `${name}  (${manager}, ${scope})`],
    ['state', running ? `runs${pid === undefined ? '' : `, process ${pid}`}` : 'does not run'],
    ['version', version ?? 'none'],
    ['store', store],
    ['installed', prefix],
    ...(file === undefined ? [] : [['file', file]]),
    ...(interrupted === undefined
      ? []
      : [['update', `interrupted while ${interrupted}: the next start undoes it`]]),
  ]);
}

/** What the service logs: of its file where it has one, else of systemd's journal. */
function logs(call: Call, prefix: Prefix, { manager, scope, name }: ServiceNote): Promise<number> {
  const lines = String(call.integer('lines', { min: 1, max: 1_000_000, fallback: 100 }));
  const settings = prefix.settings();
  const logFile = settings.VECTOR_LOG_FILE;
  const follow = call.has('follow') ? ['-f'] : [];
  const isJournal = manager === 'systemd' && (logFile === undefined || logFile === '');
  const command = isJournal ? 'journalctl' : 'tail';
  const args = isJournal
    ? [
        ...(scope === 'user' ? ['--user'] : []),
        '--unit',
        `${name}.service`,
        '--lines',
        lines,
        '--no-pager',
        ...follow,
      ]
    : [
        '-n',
        lines,
        ...follow,
        logFile === undefined || logFile === '' ? prefix.path('service.log') : logFile,
      ];
  return new Promise((resolvePromise, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('close', code => resolvePromise(code === 0 ? EXIT.ok : EXIT.unsound));
  });
}
