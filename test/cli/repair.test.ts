/** tools/repair as an operator meets it. */
import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

const dir = temporaryDirectory();
const sound = join(dir, 'sound');
const backups = join(dir, 'backups');
let store: string;
let copies = 0;

/** Events: 1 genesis, 2 actor, 3 collection, 4 note-1 | 5 note-2 | 6 note-3, each session in a table of its own: 1 | 2 to 4 | 5 | 6. */
beforeAll(async () => {
  for (const id of ['note-1', 'note-2', 'note-3']) {
    const engine = await openTestEngine(sound);
    await engine.upsert({ collection: 'default', items: [{ id, text: `the text of ${id}` }] }, testContext);
    if (id === 'note-2') await engine.backup({ to: backups }, testContext);
    await engine.close();
  }
});

beforeEach(() => {
  copies += 1;
  store = join(dir, `store-${copies}`);
  cpSync(sound, store, { recursive: true });
});

const run = (command: string, ...args: string[]) =>
  runCli([command, ...args, '--store', store], { env: { HOME: dir } });
const repair = (...args: string[]) => run('repair', ...args);

/** Takes the tables away that hold events 2 to 5: the creation of the collection too, which then has another name. */
function damage(): void {
  const tables = readdirSync(join(store, 'log')).filter(name => name.endsWith('.ldb'));
  for (const name of tables.slice(1, 3)) rmSync(join(store, 'log', name));
}

describe('a dry run', () => {
  test('of a sound store finds nothing to do', async () => {
    const { code, stdout } = await repair();
    expect(stdout).toContain('The log is sound: there is nothing to repair.');
    expect(code).toBe(0);
  });

  test('names the damage, what is lost and the choices, and changes nothing', async () => {
    damage();
    const before = readdirSync(join(store, 'log'));
    const { code, stdout } = await repair();
    expect(code).toBe(1);
    expect(stdout).toMatch(/damage {4}TABLE_MISSING in log\/\d+\.ldb/);
    expect(stdout).toMatch(/lost {6}\d+ records?\n {2}\d/);
    expect(stdout).toContain(`tools/repair --store ${store} --apply --yes`);
    expect(stdout).toContain('Nothing was changed.');
    expect(readdirSync(join(store, 'log'))).toEqual(before);
    const filled = await repair('--backups', backups, '--json');
    const { plan } = JSON.parse(filled.stdout);
    expect(plan.filled).toMatchObject([{ source: backups }]);
  });
});

test('keeps what there is; verify names the gap and is content, and a read says what it cannot know', async () => {
  damage();
  const { code, stdout } = await repair('--apply', '--yes');
  expect(stdout).toContain('It was verified and is sound.');
  expect(code).toBe(0);
  expect(readdirSync(store)).toContain('damaged');
  const verified = await run('verify');
  expect(verified.code).toBe(0);
  expect(verified.stdout).toMatch(/lost {6}\d+( to \d+)?, acknowledged by a repair/);
  const { stdout: got } = await run('get', 'note-3', '--collection', 'lost-1');
  expect(got).toContain('the text of note-3');
  const missing = await run('get', 'note-2', '--collection', 'lost-1');
  expect(missing.code).toBe(1);
  expect(missing.stdout).toMatch(/Events .* are lost/);
  const printed = await run('replay', '--print');
  expect(printed.stdout).toMatch(/"type":"lost"/);
  const again = await repair();
  expect([again.code, again.stdout]).toEqual([
    0,
    expect.stringMatching(/but for \d+ lost records?, which an earlier repair/),
  ]);
  const planned = await run('rollback', '--to', '3');
  expect([planned.code, planned.stdout]).toEqual([0, expect.stringMatching(/lost \d/)]);
});

test('fills from backups, or refuses to leave a gap', async () => {
  damage();
  const refused = await repair('--choice', 'fill', '--apply', '--yes');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('REPAIR_IMPOSSIBLE')]);
  const filled = await repair('--choice', 'fill', '--backups', backups, '--apply', '--yes');
  expect([filled.code, filled.stdout]).toEqual([0, expect.stringContaining(`from ${backups}`)]);
  expect((await run('get', 'note-2')).stdout).toContain('the text of note-2');
});

test('an interrupted one is told of by every command, and finished by the next', async () => {
  damage();
  await repair('--apply', '--yes');
  // As a kill between two renames leaves it.
  const work = join(store, 'repairing');
  cpSync(join(store, 'log'), join(work, 'store', 'log'), { recursive: true });
  renameSync(join(store, 'HEAD'), join(work, 'store', 'HEAD'));
  writeFileSync(join(work, 'swap.json'), `${JSON.stringify({ damaged: 'damaged/again' })}\n`);
  for (const command of ['verify', 'status'])
    expect(await run(command)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('REPAIR_UNFINISHED'),
    });
  expect(await repair()).toMatchObject({ code: 1, stdout: expect.stringContaining('interrupted') });
  expect(await repair('--apply', '--yes')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('it is finished now'),
  });
  expect(existsSync(work)).toBe(false);
});

test.each([
  [['--apply'], '--apply needs --yes'],
  [['--yes'], '--yes goes with --apply'],
  [['--choice', 'cut'], '--choice goes with --apply'],
  [['--choice', 'all', '--apply', '--yes'], 'is not one of keep, fill, cut'],
  [['--backups', '/nowhere/backups'], 'BACKUP_MISSING'],
])('%j could not run', async (args, message) => {
  damage();
  const { code, stderr } = await repair(...args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});

test('a store that a server has is left to it', async () => {
  const engine = await openTestEngine(store);
  const { code, stderr } = await repair();
  await engine.close();
  expect([code, stderr]).toEqual([2, expect.stringContaining('STORE_IN_USE')]);
});
