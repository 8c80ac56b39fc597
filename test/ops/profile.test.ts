import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, SearchQuery } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { mountOf, mountOfMac } from '#src/ops/disk-kind.js';
import { type DiskProfile, probeDisk } from '#src/ops/disk-probe.js';
import { judge } from '#src/ops/disk-verdicts.js';
import { grows, huntHeap } from '#src/ops/heap-hunt.js';
import { GUIDE_QUERIES, profileSearch } from '#src/ops/profile-search.js';
import { slopeOf } from '#src/ops/slope.js';
import { openTestEngine, temporaryDirectory, testContext, WordEmbedder } from '../helpers/engine.js';

let engine: StoreEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function filled(options: Parameters<typeof openTestEngine>[1] = {}, items = 40) {
  engine = await openTestEngine(temporaryDirectory(), options);
  await engine.upsert(
    {
      collection: 'notes',
      items: Array.from({ length: items }, (_, n) => ({
        id: `n${n}`,
        text: `note number ${n}`,
        metadata: { n },
      })),
    },
    testContext,
  );
  return engine;
}

const query: SearchQuery = { query: 'note number 7', k: 5, mode: 'hybrid' };

describe('timings of a search', () => {
  it('are told only to who asks, and the answer is the same', async () => {
    await filled();
    const plain = await engine!.search(query, testContext);
    expect(plain.timings).toBeUndefined();
    const { timings, ...same } = await engine!.search({ ...query, timings: true }, testContext);
    expect(same).toEqual(plain);
    expect(Object.keys(timings!.stages)).toEqual([
      'embed',
      'words',
      'vectors',
      'keywords',
      'fusion',
      'fetch',
    ]);
    const sum = Object.values(timings!.stages).reduce((a, b) => a + b, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(timings!.total_ms);
    expect(timings!.plan).toEqual({
      mode: 'hybrid',
      past: false,
      vectors: [{ collection: 'notes', by: 'scan', graphs: 0, scanned_rows: 40 }],
      candidates: 40,
    });
  });

  it('say how it was done: a filter, one side alone, the past, a graph', async () => {
    await filled({ graphThresholdRows: 200 }, 1000);
    await engine!.idle();
    const plan = async (more: Partial<SearchQuery>) =>
      (await engine!.search({ ...query, timings: true, ...more }, testContext)).timings!;
    expect((await plan({})).plan.vectors).toMatchObject([{ by: 'graph', graphs: 1 }]);
    const filtered = await plan({ where: { n: { $lt: 12 } }, mode: 'semantic' });
    expect(filtered.plan).toMatchObject({ filtered_to: 12, vectors: [{ by: 'scan', scanned_rows: 12 }] });
    expect(Object.keys(filtered.stages)).toEqual(['embed', 'filter', 'vectors', 'fusion', 'fetch']);
    expect((await plan({ mode: 'keyword' })).stages).not.toHaveProperty('embed');
    await engine!.delete({ collection: 'notes', ids: ['n7'] }, testContext);
    expect((await plan({ as_of: 'before 1003' })).plan.past).toBe(true);
  });
});

/** An embedder that takes its time for queries. */
class SlowEmbedder extends WordEmbedder {
  override async embedQuery(text: string): Promise<Float32Array> {
    await new Promise(resolve => setTimeout(resolve, 30));
    return super.embedQuery(text);
  }
}

describe('a profile of searches', () => {
  it('takes queries from the store, and asks each as often as wanted', async () => {
    await filled();
    const asked: SearchQuery[] = [];
    const counting = new Proxy<Engine>(engine!, {
      get: (target, name: keyof Engine) =>
        name === 'search'
          ? (one: SearchQuery, context: typeof testContext) => {
              asked.push(one);
              return target.search(one, context);
            }
          : (target[name] as () => unknown).bind(target),
    });
    const search = { k: 5, mode: 'hybrid' as const };
    const profile = await profileSearch(counting, { repeat: 3, search }, testContext);
    expect(profile!.queries.length).toBeGreaterThan(5);
    expect(asked.length).toBe(3 * profile!.queries.length);
    for (const one of profile!.queries) {
      expect(one.query).toMatch(/^note number \d+$/);
      expect(one.hits).toBe(5);
      expect(one.warm_ms!.p50).toBeLessThanOrEqual(one.warm_ms!.max);
    }
    expect(profile!.stages.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 1);
    expect(profile).toMatchObject({ slow: 0, advice: [] });
  });

  it('marks slow queries and names what takes the time', async () => {
    await filled({ embedder: new SlowEmbedder() });
    const options = {
      queries: GUIDE_QUERIES,
      repeat: 2,
      slowMs: 5,
      search: { k: 5, mode: 'hybrid' as const },
    };
    const profile = await profileSearch(engine!, options, testContext);
    expect(profile!.slow).toBe(3);
    expect(profile!.queries.every(({ is_slow }) => is_slow)).toBe(true);
    expect(profile!.stages[0]!.stage).toBe('embed');
    expect(profile!.advice).toHaveLength(1);
    expect(profile!.advice[0]).toContain('VECTOR_EMBEDDER');
  });

  it('of an empty store has nothing to ask', async () => {
    engine = await openTestEngine(temporaryDirectory());
    expect(await profileSearch(engine, { search: { k: 5, mode: 'hybrid' } }, testContext)).toBeUndefined();
  });
});

describe('the disk', () => {
  const small = { appends: 20, fileBytes: 4 * 1024 * 1024, reads: 50 };

  it('is measured on a file that has no name, and nothing is left of it', async () => {
    const storeDir = temporaryDirectory();
    const seen: string[] = [];
    const profile = await probeDisk({
      storeDir,
      ...small,
      onProgress: ({ done }) => {
        if (done > 0) seen.push(...readdirSync(join(storeDir, 'scratch')));
      },
    });
    if (process.platform !== 'win32') expect(seen).toEqual([]);
    expect(readdirSync(join(storeDir, 'scratch'))).toEqual([]);
    expect(profile.fsync.count).toBe(20);
    expect(profile.random_read.count).toBe(50);
    const { p50_ms, p99_ms, max_ms } = profile.fsync;
    expect([p50_ms, p99_ms, max_ms]).toEqual([p50_ms, p99_ms, max_ms].sort((a, b) => a - b));
    expect(profile.sequential_read.bytes_per_second).toBeGreaterThan(0);
    expect(profile.verdicts.map(({ about }) => about)).toEqual(
      expect.arrayContaining(['kind', 'fsync', 'read']),
    );
  });

  it('leaves nothing where it is cancelled, and refuses a store that is not there', async () => {
    const storeDir = temporaryDirectory();
    const abort = new AbortController();
    const onProgress = ({ done }: { done: number }) => {
      if (done === 1) abort.abort();
    };
    const probing = probeDisk({ storeDir, ...small, signal: abort.signal, onProgress });
    await expect(probing).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(readdirSync(join(storeDir, 'scratch'))).toEqual([]);
    const missing = join(storeDir, 'nothing');
    await expect(probeDisk({ storeDir: missing })).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
    expect(existsSync(missing)).toBe(false);
  });

  const figures: Omit<DiskProfile, 'verdicts'> = {
    kind: { file_system: 'ext4', mount_point: '/', source: '/dev/sda1', is_network: false, is_memory: false },
    free_bytes: 1e12,
    fsync: { count: 100, p50_ms: 0.5, p99_ms: 2, max_ms: 3 },
    write_bytes_per_second: 1e9,
    sequential_read: { bytes_per_second: 1e9, is_cached: false },
    random_read: { count: 100, per_second: 10_000, p50_ms: 0.1, p99_ms: 0.2, is_cached: false },
  };
  const levels = (changed: Partial<typeof figures>) =>
    judge({ ...figures, ...changed }).map(({ level, about }) => `${level} ${about}`);

  it.each([
    ['an SSD', {}, ['ok kind', 'ok fsync', 'ok read']],
    [
      'a network mount',
      { kind: { ...figures.kind, file_system: 'nfs4', is_network: true } },
      ['unsafe kind', 'ok fsync', 'ok read'],
    ],
    ['memory', { kind: { ...figures.kind, is_memory: true } }, ['unsafe kind', 'ok fsync', 'ok read']],
    [
      'a disk that turns',
      {
        kind: { ...figures.kind, rotational: true },
        fsync: { count: 100, p50_ms: 12, p99_ms: 80, max_ms: 90 },
        random_read: { ...figures.random_read, p50_ms: 8 },
      },
      ['warn kind', 'warn fsync', 'warn fsync', 'warn read'],
    ],
    [
      'one that lies',
      { fsync: { count: 100, p50_ms: 0.001, p99_ms: 0.002, max_ms: 0.1 } },
      ['ok kind', 'ok fsync', 'warn fsync', 'ok read'],
    ],
    ['a full one', { free_bytes: 5e8 }, ['ok kind', 'ok fsync', 'ok read', 'warn space']],
  ])('%s is judged by what the program needs', (_, changed, expected) => {
    expect(levels(changed)).toEqual(expected);
  });

  it('is found in the tables of mounts', () => {
    const table = [
      '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '30 22 0:30 / /home/ada/My\\040Files rw - fuse.sshfs ada@host:/x rw',
      '31 22 0:31 / /srv rw shared:2 master:3 - nfs4 nas:/export rw,vers=4.2',
      '32 31 8:17 / /srv rw - xfs /dev/sdb1 rw',
    ].join('\n');
    expect(mountOf(table, '/srvother/x')).toMatchObject({ point: '/', fileSystem: 'ext4' });
    expect(mountOf(table, '/home/ada/My Files/store')).toMatchObject({ fileSystem: 'fuse.sshfs' });
    // The later one lies over the earlier one.
    expect(mountOf(table, '/srv/store')).toEqual({ point: '/srv', fileSystem: 'xfs', source: '/dev/sdb1' });
    const mac = '/dev/disk3s1 on / (apfs, sealed, local)\n//ada@nas/share on /Volumes/share (smbfs, nodev)';
    expect(mountOfMac(mac, '/Volumes/share/store')).toEqual({
      point: '/Volumes/share',
      fileSystem: 'smbfs',
      source: '//ada@nas/share',
    });
  });
});

describe('a hunt for leaks', () => {
  it('fits a line by least squares', () => {
    // By hand: Sxy 8, Sxx 10; residuals -0.4, 0.8, -1, 1.2, -0.6.
    const { per_step, standard_error } = slopeOf([1, 3, 2, 5, 4]);
    expect(per_step).toBeCloseTo(0.8, 12);
    expect(standard_error).toBeCloseTo(Math.sqrt(3.6 / 3 / 10), 12);
    expect(grows({ per_step: 100_000, standard_error: 1000 })).toBe(true);
    expect(grows({ per_step: 100_000, standard_error: 50_000 })).toBe(false);
    expect(grows({ per_step: 1000, standard_error: 1 })).toBe(false);
  });

  it('finds what was planted, names it, and leaves store and directory as they were', async () => {
    await filled();
    const { head } = await engine!.status({}, testContext);
    const workDir = temporaryDirectory();
    const snapshotsDir = join(temporaryDirectory(), 'heap');
    const hunt = await huntHeap(
      engine!,
      {
        workDir,
        snapshotsDir,
        rounds: 5,
        warmup: 1,
        operations: 20,
        queries: ['note'],
        modes: ['keyword'],
        leak: 1000,
      },
      testContext,
    );
    expect(hunt.rounds).toHaveLength(5);
    expect(hunt.grows).toBe(true);
    // Sixteen doubles and an object each.
    expect(hunt.heap.per_step).toBeGreaterThan(1000 * 16 * 8);
    expect(hunt.grown).toContainEqual(expect.objectContaining({ name: 'Leaked', count: 4000 }));
    expect(readdirSync(snapshotsDir).sort()).toEqual(['first.heapsnapshot', 'last.heapsnapshot']);
    expect(readdirSync(workDir)).toEqual([]);
    expect((await engine!.status({}, testContext)).head).toEqual(head);
    const again = { workDir, snapshotsDir, queries: ['note'], modes: ['keyword' as const] };
    await expect(huntHeap(engine!, again, testContext)).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(readdirSync(workDir)).toEqual([]);
  });
});

it('a CPU profile is what V8 writes, one at a time', async () => {
  await filled();
  const taking = engine!.profileCpu({ seconds: 0.1 }, testContext);
  await expect(engine!.profileCpu({ seconds: 0.1 }, testContext)).rejects.toMatchObject({
    code: 'PROFILE_RUNNING',
  });
  const { pid, profile } = await taking;
  expect(pid).toBe(process.pid);
  const parsed = JSON.parse(profile) as {
    nodes: { callFrame: object }[];
    endTime: number;
    startTime: number;
  };
  expect(parsed.nodes.length).toBeGreaterThan(0);
  expect(parsed.endTime).toBeGreaterThan(parsed.startTime);
  await expect(engine!.profileCpu({ seconds: 61 }, testContext)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
