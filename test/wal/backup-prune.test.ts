/** Pruning: what stays, what is refused, and that no moment goes with what goes. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { BackupCheck } from '#wal/backup/check.js';
import { CONFIG } from '#wal/backup/config-file.js';
import { Erasures } from '#wal/backup/erased.js';
import { manifestPath, newestBackup, SEGMENTS } from '#wal/backup/manifest.js';
import { listPins, pinBackup, unpinBackup } from '#wal/backup/pins.js';
import { planPruning, prune } from '#wal/backup/prune.js';
import { BackedStore, refusal } from '../helpers/backups.js';
import { flip } from '../helpers/damage.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
beforeEach(() => {
  store = new BackedStore(directories);
});

const NONE = { last: 0, daily: 0, weekly: 0, monthly: 0 };
const ids = () => store.list().map(({ id }) => id);
const segmentPath = (file: string) => join(store.dir, SEGMENTS, file);

describe('backups', () => {
  test('are in the order of what they hold: a clock that was set back makes no older one the newest', async () => {
    const start = Date.parse('2026-06-01T12:00:00Z');
    const made: string[] = [];
    for (const [i, timeMs] of [start, start - 366 * 86_400_000, start - 3_600_000].entries()) {
      await store.write(`text ${i}`);
      made.push((await store.backedUp({ clock: () => timeMs })).id);
    }
    expect(ids()).toEqual(made);
    expect(newestBackup(store.list())!.id).toBe(made[2]);
    const { removed } = await prune(store.dir, { last: 1, daily: 0, weekly: 0, monthly: 0 });
    expect(removed).toEqual(made.slice(0, 2));
    expect(await store.textsIn(made[2]!)).toEqual(['text 0', 'text 1', 'text 2']);
  });

  test('with one that cannot be read are not pruned: what it refers to must not go', async () => {
    await store.write('a');
    const { id } = await store.backedUp();
    await store.write('b');
    await store.backedUp();
    writeFileSync(manifestPath(store.dir, id), 'torn');
    await expect(prune(store.dir, { ...NONE, last: 1 })).rejects.toEqual(refusal('BACKUP_DAMAGED', /sha256/));
    expect(store.segments()).not.toEqual([]);
  });

  test('are not pruned where what is to hold their moments is not sound, of any epoch', async () => {
    await store.write('a');
    const first = await store.backedUp();
    await store.write('b');
    const end = await store.backedUp();
    await store.cutAfter(2);
    await store.write('c');
    const other = await store.backedUp({ full: true });
    for (const { id, manifest } of [end, other]) {
      const { file } = manifest.segments.at(-1)!;
      const whole = readFileSync(segmentPath(file));
      for (const spoil of [
        () => flip(segmentPath(file), 100, 3),
        () => truncateSync(segmentPath(file), whole.length - 1),
        () => rmSync(segmentPath(file)),
      ]) {
        spoil();
        for (const attempt of [planPruning, prune])
          await expect(attempt(store.dir, NONE)).rejects.toEqual(
            expect.objectContaining({
              ...{ code: 'BACKUP_DAMAGED', details: { file } },
              message: expect.stringMatching(`^${id} is not sound.*${file}`),
            }),
          );
        writeFileSync(segmentPath(file), whole);
      }
    }
    expect(ids()).toEqual([first.id, end.id, other.id]);
    expect((await prune(store.dir, NONE)).removed).toEqual([first.id]);
  });

  test('go all the same where the end of an epoch is not sound of which nothing goes', async () => {
    await store.write('a', 'b');
    const end = await store.backedUp();
    await store.cutAfter(2);
    await store.write('c');
    const first = await store.backedUp({ full: true });
    await store.write('d');
    await store.backedUp();
    flip(segmentPath(end.manifest.segments[0]!.file), 100, 3);
    expect((await prune(store.dir, NONE)).removed).toEqual([first.id]);
    expect(ids()).toContain(end.id);
  });

  test('that were read before are read again where they changed their size, and at the latest by the next run', async () => {
    await store.write('a');
    await store.backedUp();
    await store.write('b');
    const last = await store.backedUp();
    const check = new BackupCheck(store.dir);
    const read: number[] = [];
    const onProgress = (records: number) => read.push(records);
    for (let i = 0; i < 2; i++) await planPruning(store.dir, NONE, { check, onProgress });
    expect(read).toEqual([3]);
    const { file } = last.manifest.segments.at(-1)!;
    const whole = readFileSync(segmentPath(file));
    for (const spoil of [() => truncateSync(segmentPath(file), 10), () => rmSync(segmentPath(file))]) {
      spoil();
      // The finding of the first is not kept either.
      for (const attempt of [1, 2])
        await expect(planPruning(store.dir, NONE, { check }), `${attempt}`).rejects.toEqual(
          refusal('BACKUP_DAMAGED', /not sound/),
        );
      writeFileSync(segmentPath(file), whole);
      await planPruning(store.dir, NONE, { check });
    }
    expect((await planPruning(store.dir, NONE, { check })).removed).toHaveLength(1);
  });

  test('leave nothing behind that no backup refers to; where there is none, what is there stays', async () => {
    await store.write('a');
    await store.backedUp({ config: 'one' });
    await store.write('b');
    const { manifest } = await store.backedUp({ config: 'two' });
    const stray = '0000000000000007-0000000000000009-0123456789abcdef.records';
    writeFileSync(segmentPath(stray), 'left by a pruning that was killed');
    writeFileSync(segmentPath('notes.txt'), 'of somebody');
    const configs = () => readdirSync(join(store.dir, CONFIG));
    expect(configs()).toHaveLength(2);
    writeFileSync(join(store.dir, CONFIG, 'notes.txt'), 'of somebody');
    const kept = new Set([...manifest.segments.map(({ file }) => file), manifest.config!.file, 'notes.txt']);
    const sizes = [SEGMENTS, CONFIG].flatMap(folder =>
      readdirSync(join(store.dir, folder))
        .filter(name => !kept.has(name))
        .map(name => statSync(join(store.dir, folder, name)).size),
    );
    const plan = await planPruning(store.dir, NONE);
    expect(plan).toMatchObject({ freedBytes: sizes.reduce((sum, size) => sum + size), segments: 2 });
    expect(await prune(store.dir, NONE)).toEqual(plan);
    rmSync(join(store.dir, CONFIG, 'notes.txt'));
    expect(store.segments()).toEqual([...manifest.segments.map(({ file }) => file), 'notes.txt'].sort());
    expect(configs()).toEqual([manifest.config!.file]);
    for (const { id } of store.list()) rmSync(manifestPath(store.dir, id));
    expect(await prune(store.dir, NONE)).toMatchObject({ kept: [], removed: [], segments: 0 });
    expect([store.segments().length, configs().length]).toEqual([2, 1]);
  });
});

describe('a pin', () => {
  const clock = () => Date.parse('2026-01-01');

  test('keeps its backup, by its reason or none, until it is taken away', async () => {
    const made: string[] = [];
    for (const text of 'abcd') {
      await store.write(text);
      made.push((await store.backedUp()).id);
    }
    await pinBackup(store.dir, made[0]!, { reason: 'before the migration', clock });
    await pinBackup(store.dir, made[1]!, { reason: '', clock });
    const { kept, removed } = await prune(store.dir, NONE);
    expect(kept.map(({ reasons }) => reasons)).toEqual([
      ['pinned: before the migration'],
      ['pinned'],
      ['end of epoch 1'],
    ]);
    expect(removed).toEqual([made[2]]);
    // What a killed one left half written is in nobody's way.
    writeFileSync(join(store.dir, `${made[0]}.pin.json.unfinished`), 'half');
    await pinBackup(store.dir, made[0]!, { reason: 'for good', clock });
    expect(listPins(store.dir).get(made[0]!)).toEqual({
      id: made[0],
      reason: 'for good',
      time: '2026-01-01T00:00:00.000Z',
    });
    expect(await unpinBackup(store.dir, made[0]!)).toBe(true);
    expect(await unpinBackup(store.dir, made[0]!)).toBe(false);
    expect((await prune(store.dir, NONE)).removed).toEqual([made[0]]);
    expect(await store.textsIn(made[1]!)).toEqual(['a', 'b']);
    // And the store is backed up further: a pin is no stranger there.
    expect((await store.backedUp()).isUnchanged).toBe(true);
  });

  test('holds also where it was altered, which is told of', async () => {
    await store.write('a');
    const { id } = await store.backedUp();
    await store.write('b');
    const other = await store.backedUp();
    await pinBackup(store.dir, id, { reason: 'why', clock });
    const path = join(store.dir, `${id}.pin.json`);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length - 1; at += 5) {
      writeFileSync(path, whole);
      flip(path, at, at % 8);
      const { kept } = await planPruning(store.dir, NONE);
      expect(kept[0], `bit ${at * 8 + (at % 8)}`).toEqual({
        id,
        reasons: [`pinned (${id}.pin.json does not match its sha256)`],
      });
    }
    writeFileSync(path, '');
    expect((await planPruning(store.dir, NONE)).removed).toEqual([]);
    writeFileSync(path, whole);
    rmSync(path);
    writeFileSync(join(store.dir, `${other.id}.pin.json`), whole);
    expect(listPins(store.dir).get(other.id)!.problem).toContain(`is the pin of ${id}`);
  });

  test('is of a backup that is there', async () => {
    await store.write('a');
    await store.backedUp();
    for (const attempt of [
      () => pinBackup(store.dir, 'none', { reason: '', clock }),
      () => unpinBackup(store.dir, 'none'),
      () => unpinBackup(`${store.dir}-none`, 'none'),
    ])
      await expect(attempt()).rejects.toEqual(refusal('BACKUP_MISSING', /none/));
    expect(existsSync(`${store.dir}-none`)).toBe(false);
  });
});

describe('what the log erased', () => {
  const texts = ['a', 'b', 'c', 'd'];

  test('stays in backups that were made before, and in those that share their segments; written anew it is erased', async () => {
    await store.write(...texts);
    const before = await store.backedUp();
    await store.erase(3, 4);
    await store.write('e');
    const sharing = await store.backedUp();
    const anew = await store.backedUp({ full: true });
    expect(anew.manifest.segments.map(({ erased }) => erased)).toEqual([2]);
    expect(await store.textsIn(before.id)).toEqual(texts);
    expect(await store.textsIn(sharing.id)).toEqual([...texts, 'e']);
    expect(await store.textsIn(anew.id)).toEqual(['a', '', '', 'd', 'e']);
    // What follows goes on from the one that was written anew.
    await store.write('f');
    const after = await store.backedUp();
    expect(await store.textsIn(after.id)).toEqual(['a', '', '', 'd', 'e', 'f']);
  });

  test('is written under a name of its own where the same records are there with their payloads', async () => {
    await store.write(...texts);
    const before = await store.backedUp();
    await store.erase(2);
    const anew = await store.backedUp({ full: true });
    const [first] = before.manifest.segments;
    expect(anew.manifest.segments[0]!.file).toBe(first!.file.replace('.records', '-2.records'));
    expect(await store.textsIn(before.id)).toEqual(texts);
    // A segment that was lost is not written again as it was, for it cannot be; the older backup goes on missing it.
    rmSync(segmentPath(first!.file));
    rmSync(segmentPath(anew.manifest.segments[0]!.file));
    rmSync(manifestPath(store.dir, anew.id));
    const again = await store.backedUp({ clock: () => Date.now() + 1000 });
    expect(await store.textsIn(again.id)).toEqual(['', 'b', 'c', 'd']);
    await expect(store.textsIn(before.id)).rejects.toEqual(refusal('BACKUP_DAMAGED', /missing/));
  });

  test('is not taken up from what an interrupted backup left', async () => {
    await store.write(...texts);
    const { id, manifest } = await store.backedUp();
    rmSync(manifestPath(store.dir, id));
    await store.erase(4);
    const again = await store.backedUp();
    expect(again.manifest.segments[0]!.sha256).not.toBe(manifest.segments[0]!.sha256);
    expect(await store.textsIn(again.id)).toEqual(['a', 'b', '', 'd']);
  });

  test('goes for good with the last backup that holds it, and pruning says so before', async () => {
    const hour = 3_600_000;
    let made = 0;
    const options = { clock: () => Date.parse('2026-01-01') + ++made * hour };
    await store.write(...texts);
    const one = await store.backedUp(options);
    await store.write('e');
    const two = await store.backedUp(options);
    await store.erase(2, 5, 6);
    const three = await store.backedUp({ ...options, full: true });
    await store.erase(3);
    await store.write('f');
    // In segments of which some lie behind what the others reach.
    const four = await store.backedUp({ ...options, full: true, segmentBytes: 150 });
    // 4 was never erased; 3 was when the third was there already.
    expect((await planPruning(store.dir, NONE)).losses).toEqual([
      { id: one.id, records: 3, firstSeq: 2, lastSeq: 5 },
      { id: two.id, records: 4, firstSeq: 2, lastSeq: 6 },
      { id: three.id, records: 1, firstSeq: 3, lastSeq: 3 },
    ]);
    // One that has fewer records is not there for those that it lacks.
    await pinBackup(store.dir, one.id, { reason: '', clock: Date.now });
    expect((await planPruning(store.dir, NONE)).losses).toMatchObject([
      { id: two.id, lastSeq: 6 },
      { id: three.id, records: 1 },
    ]);
    await unpinBackup(store.dir, one.id);
    // The second, pinned, holds all that the others do.
    await pinBackup(store.dir, two.id, { reason: '', clock: Date.now });
    const { removed, losses } = await prune(store.dir, NONE);
    expect([removed, losses]).toEqual([[one.id, three.id], []]);
    expect(await store.textsIn(two.id)).toEqual([...texts, 'e']);
    expect(await store.textsIn(four.id)).toEqual(['', '', 'c', '', '', 'f']);
  });

  test('in a segment that cannot be read is no guess', async () => {
    await store.write(...texts);
    await store.erase(3);
    const { manifest } = await store.backedUp();
    const [segment] = manifest.segments;
    const erasures = (erased = segment!.erased!) => new Erasures(store.dir).in({ ...segment!, erased });
    expect(await erasures()).toEqual([3]);
    flip(segmentPath(segment!.file), 90, 0);
    await expect(erasures()).rejects.toEqual(refusal('BACKUP_DAMAGED', /record 1/));
    rmSync(segmentPath(segment!.file));
    await expect(erasures()).rejects.toEqual(refusal('BACKUP_DAMAGED', /missing/));
    // Where the manifest says that there is none, nothing is read.
    expect(await erasures(0)).toEqual([]);
  });
});
