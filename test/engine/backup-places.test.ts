/** Restoring and verifying where the place is not what it seems: links, mounts, the backups themselves, two stores in one directory, pruning meanwhile. */
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { restore } from '#src/engine/backup.js';
import { configIn } from '#src/engine/backup-list.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { manifestPath, SEGMENTS } from '#wal/backup/manifest.js';
import { BackedStore, refusal } from '../helpers/backups.js';
import { tmpfsDisk } from '../helpers/small-disk.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
beforeEach(async () => {
  store = new BackedStore(directories);
  await store.write('a');
  await store.backedUp();
});

describe('a store is not restored', () => {
  test('into the directory of its backups, where none could be made afterwards', async () => {
    const link = directories.path('link');
    symlinkSync(store.dir, link);
    for (const to of [
      join(store.dir, 'restored'),
      join(store.dir, SEGMENTS, 'deep', 'er'),
      join(link, 'restored'),
    ])
      await expect(restore({ from: store.dir, to })).rejects.toEqual(
        refusal('INVALID_ARGUMENT', /lies inside the backups/),
      );
    await store.write('b');
    expect((await store.backedUp()).manifest.last.seq).toBe(3);
  });

  test('onto a link, wherever it leads: its name cannot be taken', async () => {
    const to = directories.path('link');
    for (const target of [directories.path('nowhere'), directories.path('empty')]) {
      if (target.endsWith('empty')) mkdirSync(target);
      symlinkSync(target, to);
      for (const dryRun of [true, false])
        await expect(restore({ from: store.dir, to, dryRun })).rejects.toEqual(
          refusal('STORE_FOREIGN', /is a link$/),
        );
      rmSync(to);
    }
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  test('onto a mounted file system, which stays', async () => {
    const disk = tmpfsDisk();
    try {
      // Where mounting is not permitted: one that any Linux has, and that is empty.
      await expect(restore({ from: store.dir, to: disk?.dir ?? '/dev/mqueue' })).rejects.toEqual(
        refusal('STORE_FOREIGN', /is where a file system is mounted$/),
      );
    } finally {
      disk?.dispose();
    }
  });

  test('of one of two whose backups lie in one directory, unless it is named', async () => {
    const other = new BackedStore(directories);
    await other.write('b', 'c');
    const { id } = await other.backedUp({ config: '{}' });
    cpSync(other.dir, store.dir, { recursive: true });
    const to = directories.path('restored');
    await expect(restore({ from: store.dir, to })).rejects.toEqual(
      refusal('BACKUP_FOREIGN', /of the stores/),
    );
    expect(() => configIn(store.dir, undefined)).toThrow(refusal('BACKUP_FOREIGN', /of the stores/));
    const { moment } = await restore({ from: store.dir, to, backup: id, dryRun: true });
    expect(moment.seq).toBe(3);
  });
});

describe('backups that are verified', () => {
  test('while one of them is pruned are sound, but for what the others miss', async () => {
    const first = store.list()[0]!;
    await store.write('b');
    const last = await store.backedUp({ full: true });
    const remove = (...files: string[]) => {
      for (const file of files) rmSync(join(store.dir, SEGMENTS, file));
    };
    const filesOf = ({ manifest }: typeof first) => manifest.segments.map(({ file }) => file);
    await store.write('c');
    await store.backedUp();
    // When the first segment was read, the last of all backups and the one before it go, as pruning removes them.
    let isPruned = false;
    const pruned = await verifyBackups(store.dir, {
      onProgress: () => {
        if (isPruned) return;
        isPruned = true;
        rmSync(manifestPath(store.dir, last.id));
        remove(...filesOf(last));
      },
    });
    expect(pruned.findings).toEqual([]);
    remove(...filesOf(first));
    expect((await verifyBackups(store.dir)).findings).toMatchObject([{ backups: [first.id] }]);
  });
});
