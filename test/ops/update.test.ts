/** A failed update always ends with the old version serving the old data: with real versions in real processes, on real stores. */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { NOBODY } from '#src/ops/service/control.js';
import { readJournal, readRecords, STEPS, type Step } from '#src/ops/update/journal.js';
import { changesAfter, compareVersions } from '#src/ops/update/npm.js';
import { Prefix, parseSettings, settingsText } from '#src/ops/update/prefix.js';
import { resume } from '#src/ops/update/transition.js';
import { applyUpdate, listUpdates, rollBack } from '#src/ops/update/update.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { itemsOf, managedPrefix, REAL, testDeps, versionTree } from '../helpers/managed.js';

const root = temporaryDirectory('update-');
let copied = 0;
const at = (name: string) => join(root, `${name}-${copied++}`);
let fresh: string;
let prefix: Prefix;
let store: string;
let items: Awaited<ReturnType<typeof itemsOf>>;

async function write(...texts: string[]): Promise<void> {
  const engine = await openTestEngine(store, { create: true });
  await engine.upsert(
    { collection: 'default', items: texts.map((text, i) => ({ id: `item-${i}`, text })) },
    testContext,
  );
  await engine.close();
}

beforeAll(async () => {
  fresh = versionTree(at('fresh'), '1.1.0');
  store = at('store');
  await write('the owner holds the lock', 'backups are read before they count');
  prefix = await managedPrefix(at('prefix'), store, versionTree(at('old'), '1.0.0'));
  items = await itemsOf(store);
}, 60_000);

/** The old version counts, nothing is under way, and the store says what it said. */
async function expectAsBefore(where = prefix, itsStore = store): Promise<void> {
  expect(where.current).toBe('1.0.0');
  expect(readJournal(where)).toBeUndefined();
  expect(where.versions()).toContain('1.0.0');
  expect(await itemsOf(itsStore)).toEqual(items);
}

describe('a new version that is no good is never come to', () => {
  const cases: readonly (readonly [name: string, breakage: string, message: RegExp, step: Step])[] = [
    ['it does not start', 'process.exit(3);', /ended with 3/, 'testing'],
    [
      'it gives other texts',
      `if (process.argv[2] === 'stdio') {
         const write = process.stdout.write.bind(process.stdout);
         process.stdout.write = (chunk, ...rest) => write(String(chunk).replaceAll('the lock', 'no lock'), ...rest);
       }
       ${REAL}`,
      /gives other items/,
      'testing',
    ],
    [
      'its migration spoils the store',
      `import { readdirSync, truncateSync } from 'node:fs';
       const [, , command, ...args] = process.argv;
       const store = args[args.indexOf('--store') + 1];
       if (command === 'migrate' && !store.includes('trial')) {
         for (const name of readdirSync(store + '/log'))
           if (/(log|ldb)$/.test(name)) truncateSync(store + '/log/' + name, 9);
         process.exit(1);
       }
       ${REAL}`,
      /migrate ended with 1/,
      'changing data',
    ],
  ];
  test.each(cases)(
    '%s',
    async (_name, breakage, message, step) => {
      const tree = versionTree(at('broken'), '1.1.0', breakage);
      const reached: string[] = [];
      const deps = { ...testDeps(prefix, NOBODY), onStep: (s: string) => void reached.push(s) };
      await expect(applyUpdate(deps, { kind: 'tree', path: tree })).rejects.toMatchObject({
        code: 'UPDATE_FAILED',
        message: expect.stringMatching(message),
      });
      expect(reached.at(-1)).toBe(step);
      await expectAsBefore();
      expect(prefix.versions()).toEqual(['1.0.0']);
      expect(readRecords(prefix)[0]).toMatchObject({
        outcome: 'undone',
        reason: expect.stringMatching(message),
      });
      rmSync(tree, { recursive: true });
    },
    60_000,
  );
});

test('what was acknowledged while a version was tried is not lost with it', async () => {
  // It starts, migrates nothing, and then spoils the store that it was given.
  const breakage = `import { readdirSync, truncateSync } from 'node:fs';
    if (process.argv[2] === 'status') {
      const dir = process.env.VECTOR_DB_PATH + '/log';
      for (const name of readdirSync(dir)) if (/(log|ldb)$/.test(name)) truncateSync(dir + '/' + name, 9);
      process.exit(1);
    }
    ${REAL}`;
  const tree = versionTree(at('spoils'), '1.1.0', breakage);
  const onStep = async (step: Step) => {
    // The service still serves; here it is this test that writes.
    if (step === 'testing') await write('the owner holds the lock', 'written while it was tried');
  };
  const updating = applyUpdate({ ...testDeps(prefix, NOBODY), onStep }, { kind: 'tree', path: tree });
  await expect(updating).rejects.toMatchObject({ code: 'UPDATE_FAILED' });
  items = await itemsOf(store);
  expect(items.map(({ text }) => text)).toContain('written while it was tried');
  await expectAsBefore();
}, 60_000);

/** What is on the disk at each step is what kill -9 leaves there. */
async function killedAtEachStep(
  work: (onStep: (step: Step) => void) => Promise<unknown>,
): Promise<Map<Step, string>> {
  const copies = new Map<Step, string>();
  await work(step => {
    const copy = at('killed');
    mkdirSync(copy);
    // The program is the same in all of them, and large.
    const isSmall = (path: string) => !path.includes('node_modules');
    const options = { recursive: true, verbatimSymlinks: true };
    cpSync(prefix.dir, join(copy, 'prefix'), { ...options, filter: isSmall });
    cpSync(store, join(copy, 'store'), options);
    copies.set(step, copy);
  });
  return copies;
}

/** An installation as it was when it was killed, with the programs of the one that went on. */
async function revive(copy: string): Promise<{ revived: Prefix; itsStore: string }> {
  const revived = new Prefix(join(copy, 'prefix'));
  const itsStore = join(copy, 'store');
  for (const id of prefix.versions()) {
    mkdirSync(revived.versionDir(id), { recursive: true });
    symlinkSync(join(prefix.versionDir(id), 'node_modules'), join(revived.versionDir(id), 'node_modules'));
  }
  await revived.writeInstallation({ ...prefix.installation(), store: itsStore });
  await revived.writeSettings({ VECTOR_DB_PATH: itsStore, VECTOR_LOG_LEVEL: 'error' });
  return { revived, itsStore };
}

test('killed at any step of an update, the next start has the old version and its data, or the new one proven', async () => {
  const copies = await killedAtEachStep(onStep =>
    applyUpdate({ ...testDeps(prefix, NOBODY), onStep }, { kind: 'tree', path: fresh }),
  );
  expect([...copies.keys()]).toEqual(STEPS);
  expect(prefix.current).toBe('1.1.0');
  expect(await itemsOf(store)).toEqual(items);
  for (const [step, copy] of copies) {
    const { revived, itsStore } = await revive(copy);
    const outcome = await resume({ prefix: revived, control: NOBODY });
    expect([step, outcome]).toEqual([step, step === 'proven' ? 'finished' : 'undone']);
    if (step === 'proven') expect(revived.current).toBe('1.1.0');
    else await expectAsBefore(revived, itsStore);
    expect(await resume({ prefix: revived, control: NOBODY })).toBeUndefined();
    rmSync(copy, { recursive: true });
  }
}, 120_000);

test('a rollback with its data brings back the store of then, and is undone like an update', async () => {
  await write('written after the update', 'and this');
  const later = await itemsOf(store);
  const copies = await killedAtEachStep(async onStep => {
    const deps = { ...testDeps(prefix, NOBODY), onStep };
    const { record } = await rollBack(deps, { withData: true });
    expect(record).toMatchObject({
      kind: 'rollback',
      fromVersion: '1.1.0',
      toVersion: '1.0.0',
      outcome: 'done',
    });
    // The store of until now is there, whole.
    expect(readFileSync(join(store, record.aside!, 'HEAD'))).toHaveLength(4224);
  });
  await expectAsBefore();
  const told = listUpdates(prefix).updates.map(({ kind, outcome }) => `${kind} ${outcome}`);
  expect(told.slice(0, 2)).toEqual(['rollback done', 'update done']);
  expect(told.slice(2)).toEqual(Array(4).fill('update undone'));
  for (const step of ['changing data', 'switching', 'proving'] as const) {
    const { revived, itsStore } = await revive(copies.get(step)!);
    expect(await resume({ prefix: revived, control: NOBODY })).toBe('undone');
    expect(revived.current).toBe('1.1.0');
    expect(await itemsOf(itsStore)).toEqual(later);
  }
  for (const copy of copies.values()) rmSync(copy, { recursive: true });
}, 120_000);

test('settings are read as they were written, whatever is in them', () => {
  const settings = { VECTOR_DB_PATH: '/a b/"c"\\d', VECTOR_EMBEDDER_KEY: '$x#y %n', A: '' };
  expect(parseSettings(settingsText(settings))).toEqual(settings);
  expect(parseSettings("# no\n A=b c \nB='x y'\n\nnothing")).toEqual({ A: 'b c', B: 'x y' });
  expect(() => settingsText({ A: 'a\nB=c' })).toThrow(/line end/);
});

test('versions are compared by Semantic Versioning', () => {
  // The order that section 11 gives as its examples.
  const inOrder =
    '1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0 2.1.0 2.1.10'.split(
      ' ',
    );
  for (const [i, a] of inOrder.entries())
    for (const [j, b] of inOrder.entries()) expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(i - j));
  const changelog = '# Changelog\n\n## 1.2.0\n\n- new\n\n## 1.1.0\n\n- old\n';
  expect(changesAfter(changelog, '1.1.0')).toEqual(['## 1.2.0\n\n- new']);
});

test('names that would leave the directory of versions are refused', () => {
  for (const id of ['../x', '', '.hidden', 'a/b', 'a\0b'])
    expect(() => prefix.versionDir(id)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});
