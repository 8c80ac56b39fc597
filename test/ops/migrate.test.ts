/** The frame of migrations, on a format that never was: version 0, whose records are those of version 1 with another first byte. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { formatOf } from '#src/ops/migrate/format.js';
import { type MigrateOptions, migrate } from '#src/ops/migrate/migrate.js';
import { MIGRATIONS, stepsBetween } from '#src/ops/migrate/migrations.js';
import { openLog } from '#wal/open.js';
import { verifyLog } from '#wal/verify.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { asFormat, fromZero, withRecordOf } from '../helpers/old-format.js';

const root = temporaryDirectory('migrate-');
const GOLDEN = fileURLToPath(new URL('../fixtures/store-v1-items', import.meta.url));
let copies = 0;
let made: string;
const copy = (): string => {
  const dir = join(root, `copy-${copies++}`);
  cpSync(made, dir, { recursive: true });
  return dir;
};
const options: MigrateOptions = { migrations: [fromZero()], time: new Date(0), clock: () => 1 };
const bodies = async (store: string) => {
  const found: string[] = [];
  await verifyLog(store, {
    onRecord: ({ type, body }) => type !== 3 && found.push(Buffer.from(body!).toString('hex')),
  });
  return found;
};

beforeAll(async () => {
  const store = join(root, 'made');
  const engine = await openTestEngine(store, { create: true });
  await engine.upsert(
    {
      collection: 'default',
      items: [
        { id: 'a', text: 'one' },
        { id: 'b', text: 'two' },
      ],
    },
    testContext,
  );
  await engine.close();
  made = store;
});

test('a store of this version is the present format, and so is one of every earlier release', async () => {
  const golden = join(root, 'golden-format');
  cpSync(GOLDEN, golden, { recursive: true });
  for (const store of [made, golden])
    expect(await migrate(store)).toMatchObject({
      state: 'current',
      steps: [],
      store: { lowest: 1, highest: 1 },
    });
  expect(await migrate(join(root, 'none'))).toMatchObject({ state: 'none', records: 0 });
});

/** Made once by the released program (test/fixtures/make-store-v1-items.mjs): if this fails, the program is wrong, not the fixture. */
test('the items of a released version are read by every later one', async () => {
  const store = join(root, 'golden');
  cpSync(GOLDEN, store, { recursive: true });
  const engine = await openTestEngine(store, { create: false });
  const { items } = await engine.list({ collection: 'notes', limit: 10 }, testContext);
  expect(items.map(({ id, text, metadata, version }) => [id, text, metadata, version])).toEqual([
    ['owner', 'The owner of a store holds its lock until it ends.', { topic: 'store', year: 2026 }, 8],
    ['backup', 'Backups are read before they count.', { topic: 'backup' }, 5],
  ]);
  const { results } = await engine.search(
    { query: 'who holds the lock', collections: ['notes'], k: 1, mode: 'keyword', as_of: 'before 8' },
    testContext,
  );
  expect(results.map(({ id, text }) => [id, text])).toEqual([
    ['owner', 'The owner of a store holds its lock.'],
  ]);
  expect((await engine.status({}, testContext)).head).toMatchObject({ seq: 9, hash: '7bdc044624751f83' });
  await engine.close();
});

test('a store that a server has is not looked at, which would see its files move', async () => {
  const store = copy();
  const engine = await openTestEngine(store);
  for (const apply of [false, true])
    await expect(migrate(store, { apply })).rejects.toMatchObject({ code: 'STORE_IN_USE' });
  await engine.close();
});

test('an older store is refused by name, and migrated with all that it holds; the old log stays', async () => {
  const store = copy();
  await asFormat(store, 0);
  await expect(openLog({ storeDir: store })).rejects.toMatchObject({
    code: 'WAL_OLDER_FORMAT',
    wayOut: expect.stringContaining('migrate'),
  });
  const before = readdirSync(store).sort();
  expect(await migrate(store, options)).toMatchObject({
    state: 'older',
    done: false,
    steps: [{ from: 0, to: 1 }],
  });
  expect(readdirSync(store).sort()).toEqual(before);
  const answer = await migrate(store, { ...options, apply: true });
  expect(answer).toMatchObject({ state: 'current', done: true });
  expect(await bodies(store)).toEqual(await bodies(made));
  expect(await formatOf(join(store, answer.aside!))).toMatchObject({ state: 'older' });
  // Called again for the same migration it tells of it, and changes nothing.
  expect(await migrate(store, { ...options, apply: true })).toMatchObject({ state: 'current', done: true });
  await (await openLog({ storeDir: store })).close();
});

test('killed while it makes the new store, a migration has changed nothing, and is made again', async () => {
  const store = copy();
  await asFormat(store, 0);
  const dying = {
    ...fromZero(),
    async make(_source: string, target: string) {
      mkdirSync(target);
      throw new Error('killed');
    },
  };
  await expect(migrate(store, { ...options, migrations: [dying], apply: true })).rejects.toMatchObject({
    code: 'MIGRATION_FAILED',
    message: expect.stringContaining('killed'),
  });
  expect(await formatOf(store)).toMatchObject({ state: 'older' });
  expect(await migrate(store, { ...options, apply: true })).toMatchObject({ state: 'current', done: true });
  expect(await bodies(store)).toEqual(await bodies(made));
});

test('a migration that makes nothing sound changes nothing', async () => {
  const store = copy();
  await asFormat(store, 0);
  const broken = {
    ...fromZero(),
    async make(_source: string, target: string) {
      mkdirSync(target);
      cpSync(join(made, 'HEAD'), join(target, 'HEAD'));
    },
  };
  await expect(migrate(store, { ...options, migrations: [broken], apply: true })).rejects.toMatchObject({
    code: 'MIGRATION_FAILED',
  });
  expect(await formatOf(store)).toMatchObject({ state: 'older' });
  expect(existsSync(join(store, 'repairing'))).toBe(false);
});

test('a newer store is refused by name and left alone', async () => {
  const later = copy();
  await asFormat(later, 2);
  const unknown = copy();
  // An event that a later version invented, and that must be understood.
  await withRecordOf(unknown, 0x7f00);
  const head = copy();
  const bytes = readFileSync(join(head, 'HEAD'));
  for (const store of [later, unknown]) {
    expect(await migrate(store)).toMatchObject({ state: 'newer', done: false });
    await expect(migrate(store, { apply: true })).rejects.toMatchObject({ code: 'FORMAT_NEWER' });
  }
  writeFileSync(join(head, 'HEAD'), bytes.fill(7));
  expect(await migrate(head)).toMatchObject({ state: 'damaged' });
});

test('steps lead over every version between', () => {
  const later = { ...fromZero(), from: 1 };
  expect(stepsBetween(0, 2, [later, fromZero()])!.map(({ from }) => from)).toEqual([0, 1]);
  expect(stepsBetween(0, 3, [later, fromZero()])).toBeUndefined();
  expect(MIGRATIONS.map(({ from }) => from)).toEqual(MIGRATIONS.map((_, i) => i + 1));
});
