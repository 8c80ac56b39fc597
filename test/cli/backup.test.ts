/** tools/backup and tools/restore as an operator meets them: beside a running server, after a loss, with damage. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { BackupSite } from '../helpers/backup-site.js';
import { seeded } from '../helpers/damage.js';
import { openTestEngine, testContext } from '../helpers/engine.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

let dir: string;
let store: string;
let backups: string;
let site: BackupSite;
beforeEach(() => {
  site = new BackupSite();
  ({ dir, store, backups } = site);
});

const cli = (...args: string[]) => site.cli(...args);
const json = (...args: string[]) => site.json(...args);
const put = (...texts: string[]) => site.put(...texts);
const ids = (path: string) => site.ids(path);

describe('a store that was backed up', () => {
  test('comes back after it was lost, whole or as it was at a moment, and is backed up further', async () => {
    await put('one', 'two');
    await cli('mark', 'two-notes', '--store', store);
    await put('three');
    const made = await json('backup', '--to', backups, '--store', store);
    expect(made).toMatchObject({ code: 0, answer: { kind: 'full', is_unchanged: false, path: backups } });
    expect((await cli('backup', '--to', backups, '--store', store)).stdout).toMatch(/^Nothing is new since/);
    await put('four');
    const later = await json('backup', '--to', backups, '--store', store);
    expect(later.answer).toMatchObject({ kind: 'incremental' });
    expect(later.answer.written_records).toBeLessThan(later.answer.records);
    rmSync(store, { recursive: true });

    const listed = await json('backup', 'list', backups);
    expect(listed.answer.backups.map(({ id }: { id: string }) => id)).toEqual([
      made.answer.id,
      later.answer.id,
    ]);
    const from = ['restore', '--from', backups, '--to'];
    const dry = await cli(...from, store, '--dry-run');
    expect([dry.code, existsSync(store)]).toEqual([0, false]);
    expect(dry.stdout).toContain('Nothing was changed.');

    const then = join(dir, 'then');
    expect((await cli(...from, then, '--until', 'two-notes')).code).toBe(0);
    expect(await ids(then)).toEqual(['one', 'two']);
    const first = join(dir, 'first');
    expect((await cli(...from, first, '--backup', made.answer.id)).code).toBe(0);
    expect(await ids(first)).toEqual(['one', 'three', 'two']);
    const restored = await json(...from, store);
    expect(restored).toMatchObject({ code: 0, answer: { epoch: 2, verified: { sound: true } } });
    expect(await ids(store)).toEqual(['four', 'one', 'three', 'two']);
    expect((await cli('search', 'three', '--mode', 'keyword', '--store', store)).stdout).toContain('three');

    await put('five');
    const branch = await json('backup', '--to', backups, '--store', store);
    expect(branch).toMatchObject({ code: 0, answer: { kind: 'incremental', epoch: 2 } });
    // The one that was restored to an earlier moment is another branch now.
    const other = await json('backup', '--to', backups, '--store', then);
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('BACKUP_DIVERGED')]);
    expect((await cli('backup', 'verify', backups, '--trial', dir)).stdout).toContain('the store is sound');
    expect(readdirSync(dir).filter(name => name.includes('trial'))).toEqual([]);
  });

  test('is served meanwhile', async () => {
    const server = new RawServer(store);
    await server.initialize();
    await server.call('vector_upsert', { items: [{ id: 'before', text: 'Written before the backup.' }] });
    const [backup] = await Promise.all([
      json('backup', '--to', backups, '--store', store),
      server.call('vector_upsert', { items: [{ id: 'beside', text: 'Written beside the backup.' }] }),
    ]);
    expect(backup.code).toBe(0);
    await server.call('vector_upsert', { items: [{ id: 'after', text: 'Written after the backup.' }] });
    expect((await json('backup', '--to', backups, '--store', store)).answer).toMatchObject({
      kind: 'incremental',
    });
    await server.end();
    const restored = join(dir, 'restored');
    expect((await cli('restore', '--from', backups, '--to', restored)).code).toBe(0);
    expect(await ids(restored)).toEqual(['after', 'before', 'beside']);
  });
});

test('killed at any instant, a backup is whole or none, and so is a restored store', async () => {
  const engine = await openTestEngine(store);
  const items = Array.from({ length: 3000 }, (_, i) => ({
    id: `note-${i}`,
    text: `Note number ${i}. `.repeat(20),
  }));
  for (let i = 0; i < items.length; i += 500)
    await engine.upsert(
      { collection: 'default', items: items.slice(i, i + 500), allow_secrets: true },
      testContext,
    );
  await engine.close();
  const seed = Number(process.env.SEED ?? 20261126);
  const random = seeded(seed);
  /** Runs a command and kills it within its usual time. */
  async function killed(...args: string[]): Promise<void> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env.PATH, HOME: dir },
      stdio: 'ignore',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 150 + random() * 900);
    await once(child, 'exit');
    clearTimeout(timer);
  }
  const restored = join(dir, 'restored');
  for (let kill = 0; kill < 8; kill++) {
    await killed('backup', '--to', backups, '--full', '--store', store);
    if (existsSync(backups)) {
      const { answer } = await json('backup', 'list', backups);
      expect([answer.damaged, seed]).toEqual([[], seed]);
      if (answer.backups.length > 0)
        expect((await cli('backup', 'verify', backups)).code, `seed ${seed}`).toBe(0);
    }
  }
  expect((await cli('backup', '--to', backups, '--store', store)).code).toBe(0);
  for (let kill = 0; kill < 8; kill++) {
    await killed('restore', '--from', backups, '--to', restored);
    if (!existsSync(restored)) continue;
    expect((await cli('verify', '--store', restored)).code, `seed ${seed}`).toBe(0);
    rmSync(restored, { recursive: true });
  }
  expect((await cli('restore', '--from', backups, '--to', restored)).code).toBe(0);
  expect((await json('status', '--store', restored)).answer.collections[0].items).toBe(3000);
  expect(readdirSync(dir).filter(name => name.includes('partial'))).toEqual([]);
}, 120_000);

test('listing and verifying load nothing of LevelDB; a restore on trial does', async () => {
  await put('one');
  await cli('backup', '--to', backups, '--with-config', '--store', store);
  const script = `
    const { run } = await import(process.argv[1]);
    const code = await run(JSON.parse(process.argv[2]));
    const { sharedObjects } = process.report.getReport();
    console.error(JSON.stringify({ code, native: sharedObjects.filter(path => path.endsWith('.node')) }));`;
  const loaded = (...args: string[]) => {
    const main = MAIN.replace('main.js', 'run.js');
    const { stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script, main, JSON.stringify(args)],
      { env: { PATH: process.env.PATH, HOME: dir }, encoding: 'utf8' },
    );
    return JSON.parse(stderr.trim().split('\n').at(-1)!);
  };
  expect(loaded('backup', 'list', backups)).toEqual({ code: 0, native: [] });
  expect(loaded('backup', 'verify', backups)).toEqual({ code: 0, native: [] });
  expect(loaded('backup', 'prune', backups)).toEqual({ code: 0, native: [] });
  const trial = loaded('backup', 'verify', backups, '--trial', dir);
  expect(trial).toEqual({ code: 0, native: [expect.stringContaining('classic-level')] });
});

describe('damage', () => {
  test('is named with the backups that it spoils; others are restored all the same', async () => {
    await put('one');
    const first = await json('backup', '--to', backups, '--store', store);
    await put('two');
    const second = await json('backup', '--to', backups, '--store', store);
    const names = readdirSync(join(backups, 'segments')).sort();
    truncateSync(join(backups, 'segments', names[1]!), 100);
    const report = await json('backup', 'verify', backups, '--trial', dir);
    expect(report).toMatchObject({
      code: 1,
      answer: {
        isSound: false,
        findings: [{ backups: [second.answer.id], message: expect.stringContaining(names[1]!) }],
        trial: { backup: second.answer.id, isSound: false },
      },
    });
    const refused = await cli('restore', '--from', backups, '--to', join(dir, 'new'));
    expect([refused.code, existsSync(join(dir, 'new'))]).toEqual([1, false]);
    expect(refused.stderr).toMatch(/^error BACKUP_DAMAGED: segments\/.*another backup/s);
    const older = await cli(
      'restore',
      '--from',
      backups,
      '--to',
      join(dir, 'new'),
      '--backup',
      first.answer.id,
    );
    expect(older.code).toBe(0);
    expect(await ids(join(dir, 'new'))).toEqual(['one']);
  });

  test('of a manifest leaves the choice to whoever restores', async () => {
    await put('one');
    const first = await json('backup', '--to', backups, '--store', store);
    await put('two');
    const second = await json('backup', '--to', backups, '--store', store);
    truncateSync(join(backups, `${second.answer.id}.backup.json`), 100);
    // Of a later epoch, as its name says.
    const later = second.answer.id.replace(/-1-(\d+)$/, '-7-$1');
    renameSync(join(backups, `${second.answer.id}.backup.json`), join(backups, `${later}.backup.json`));
    const from = ['restore', '--from', backups, '--to', join(dir, 'new')];
    const refused = await cli(...from);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(new RegExp(`^error BACKUP_DAMAGED: .*sha256.*${first.answer.id}`, 's'));
    expect((await cli(...from, '--backup', later)).stderr).toContain('BACKUP_DAMAGED');
    const restored = await json(...from, '--backup', first.answer.id);
    expect([restored.code, restored.answer.epoch]).toEqual([0, 8]);
  });

  test('of the store is found as records that the backup has and the log has not', async () => {
    await put('one');
    cpSync(store, join(dir, 'old'), { recursive: true });
    await put('two');
    await cli('backup', '--to', backups, '--store', store);
    const beside = (...more: string[]) => json('verify', '--backups', backups, '--store', ...more);
    expect(await beside(store)).toMatchObject({ code: 0, answer: { sound: true, coverage: { missing: 0 } } });
    expect(await beside(join(dir, 'old'))).toMatchObject({
      code: 1,
      answer: {
        findings: [{ code: 'BACKUP_DIVERGED', message: expect.stringContaining('the log ends at') }],
      },
    });
    await put('three');
    const { code, stdout } = await cli('verify', '--backups', backups, '--store', store);
    expect([code, stdout]).toEqual([0, expect.stringContaining('1 record behind')]);
    // A store that was restored to an earlier moment has not lost what it was not given.
    const earlier = join(dir, 'earlier');
    await cli('restore', '--from', backups, '--to', earlier, '--until', '4');
    expect(await beside(earlier)).toMatchObject({ code: 0, answer: { sound: true } });
    const fork = join(dir, 'fork');
    await cli('replay', '--until', '4', '--to', fork, '--store', store);
    expect((await beside(fork)).stderr).toContain('BACKUP_FOREIGN');
    const diverged = await cli('backup', '--to', backups, '--store', join(dir, 'old'));
    expect(diverged.code).toBe(1);
    expect(diverged.stderr).toMatch(/^error BACKUP_DIVERGED: .*does not reach.*\n.*restore the backup/);
  });
});

test('VECTOR_BACKUP_DIR is the directory of a command that names none', async () => {
  await put('one');
  const env = { HOME: dir, VECTOR_DB_PATH: store, VECTOR_BACKUP_DIR: backups };
  const answer = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli([...args, '--json'], { env });
    expect([args, code], stderr).toEqual([args, 0]);
    return JSON.parse(stdout);
  };
  const { id, path } = await answer('backup');
  expect(path).toBe(backups);
  await answer('backup', 'pin', id);
  expect(await answer('backup', 'list')).toMatchObject({ backups: [{ id }] });
  expect(await answer('restore', '--to', join(dir, 'x'), '--dry-run')).toMatchObject({ backup: { id } });
  // What is named counts.
  expect(await answer('backup', '--to', join(dir, 'y'))).toMatchObject({ path: join(dir, 'y') });
});

test('wrong usage is told of, and changes nothing', async () => {
  await put('one');
  await cli('backup', '--to', backups, '--store', store);
  for (const [args, said] of [
    [['backup', '--store', store], 'the directory of the backups is missing: --to DIR, or VECTOR_BACKUP_DIR'],
    [['backup', 'lst', backups], 'unknown: lst'],
    [['backup', 'list'], 'the directory of the backups is missing: list DIR'],
    [['backup', 'verify', backups, '--full'], '--full does not go with verify'],
    [['backup', 'list', backups, '--trial', dir], '--trial does not go with list'],
    [['restore', '--to', join(dir, 'x')], 'is missing: --from BACKUPS, or VECTOR_BACKUP_DIR'],
    [['restore', '--from', backups], '--to is missing'],
    [['restore', '--from', backups, '--to', store], 'STORE_FOREIGN'],
    [['restore', '--from', backups, '--to', join(backups, 'x')], 'lies inside the backups'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--backup', 'none'], 'holds no backup none'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--until', '99'], 'MOMENT_TOO_LATE'],
    [['restore', '--from', dir, '--to', join(dir, 'x')], 'BACKUP_MISSING'],
    [['backup', 'list', join(dir, 'nowhere')], 'BACKUP_MISSING'],
    [['backup', '--to', dir, '--store', store], 'BACKUP_FOREIGN'],
    [['backup', '--to', join(store, 'backups'), '--store', store], 'lies inside the store'],
    [['backup', '--to', backups, '--keep-last', '1', '--store', store], '--keep-last goes with'],
    [['backup', '--to', backups, '--every', '0', '--store', store], '--every'],
    [['backup', 'prune', backups, '--to', dir], '--to does not go with prune'],
    [['backup', 'pin'], 'pin takes the directory of the backups, and the backup'],
    [['backup', 'pin', 'id'], 'is missing: pin DIR ID, or VECTOR_BACKUP_DIR'],
    [['backup', 'list', backups, 'x'], 'list takes the directory'],
    [['backup', 'unpin', backups, 'x', '--reason', 'x'], '--reason does not go with unpin'],
  ] as const) {
    const { code, stderr } = await cli(...args);
    expect([args, code], stderr).toEqual([args, 2]);
    expect(stderr).toContain(said);
  }
  expect(existsSync(join(dir, 'x'))).toBe(false);
});
