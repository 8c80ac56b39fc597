/** The files of a directory of backups: second copies, names, configurations, manifests, and copies of it that were cut off. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { BackupLog } from '#wal/backup/backup-log.js';
import { BackupCheck } from '#wal/backup/check.js';
import { CONFIG, configProblem, isConfigName, readConfig } from '#wal/backup/config-file.js';
import {
  type BackupManifest,
  epochOfId,
  listBackups,
  manifestPath,
  newestBackup,
  SEGMENTS,
} from '#wal/backup/manifest.js';
import { planPruning } from '#wal/backup/prune.js';
import { seal } from '#wal/backup/sealed.js';
import { backUp } from '#wal/backup/write.js';
import { BackedStore, refusal } from '../helpers/backups.js';
import { flip } from '../helpers/damage.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let store: BackedStore;
beforeEach(() => {
  store = new BackedStore(directories);
});

const path = (file: string) => join(store.dir, SEGMENTS, file);
const filesOf = ({ manifest }: { manifest: BackupManifest }) => manifest.segments.map(({ file }) => file);

/** Puts another manifest in the place of one, sealed as it should be. */
function rewrite(id: string, change: Partial<BackupManifest>): void {
  const { manifest } = store.backup(id);
  writeFileSync(manifestPath(store.dir, id), seal(JSON.stringify({ ...manifest, ...change })));
}

describe('a second copy', () => {
  test('of an unchanged log is a backup of its own, that damage to the first leaves whole', async () => {
    await store.write('a', 'b');
    const first = await store.backedUp();
    const second = await store.backedUp({ full: true, clock: () => Date.parse(first.manifest.time) });
    expect(second.id).not.toBe(first.id);
    expect(second).toMatchObject({ written: 3, isUnchanged: false, manifest: { kind: 'full' } });
    expect(filesOf(second)).toEqual([filesOf(first)[0]!.replace('.records', '-2.records')]);
    const third = await store.backedUp({ full: true });
    expect(filesOf(third)).toEqual([filesOf(first)[0]!.replace('.records', '-3.records')]);
    for (const file of [...filesOf(first), ...filesOf(third)]) flip(path(file), 120, 1);
    expect(await store.textsIn(second.id)).toEqual(['a', 'b']);
    await expect(store.textsIn(first.id)).rejects.toEqual(refusal('BACKUP_DAMAGED', /hash/));
  });

  test('that was interrupted is taken up, and shares nothing all the same', async () => {
    await store.write(...Array.from({ length: 12 }, (_, i) => `text ${i}`));
    const first = await store.backedUp({ segmentBytes: 300 });
    const controller = new AbortController();
    const interrupted = store.backedUp({
      full: true,
      segmentBytes: 300,
      signal: controller.signal,
      onProgress: done => {
        if (done > 6) controller.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/);
    const left = store.segments().filter(file => !filesOf(first).includes(file));
    const inodes = left.map(file => statSync(path(file)).ino);
    const second = await store.backedUp({ full: true, segmentBytes: 300 });
    expect(filesOf(second).slice(0, left.length)).toEqual(left);
    expect(left.map(file => statSync(path(file)).ino)).toEqual(inodes);
    expect(filesOf(second).filter(file => filesOf(first).includes(file))).toEqual([]);
  });

  test('leaves alone what a manifest that cannot be read may name', async () => {
    await store.write('a', 'b');
    const first = await store.backedUp();
    const manifest = readFileSync(manifestPath(store.dir, first.id));
    writeFileSync(manifestPath(store.dir, first.id), 'torn');
    await store.erase(2);
    const second = await store.backedUp({ clock: () => Date.now() + 1000 });
    expect(await store.textsIn(second.id)).toEqual(['', 'b']);
    writeFileSync(manifestPath(store.dir, first.id), manifest);
    expect(await store.textsIn(first.id)).toEqual(['a', 'b']);
  });
});

test('a backup after one that cannot be read takes up the segments that this one had', async () => {
  await store.write('a', 'b');
  const first = await store.backedUp();
  writeFileSync(manifestPath(store.dir, first.id), 'torn');
  const inode = statSync(path(filesOf(first)[0]!)).ino;
  const second = await store.backedUp({ clock: () => Date.now() + 1000 });
  expect(filesOf(second)).toEqual(filesOf(first));
  expect(statSync(path(filesOf(first)[0]!)).ino).toBe(inode);
});

test('the newest backup is the one that goes furthest, also where the clock was set back', async () => {
  await store.write('a');
  const ahead = await store.backedUp({ clock: () => Date.parse('2031-01-01') });
  await store.write('b');
  const back = await store.backedUp({ clock: () => Date.parse('2026-01-01') });
  expect(newestBackup(store.list())!.id).toBe(back.id);
  expect(await store.backedUp()).toMatchObject({ id: back.id, isUnchanged: true });
  await store.cutAfter(2);
  const cut = await store.backedUp({ clock: () => Date.parse('2025-01-01') });
  expect(cut.manifest.last.seq).toBe(back.manifest.last.seq);
  expect(newestBackup(store.list())!.id).toBe(cut.id);
  const none = { last: 0, daily: 0, weekly: 0, monthly: 0 };
  expect((await planPruning(store.dir, none)).removed).toEqual([ahead.id]);
  expect([ahead, back, cut].map(({ id }) => epochOfId(id))).toEqual([1, 1, 2]);
  expect(epochOfId('renamed')).toBe(0);
});

test('what a killed backup left half written goes with the next one, and is no stranger', async () => {
  await store.write('a');
  const { id } = await store.backedUp({ config: 'x' });
  const left = [`${id}.backup.json.unfinished`, `${id}.pin.json.unfinished`];
  for (const folder of ['.', SEGMENTS, CONFIG])
    for (const name of left) writeFileSync(join(store.dir, folder, name), 'half');
  await store.write('b');
  await store.backedUp();
  const names = readdirSync(store.dir, { recursive: true, encoding: 'utf8' });
  expect(names.filter(name => name.endsWith('.unfinished'))).toEqual([]);
});

describe('a configuration', () => {
  test('goes along once for all backups that have it alike, and a changed one makes a backup of its own', async () => {
    await store.write('a');
    const plain = await store.backedUp();
    expect(plain.manifest.config).toBeUndefined();
    const first = await store.backedUp({ config: '{"a":1}' });
    const inode = () => statSync(join(store.dir, CONFIG, first.manifest.config!.file)).ino;
    const before = inode();
    expect(first).toMatchObject({ isUnchanged: false, written: 0, manifest: { kind: 'incremental' } });
    expect(filesOf(first)).toEqual(filesOf(plain));
    expect(await store.backedUp({ config: '{"a":1}' })).toMatchObject({ id: first.id, isUnchanged: true });
    expect(await store.backedUp()).toMatchObject({ id: first.id, isUnchanged: true });
    await store.write('b');
    const second = await store.backedUp({ config: '{"a":1}' });
    expect(second.manifest.config).toEqual(first.manifest.config);
    expect(inode()).toBe(before);
    const third = await store.backedUp({ config: '{"ä":2}' });
    expect(readConfig(store.dir, third.manifest.config!)).toBe('{"ä":2}');
    expect(third.manifest.config!.sizeBytes).toBe(8);
    const names = readdirSync(join(store.dir, CONFIG));
    expect(names.sort()).toEqual([first, third].map(({ manifest }) => manifest.config!.file).sort());
    for (const name of names) expect(statSync(join(store.dir, CONFIG, name)).mode & 0o077).toBe(0);
  });

  test('that was altered is found, and written anew by the next backup that has it', async () => {
    await store.write('a');
    const { manifest } = await store.backedUp({ config: '{"a":1}' });
    const config = manifest.config!;
    const file = join(store.dir, CONFIG, config.file);
    for (let bit = 0; bit < 7 * 8; bit++) {
      flip(file, bit >> 3, bit & 7);
      expect(configProblem(store.dir, config)).toMatchObject({
        code: 'BACKUP_DAMAGED',
        message: `config/${config.file}: it does not match its sha256`,
        details: { file: config.file },
      });
      flip(file, bit >> 3, bit & 7);
    }
    expect(configProblem(store.dir, config)).toBeUndefined();
    rmSync(file);
    expect(() => readConfig(store.dir, config)).toThrow(refusal('BACKUP_DAMAGED', /missing/));
    for (const name of [`x${config.file}`, `${config.file}x`, config.file.slice(1), 'a'.repeat(64)])
      expect(isConfigName(name), name).toBe(false);
    expect(isConfigName(config.file)).toBe(true);
    expect(await store.backedUp({ config: '{"a":1}' })).toMatchObject({ isUnchanged: true });
    expect(readConfig(store.dir, config)).toBe('{"a":1}');
  });
});

describe('a manifest', () => {
  test('of a later format is told of; members that are not known are passed over', async () => {
    await store.write('a');
    const { id } = await store.backedUp();
    rewrite(id, { added: 'by a later version' } as Partial<BackupManifest>);
    expect(await store.textsIn(id)).toEqual(['a']);
    rewrite(id, { format: 2 });
    expect(listBackups(store.dir).damaged).toEqual([
      { id, problem: `${id}.backup.json has format 2, this program reads 1` },
    ]);
  });

  test('that says something else than its segments is found, sealed or not', async () => {
    await store.write('a', 'b', 'c', 'd', 'e');
    const { id, manifest } = await store.backedUp({ segmentBytes: 200 });
    const [one, ...others] = manifest.segments;
    const last = others.at(-1)!;
    const found = async (change: Partial<BackupManifest>, message: RegExp) => {
      rewrite(id, { ...manifest, ...change });
      const problem = refusal('BACKUP_DAMAGED', message);
      await expect(store.textsIn(id)).rejects.toEqual(problem);
      // By the file, verifying says which backups it spoils.
      const found = await new BackupCheck(store.dir).problemOf(store.backup(id));
      const { file } = found!.details as { file: string };
      expect(found!.message.startsWith(`segments/${file}: `)).toBe(true);
      expect([...filesOf({ manifest }), '']).toContain(file);
      expect(found).toEqual(problem);
      return file;
    };
    const instead = (change: object) => ({ segments: [{ ...one!, ...change }, ...others] });
    await found(instead({ sizeBytes: one!.sizeBytes + 1 }), /bytes, not/);
    await found(instead({ sha256: '0'.repeat(64) }), /sha256/);
    await found(instead({ first: { seq: 1, hash: '0'.repeat(16) } }), /not those that the manifest names/);
    await found(instead({ last: { seq: 99, hash: '0'.repeat(16) } }), /not those that the manifest names/);
    const { seq, hash } = one!.last;
    await found(instead({ last: { seq: seq + 1, hash } }), /not those that the manifest names/);
    await found(instead({ records: 99 }), /not those that the manifest names/);
    await found(instead({ erased: 1 }), /not those that the manifest names/);
    const second = others[0]!;
    expect(
      await found({ segments: others }, /begins with record \d, and the one before it ends with 0$/),
    ).toBe(second.file);
    const missing = { segments: [one!, ...others.slice(1)] };
    await found(missing, new RegExp(`and the one before it ends with ${one!.last.seq}$`));
    expect(await found({ segments: [] }, /does not end with record/)).toBe('');
    expect(await found({ last: { ...manifest.last, seq: 2 } }, /does not end with record 2/)).toBe(last.file);
    await found({ last: { ...manifest.last, hash: '0'.repeat(16) } }, /does not end with record/);
    await found({ segments: manifest.segments.slice(0, -1) }, /does not end with record/);
    writeFileSync(path(last.file), '');
    await found({}, /it is empty/);
    // Of a manifest of an earlier version, which does not say how many are erased, nothing is missed.
    const { erased, ...earlier } = one!;
    rewrite(id, { ...manifest, segments: [earlier] as never, last: one!.last });
    expect(await new BackupCheck(store.dir).problemOf(store.backup(id))).toBeUndefined();
  });
});

describe('a backup read as a log', () => {
  test('gives any record and any range, forwards, backwards and raw', async () => {
    const texts = Array.from({ length: 30 }, (_, i) => `text ${i}`);
    await store.write(...texts);
    const { id, manifest } = await store.backedUp({ segmentBytes: 400 });
    expect(manifest.segments.length).toBeGreaterThan(5);
    const log = await BackupLog.open(store.dir, store.backup(id));
    const own = await store.open();
    for (let seq = 1; seq <= 31; seq++) expect(log.get(seq)).toEqual(own.get(seq));
    for (const seq of [0, 32, 1.5]) expect(() => log.get(seq)).toThrow(RangeError(`record ${seq} of 31`));
    const seqs = async (options?: object) => {
      const found: number[] = [];
      for await (const piece of log.read(options)) found.push(...piece.map(({ seq }) => seq));
      return found;
    };
    expect(await seqs()).toEqual(Array.from({ length: 31 }, (_, i) => i + 1));
    expect(await seqs({ from: 28, to: 99 })).toEqual([28, 29, 30, 31]);
    expect(await seqs({ from: 29, reverse: true })).toEqual([31, 30, 29]);
    for await (const piece of log.raw(31, 30)) expect(piece).toBe('nothing');
    const raw: [number, Uint8Array][] = [];
    for await (const piece of log.raw(30, 31)) raw.push(...piece);
    const expected: [number, Uint8Array][] = [];
    for await (const piece of own.raw(30, 31)) expected.push(...piece);
    expect(raw.map(([seq, bytes]) => [seq, Buffer.from(bytes)])).toEqual(
      expected.map(([seq, bytes]) => [seq, Buffer.from(bytes)]),
    );
    await own.close();
    // A file that is cut short while it is open.
    writeFileSync(path(manifest.segments[0]!.file), '');
    expect(() => log.get(1)).toThrow(refusal('BACKUP_DAMAGED', /became shorter/));
    log.close();
  });

  test('comes in pieces of about a megabyte', async () => {
    const log = await store.open();
    for (let i = 0; i < 5; i++)
      await log.append([{ type: 40, body: Buffer.alloc(600_000, i), actor: 0 }]).durable;
    const { manifest } = await backUp(log, store.dir, { clock: Date.now });
    expect(manifest.segments).toHaveLength(1);
    await log.close();
    const backup = await BackupLog.open(store.dir, store.list()[0]!);
    const pieces: number[] = [];
    for await (const piece of backup.raw(1, 6)) pieces.push(piece.length);
    expect(pieces).toEqual([3, 2, 1]);
    backup.close();
  });
});

test('a disk that takes no more is told of as such', async () => {
  await store.write('a');
  // A folder stands where the file would have to go.
  mkdirSync(join(store.dir, SEGMENTS, '1.unfinished'), { recursive: true });
  await expect(store.backedUp()).rejects.toEqual(refusal('WAL_IO', /could not be written/));
  expect(store.list()).toEqual([]);
});

test('an error of the disk is not taken for damage', async () => {
  await store.write('a');
  const { id, manifest } = await store.backedUp();
  const file = path(manifest.segments[0]!.file);
  rmSync(file);
  mkdirSync(file);
  await expect(new BackupCheck(store.dir).problemOf(store.backup(id))).rejects.toThrow('EISDIR');
  rmSync(manifestPath(store.dir, id));
  await expect(store.backedUp()).rejects.toEqual(refusal('WAL_IO', /EISDIR/));
  // What cannot be looked at, but could be replaced unseen.
  rmdirSync(file);
  symlinkSync(file, file);
  await expect(store.backedUp()).rejects.toEqual(refusal('WAL_IO', /ELOOP/));
});

test('a log that gives no record where it has one is not backed up', async () => {
  await store.write('a');
  const log = await store.open();
  const { head, lineage } = log;
  const silent = {
    head,
    lineage,
    get: (seq: number) => log.get(seq),
    read: () => log.read(),
    async *raw() {},
  };
  await expect(backUp(silent, store.dir, { clock: Date.now })).rejects.toEqual(
    expect.objectContaining({
      code: 'WAL_GAP',
      message: 'record 1 is missing',
      details: { from: 1, to: 2 },
    }),
  );
  await log.close();
  expect([store.list(), store.segments()]).toEqual([[], []]);
});

describe('a copy that was cut off', () => {
  /** All files, in an order; each step of copying them one after the other is a state that an interrupted copy leaves. */
  const copies = function* (order: readonly string[]): Generator<string> {
    const to = directories.path('copy');
    mkdirSync(join(to, SEGMENTS), { recursive: true });
    mkdirSync(join(to, CONFIG));
    yield to;
    for (const file of order) {
      const whole = readFileSync(join(store.dir, file));
      // As rclone does: under another name first.
      writeFileSync(join(to, `${file}.partial`), whole.subarray(0, whole.length >> 1));
      yield to;
      rmSync(join(to, `${file}.partial`));
      cpSync(join(store.dir, file), join(to, file));
      yield to;
    }
  };
  const isWhole = async (dir: string): Promise<boolean> => {
    const { backups, damaged } = listBackups(dir);
    if (damaged.length > 0) return false;
    for (const backup of backups) {
      const { config } = backup.manifest;
      if ((await new BackupCheck(dir).problemOf(backup)) !== undefined) return false;
      if (config !== undefined && configProblem(dir, config) !== undefined) return false;
    }
    return true;
  };

  test('has whole backups only, if manifests were copied last; copied first, they are without their segments', async () => {
    for (const text of 'abc') {
      await store.write(text);
      await store.backedUp({ segmentBytes: 200, config: `{"of":"${text}"}` });
    }
    const parts = [SEGMENTS, CONFIG].flatMap(folder =>
      readdirSync(join(store.dir, folder)).map(name => join(folder, name)),
    );
    const manifests = readdirSync(store.dir).filter(name => name.endsWith('.backup.json'));
    let seen = 0;
    for (const copy of copies([...parts, ...manifests])) {
      expect(await isWhole(copy)).toBe(true);
      seen = listBackups(copy).backups.length;
    }
    expect(seen).toBe(3);
    let broken = 0;
    for (const copy of copies([...manifests, ...parts])) if (!(await isWhole(copy))) broken++;
    expect(broken).toBeGreaterThan(parts.length);
  });
});

test('the directory may move', async () => {
  await store.write('a');
  const { id } = await store.backedUp();
  const moved = `${store.dir}-moved`;
  renameSync(store.dir, moved);
  const log = await BackupLog.open(moved, listBackups(moved).backups.find(backup => backup.id === id)!);
  expect(log.head.seq).toBe(2);
  log.close();
  expect(existsSync(store.dir)).toBe(false);
});
