/** Directories of backups in which others have a hand: backups of several stores, file managers, disks that do not answer, machines without a clock. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackupCheck } from '#wal/backup/check.js';
import { isLock, withLock } from '#wal/backup/lock.js';
import { listBackups, manifestPath, SEGMENTS } from '#wal/backup/manifest.js';
import { listPins, pinBackup } from '#wal/backup/pins.js';
import { planPruning, prune } from '#wal/backup/prune.js';
import { BackedStore, refusal } from '../helpers/backups.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
beforeEach(() => {
  store = new BackedStore(directories);
});

const NONE = { last: 0, daily: 0, weekly: 0, monthly: 0 };
const clock = () => Date.parse('2026-01-01');
const ids = () => store.list().map(({ id }) => id);

/** As whoever copies one directory of backups into another leaves it. */
const copyInto = (dir: string, other: BackedStore) => cpSync(other.dir, dir, { recursive: true });

describe('backups of another store that were copied into the directory', () => {
  test('are not pruned as if they were of one: the one would be taken for a part of the other', async () => {
    await store.write('a');
    await store.backedUp();
    const other = new BackedStore(directories);
    await other.write('b', 'c');
    await other.backedUp();
    copyInto(store.dir, other);
    const before = [ids(), store.segments()];
    for (const attempt of [planPruning, prune])
      await expect(attempt(store.dir, NONE)).rejects.toEqual(
        refusal('BACKUP_FOREIGN', /stores \w+ and \w+$/),
      );
    expect([ids(), store.segments()]).toEqual(before);
  });

  test('and are of a copy of the store that went another way, are not taken for a part of it', async () => {
    await store.write('a');
    const copy = new BackedStore(directories);
    cpSync(store.storeDir, copy.storeDir, { recursive: true });
    const first = await store.backedUp({ clock });
    await store.write('b', 'c');
    const last = await store.backedUp({ clock });
    await copy.write('x');
    const other = await copy.backedUp({ clock });
    const check = new BackupCheck(store.dir);
    expect((await planPruning(store.dir, NONE, { check })).removed).toEqual([first.id]);
    copyInto(store.dir, copy);
    // Also by a check that had read all before.
    for (const attempt of [planPruning, prune])
      for (const options of [{}, { check }])
        await expect(attempt(store.dir, NONE, options)).rejects.toEqual(
          expect.objectContaining({
            ...{ code: 'BACKUP_DIVERGED', details: { backup: other.id, seq: 3 } },
            message: expect.stringMatching(`^${other.id} holds record 3 .*which ${last.id} of the same`),
          }),
        );
    expect(ids()).toEqual([first.id, other.id, last.id]);
    await pinBackup(store.dir, other.id, { reason: '', clock });
    expect((await prune(store.dir, NONE, { check })).removed).toEqual([first.id]);
    expect(await store.textsIn(other.id)).toEqual(['a', 'x']);
    expect(await store.textsIn(last.id)).toEqual(['a', 'b', 'c']);
  });

  test('and are of the same way, go: also one that was not there when the rest was read', async () => {
    const made: string[] = [];
    for (const text of 'abcd') {
      await store.write(text);
      made.push((await store.backedUp()).id);
    }
    const aside = directories.path('aside');
    renameSync(manifestPath(store.dir, made[1]!), aside);
    const check = new BackupCheck(store.dir);
    const read: number[] = [];
    const options = { check, onProgress: (records: number) => read.push(records) };
    expect((await planPruning(store.dir, NONE, options)).removed).toEqual([made[0], made[2]]);
    renameSync(aside, manifestPath(store.dir, made[1]!));
    expect((await planPruning(store.dir, NONE, options)).removed).toEqual(made.slice(0, 3));
    expect(read.length).toBeGreaterThan(1);
    const { length } = read;
    expect((await prune(store.dir, NONE, options)).removed).toEqual(made.slice(0, 3));
    expect(read).toHaveLength(length);
  });
});

describe('a directory', () => {
  test('of something else is left as it is', async () => {
    await store.write('a');
    mkdirSync(store.dir);
    writeFileSync(join(store.dir, 'letter.txt'), 'mine');
    await expect(store.backedUp()).rejects.toEqual(refusal('BACKUP_FOREIGN', /letter\.txt/));
    expect(readdirSync(store.dir)).toEqual(['letter.txt']);
  });

  test('may hold what file managers and file servers leave there, also beside each file', async () => {
    await store.write('a');
    const { id } = await store.backedUp();
    await pinBackup(store.dir, id, { reason: '', clock });
    writeFileSync(join(store.dir, '.DS_Store'), '');
    mkdirSync(join(store.dir, '@eaDir'));
    for (const name of readdirSync(store.dir)) writeFileSync(join(store.dir, `._${name}`), 'attributes');
    for (const name of store.segments()) writeFileSync(join(store.dir, SEGMENTS, `._${name}`), 'attributes');
    await store.write('b');
    const next = await store.backedUp();
    expect(listBackups(store.dir)).toMatchObject({ backups: [{ id }, { id: next.id }], damaged: [] });
    expect([...listPins(store.dir).keys()]).toEqual([id]);
    expect((await prune(store.dir, { ...NONE, last: 1 })).removed).toEqual([]);
    expect(await store.textsIn(next.id)).toEqual(['a', 'b']);
  });
});

test('a manifest and a pin that go while the directory is read are none', async () => {
  await store.write('a');
  const { id } = await store.backedUp();
  // As such names are for whoever has them from the directory and opens them afterwards.
  for (const name of ['gone-1-1.backup.json', `${id}.pin.json`])
    symlinkSync(directories.path('nowhere'), join(store.dir, name));
  expect(listBackups(store.dir)).toMatchObject({ backups: [{ id }], damaged: [] });
  expect([...listPins(store.dir)]).toEqual([]);
});

describe('a disk that does not answer', () => {
  test('for one manifest leaves the other backups readable; none is made or pruned meanwhile', async () => {
    await store.write('a');
    const first = await store.backedUp();
    await store.write('b');
    const last = await store.backedUp();
    const path = manifestPath(store.dir, last.id);
    const manifest = readFileSync(path);
    // What cannot be read as a file.
    renameSync(path, `${store.dir}-aside`);
    mkdirSync(path);
    const { backups, damaged } = listBackups(store.dir);
    expect(backups.map(({ id }) => id)).toEqual([first.id]);
    expect(damaged).toMatchObject([
      { id: last.id, problem: expect.stringMatching(`^${basename(path)} cannot be read: EISDIR`) },
    ]);
    expect(await store.textsIn(first.id)).toEqual(['a']);
    // It may be the one that shows that the store lost something.
    await expect(store.backedUp()).rejects.toEqual(refusal('WAL_IO', /EISDIR/));
    await expect(prune(store.dir, NONE)).rejects.toEqual(refusal('BACKUP_DAMAGED', /cannot be read/));
    rmdirSync(path);
    writeFileSync(path, manifest);
    expect(await store.backedUp()).toMatchObject({ id: last.id, isUnchanged: true });
  });

  test('to pruning or pinning is told of as such', async () => {
    await store.write('a');
    const { id } = await store.backedUp();
    const stray = '0000000000000007-0000000000000009-0123456789abcdef.records';
    mkdirSync(join(store.dir, SEGMENTS, stray));
    await expect(prune(store.dir, NONE)).rejects.toEqual(refusal('WAL_IO', /could not be pruned: /));
    renameSync(join(store.dir, SEGMENTS), `${store.dir}-aside`);
    writeFileSync(join(store.dir, SEGMENTS), '');
    await expect(planPruning(store.dir, NONE)).rejects.toEqual(
      refusal('WAL_IO', /could not be pruned: ENOTDIR/),
    );
    mkdirSync(join(store.dir, `${id}.pin.json`));
    expect(listPins(store.dir).get(id)).toEqual({
      ...{ id, reason: '' },
      problem: expect.stringMatching(`^${id}.pin.json cannot be read: EISDIR`),
    });
    await expect(pinBackup(store.dir, id, { reason: '', clock })).rejects.toEqual(
      refusal('WAL_IO', /the pin of .* could not be changed: EISDIR/),
    );
  });
});

test('a lock of a machine whose clock stands at its beginning is one all the same', async () => {
  mkdirSync(store.dir);
  vi.spyOn(Date, 'now').mockReturnValue(86_400_000);
  try {
    await withLock(store.dir, async () => {
      expect(readdirSync(store.dir).map(isLock)).toEqual([true]);
      await expect(withLock(store.dir, () => {})).rejects.toEqual(
        refusal('BACKUP_BUSY', /since 1970-01-02T00:00:00\.000Z$/),
      );
    });
  } finally {
    vi.restoreAllMocks();
  }
});
