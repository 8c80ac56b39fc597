/** tools/backup and tools/restore as an operator meets them: beside a running server, after a loss, with damage. */
import { cpSync, existsSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

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

  test('of the store is found as records that the backup has and the log has not', async () => {
    await put('one');
    cpSync(store, join(dir, 'old'), { recursive: true });
    await put('two');
    await cli('backup', '--to', backups, '--store', store);
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
    [['backup', 'list', backups, '--trial', dir], '--trial goes with verify'],
    [['restore', '--to', join(dir, 'x')], '--from is missing'],
    [['restore', '--from', backups], '--to is missing'],
    [['restore', '--from', backups, '--to', store], 'STORE_FOREIGN'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--backup', 'none'], 'holds no backup none'],
    [['restore', '--from', backups, '--to', join(dir, 'x'), '--until', '99'], 'MOMENT_TOO_LATE'],
    [['restore', '--from', dir, '--to', join(dir, 'x')], 'BACKUP_MISSING'],
    [['backup', 'list', join(dir, 'nowhere')], 'BACKUP_MISSING'],
    [['backup', '--to', dir, '--store', store], 'BACKUP_FOREIGN'],
  ] as const) {
    const { code, stderr } = await cli(...args);
    expect([args, code], stderr).toEqual([args, 2]);
    expect(stderr).toContain(said);
  }
  expect(existsSync(join(dir, 'x'))).toBe(false);
});
