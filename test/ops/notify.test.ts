/** What systemd is told: by serve as it ships, to a socket that stands for systemd's. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { createNotifier, watchdogMs } from '#src/ops/service/notify.js';
import { silent, temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';

const root = temporaryDirectory('notify-');
const LISTENER = fileURLToPath(new URL('../helpers/notify-listener.py', import.meta.url));
const socket = join(root, 'notify');
const children: ChildProcess[] = [];
afterAll(() => children.forEach(child => void child.kill('SIGKILL')));

/** Machines without systemd have no systemd-notify: then one that sends the same. */
function pathWithNotify(): string {
  const { PATH = '' } = process.env;
  if (spawnSync('systemd-notify', ['--version']).status === 0) return PATH;
  return `${standIn(
    'stand-in',
    `#!/usr/bin/env python3
import os, socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("\\n".join(sys.argv[1:]).encode(), os.environ["NOTIFY_SOCKET"])
`,
  )}:${PATH}`;
}

function standIn(folder: string, script: string): string {
  const dir = join(root, folder);
  mkdirSync(dir);
  writeFileSync(join(dir, 'systemd-notify'), script);
  chmodSync(join(dir, 'systemd-notify'), 0o755);
  return dir;
}

test('serve says that it is ready, that it lives, and that it ends', async () => {
  const child = spawn('python3', [LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('listening');
  const next = async (prefix: string): Promise<string[]> => {
    for (;;) {
      const notices = JSON.parse((await lines.next()).value as string) as string[];
      if (notices.some(notice => notice.startsWith(prefix))) return notices;
    }
  };
  const server = await HttpProcess.start(join(root, 'store'), {
    env: { PATH: pathWithNotify(), NOTIFY_SOCKET: socket, WATCHDOG_USEC: '100000' },
  });
  expect(await next('READY=')).toEqual(['READY=1', `STATUS=serving MCP at ${server.url}/mcp`]);
  for (let i = 0; i < 3; i++) expect(await next('WATCHDOG=')).toEqual(['WATCHDOG=1']);
  const ended = server.stop();
  expect(await next('STOPPING=')).toEqual(['STOPPING=1', 'STATUS=ending']);
  expect(await ended).toBe(0);
}, 30_000);

test('a server whose store does not answer is not said to live; children are not told whom to notify', async () => {
  const said = join(root, 'said');
  const dir = standIn('writes', `#!/bin/sh\necho "$@" >> ${said}\n`);
  const env: NodeJS.ProcessEnv = {
    PATH: `${dir}:${process.env.PATH}`,
    NOTIFY_SOCKET: '/nobody',
    WATCHDOG_USEC: '20000',
  };
  let asked = 0;
  let answered: (() => void) | undefined;
  const hung = new Promise<void>(resolve => {
    answered = resolve;
  });
  const notifier = createNotifier({
    env,
    logger: silent,
    async alive() {
      asked += 1;
      if (asked === 1) throw new Error('an error is an answer');
      answered!();
      await new Promise(() => {});
    },
  });
  expect(env.NOTIFY_SOCKET).toBeUndefined();
  await notifier.ready('here');
  await hung;
  await notifier.stopping();
  const notices = readFileSync(said, 'utf8').trim().split('\n');
  expect(notices).toEqual(['READY=1 STATUS=here', 'WATCHDOG=1', 'STOPPING=1 STATUS=ending']);
  expect(asked).toBe(2);
});

test('the watchdog is fed twice as often as it is asked for, by the process that is asked', () => {
  expect(watchdogMs({ WATCHDOG_USEC: '60000000' })).toBe(30_000);
  expect(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, 2)).toBeUndefined();
  expect(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '2' }, 2)).toBe(30_000);
  for (const WATCHDOG_USEC of [undefined, '', '0', 'x', '-5'])
    expect(watchdogMs({ WATCHDOG_USEC })).toBeUndefined();
});

test('without a service manager nothing is told', async () => {
  const notifier = createNotifier({ env: {}, logger: silent, alive: async () => {} });
  await notifier.ready('here');
  await notifier.stopping();
});
