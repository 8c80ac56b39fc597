/** What updates keep, what they refuse, and what they ask the registry. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { NOBODY } from '#src/ops/service/control.js';
import { readRecords, writeRecord } from '#src/ops/update/journal.js';
import { published } from '#src/ops/update/npm.js';
import { Prefix } from '#src/ops/update/prefix.js';
import { undo, withUpdateLock } from '#src/ops/update/transition.js';
import { KEPT, retain, rollBack } from '#src/ops/update/update.js';
import { listBackups } from '#wal/backup/manifest.js';
import { backUp } from '#wal/backup/write.js';
import { openLog } from '#wal/open.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { managedPrefix, testDeps, versionTree } from '../helpers/managed.js';
import { withRecordOf } from '../helpers/old-format.js';

const root = temporaryDirectory('kept-');

async function write(store: string, text: string): Promise<void> {
  const engine = await openTestEngine(store);
  await engine.upsert({ collection: 'default', items: [{ id: 'a', text }] }, testContext);
  await engine.close();
}

/** A version that nobody runs. */
function emptyVersion(prefix: Prefix, id: string): void {
  mkdirSync(dirname(prefix.mainOf(id)), { recursive: true });
  writeFileSync(prefix.mainOf(id), '');
  writeFileSync(join(prefix.packageDir(id), 'package.json'), JSON.stringify({ version: id }));
}

test('the last five updates keep their versions and backups, however often it fails in between', async () => {
  const prefix = new Prefix(join(root, 'many'));
  const store = join(root, 'many-store');
  const backups = prefix.path('backups', 'updates');
  mkdirSync(prefix.path('updates'), { recursive: true });
  const made: string[] = [];
  emptyVersion(prefix, '1.0.0');
  for (let n = 1; n <= KEPT + 2; n++) {
    await write(store, `text ${n}`);
    const engine = await openTestEngine(store);
    const { id } = await engine.backup({ to: backups }, testContext);
    await engine.close();
    made.push(id);
    emptyVersion(prefix, `1.${n}.0`);
    prefix.switchTo(`1.${n}.0`);
    const at = { atMs: n, kind: 'update', backups, backup: { id, seq: n, time: '' } } as const;
    const versions = {
      from: `1.${n - 1}.0`,
      to: `1.${n}.0`,
      fromVersion: `1.${n - 1}.0`,
      toVersion: `1.${n}.0`,
    };
    await writeRecord(prefix, { id: `2026-0${n}`, ...at, ...versions, outcome: 'done' });
    await writeRecord(prefix, { id: `2026-0${n}-failed`, ...at, ...versions, outcome: 'undone' });
    await retain(prefix);
  }
  expect(readRecords(prefix).filter(({ outcome }) => outcome === 'done')).toHaveLength(KEPT);
  // Each can go back: to the version of before, and to the store of then.
  expect(prefix.versions()).toEqual(['1.2.0', '1.3.0', '1.4.0', '1.5.0', '1.6.0', '1.7.0']);
  expect(
    listBackups(backups)
      .backups.map(({ id }) => id)
      .sort(),
  ).toEqual(made.slice(-KEPT).sort());
});

test('a store that the version of before cannot read is not gone back to without its data', async () => {
  const store = join(root, 'newer-store');
  await write(store, 'of the old version');
  const prefix = await managedPrefix(join(root, 'newer'), store, versionTree(join(root, 'old'), '1.0.0'));
  const log = async (to: string) => {
    const opened = await openLog({ storeDir: store });
    const { id, manifest } = await backUp(opened, to, { full: false, clock: Date.now });
    await opened.close();
    return { id, last: { ...manifest.last, time: new Date(manifest.lastMs).toISOString() } } as never;
  };
  const deps = { ...testDeps(prefix, NOBODY), backUp: log };
  const backups = prefix.path('backups', 'updates');
  const before = (await log(backups)) as { id: string };
  // The newer version, which is this one by its code, wrote what the old one does not know.
  await withRecordOf(store, 0x7f00);
  await prefix.switchTo('1.0.0');
  emptyVersion(prefix, '2.0.0');
  prefix.switchTo('2.0.0');
  await writeRecord(prefix, {
    id: '2026-01',
    kind: 'update',
    atMs: 1,
    backups,
    backup: { id: before.id, seq: 1, time: '' },
    from: '1.0.0',
    to: '2.0.0',
    fromVersion: '1.0.0',
    toVersion: '2.0.0',
    outcome: 'done',
  });
  await expect(rollBack(deps, { withData: false })).rejects.toMatchObject({ code: 'FORMAT_NEWER' });
  expect(prefix.current).toBe('2.0.0');
  await expect(rollBack(deps, { id: 'x', withData: false })).rejects.toMatchObject({
    code: 'UPDATE_NOT_FOUND',
  });
}, 60_000);

test('two updates at once are one too many', async () => {
  const prefix = new Prefix(join(root, 'locked'));
  await withUpdateLock(prefix, async () => {
    await expect(withUpdateLock(prefix, async () => {})).rejects.toMatchObject({
      code: 'UPDATE_RUNNING',
      message: expect.stringContaining(String(process.pid)),
    });
  });
  expect(await withUpdateLock(prefix, async () => 'free again')).toBe('free again');
});

test('undoing is repeated where the service did not start at once', async () => {
  const prefix = new Prefix(join(root, 'undone'));
  emptyVersion(prefix, '1.0.0');
  emptyVersion(prefix, '1.1.0');
  prefix.switchTo('1.1.0');
  const service = { manager: 'process', scope: 'user', name: 'test', arguments: [] } as const;
  await prefix.writeInstallation({ format: 1, store: join(root, 'no-store'), service });
  const journal = {
    format: 1,
    id: '2026-01',
    kind: 'update',
    from: '1.0.0',
    to: '1.1.0',
    isNew: true,
    atMs: 1,
    step: 'starting',
    wasRunning: true,
    backups: '',
  } as const;
  let starts = 0;
  const control = {
    ...NOBODY,
    async start() {
      starts += 1;
      if (starts === 1) throw new Error('not yet');
    },
  };
  await expect(undo({ prefix, control }, journal, 'why')).rejects.toThrow('not yet');
  await undo({ prefix, control }, journal, 'another reason');
  expect([prefix.current, prefix.versions(), starts]).toEqual(['1.0.0', ['1.0.0'], 2]);
  expect(readRecords(prefix)).toMatchObject([{ outcome: 'undone', fromVersion: '1.0.0' }]);
});

test('the registry that npm is told of is asked for newer versions', async () => {
  const server = createServer((_request, response) => {
    const versions = { '0.9.0': {}, '0.10.0': {}, '0.10.1-beta.1': {} };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: 'mcp-vector-server', 'dist-tags': { latest: '0.10.0' }, versions }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  expect(await published(registry)).toEqual({
    latest: '0.10.0',
    versions: ['0.9.0', '0.10.0', '0.10.1-beta.1'],
  });
  await new Promise(resolve => server.close(resolve));
  await expect(published(registry)).rejects.toMatchObject({ code: 'UPDATE_UNAVAILABLE' });
}, 60_000);
