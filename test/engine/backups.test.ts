/** Directories of backups of which nothing, or not all, can be read, and what a trial restore of them tells. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { backUpStore, restore } from '#src/engine/backup.js';
import { configuredBackups, overviewOf } from '#src/engine/backup-list.js';
import { readBackupNote } from '#src/engine/backup-note.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { opsPath } from '#src/engine/ops-file.js';
import { listBackups } from '#wal/backup/manifest.js';
import { pinBackup } from '#wal/backup/pins.js';
import { openLog } from '#wal/open.js';
import { flip } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { tmpfsDisk } from '../helpers/small-disk.js';

const dir = temporaryDirectory();
let made = 0;
const newPath = () => join(dir, String(made++));
let storeDir: string;
let backups: string;

beforeEach(async () => {
  storeDir = newPath();
  backups = newPath();
  await put('first');
  await backUp();
});

async function put(text: string): Promise<number> {
  const engine = await openTestEngine(storeDir);
  const { seq } = await engine.upsert({ collection: 'default', items: [{ id: 'a', text }] }, testContext);
  await engine.close();
  return seq;
}

async function backUp(): Promise<void> {
  const log = await openLog({ storeDir });
  await backUpStore(log, { to: backups }, testContext, {
    clock: Date.now,
    ending: new AbortController().signal,
  });
  await log.close();
}

const damageManifests = () => {
  for (const name of readdirSync(backups)) if (name.endsWith('.json')) flip(join(backups, name), 20, 1);
};

test('where no manifest can be read, no backup is named as the newest one', async () => {
  damageManifests();
  await expect(restore({ from: backups, to: newPath() })).rejects.toMatchObject({
    code: 'BACKUP_DAMAGED',
    wayOut: expect.stringContaining('the newest one that can be read is none'),
  });
});

test('a moment of which something was erased before the backup was made is not restored', async () => {
  const first = (await openedHead()) as number;
  for (const text of ['second', 'third']) await put(text);
  const engine = await openTestEngine(storeDir);
  await engine.horizon({ through: 'now', dry_run: false }, testContext);
  await engine.close();
  backups = newPath();
  await backUp();
  const to = newPath();
  await expect(restore({ from: backups, to, until: String(first) })).rejects.toMatchObject({
    code: 'MOMENT_BEYOND_HORIZON',
  });
  expect(await restore({ from: backups, to })).toMatchObject({ verified: { sound: true } });
});

async function openedHead(): Promise<number> {
  const log = await openLog({ storeDir });
  const { seq } = log.head;
  await log.close();
  return seq;
}

describe('verified', () => {
  test('a directory without any is no sound one', async () => {
    const empty = newPath();
    mkdirSync(empty);
    await expect(verifyBackups(empty)).rejects.toMatchObject({ code: 'BACKUP_MISSING' });
  });

  test('one of which no manifest can be read is not sound, and there is nothing to try', async () => {
    damageManifests();
    const report = await verifyBackups(backups, { trialIn: dir });
    expect(report).toMatchObject({
      isSound: false,
      records: 0,
      findings: [{ backups: [expect.any(String)] }],
    });
    expect(report.trial).toBeUndefined();
  });

  test('a pin that cannot be read is a finding of the backup that it holds', async () => {
    const { id } = listBackups(backups).backups[0]!;
    await pinBackup(backups, id, { reason: 'a release', clock: Date.now });
    expect(await verifyBackups(backups)).toMatchObject({ isSound: true, findings: [] });
    const pin = readdirSync(backups).find(name => name.startsWith(id) && !name.endsWith('.backup.json'))!;
    writeFileSync(join(backups, pin), 'pinned');
    expect(await verifyBackups(backups)).toMatchObject({
      isSound: false,
      findings: [{ backups: [id], message: expect.stringContaining(pin) }],
    });
  });

  test('a trial for which there is no room is an error, not a finding of the backup', async () => {
    const disk = tmpfsDisk();
    if (disk === undefined) {
      // Without a disk of its own, a directory that is not there.
      await expect(verifyBackups(backups, { trialIn: newPath() })).rejects.toMatchObject({ code: 'WAL_IO' });
      return;
    }
    try {
      disk.fill(process.pid, 1024 * 1024);
      await expect(verifyBackups(backups, { trialIn: disk.dir })).rejects.toMatchObject({
        code: 'DISK_FULL',
      });
      disk.free(process.pid);
      expect(await verifyBackups(backups, { trialIn: disk.dir })).toMatchObject({ trial: { isSound: true } });
      expect(readdirSync(disk.dir)).toEqual([]);
    } finally {
      disk.dispose();
    }
  });
});

test('a backup that its caller cancels is none; one at a rate is whole', async () => {
  const log = await openLog({ storeDir });
  const [to, ending] = [newPath(), new AbortController().signal];
  const backedUp = (signal: AbortSignal) =>
    backUpStore(log, { to, bytes_per_second: 1e6 }, { ...testContext, signal }, { clock: Date.now, ending });
  await expect(backedUp(AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await backedUp(ending)).toMatchObject({ last: { seq: log.head.seq } });
  await log.close();
});

test('the configured directory has none before it is there, and else what is in it', () => {
  expect(configuredBackups(undefined)).toBeUndefined();
  const path = newPath();
  expect(configuredBackups(path)).toEqual({ path, backups: [], damaged: [] });
  expect(configuredBackups(backups)).toEqual(overviewOf(backups));
});

test('the note of the last backup is that of this store, whole, or none', () => {
  const note = { timeMs: 5, to: '/backups', seq: 7 };
  const noted = (text: string) => {
    mkdirSync(join(storeDir, 'ops'), { recursive: true });
    writeFileSync(opsPath(storeDir, 'backup.json'), text);
    return readBackupNote(storeDir, 'this store');
  };
  const whole = { format: 1, storeId: 'this store', ...note };
  expect(noted(JSON.stringify(whole))).toEqual(note);
  for (const wrong of [{ format: 2 }, { storeId: 'another' }, { timeMs: 'now' }, { seq: 1.5 }, { to: 3 }])
    expect(noted(JSON.stringify({ ...whole, ...wrong }))).toBeUndefined();
  expect(noted('{"format": 1, "st')).toBeUndefined();
});
