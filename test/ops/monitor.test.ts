/** The monitor over a real engine, with a clock and a machine of the test's, and a webhook that is there. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '#src/config.js';
import type { WindowUse } from '#src/domain/health.js';
import type { StoreEngine } from '#src/engine/engine.js';
import type { AlertMessage } from '#src/ops/alerts.js';
import { CallFeed } from '#src/ops/call-feed.js';
import type { Machine } from '#src/ops/machine.js';
import { Monitor } from '#src/ops/monitor.js';
import { UNANSWERED } from '#src/ops/operations.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';

const START_MS = Date.parse('2026-11-28T10:00:00Z');

let engine: StoreEngine;
let server: Server;
let url: string;
let dir: string;
let monitor: Monitor;
let nowMs: number;
let status: number;
let windows: WindowUse[];
let calls: CallFeed;
const received: AlertMessage[] = [];
const logged: string[] = [];
const machine = { diskPercent: 50, rssBytes: 1e8, memoryBytes: 1e9, busyMs: 0 };

const fakeMachine: Machine = {
  memoryBytes: () => machine.memoryBytes,
  ownRssBytes: () => machine.rssBytes,
  heapBytes: () => 1e7,
  cpuTimes: () => ({ busyMs: machine.busyMs, allMs: nowMs - START_MS, ownMs: machine.busyMs / 2 }),
  disk: async () => ({ usedPercent: machine.diskPercent, freeBytes: 1e9, totalBytes: 1e10 }),
};

function start(env: NodeJS.ProcessEnv = {}): Monitor {
  const config = readConfig(
    { VECTOR_DB_PATH: dir, VECTOR_ALERT_WEBHOOK: `${url}/hook`, ...env },
    { platform: 'linux', home: '/home/ada', cwd: '/' },
  );
  const note = (...line: unknown[]) => void logged.push(JSON.stringify(line));
  const logger = { fatal: note, error: note, warn: note, info: () => undefined, debug: () => undefined };
  return new Monitor(
    { engine, config, logger, calls, windows: () => windows },
    { machine: fakeMachine, clock: () => nowMs },
  );
}

/** A minute later. */
async function tick(): Promise<void> {
  nowMs += 60_000;
  await monitor.tick();
}

beforeEach(async () => {
  dir = join(temporaryDirectory(), 'notes of ada');
  nowMs = START_MS;
  status = 200;
  windows = [];
  Object.assign(machine, { diskPercent: 50, rssBytes: 1e8, memoryBytes: 1e9, busyMs: 0 });
  received.length = 0;
  logged.length = 0;
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (status === 200) received.push(JSON.parse(body));
    response.writeHead(status).end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  engine = await openTestEngine(dir, { clock: () => nowMs });
  calls = new CallFeed(
    { error: (...line: unknown[]) => void logged.push(JSON.stringify(line)) },
    () => nowMs,
  );
  await engine.upsert(
    { collection: 'private-name', items: [{ id: 'a', text: 'private text' }] },
    testContext,
  );
  monitor = start();
});
afterEach(async () => {
  await monitor.close();
  await engine.close();
  server.closeAllConnections();
  server.close();
});

test('a sample has what the machine, the windows, the store and the calls say', async () => {
  windows = [
    { pid: 1, rss_bytes: 2e8 },
    { pid: 2, rss_bytes: 3e8 },
    // The same process twice, and this one: neither counts again.
    { pid: 2, rss_bytes: 3e8 },
    { pid: process.pid, rss_bytes: 9e9 },
  ];
  const observed = calls.observe(engine);
  await observed.search({ query: 'private', k: 3, mode: 'keyword' }, testContext);
  await observed.get({ collection: 'private-name', ids: ['a'] }, testContext);
  await expect(observed.list({ collection: 'none', limit: 1 }, testContext)).rejects.toThrow();
  machine.busyMs = 30_000;
  await tick();
  const { samples, resolution, every_seconds } = await engineFace().samples({}, testContext);
  expect({ resolution, every_seconds }).toEqual({ resolution: 'sample', every_seconds: 60 });
  expect(samples).toMatchObject([
    {
      time: new Date(nowMs).toISOString(),
      ...{ rss_bytes: 6e8, windows: 2, memory_percent: 60, disk_percent: 50, cpu_percent: 50 },
      ...{ own_cpu_percent: 25, items: 1, events: engineSeq(), level: 'ok', errors: 1, slow: 0 },
      calls: { search: 1, get: 1, list: 1 },
    },
  ]);
  // What the monitor itself asks is no call of a client.
  await tick();
  expect((await engineFace().samples({}, testContext)).samples.at(-1)!.calls).toEqual({});
  windows = [{ pid: 3, rss_bytes: 8e8 }];
  expect(await engineFace().health({}, testContext)).toMatchObject({ level: 'warn' });
});

test('processors that are busy for a moment are no warning; those that stay busy are, until they were idle as long', async () => {
  const cpu = async () => {
    const { checks } = await engineFace().health({}, testContext);
    return checks.find(({ name }) => name === 'cpu')!;
  };
  // Started a moment ago, as busy as can be.
  nowMs += 10_000;
  machine.busyMs += 10_000;
  expect(await cpu()).toMatchObject({ level: 'ok', message: expect.stringContaining('100 %') });
  const levels: string[] = [];
  const minutes = async (count: number, share: number) => {
    for (let n = 0; n < count; n++) {
      machine.busyMs += 60_000 * share;
      await tick();
      levels.push((await cpu()).level);
    }
  };
  await minutes(4, 0);
  await minutes(1, 1);
  expect(levels).toEqual(Array(5).fill('ok'));
  // A sample is of its own minute.
  expect(monitor.history.read('sample', 0).at(-1)).toMatchObject({ cpu_percent: 100, level: 'ok' });
  await minutes(4, 1);
  expect(levels.slice(5)).toEqual(['ok', 'ok', 'warn', 'warn']);
  await minutes(2, 0);
  expect(levels.slice(9)).toEqual(['warn', 'ok']);
});

const engineFace = () => {
  engine.operate(async () => ({ ...UNANSWERED, ...monitor.face }));
  return engine;
};
const engineSeq = () => monitor.history.read('sample', 0)[0]!.events;

describe('alerts', () => {
  test('a full disk is told once it lasts, again when it is over; without names, texts and paths', async () => {
    machine.diskPercent = 96;
    await tick();
    expect(received).toEqual([]);
    await tick();
    await tick();
    expect(received).toMatchObject([
      {
        ...{ kind: 'alert', level: 'critical', store: 'notes of ada' },
        alerts: [{ check: 'disk', change: 'raised', level: 'critical', before: 'ok' }],
        text: 'mcp-vector-server, store notes of ada: disk is critical: 96 % of 10.0 GB used, 1.0 GB free',
      },
    ]);
    machine.diskPercent = 50;
    await tick();
    await tick();
    expect(received[1]).toMatchObject({
      kind: 'recovery',
      level: 'ok',
      alerts: [{ check: 'disk', change: 'recovered' }],
    });
    expect(received).toHaveLength(2);
    expect(JSON.stringify(received)).not.toMatch(/private|\/tmp|\/dev|home/);
  });

  test('what was sent is known to the next owner', async () => {
    machine.diskPercent = 96;
    await tick();
    await tick();
    expect(statSync(join(dir, 'ops/alerts.json')).mode & 0o777).toBe(0o600);
    await monitor.close();
    monitor = start();
    for (let n = 0; n < 3; n++) await tick();
    expect(received).toHaveLength(1);
    nowMs += 6 * 3_600_000;
    await tick();
    expect(received[1]).toMatchObject({ alerts: [{ change: 'reminder' }] });
  });

  test('what is refused is logged with its code, and tried again at the next sample', async () => {
    status = 503;
    machine.diskPercent = 90;
    await tick();
    await tick();
    await tick();
    expect(logged.filter(line => line.includes('"code":"ALERT_WEBHOOK_FAILED"'))).toHaveLength(2);
    expect(logged.join()).not.toContain('/hook');
    status = 200;
    await tick();
    expect(received).toMatchObject([{ alerts: [{ check: 'disk', change: 'raised', level: 'warn' }] }]);
  });

  test('a damaged note of them is put aside, and what stands is told anew', async () => {
    machine.diskPercent = 90;
    await tick();
    await tick();
    await monitor.close();
    writeFileSync(join(dir, 'ops/alerts.json'), '{"format":1,"state":{"settled":7}}');
    monitor = start();
    await tick();
    await tick();
    expect(received).toHaveLength(2);
    expect(logged.join()).toContain('OPS_FILE_DAMAGED');
    expect(readFileSync(join(dir, 'ops/alerts.json.damaged'), 'utf8')).toContain('"settled":7');
  });

  test('a test is sent whatever the level, and says what became of it', async () => {
    expect(await engineFace().testAlert({}, testContext)).toEqual({
      deliveries: [{ channel: 'webhook', sent: true }],
    });
    expect(received).toMatchObject([{ kind: 'test', level: 'ok', alerts: [] }]);
    status = 307;
    expect(await engineFace().testAlert({}, testContext)).toMatchObject({
      deliveries: [{ sent: false, code: 'ALERT_WEBHOOK_FAILED' }],
    });
  });

  test('none is waited for when the server ends', async () => {
    server.removeAllListeners('request');
    server.on('request', () => undefined);
    machine.diskPercent = 96;
    await tick();
    nowMs += 60_000;
    const asked = new Promise(resolve => server.once('request', resolve));
    const ticking = monitor.tick();
    await asked;
    await monitor.close();
    await ticking;
    expect(logged.join()).not.toContain('not sent');
  });
});

test('a store that takes no file of samples goes on, and it is said once', async () => {
  mkdirSync(join(dir, 'ops'), { recursive: true });
  rmSync(join(dir, 'ops'), { recursive: true });
  writeFileSync(join(dir, 'ops'), 'a file where the directory should be');
  await tick();
  await tick();
  expect(logged.filter(line => line.includes('no sample was kept'))).toHaveLength(1);
  expect(await engineFace().health({}, testContext)).toMatchObject({ level: 'ok' });
  rmSync(join(dir, 'ops'));
  await tick();
  expect(monitor.history.read('sample', 0)).toHaveLength(1);
});

test('a backup leaves a note, and health knows of it', async () => {
  const backup = async () =>
    (await engineFace().health({}, testContext)).checks.find(({ name }) => name === 'backup')!;
  nowMs += 15 * 86_400_000;
  expect(await backup()).toMatchObject({ level: 'warn', value: 15 });
  const to = join(temporaryDirectory(), 'backups');
  await engine.backup({ to }, testContext);
  nowMs += 60_000;
  expect(await backup()).toMatchObject({ level: 'ok', value: 0, detail: `in ${to}` });
  // Nothing new: that it was looked at counts.
  nowMs += 20 * 86_400_000;
  expect((await engine.backup({ to }, testContext)).is_unchanged).toBe(true);
  expect(await backup()).toMatchObject({ level: 'ok', value: 0 });
  writeFileSync(join(dir, 'ops/backup.json'), '{"format":1,"timeMs":"now"}');
  expect(await backup()).toMatchObject({ level: 'warn', message: expect.stringContaining('none is known') });
});

test('samples are asked for since any moment', async () => {
  for (let n = 0; n < 130; n++) await tick();
  const ask = async (since: string, resolution?: 'sample' | 'hour') =>
    (await engineFace().samples({ since, ...(resolution && { resolution }) }, testContext)).samples.length;
  expect(await ask('30 minutes ago')).toBe(31);
  expect(await ask('2026-11-28T11:00Z')).toBe(71);
  // The event of the one item, before any sample.
  expect(await ask('2')).toBe(130);
  expect(await ask('2026-11-28T10:00Z', 'hour')).toBe(3);
  await expect(ask('no such mark')).rejects.toThrow(expect.objectContaining({ code: 'MOMENT_INVALID' }));
  await expect(ask('mark')).rejects.toThrow(expect.objectContaining({ code: 'MARK_NOT_FOUND' }));
});

test('an engine without operations says so', async () => {
  const owner = await LocalOwner.start();
  try {
    await expect((await owner.client()).health({}, testContext)).rejects.toThrow(
      expect.objectContaining({ code: 'OPERATIONS_OFF' }),
    );
  } finally {
    await owner.close();
  }
});
