/** The jobs that back up, on a real store and real directories of backups. */
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configIn, overviewOf } from '#src/engine/backup-list.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { Backups, type BackupsOptions, BEFORE_UPDATE, unpinOldUpdates } from '#src/ops/schedules/backups.js';
import { withLock } from '#wal/backup/lock.js';
import { listPins, pinBackup } from '#wal/backup/pins.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

let root: string;
let dir: string;
let engine: StoreEngine;
let nowMs: number;
let made: string | undefined;
const going = { signal: new AbortController().signal, onProgress: () => {} };
const write = (id: string) =>
  engine.upsert({ collection: 'notes', items: [{ id, text: `note ${id}` }] }, testContext);
const backups = (more: Partial<BackupsOptions> = {}): Backups =>
  new Backups({
    ...{ engine: () => engine, dir, keep: { last: 2, daily: 0, weekly: 0, monthly: 6, updates: 5 } },
    ...{ bytesPerSecond: 1e9, savedConfig: async () => '{"a":1}', madeIn: () => made, busyWaitMs: 5 },
    onMade: where => {
      made = where;
    },
    ...more,
  });

beforeEach(async () => {
  root = temporaryDirectory();
  dir = join(root, 'backups');
  made = undefined;
  nowMs = Date.UTC(2026, 0, 1);
  engine = await openTestEngine(join(root, 'store'), { clock: () => nowMs });
  await write('first');
});
afterEach(() => engine.close());

test('a year of them leaves six months and the newest, each with the configuration', async () => {
  const daily = backups();
  for (let day = 0; day < 365; day += 15) {
    nowMs = Date.UTC(2026, 0, 1 + day);
    await write(`day-${day}`);
    await daily.make(going, false);
  }
  const times = overviewOf(dir).backups.map(({ time }) => time.slice(0, 7));
  expect(times).toEqual(['2026-07', '2026-08', '2026-09', '2026-10', '2026-11', '2026-12', '2026-12']);
  expect(configIn(dir, undefined).text).toBe('{"a":1}');
});

test('continuous ones have nothing to do until something is written, and read the configuration once', async () => {
  let asked = 0;
  const continuous = backups({
    savedConfig: async () => {
      asked += 1;
      return '{}';
    },
  });
  expect(continuous.isBehind).toBe(true);
  await continuous.make(going, true);
  expect(continuous.isBehind).toBe(false);
  await write('second');
  expect(continuous.isBehind).toBe(true);
  expect(await continuous.make(going, true)).toMatch(/^2026-01-01.* records written$/);
  expect(asked).toBe(1);
});

test('another at work in the directory is waited for, and refused by name after a while', async () => {
  const job = backups();
  await job.make(going, false);
  await write('second');
  let letGo = () => {};
  const held = withLock(dir, () => new Promise<void>(resolve => (letGo = resolve)));
  const waiting = job.make(going, false);
  setTimeout(letGo, 20);
  expect(await waiting).toMatch(/records written/);
  await held;
  const again = withLock(dir, () => new Promise<void>(resolve => (letGo = resolve)));
  await expect(job.make(going, false)).rejects.toMatchObject({ code: 'BACKUP_BUSY' });
  letGo();
  await again;
});

describe('fails by name, until it works again', () => {
  test('where the directory is gone, which is not made anew in its place', async () => {
    await backups().make(going, false);
    renameSync(dir, `${dir}-elsewhere`);
    for (const place of ['missing', 'empty']) {
      if (place === 'empty') mkdirSync(dir);
      await expect(backups().make(going, false), place).rejects.toMatchObject({ code: 'WAL_IO' });
    }
    expect(readdirSync(dir)).toEqual([]);
    rmSync(dir, { recursive: true });
    renameSync(`${dir}-elsewhere`, dir);
    expect(await backups().make(going, false)).toMatch(/^nothing is new/);
    // Another directory is another matter.
    dir = join(root, 'others');
    expect(await backups().make(going, false)).toMatch(/records written/);
  });

  test('where an older copy of the store stands in its place', async () => {
    const store = join(root, 'store');
    await engine.close();
    cpSync(store, `${store}-old`, { recursive: true });
    engine = await openTestEngine(store);
    await write('second');
    await backups().make(going, false);
    await engine.close();
    rmSync(store, { recursive: true });
    renameSync(`${store}-old`, store);
    engine = await openTestEngine(store);
    await expect(backups().make(going, false)).rejects.toMatchObject({ code: 'BACKUP_DIVERGED' });
  });

  test('where nothing can be pruned, of which the backup is not undone', async () => {
    const job = backups();
    await job.make(going, false);
    writeFileSync(join(dir, '2020-01-01T00-00-00-000Z-1-1.backup.json'), 'damaged');
    await write('second');
    await expect(job.make(going, false)).rejects.toMatchObject({
      code: 'PRUNE_FAILED',
      message: expect.stringMatching(/ was made, but nothing was pruned: BACKUP_DAMAGED/),
    });
    expect(overviewOf(dir).backups).toHaveLength(2);
  });
});

test('of the backups before updates the newest stay, and pins for other reasons', async () => {
  const job = backups({ keep: { last: 1, daily: 0, weekly: 0, monthly: 0, updates: 2 } });
  for (let n = 0; n < 5; n++) {
    nowMs += 86_400_000;
    await write(`update-${n}`);
    const { id } = await engine.backup({ to: dir }, testContext);
    const reason = n === 1 ? 'the audit' : `${BEFORE_UPDATE} to 1.${n}`;
    await pinBackup(dir, id, { reason, clock: () => nowMs });
  }
  await job.make(going, false);
  expect([...listPins(dir).values()].map(({ reason }) => reason).sort()).toEqual([
    'before update to 1.3',
    'before update to 1.4',
    'the audit',
  ]);
  expect(await unpinOldUpdates(dir, 2)).toEqual([]);
});
