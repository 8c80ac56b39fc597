/** The outage and the corruption procedure as one command, on stores that are really damaged and processes that really hang. */
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recover } from '#src/ops/recover/recover.js';
import { Prefix } from '#src/ops/update/prefix.js';
import { listBackups } from '#wal/backup/manifest.js';
import { verifyLog } from '#wal/verify.js';
import { BackupSite } from '../helpers/backup-site.js';
import { destroyRecord, truncate } from '../helpers/damage.js';
import { openTestEngine, testContext } from '../helpers/engine.js';
import { itemsOf } from '../helpers/managed.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';

const idsOf = async ({ store }: BackupSite) => (await itemsOf(store)).map(({ id }) => id).sort();

async function backUp(
  { store, backups }: Pick<BackupSite, 'store' | 'backups'>,
  full = false,
): Promise<void> {
  const engine = await openTestEngine(store);
  await engine.backup({ to: backups, full }, testContext);
  await engine.close();
}

/** As the command does it, without a service. */
const recovered = ({ store }: BackupSite, ...from: string[]) =>
  recover(store, {
    apply: true,
    from,
    async health() {
      const engine = await openTestEngine(store, { create: false });
      const { store: of, head } = await engine.status({}, testContext);
      await engine.close();
      return { state: of.state, head };
    },
  });

const damagedIn = (store: string) => readdirSync(join(store, 'damaged'));

test('a hung owner is ended, with the window that it holds up; the store is sound and is left as it is', async () => {
  const site = new BackupSite();
  await site.put('one', 'two');
  const [owner, window] = [
    new McpProcess(site.store, { root: site.dir }),
    new McpProcess(site.store, { root: site.dir }),
  ];
  await owner.call('vector_status', {});
  await window.call('vector_status', {});
  const pids = [await owner.pid(), await window.pid()];
  await owner.signal('SIGSTOP');
  const dry = await site.json('recover', '--store', site.store);
  expect(dry.code).toBe(1);
  expect(dry.answer).toMatchObject({ done: false, decision: 'wait', stopped: [] });
  // As df counts, to which what is kept for root is no room.
  const { blocks, bfree, bavail, bsize } = statfsSync(site.store);
  expect(dry.answer.resources.disk.total_bytes).toBe((blocks - bfree + bavail) * bsize);
  expect(dry.answer.resources.users.map(({ pid }: { pid: number }) => pid).sort()).toEqual([...pids].sort());
  expect([owner.hasExited, window.hasExited]).toEqual([false, false]);
  const { code, answer } = await site.json('recover', '--store', site.store, '--yes');
  expect(code).toBe(0);
  expect(answer).toMatchObject({ done: true, decision: 'start', findings: [], lost: [], started: 'nothing' });
  expect(answer.stopped.map(({ pid }: { pid: number }) => pid).sort()).toEqual([...pids].sort());
  await Promise.all([owner.exited, window.exited]);
  expect(await idsOf(site)).toEqual(['one', 'two']);
}, 60_000);

test('one whose events are all in the backups is repaired', async () => {
  const site = new BackupSite();
  await site.put('one', 'two', 'three');
  await backUp(site);
  await site.put('four');
  destroyRecord(site.store, 4);
  const answer = await recovered(site, site.backups);
  expect(answer).toMatchObject({ decision: 'repair', lost: [], aside: expect.stringContaining('damaged') });
  expect(await idsOf(site)).toEqual(['four', 'one', 'three', 'two']);
}, 60_000);

test('else the newest backup that is sound takes its place, and it is said what is lost', async () => {
  const site = new BackupSite();
  await site.put('one', 'two');
  await backUp(site, true);
  const [{ manifest }] = listBackups(site.backups).backups;
  await site.put('three');
  await backUp(site, true);
  await site.put('four', 'five');
  const { head } = await verifyLog(site.store);
  // The newest backup is no good either.
  const newest = listBackups(site.backups).backups.find(
    ({ manifest: { last } }) => last.seq > manifest.last.seq,
  )!;
  truncate(join(site.backups, 'segments', newest.manifest.segments[0]!.file), 30);
  destroyRecord(site.store, head!.seq - 1);
  const where = ['--store', site.store, '--from', site.backups];
  const dry = await site.json('recover', ...where, '--yes', '--dry-run');
  const lost = [{ from: manifest.last.seq + 1, to: head!.seq }];
  expect(dry.answer).toMatchObject({
    decision: 'restore',
    done: false,
    lost,
    backup: { seq: manifest.last.seq },
  });
  const { code, answer } = await site.json('recover', ...where, '--yes');
  expect(code).toBe(0);
  expect(answer).toMatchObject({ decision: 'restore', done: true, lost });
  expect(await idsOf(site)).toEqual(['one', 'two']);
  // Nothing of the damaged store is gone, and it is as damaged as it was.
  expect(damagedIn(site.store)).toHaveLength(1);
  const aside = await verifyLog(join(site.store, answer.aside));
  expect(aside.head).toMatchObject({ seq: head!.seq, hash: head!.hash });
  // Repeated, there is nothing to do.
  expect((await site.json('recover', ...where, '--yes')).answer).toMatchObject({ decision: 'start' });
}, 60_000);

test('a store that is gone comes back from the backups; without any, nothing is made', async () => {
  const site = new BackupSite();
  await site.put('one', 'two');
  await backUp(site);
  rmSync(site.store, { recursive: true });
  await expect(recovered(site)).rejects.toMatchObject({ code: 'STORE_MISSING' });
  expect(existsSync(site.store)).toBe(false);
  // Of two directories, the one that reaches further.
  const later = join(site.dir, 'later');
  expect(await recovered(site, site.backups)).toMatchObject({ decision: 'restore', done: true });
  await site.put('three');
  await backUp({ store: site.store, backups: later });
  rmSync(site.store, { recursive: true });
  expect(await recovered(site, site.backups, later)).toMatchObject({ backup: { from: later } });
  expect(await idsOf(site)).toEqual(['one', 'three', 'two']);
}, 60_000);

test('it knows the backups of the service on the store, else the configured ones, unless others are named', async () => {
  const site = new BackupSite();
  await site.put('one');
  await backUp(site);
  await backUp({ store: site.store, backups: join(site.dir, 'other') });
  const prefix = new Prefix(join(site.dir, 'prefix'));
  mkdirSync(prefix.dir);
  const service = { manager: 'process', scope: 'user', name: 'test', arguments: [] } as const;
  await prefix.writeInstallation({ format: 1, store: site.store, service });
  const known = async (dir: string, ...args: string[]) => {
    const env = { HOME: site.dir, VECTOR_DB_PATH: site.store, VECTOR_BACKUP_DIR: dir };
    return JSON.parse((await runCli(['recover', '--json', ...args], { env })).stdout).from;
  };
  expect(await known(site.backups)).toEqual([site.backups]);
  expect(await known(site.backups, '--from', join(site.dir, 'other'))).toEqual([join(site.dir, 'other')]);
  // Nothing was backed up there yet.
  expect(await known(join(site.dir, 'nowhere'))).toEqual([]);
  await prefix.writeSettings({ VECTOR_BACKUP_DIR: join(site.dir, 'other') });
  await backUp({ store: site.store, backups: prefix.path('backups', 'updates') });
  expect(await known(site.backups, '--prefix', prefix.dir)).toEqual([
    join(site.dir, 'other'),
    prefix.path('backups', 'updates'),
  ]);
}, 60_000);

test('without backups what is there stays, and it is said what is lost; with nothing left it is refused', async () => {
  const site = new BackupSite();
  await site.put('one', 'two', 'three');
  const { head } = await verifyLog(site.store);
  destroyRecord(site.store, head!.seq);
  const lost = [{ from: head!.seq, to: head!.seq }];
  expect(await recovered(site)).toMatchObject({ decision: 'repair', lost });
  expect(await idsOf(site)).toEqual(['one', 'two']);
  for (const name of readdirSync(join(site.store, 'log'))) truncate(join(site.store, 'log', name), 1);
  await expect(recovered(site)).rejects.toMatchObject({ code: 'RECOVERY_IMPOSSIBLE' });
}, 60_000);
