/** The program: levels, exit codes, what it prints for people and programs, and asking the server that has the store. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { PATHS } from '#wal/paths.js';
import { flip } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';
import { runCli } from '../helpers/run-cli.js';

const parent = temporaryDirectory();
let sound: string;
let storeDir: string;
let made = 0;

beforeAll(async () => {
  sound = join(parent, 'sound');
  for (let session = 0; session < 2; session++) {
    const engine = await openTestEngine(sound);
    for (let n = 0; n < 5; n++)
      await engine.upsert(
        { collection: 'notes', items: [{ id: `${session}-${n}`, text: `note ${session} ${n}` }] },
        testContext,
      );
    await engine.close();
  }
});

beforeEach(() => {
  storeDir = join(parent, String(made++));
  cpSync(sound, storeDir, { recursive: true });
});

const verify = async (...args: string[]) => {
  const { code, stdout, stderr } = await runCli(['verify', '--store', storeDir, ...args], {
    env: { HOME: parent },
  });
  return { code, stdout, stderr };
};
const json = async (...args: string[]) => {
  const { code, stdout } = await verify('--json', ...args);
  return { code, report: JSON.parse(stdout) };
};
const firstTable = () => {
  const log = join(storeDir, PATHS.log);
  return join(
    log,
    readdirSync(log)
      .filter(name => name.endsWith('.ldb'))
      .sort()[0]!,
  );
};

test('says the level, the range, the window, and what LevelDB gave', async () => {
  const { code, stdout } = await verify();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^level +every record; no server ran$/m);
  expect(stdout).toMatch(/^checked +records 1 to (\d+) one by one$/m);
  expect(stdout).toMatch(/^leveldb +gives \d+ records(, a sample,)? as its files hold them/m);
  expect(stdout).toMatch(/^whole +1 to \d+, until 20\S+Z: any moment of it can be restored$/m);
  expect(stdout).toMatch(/^caches +checkpoint \d+ \(its versions are those of the log\)/m);
  expect(stdout).toMatch(/^sound$/m);
  expect(await json('--deep')).toMatchObject({
    code: 0,
    report: { mode: 'offline', level: 'deep', sound: true, checkpoints: [{ compared: 'all' }, {}] },
  });
  const quick = await verify('--quick');
  expect(quick.code).toBe(0);
  expect(quick.stdout).toMatch(/^level +quick: .*$/m);
  expect(quick.stdout).toMatch(/^checked +records \d+ to \d+ one by one; 1 to \d+ only as files$/m);
  expect(quick.stdout).toMatch(/^whole +not proved at this level$/m);
});

test('damage: exit 1, every finding, and what to do about its kind', async () => {
  flip(firstTable(), 40, 1);
  const { code, stdout } = await verify();
  expect(code).toBe(1);
  expect(stdout).toMatch(/^damaged: \d+ findings?$/m);
  expect(stdout).toMatch(/TABLE_DAMAGED/);
  expect(stdout).toMatch(/^What to do:\n {2}.*TABLE_DAMAGED.*tools\/repair.*tools\/restore/m);
  expect(stdout).toMatch(/^note +LEVELDB_NOT_COMPARED: .*its files are damaged|holds is damaged$/m);
  const { report } = await json();
  expect(report).toMatchObject({
    sound: false,
    next: [{ codes: expect.arrayContaining(['TABLE_DAMAGED']) }],
  });
});

test('what cannot be run: exit 2', async () => {
  expect((await verify('--quick', '--deep')).code).toBe(2);
  expect((await verify('--rate', 'fast')).code).toBe(2);
  storeDir = join(parent, 'nothing-here');
  const { code, stderr } = await verify();
  expect(code).toBe(2);
  expect(stderr).toContain('STORE_MISSING');
});

test('beside a server it is that server that verifies, and its status says so', async () => {
  const owner = await LocalOwner.start(storeDir);
  try {
    const backups = join(parent, 'backups');
    await owner.engine.backup({ to: backups }, testContext);
    const { code, report } = await json('--rate', '100', '--backups', backups);
    expect(code).toBe(0);
    const { head } = await owner.engine.status({}, testContext);
    expect(report).toMatchObject({
      mode: 'online',
      sound: true,
      range: { first: 1, last: head.seq },
      restorable: { store: { seq: head.seq }, backup: { seq: head.seq } },
      coverage: { missing: 0 },
      verification: { verified: { seq: head.seq, hash: head.hash }, schedule: 'off' },
    });
    const { stdout } = await verify('--quick');
    expect(stdout).toMatch(/^level +quick: .*; online, beside the server that has the store$/m);
    const status = await runCli(['status', '--store', storeDir], { env: { HOME: parent } });
    expect(status.stdout).toMatch(new RegExp(`^verified +to event ${head.seq}, ${head.hash}, at 20`, 'm'));

    flip(firstTable(), 40, 1);
    const damaged = await verify();
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toMatch(/^online +to event/m);
    expect(damaged.stdout).toMatch(/TABLE_DAMAGED.*\n(.*\n)*What to do:/);
    expect((await verify('--deep')).stderr).toContain('STORE_IN_USE');
  } finally {
    await owner.close();
  }
});
