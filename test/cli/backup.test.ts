/** tools/backup and tools/restore as an operator meets them: beside a running server, after a loss, with damage. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, describe, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { seeded } from '../helpers/damage.js';
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

test('repeated beside a server that is written to, each holds all that was acknowledged before it began', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const acknowledged: { seq: number; atMs: number }[] = [];
  const remember = async (id: string) => {
    const answer = await server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
    acknowledged.push({ seq: answer.seq, atMs: Date.now() });
  };
  await remember('first');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '1', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const made: { started: string; last: { seq: number } }[] = [];
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; !isDone; i++) await remember(`note-${i}`);
  })();
  while (made.length < 3) made.push(JSON.parse((await lines.next()).value as string));
  isDone = true;
  await writing;
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await server.end();
  for (const { started, last } of made) {
    const before = acknowledged.filter(({ atMs }) => atMs < Date.parse(started)).at(-1)!.seq;
    expect(last.seq).toBeGreaterThanOrEqual(before);
  }
  // And so the next one holds what was written while this one was the newest.
  expect(made[2]!.last.seq).toBeGreaterThan(made[1]!.last.seq);
});

test('repeated, it goes on where pruning is refused, and says so each time', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  await cli('backup', '--to', backups, '--store', store);
  writeFileSync(join(backups, '2026-01-01T00-00-00-000Z-1-1.backup.json'), 'torn');
  await remember('second');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '1', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const refusals = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  for (const id of ['third', 'fourth']) {
    expect(JSON.parse((await refusals.next()).value as string).error.code).toBe('BACKUP_DAMAGED');
    await remember(id);
  }
  child.kill('SIGTERM');
  await once(child, 'exit');
  await server.end();
  expect((await json('backup', 'list', backups)).answer.backups.length).toBeGreaterThan(2);
});

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

describe('pruning', () => {
  const few = ['--keep-last', '1', '--keep-daily', '0', '--keep-weekly', '0', '--keep-monthly', '0'];

  test('leaves what is pinned, and says why', async () => {
    const made: string[] = [];
    for (const text of ['one', 'two', 'three']) {
      await put(text);
      made.push((await json('backup', '--to', backups, '--store', store)).answer.id);
    }
    const pinned = await cli('backup', 'pin', backups, made[0]!, '--reason', 'before the\nmigration');
    expect([pinned.code, pinned.stdout]).toEqual([0, `${made[0]} is pinned: prune leaves it.\n`]);
    expect((await cli('backup', 'list', backups)).stdout).toContain('pinned: before the migration');
    const pruned = await cli('backup', 'prune', backups, ...few, '--yes');
    expect(pruned.stdout).toContain(`${made[0]}  pinned: before the migration`);
    expect(pruned.stdout).toContain(`went   ${made[1]}`);
    expect((await json('backup', 'unpin', backups, made[0]!)).answer).toEqual({
      id: made[0],
      was_pinned: true,
    });
    expect((await cli('backup', 'unpin', backups, made[0]!)).stdout).toContain('was not pinned');
    expect((await json('backup', 'prune', backups, ...few, '--yes')).answer.removed).toEqual([made[0]]);
    const gone = await cli('backup', 'pin', backups, made[0]!);
    expect([gone.code, gone.stderr]).toEqual([
      2,
      expect.stringMatching(/BACKUP_MISSING: .* holds no backup/),
    ]);
    // A pin that was altered holds, and verifying finds it.
    await cli('backup', 'pin', backups, made[2]!);
    truncateSync(join(backups, `${made[2]}.pin.json`), 20);
    const report = await json('backup', 'verify', backups);
    expect([report.code, report.answer.findings]).toEqual([
      1,
      [{ backups: [made[2]], message: expect.stringContaining('.pin.json does not match') }],
    ]);
  });

  test('leaves every marked moment, also one that was cut off afterwards', async () => {
    await put('one');
    await cli('mark', 'kept-in-all', '--store', store);
    await cli('backup', '--to', backups, '--store', store);
    await put('two');
    await cli('mark', 'cut-off', '--store', store);
    const end = (await json('backup', '--to', backups, '--store', store)).answer.id;
    await cli('rollback', '--to', 'kept-in-all', '--truncate', '--yes', '--store', store);
    for (const text of ['three', 'four']) {
      await put(text);
      await cli('backup', '--to', backups, '--store', store);
    }
    await cli('mark', 'latest', '--store', store);
    const { answer } = await json('backup', '--to', backups, '--store', store);
    const { removed } = (await json('backup', 'prune', backups, ...few, '--yes')).answer;
    expect(removed).toHaveLength(3);
    for (const [mark, backup, expected] of [
      ['kept-in-all', answer.id, ['one']],
      ['latest', answer.id, ['four', 'one', 'three']],
      ['cut-off', end, ['one', 'two']],
    ] as const) {
      const to = join(dir, mark);
      const from = ['restore', '--from', backups, '--to', to, '--backup', backup, '--until', mark];
      expect((await cli(...from)).code, mark).toBe(0);
      expect(await ids(to)).toEqual(expected);
    }
  });

  test('is refused where what stays is not sound', async () => {
    await put('one');
    await cli('backup', '--to', backups, '--store', store);
    await put('two');
    const { answer } = await json('backup', '--to', backups, '--store', store);
    const names = readdirSync(join(backups, 'segments')).sort();
    truncateSync(join(backups, 'segments', names.at(-1)!), 100);
    for (const more of [[], ['--yes']]) {
      const refused = await cli('backup', 'prune', backups, ...few, ...more);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(new RegExp(`BACKUP_DAMAGED: ${answer.id} is not sound.*\\n.*--full`)),
      ]);
    }
    expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(2);
    await cli('backup', '--to', backups, '--full', '--store', store);
    expect((await json('backup', 'prune', backups, ...few, '--yes')).answer.removed).toHaveLength(2);
  });
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
    [['backup', 'pin', backups], 'pin takes the directory of the backups, and the backup'],
    [['backup', 'list', backups, 'x'], 'list takes the directory'],
    [['backup', 'unpin', backups, 'x', '--reason', 'x'], '--reason does not go with unpin'],
  ] as const) {
    const { code, stderr } = await cli(...args);
    expect([args, code], stderr).toEqual([args, 2]);
    expect(stderr).toContain(said);
  }
  expect(existsSync(join(dir, 'x'))).toBe(false);
});
