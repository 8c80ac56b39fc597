/**
 * Checkpoints that are no use: of another store or version, or that do not name what they hold; one that was read and is not asked for; and what
 * a checkpoint built from the log alone tells while it is built.
 */
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listCheckpoints } from '#src/engine/checkpoints.js';
import { rebuildProjections } from '#src/engine/rebuild.js';
import { verifyStore } from '#src/engine/verify.js';
import { PATHS } from '#wal/paths.js';
import { manifestOf, writeManifest } from '../helpers/checkpoint.js';
import { openTestEngine, temporaryDirectory, testContext, wordVector } from '../helpers/engine.js';

const parent = temporaryDirectory();
let made = 0;
const newPath = () => join(parent, String(made++));
let sound: string;
let storeDir: string;

async function makeStore(path: string): Promise<void> {
  const engine = await openTestEngine(path);
  for (let n = 0; n < 5; n++)
    await engine.upsert(
      { collection: 'notes', items: [{ id: `n-${n % 3}`, text: `note ${n}` }] },
      testContext,
    );
  await engine.close();
}

beforeAll(async () => {
  sound = newPath();
  await makeStore(sound);
});

beforeEach(() => {
  storeDir = newPath();
  cpSync(sound, storeDir, { recursive: true });
});

const newest = (store = storeDir): string =>
  join(store, PATHS.checkpoints, readdirSync(join(store, PATHS.checkpoints)).sort().at(-1)!);

/** It is told of, nothing it says is believed, and a sound one takes its place. */
async function expectDiscarded(why: RegExp): Promise<void> {
  const engine = await openTestEngine(storeDir);
  const { checkpoint } = await engine.status({}, testContext);
  expect(checkpoint.warnings).toEqual([expect.stringMatching(why)]);
  const { items } = await engine.list({ collection: 'notes', limit: 10 }, testContext);
  expect(items.map(({ text }) => text).sort()).toEqual(['note 2', 'note 3', 'note 4']);
  await engine.close();
  expect(await verifyStore(storeDir)).toMatchObject({ sound: true, checkpoints: [{ compared: 'versions' }] });
}

describe('is discarded', () => {
  test('one of another store, though it is whole and of the same event', async () => {
    const other = newPath();
    await makeStore(other);
    rmSync(newest(), { recursive: true });
    cpSync(newest(other), join(storeDir, PATHS.checkpoints, newest(other).split('/').at(-1)!), {
      recursive: true,
    });
    await expectDiscarded(/it belongs to store/);
  });

  test('one of another version of the program', async () => {
    const manifest = manifestOf(newest());
    writeManifest(newest(), { ...manifest, version: manifest.version - 1 });
    await expectDiscarded(/it has version \d+, this program writes \d+/);
  });

  test('one whose manifest lacks a part', async () => {
    const manifest = manifestOf(newest());
    writeManifest(newest(), { ...manifest, files: manifest.files.filter(({ name }) => name !== 'metadata') });
    await expectDiscarded(/its manifest does not name metadata/);
  });
});

test('one that was read while the log turned out to be damaged is let go of', async () => {
  const log = join(storeDir, PATHS.log);
  const current = readFileSync(join(log, 'CURRENT'));
  rmSync(join(log, 'CURRENT'));
  await expect(openTestEngine(storeDir)).rejects.toMatchObject({ code: 'WAL_FILES_DAMAGED' });
  // Linux alone shows which files a process has open.
  const open = existsSync('/proc/self/fd')
    ? readdirSync('/proc/self/fd').flatMap(fd => {
        try {
          return [readlinkSync(`/proc/self/fd/${fd}`)];
        } catch {
          return []; // The one by which the folder was read.
        }
      })
    : [];
  expect(open.filter(path => path.startsWith(storeDir))).toEqual([]);
  writeFileSync(join(log, 'CURRENT'), current);
  const engine = await openTestEngine(storeDir);
  expect((await engine.status({}, testContext)).checkpoint.warnings).toEqual([]);
  await engine.close();
});

describe('after a crash', () => {
  /** A store with a checkpoint and so many events behind it, as a crash leaves it. */
  async function crashed(events: number): Promise<string> {
    const engine = await openTestEngine(storeDir);
    for (let done = 0; done < events; done += 500) {
      const items = Array.from({ length: Math.min(500, events - done) }, (_, n) => ({
        id: `many-${n}`,
        text: `note ${done + n}`,
      }));
      await engine.upsert({ collection: 'notes', items }, testContext);
    }
    const copy = newPath();
    cpSync(storeDir, copy, { recursive: true });
    await engine.close();
    return copy;
  }

  test('one is saved of what had to be replayed: the next start need not do it again', async () => {
    const copy = await crashed(1500);
    const [before] = listCheckpoints(copy);
    const engine = await openTestEngine(copy);
    await engine.idle();
    const { head } = await engine.status({}, testContext);
    expect(listCheckpoints(copy)).toEqual([head.seq, before]);
    await engine.close();
    expect(await verifyStore(copy, { level: 'deep' })).toMatchObject({ sound: true });
  });

  test('none is for a few events, nor for what is little beside a large one', async () => {
    for (const [events, bytes] of [
      [100, 0],
      [1500, 160_000_000],
    ] as const) {
      const copy = await crashed(events);
      const before = listCheckpoints(copy);
      // As large as one of many vectors is; nobody reads it.
      writeFileSync(join(newest(copy), 'unread'), '');
      truncateSync(join(newest(copy), 'unread'), bytes);
      const engine = await openTestEngine(copy);
      await engine.idle();
      expect(listCheckpoints(copy)).toEqual(before);
      await engine.close();
    }
  });
});

test('one that cannot be saved is not told to be there, and is tried again at the end', async () => {
  const before = listCheckpoints(storeDir);
  const engine = await openTestEngine(storeDir);
  await engine.upsert({ collection: 'notes', items: [{ id: 'new', text: 'a new note' }] }, testContext);
  const checkpoints = join(storeDir, PATHS.checkpoints);
  // As if somebody had put a file there.
  renameSync(checkpoints, `${checkpoints}-aside`);
  writeFileSync(checkpoints, '');
  await expect(engine.saveCheckpoint()).rejects.toThrow();
  const { head, checkpoint } = await engine.status({}, testContext);
  expect(checkpoint.seq).toBe(before[0]);
  rmSync(checkpoints);
  renameSync(`${checkpoints}-aside`, checkpoints);
  await engine.close();
  expect(listCheckpoints(storeDir)).toEqual([head.seq, ...before]);
});

describe('built from the log alone', () => {
  test('tells of the graphs while they grow', async () => {
    const path = newPath();
    const engine = await openTestEngine(path);
    const items = Array.from({ length: 6000 }, (_, n) => ({
      id: `n-${n}`,
      vector: Array.from(wordVector(`note ${n} of ${n % 17} and ${n % 101}`)),
    }));
    for (let n = 0; n < items.length; n += 500)
      await engine.upsert({ collection: 'many', items: items.slice(n, n + 500) }, testContext);
    await engine.close();
    const told: { done: number; total?: number | undefined }[] = [];
    await rebuildProjections({
      storeDir: path,
      onProgress: ({ unit, done, total }) => unit === 'vectors' && told.push({ done, total }),
    });
    expect(told[0]).toMatchObject({ total: 6000 });
    expect(told[0]!.done).toBeLessThan(6000);
  });

  test('where something was erased, the former one is not compared', async () => {
    let engine = await openTestEngine(storeDir);
    const { head } = await engine.status({}, testContext);
    await engine.close();
    const former = newPath();
    cpSync(newest(), former, { recursive: true });
    engine = await openTestEngine(storeDir);
    await engine.horizon({ through: String(head.seq), dry_run: false }, testContext);
    await engine.close();
    cpSync(former, join(storeDir, PATHS.checkpoints, String(head.seq).padStart(16, '0')), {
      recursive: true,
    });
    const { former: states } = await rebuildProjections({ storeDir });
    expect(states.map(({ state }) => state)).toEqual(['erased', 'erased']);
    expect(await verifyStore(storeDir)).toMatchObject({ sound: true });
  });

  test('that cannot be written leaves the former ones', async () => {
    const [seq] = listCheckpoints(storeDir);
    const checkpoints = join(storeDir, PATHS.checkpoints);
    const failed = rebuildProjections({
      storeDir,
      onProgress: ({ message }) => {
        if (message !== 'writing the checkpoint') return;
        // As if somebody had put a file there.
        renameSync(checkpoints, `${checkpoints}-aside`);
        writeFileSync(checkpoints, '');
      },
    });
    await expect(failed).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_SAVED' });
    rmSync(checkpoints);
    renameSync(`${checkpoints}-aside`, checkpoints);
    expect(listCheckpoints(storeDir)).toEqual([seq]);
    expect(await verifyStore(storeDir, { level: 'deep' })).toMatchObject({ sound: true });
  });
});
