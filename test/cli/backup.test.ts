/** tools/backup and tools/restore as an operator meets them: beside a running server, after a loss, with damage. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, describe, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

let dir: string;
let store: string;
let backups: string;
beforeEach(() => {
  dir = temporaryDirectory();
  store = join(dir, 'store');
  backups = join(dir, 'backups');
});

const cli = (...args: string[]) => runCli(args, { env: { HOME: dir } });
async function json(...args: string[]) {
  const { code, stdout, stderr } = await cli(...args, '--json');
  return { code, stderr, answer: JSON.parse(stdout === '' ? '{}' : stdout) };
}

/** Puts texts, each under its own words as id. */
async function put(...texts: string[]): Promise<void> {
  const engine = await openTestEngine(store);
  for (const text of texts)
    await engine.upsert(
      { collection: 'default', items: [{ id: text.replaceAll(' ', '-'), text }] },
      testContext,
    );
  await engine.close();
}

async function ids(path: string): Promise<string[]> {
  const { answer } = await json('list', '--store', path);
  return answer.items.map(({ id }: { id: string }) => id).sort();
}

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

test('repeated, it is never further behind than was asked, and ends when it is told to', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  const args = ['backup', '--to', backups, '--every', '1', '--keep-last', '1', '--keep-daily', '0'];
  const child = spawn(
    process.execPath,
    [MAIN, ...args, '--keep-weekly', '0', '--keep-monthly', '0', '--json', '--store', store],
    {
      env: { PATH: process.env.PATH, HOME: dir },
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value as string);
  const first = await next();
  await remember('second');
  const second = await next();
  expect(second.last.seq).toBeGreaterThan(first.last.seq);
  expect(second.removed).toEqual([first.id]);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await server.end();
  expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(1);
  expect((await cli('restore', '--from', backups, '--to', join(dir, 'restored'))).code).toBe(0);
  expect(await ids(join(dir, 'restored'))).toEqual(['first', 'second']);
});

test('prune tells what would go before it goes', async () => {
  for (const text of ['one', 'two', 'three']) {
    await put(text);
    await cli('backup', '--to', backups, '--store', store);
  }
  const few = ['--keep-last', '1', '--keep-daily', '0', '--keep-weekly', '0', '--keep-monthly', '0'];
  expect((await cli('backup', 'prune', backups, ...few)).stdout).toMatch(
    /2 backups, .* would go\. Nothing was changed/,
  );
  expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(3);
  const { answer } = await json('backup', 'prune', backups, ...few, '--yes');
  expect([answer.done, answer.removed.length]).toEqual([true, 2]);
  expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(1);
  expect((await cli('backup', 'verify', backups, '--trial', dir)).code).toBe(0);
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
    const from = ['restore', '--from', backups, '--to', join(dir, 'new')];
    const refused = await cli(...from);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(new RegExp(`^error BACKUP_DAMAGED: .*sha256.*${first.answer.id}`, 's'));
    expect((await cli(...from, '--backup', second.answer.id)).stderr).toContain('BACKUP_DAMAGED');
    expect((await cli(...from, '--backup', first.answer.id)).code).toBe(0);
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

test('wrong usage is told of, and changes nothing', async () => {
  await put('one');
  await cli('backup', '--to', backups, '--store', store);
  for (const [args, said] of [
    [['backup', '--store', store], '--to is missing'],
    [['backup', 'lst', backups], 'unknown: lst'],
    [['backup', 'list'], 'list takes the directory'],
    [['backup', 'verify', backups, '--full'], '--full does not go with verify'],
    [['backup', 'list', backups, '--trial', dir], '--trial does not go with list'],
    [['restore', '--to', join(dir, 'x')], '--from is missing'],
    [['restore', '--from', backups], '--to is missing'],
    [['restore', '--from', backups, '--to', store], 'STORE_FOREIGN'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--backup', 'none'], 'holds no backup none'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--until', '99'], 'MOMENT_TOO_LATE'],
    [['restore', '--from', dir, '--to', join(dir, 'x')], 'BACKUP_MISSING'],
    [['backup', 'list', join(dir, 'nowhere')], 'BACKUP_MISSING'],
    [['backup', '--to', dir, '--store', store], 'BACKUP_FOREIGN'],
    [['backup', '--to', join(store, 'backups'), '--store', store], 'lies inside the store'],
    [['backup', '--to', backups, '--keep-last', '1', '--store', store], '--keep-last goes with'],
    [['backup', '--to', backups, '--every', '0', '--store', store], '--every'],
    [['backup', 'prune', backups, '--to', dir], '--to does not go with prune'],
  ] as const) {
    const { code, stderr } = await cli(...args);
    expect([args, code], stderr).toEqual([args, 2]);
    expect(stderr).toContain(said);
  }
  expect(existsSync(join(dir, 'x'))).toBe(false);
});
