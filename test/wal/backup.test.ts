/** Backups of a log: what is shared, what is refused, what damage is found, and that a restored log is the log of then. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { BackupLog } from '#wal/backup/backup-log.js';
import { listBackups, SEGMENTS } from '#wal/backup/manifest.js';
import { restoreLog } from '#wal/backup/restore.js';
import { type BackUpOptions, backUp } from '#wal/backup/write.js';
import { forkLog } from '#wal/fork.js';
import { epochStartOf } from '#wal/lineage.js';
import { verifyLog } from '#wal/verify.js';
import { BackedStore, refusal } from '../helpers/backups.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
let storeDir: string;
let dir: string;
beforeEach(() => {
  store = new BackedStore(directories);
  ({ storeDir, dir } = store);
});

const open = (path?: string) => store.open(path);
const segments = () => store.segments();
const backedUp = (options?: Partial<BackUpOptions>, path?: string) => store.backedUp(options, path);
const write = (...texts: string[]) => store.write(...texts);
const cutAfter = (after: number) => store.cutAfter(after);
const textsIn = (id: string) => store.textsIn(id);
const restored = (id: string, untilSeq?: number) => store.restored(id, untilSeq);
const textsOfStore = (path: string) => store.textsOfStore(path);

describe('a backup', () => {
  test('holds all records, later ones share them, and one without anything new is none', async () => {
    const texts = Array.from('abcdefgh');
    await write(...texts);
    const first = await backedUp();
    expect(first).toMatchObject({
      written: 9,
      isUnchanged: false,
      manifest: { kind: 'full', last: { seq: 9 } },
    });
    await write('i');
    const second = await backedUp();
    expect(second).toMatchObject({
      written: 1,
      manifest: { kind: 'incremental', last: { seq: 10 }, records: 10 },
    });
    expect(second.manifest.segments[0]).toEqual(first.manifest.segments[0]);
    expect(await backedUp()).toMatchObject({ id: second.id, written: 0, isUnchanged: true });
    expect(listBackups(dir).backups.map(({ id }) => id)).toEqual([first.id, second.id]);
    expect(await textsIn(first.id)).toEqual(texts);
    expect(await textsIn(second.id)).toEqual([...texts, 'i']);
    for (const name of segments()) expect(statSync(join(dir, SEGMENTS, name)).mode & 0o077).toBe(0);
  });

  test('a full one writes everything anew', async () => {
    await write('a');
    await backedUp();
    await write('b');
    const { written, manifest } = await backedUp({ full: true });
    expect([written, manifest.kind, manifest.segments.length]).toEqual([3, 'full', 1]);
  });

  test('of a log that is written to ends with a whole transaction', async () => {
    const log = await open();
    await put(log, 'a');
    const long = log.begin();
    await long.append([event('part one')]);
    const during = await backUp(log, dir, { clock: Date.now });
    expect(during.manifest.last.seq).toBe(2);
    await long.append([event('part two')]);
    await long.commit();
    const after = await backUp(log, dir, { clock: Date.now });
    await log.close();
    expect(await textsIn(during.id)).toEqual(['a']);
    expect(await textsIn(after.id)).toEqual(['a', 'part one', 'part two']);
  });

  test('that was interrupted is taken up where it ended; what was damaged meanwhile is written anew', async () => {
    await write(...Array.from({ length: 20 }, (_, i) => `text ${i}`));
    const controller = new AbortController();
    const options = { segmentBytes: 300, signal: controller.signal };
    const interrupted = backedUp({
      ...options,
      onProgress: done => {
        if (done > 14) controller.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/);
    const left = segments();
    expect(left.length).toBeGreaterThan(3);
    expect(listBackups(dir).backups).toEqual([]);
    const spoilt = join(dir, SEGMENTS, left[1]!);
    const before = readFileSync(spoilt);
    writeFileSync(spoilt, before.subarray(0, -1));
    const written: number[] = [];
    const { id, manifest } = await backedUp({ segmentBytes: 300, onProgress: done => written.push(done) });
    expect(manifest.segments.slice(0, left.length).map(({ file }) => file)).toEqual(left);
    expect(readFileSync(spoilt)).toEqual(before);
    expect(await textsIn(id)).toHaveLength(20);
    expect(segments().every(name => name.endsWith('.records'))).toBe(true);
  });

  test('goes on in another branch after a cut, and with a restored store', async () => {
    await write('a', 'b', 'c');
    const before = await backedUp({ segmentBytes: 200 });
    await cutAfter(3);
    await write('d');
    const cut = await backedUp();
    expect(cut.manifest).toMatchObject({ kind: 'incremental', lineage: { epoch: 2 }, last: { seq: 5 } });
    expect(await textsIn(cut.id)).toEqual(['a', 'b', 'd']);
    expect(await textsIn(before.id)).toEqual(['a', 'b', 'c']);
    // The store is lost, and comes back from the newest backup in an epoch of its own.
    rmSync(storeDir, { recursive: true });
    renameSync(await restored(cut.id, 3), storeDir);
    await write('e');
    const again = await backedUp();
    expect(again.manifest).toMatchObject({ kind: 'incremental', lineage: { epoch: 3 } });
    expect(await textsIn(again.id)).toEqual(['a', 'b', 'e']);
    expect(await textsIn(cut.id)).toEqual(['a', 'b', 'd']);
  });
});

describe('many backups', () => {
  test('leave few segments, and each record was written but a few times', async () => {
    const log = await open();
    let written = 0;
    for (let i = 0; i < 100; i++) {
      await put(log, `text ${i}`);
      written += (await backUp(log, dir, { clock: () => 1_767_225_600_000 + i * 60_000 })).written;
    }
    await log.close();
    const { backups } = listBackups(dir);
    expect(backups).toHaveLength(100);
    expect(Math.max(...backups.map(({ manifest }) => manifest.segments.length))).toBeLessThanOrEqual(6);
    expect(written / 101).toBeLessThan(12);
    expect(await textsIn(backups[41]!.id)).toHaveLength(42);
    expect(await textsIn(backups[99]!.id)).toHaveLength(100);
  });

  test('are made one at a time, and a lock that a killed process left is taken over', async () => {
    await write('a');
    await backedUp();
    const lock = (pid: number) => join(dir, `1767225600000-${pid}-0123456789abcdef-${hostname()}.lock`);
    writeFileSync(lock(process.ppid), '');
    await expect(backedUp()).rejects.toEqual(refusal('BACKUP_BUSY', new RegExp(`process ${process.ppid} `)));
    rmSync(lock(process.ppid));
    writeFileSync(lock(spawnSync(process.execPath, ['-e', '']).pid), '');
    expect((await backedUp()).isUnchanged).toBe(true);
    expect(readdirSync(dir)).toEqual([expect.stringMatching(/\.backup\.json$/), SEGMENTS]);
  });

  test('write anew what is missing or cut short', async () => {
    await write(...Array.from({ length: 12 }, (_, i) => `text ${i}`));
    const first = await backedUp({ segmentBytes: 300 });
    const [, second, third] = segments();
    rmSync(join(dir, SEGMENTS, second!));
    writeFileSync(join(dir, SEGMENTS, third!), 'short');
    const { id, isUnchanged } = await backedUp({ segmentBytes: 300 });
    expect(isUnchanged).toBe(false);
    expect(await textsIn(id)).toHaveLength(12);
    // Under the same names, so that the earlier one is whole again as well.
    expect(await textsIn(first.id)).toHaveLength(12);
  });
});

describe('is refused', () => {
  test('where the store is an older copy, or went another way, without saying so', async () => {
    await write('a');
    const copy = directories.path('copy');
    cpSync(storeDir, copy, { recursive: true });
    await write('b');
    const { id } = await backedUp();
    await expect(backedUp({}, copy)).rejects.toEqual(
      expect.objectContaining({
        ...{ code: 'BACKUP_DIVERGED', details: { backup: id, seq: 3, head: 2 } },
        message: expect.stringMatching(/record 3 .* ends at 2/),
      }),
    );
    const log = await open(copy);
    await put(log, 'not b');
    expect(log.head.seq).toBe(3);
    await log.close();
    await expect(backedUp({}, copy)).rejects.toEqual(refusal('BACKUP_DIVERGED', /record 3 .* does not have/));
    const longer = await open(copy);
    await put(longer, 'and more');
    await longer.close();
    await expect(backedUp({}, copy)).rejects.toEqual(refusal('BACKUP_DIVERGED', /record 3 .* does not have/));
    expect(listBackups(dir).backups.map(backup => backup.id)).toEqual([id]);
    // Whoever wants everything written anew gets no mixture of the two either.
    await expect(backedUp({ full: true }, copy)).rejects.toEqual(refusal('BACKUP_DIVERGED', /record 3/));
  });

  test('where the directory holds something else, or backups of another store', async () => {
    await write('a');
    await backedUp();
    const log = await open();
    const fork = directories.path('fork');
    await forkLog(log, log.head.seq, fork, { clock: Date.now });
    await log.close();
    await expect(backedUp({}, fork)).rejects.toEqual(
      refusal('BACKUP_FOREIGN', /another|backups of the store/),
    );
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    await expect(backedUp()).rejects.toEqual(refusal('BACKUP_FOREIGN', /notes\.txt/));
    writeFileSync(`${dir}-file`, '');
    const other = await open();
    await expect(backUp(other, `${dir}-file`, { clock: Date.now })).rejects.toEqual(
      refusal('BACKUP_FOREIGN', /no directory/),
    );
    await other.close();
    expect(() => listBackups(`${dir}-none`)).toThrow(refusal('BACKUP_MISSING', /does not exist/));
    expect(() => listBackups(`${dir}-file`)).toThrow(refusal('BACKUP_MISSING', /is no directory/));
  });
});

describe('a restored store', () => {
  test('is the same store in a new epoch, whole or up to any transaction, and verifies', async () => {
    await write('a', 'b', 'c');
    const { id } = await backedUp();
    for (const [untilSeq, texts] of [
      [4, ['a', 'b', 'c']],
      [3, ['a', 'b']],
      [1, []],
    ] as const) {
      const path = await restored(id, untilSeq);
      expect(await textsOfStore(path)).toEqual(texts);
      const report = await verifyLog(path);
      expect(report.findings).toEqual([]);
      expect(report.epochs).toMatchObject([{ epoch: 2, seq: untilSeq + 1, cut: { seq: 4 } }]);
      const log = await open(path);
      const source = await open();
      expect(log.lineage).toEqual({ ...source.lineage, epoch: 2, epochSeq: untilSeq + 1 });
      expect(epochStartOf(log.get(untilSeq + 1))).toMatchObject({
        epoch: 2,
        cut: { hash: source.head.hash },
      });
      await put(log, 'goes on');
      for (const each of [log, source]) await each.close();
    }
  });

  test('does not come from before its store was forked, nor into a directory that holds something', async () => {
    await write('a');
    const log = await open();
    const fork = directories.path('fork');
    await forkLog(log, 2, fork, { clock: Date.now });
    await log.close();
    const { id } = await backedUp({}, fork);
    await expect(restored(id, 2)).rejects.toEqual(refusal('BACKUP_FOREIGN', /forked/));
    const backup = await BackupLog.open(dir, listBackups(dir).backups[0]!);
    await expect(restoreLog(backup, 3, storeDir, { epoch: 2, clock: Date.now })).rejects.toEqual(
      refusal('STORE_FOREIGN', /not an empty directory/),
    );
    backup.close();
  });
});

describe('damage', () => {
  test('any bit, any end and any missing file of a backup is found when it is read', async () => {
    await write('a', 'b', 'c');
    const { id } = await backedUp({ segmentBytes: 200 });
    const [backup] = listBackups(dir).backups;
    const isFound = async () => {
      const { backups, damaged } = listBackups(dir);
      if (damaged.length > 0) return damaged[0]!.id === id;
      if (backups.length === 0) return false;
      try {
        (await BackupLog.open(dir, backups[0]!)).close();
        return false;
      } catch (error) {
        return (error as { code?: string }).code === 'BACKUP_DAMAGED';
      }
    };
    expect(await isFound()).toBe(false);
    const files = [`${id}.backup.json`, ...segments().map(name => join(SEGMENTS, name))].map(name =>
      join(dir, name),
    );
    for (const path of files) {
      const whole = readFileSync(path);
      for (let at = 0; at < whole.length; at += 7) {
        const bytes = Buffer.from(whole);
        bytes[at]! ^= 1 << (at % 8);
        writeFileSync(path, bytes);
        expect(await isFound(), `${path} bit ${at * 8 + (at % 8)}`).toBe(true);
      }
      for (let length = 0; length < whole.length - 1; length += 13) {
        writeFileSync(path, whole.subarray(0, length));
        expect(await isFound(), `${path} cut to ${length}`).toBe(true);
      }
      writeFileSync(path, whole);
    }
    for (const file of files.slice(1)) {
      const whole = readFileSync(file);
      rmSync(file);
      expect(await isFound()).toBe(true);
      writeFileSync(file, whole);
    }
    // A segment in the place of another one, sound in itself.
    const [one, other] = backup!.manifest.segments.map(({ file }) => join(dir, SEGMENTS, file));
    const whole = readFileSync(one!);
    cpSync(other!, one!);
    expect(await isFound()).toBe(true);
    writeFileSync(one!, whole);
    expect(await isFound()).toBe(false);
    expect(existsSync(join(dir, `${id}.backup.json`))).toBe(true);
  });
});
