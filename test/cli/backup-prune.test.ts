/** tools/backup prune, pin and unpin: what stays and why, and what is refused. */
import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { BackupSite } from '../helpers/backup-site.js';

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
  }, 120_000);

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

test('tells what would go before it goes', async () => {
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
