/** Starting and stopping the service, by whatever manages it on this machine. */
import { execFile, spawn } from 'node:child_process';
import { closeSync, fchmodSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { exists } from '../../../wal/exists.js';
import { readOwner } from '../../../wal/owner.js';
import { readText } from '../../../wal/read-text.js';
import { CodedError } from '../../domain/errors.js';
import type { Prefix, ServiceNote } from '../update/prefix.js';
import { versionEnv } from '../update/run-version.js';
import { plistPath } from './launchd.js';
import { commandOf, endProcess, lives } from './processes.js';

export interface ServiceControl {
  isRunning(): Promise<boolean>;
  /** The process that serves, where it is known. */
  pid(): Promise<number | undefined>;
  /** Resolves once it serves; at once where it does already. @throws CodedError SERVICE_FAILED */
  start(): Promise<void>;
  /** Resolves once it has let go of the store; at once where it does not run. @throws CodedError SERVICE_FAILED */
  stop(): Promise<void>;
}

export function controlOf(prefix: Prefix, service: ServiceNote): ServiceControl {
  if (service.manager === 'systemd') return systemd(service);
  return service.manager === 'launchd' ? launchd(service) : ownProcess(prefix, service);
}

/** Says that there is nothing to start or stop: whoever resumes an update before the service is started by its manager. */
export const NOBODY: ServiceControl = {
  isRunning: async () => false,
  pid: async () => undefined,
  start: async () => {},
  stop: async () => {},
};

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[]): Promise<Said> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = (error as { code?: unknown } | null)?.code;
      if (error !== null && typeof code !== 'number')
        reject(
          serviceFailed(`${command} cannot be run: ${error.message}`, `See whether ${command} is there.`),
        );
      else resolve({ code: typeof code === 'number' ? code : 0, stdout, stderr });
    });
  });
}

async function must(command: string, args: readonly string[], wayOut: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args);
  if (code === 0) return stdout;
  const said = (stderr || stdout).trim().split('\n')[0] ?? '';
  throw serviceFailed(`${command} ${args.join(' ')} ended with ${code}: ${said.slice(0, 300)}`, wayOut);
}

function systemd({ scope, name }: ServiceNote): ServiceControl {
  const how = scope === 'user' ? ['--user'] : [];
  const unit = `${name}.service`;
  const wayOut = `See \`${['systemctl', ...how, 'status', unit].join(' ')}\` and \`mcp-vector-server service logs\`.`;
  const show = async (property: string) =>
    (await run('systemctl', [...how, 'show', '--property', property, '--value', unit])).stdout.trim();
  return {
    isRunning: async () => ['active', 'reloading'].includes(await show('ActiveState')),
    async pid() {
      const pid = Number(await show('MainPID'));
      return pid > 0 ? pid : undefined;
    },
    async start() {
      // Starts are counted, ours too, and the sixth within five minutes refused: an update that goes back would end with nothing running.
      await run('systemctl', [...how, 'reset-failed', unit]);
      await must('systemctl', [...how, 'start', unit], wayOut);
    },
    async stop() {
      await must('systemctl', [...how, 'stop', unit], wayOut);
    },
  };
}

function launchd(service: ServiceNote): ServiceControl {
  const domain = service.scope === 'user' ? `gui/${process.getuid?.() ?? 0}` : 'system';
  const job = `${domain}/${service.name}`;
  const wayOut = `See \`launchctl print ${job}\` and \`mcp-vector-server service logs\`.`;
  const pid = async () => {
    const { stdout } = await run('launchctl', ['print', job]);
    const found = /^\s*pid = (\d+)$/m.exec(stdout)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  return {
    pid,
    isRunning: async () => (await pid()) !== undefined,
    async start() {
      // A job that is kept alive is stopped by taking it out, and started by putting it in.
      if ((await run('launchctl', ['print', job])).code === 0)
        await must('launchctl', ['kickstart', job], wayOut);
      else await must('launchctl', ['bootstrap', domain, plistPath(service)], wayOut);
    },
    async stop() {
      if ((await run('launchctl', ['print', job])).code === 0)
        await must('launchctl', ['bootout', job], wayOut);
    },
  };
}

const START_MS = 60_000;
const POLL_MS = 25;

/** A process without a manager: its number is in service.pid, what it says in service.log. */
function ownProcess(prefix: Prefix, service: ServiceNote): ServiceControl {
  const pidFile = prefix.path('service.pid');
  const pid = async (): Promise<number | undefined> => {
    if (!exists(pidFile)) return undefined;
    const noted = Number(readText(pidFile));
    // The number may have been given to another process since.
    const isOurs = commandOf(noted)?.includes(prefix.currentMain) ?? false;
    return Number.isInteger(noted) && noted > 0 && lives(noted) && isOurs ? noted : undefined;
  };
  return {
    pid,
    isRunning: async () => (await pid()) !== undefined,
    async start() {
      if ((await pid()) !== undefined) return;
      const { store } = prefix.installation();
      const log = openSync(prefix.path('service.log'), 'a', 0o600);
      fchmodSync(log, 0o600);
      try {
        const child = spawn(process.execPath, [prefix.currentMain, 'serve', ...service.arguments], {
          detached: true,
          stdio: ['ignore', log, log],
          cwd: prefix.dir,
          env: versionEnv(prefix.settings(), store),
        });
        let ended: number | string | null | undefined;
        child.once('error', error => {
          ended = error.message;
        });
        child.once('exit', (code, signal) => {
          ended = signal ?? code;
        });
        if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid), { mode: 0o600 });
        await untilServing(store, child.pid, () => ended);
        child.unref();
      } finally {
        closeSync(log);
      }
    },
    async stop() {
      const running = await pid();
      if (running !== undefined && (await endProcess(running)) === 'stays')
        throw serviceFailed(`process ${running} does not end`, 'It hangs in the system: look at its disk.');
      rmSync(pidFile, { force: true });
    },
  };
}

/** It serves once it has the store and listens there for other processes. */
async function untilServing(
  store: string,
  pid: number | undefined,
  ended: () => number | string | null | undefined,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
    if (ended() !== undefined) break;
    if (exists(store) && readOwner(store)?.pid === pid && exists(`${store}/socket.json`)) return;
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
  const how = ended() === undefined ? `did not serve within ${START_MS / 1000} s` : `ended with ${ended()}`;
  throw serviceFailed(`the service ${how}`, 'See `mcp-vector-server service logs`.');
}

export const serviceFailed = (message: string, wayOut: string): CodedError =>
  new CodedError('SERVICE_FAILED', message, wayOut);
