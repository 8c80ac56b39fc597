/**
 * Telling systemd how the server is (sd_notify(3)): a datagram to the Unix socket that NOTIFY_SOCKET names. Node has no such sockets, and no kept library brings them
 * without compiling, so systemd's own systemd-notify sends it; it stays until systemd has read the notice, which then cannot be taken for a stranger's.
 */
import { execFile } from 'node:child_process';
import type { Logger } from '../../log.js';

export interface Notifier {
  /** It serves. @param status one line, shown by `systemctl status`; no stored text */
  ready(status: string): Promise<void>;
  /** It ends. Nothing is told of its life any more. */
  stopping(): Promise<void>;
}

export interface NotifierOptions {
  /** Usually process.env: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. The first is taken out, so that children do not have it. */
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
  /** Resolves or rejects as long as the server works; one that hangs is restarted by systemd. */
  readonly alive: () => Promise<unknown>;
}

/** @returns one that does nothing where no service manager asked to be told */
export function createNotifier({ env, logger, alive }: NotifierOptions): Notifier {
  const { NOTIFY_SOCKET: socket } = env;
  delete env.NOTIFY_SOCKET;
  if (socket === undefined || socket === '') return { ready: async () => {}, stopping: async () => {} };
  const send = (...notices: string[]) =>
    new Promise<void>(resolve => {
      const child = { env: { ...env, NOTIFY_SOCKET: socket } };
      execFile('systemd-notify', notices, child, error => {
        // The server serves all the same; if it matters, systemd says so itself.
        if (error !== null)
          logger.warn({ err: error }, 'systemd could not be told of the state of the server');
        resolve();
      });
    });
  let timer: NodeJS.Timeout | undefined;
  const watch = (everyMs: number) => {
    let asking = false;
    timer = setInterval(() => {
      if (asking) return;
      asking = true;
      void alive()
        .catch(() => {})
        .then(() => (timer === undefined ? undefined : send('WATCHDOG=1')))
        .finally(() => {
          asking = false;
        });
    }, everyMs).unref();
  };
  return {
    async ready(status) {
      await send('READY=1', `STATUS=${status}`);
      const everyMs = watchdogMs(env);
      if (everyMs !== undefined) watch(everyMs);
    },
    async stopping() {
      clearInterval(timer);
      timer = undefined;
      await send('STOPPING=1', 'STATUS=ending');
    },
  };
}

/** Twice as often as systemd wants to hear of it (sd_watchdog_enabled(3)); undefined where it does not. */
export function watchdogMs(
  { WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv,
  pid = process.pid,
): number | undefined {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== '' && Number(WATCHDOG_PID) !== pid) return undefined;
  const microseconds = Number(WATCHDOG_USEC);
  return microseconds > 0 ? Math.max(1, Math.floor(microseconds / 2000)) : undefined;
}
