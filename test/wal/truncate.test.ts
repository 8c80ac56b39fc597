/**
 * Cutting the tail off a log: what stands afterwards, what is in quarantine, and that a crash after any step leaves the old log or the
 * new one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { forkLog } from '#wal/fork.js';
import { hashHex, xxh64 } from '#wal/hash.js';
import {
  encodeSlot,
  HEAD_FILE_BYTES,
  HeadFile,
  type HeadProof,
  Intent,
  readHeadFile,
} from '#wal/head-file.js';
import type { LevelLog } from '#wal/level-log.js';
import { epochStartOf } from '#wal/lineage.js';
import { type OpenLogOptions, openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { exportTail, inspectQuarantines, listQuarantines, type Quarantine } from '#wal/quarantine.js';
import { RecordType } from '#wal/record.js';
import type { CutStep } from '#wal/truncate.js';
import { verifyLog } from '#wal/verify.js';
import { flip, overwriteWith, truncate, zero } from '../helpers/damage.js';
import { allTexts, Directories, event, put, textsOf } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

const CHILD = fileURLToPath(new URL('../helpers/cut-process.mjs', import.meta.url));
const SLOTS = [0, 4096] as const;
let storeDir: string;
const at = (...names: string[]) => join(storeDir, ...names);
const open = (options: Partial<OpenLogOptions> = {}): Promise<LevelLog> => openLog({ storeDir, ...options });

beforeEach(() => {
  storeDir = directories.path();
});

/** A closed store with these texts, a transaction each. */
async function made(...texts: string[]): Promise<void> {
  const log = await open({ create: true });
  for (const text of texts) await put(log, text);
  await log.close();
}

/** Exports what is behind `after` and cuts it. */
async function cutAfter(after: number, options: Partial<OpenLogOptions> = {}): Promise<Quarantine> {
  const log = await open();
  const cut = { after: { seq: after, hash: log.get(after).hash }, head: log.head };
  const quarantine = await exportTail(log, storeDir, after, { reason: 'a test', clock: Date.now });
  await log.close();
  await (await open({ cut, ...options })).close();
  return quarantine;
}

async function texts(): Promise<string[]> {
  const log = await open();
  try {
    return await allTexts(log);
  } finally {
    await log.close();
  }
}

const findings = async () => (await verifyLog(storeDir)).findings;
const proof = () => readHeadFile(at(PATHS.head))!.proof;
/** Whether any file of the log holds these bytes. */
const onDisk = (text: string) =>
  readdirSync(at(PATHS.log)).some(name => readFileSync(at(PATHS.log, name)).includes(text));

describe('a cut', () => {
  test('takes the tail, begins an epoch, and the numbers are used again', async () => {
    await made('a', 'b', 'secret-c', 'secret-d');
    const before = proof();
    const { manifest } = await cutAfter(3);
    expect(manifest).toMatchObject({
      ...{ epoch: 1, nextEpoch: 2, records: 2, storeId: before.storeId, reason: 'a test' },
      ...{ first: { seq: 4 }, last: { seq: 5, hash: hashHex(before.hash) } },
    });
    const log = await open();
    expect(log.lineage).toMatchObject({ storeId: before.storeId, epoch: 2, epochSeq: 4 });
    expect(log.head.seq).toBe(4);
    const record = log.get(4);
    expect(record).toMatchObject({ type: RecordType.epoch, last: true, prevHash: log.get(3).hash });
    expect(epochStartOf(record)).toEqual({ epoch: 2, cut: { seq: 5, hash: before.hash } });
    expect(await allTexts(log)).toEqual(['a', 'b']);
    await put(log, 'e');
    await put(log, 'f');
    await log.close();
    expect(await texts()).toEqual(['a', 'b', 'e', 'f']);
    expect(await verifyLog(storeDir)).toMatchObject({
      findings: [],
      pendingCut: undefined,
      epochs: [{ epoch: 2, seq: 4, cut: { seq: 5, hash: hashHex(before.hash) } }],
    });
  });

  test('leaves nothing of the tail in the files of the log', async () => {
    const log = await open({ create: true });
    await put(log, 'stays');
    for (let i = 0; i < 50; i++) await put(log, `tail-marker ${i}`.padEnd(60_000, '.'));
    await log.close();
    // Once in a table, once in a log file as well.
    await (await open()).close();
    expect(onDisk('tail-marker')).toBe(true);
    await cutAfter(2);
    expect(onDisk('tail-marker')).toBe(false);
    expect(onDisk('stays')).toBe(true);
    expect(readdirSync(at(PATHS.evidence))).toEqual([]);
  });

  test('of more records than are deleted at once goes from the head downwards, each batch told', async () => {
    await made('a', 'b');
    const log = await open();
    await log.append(Array.from({ length: 9000 }, (_, i) => event(`of many ${i}`))).durable;
    const { seq } = log.head;
    await log.close();
    const steps: [CutStep, number, number][] = [];
    const onCutStep = (...step: [CutStep, number, number]) => steps.push(step);
    await cutAfter(2, { onCutStep });
    const total = seq - 2;
    expect(steps).toEqual([
      ...[1, 2].map(done => ['intent', done, 2]),
      ...[4096, 8192, total].map(done => ['delete', done, total]),
      ['compact', 1, 1],
      ['epoch', 1, 1],
      ...[1, 2].map(done => ['head', done, 2]),
    ]);
    expect(onDisk('of many')).toBe(false);
    expect(proof()).toMatchObject({ seq: 3, epoch: 2, epochSeq: 3 });
    expect([await texts(), await findings()]).toEqual([['a'], []]);
  });

  test('again and again, each in its own epoch and its own quarantine', async () => {
    await made('a', 'b', 'c');
    await cutAfter(3);
    const log = await open();
    for (const text of ['d', 'e', 'f']) await put(log, text);
    await log.close();
    await cutAfter(6);
    await cutAfter(2);
    expect(await texts()).toEqual(['a']);
    expect(proof()).toMatchObject({ epoch: 4, epochSeq: 3 });
    expect(await findings()).toEqual([]);
    const kept = await inspectQuarantines(storeDir);
    expect(kept.map(({ manifest, problem }) => [manifest!.first.seq, manifest!.last.seq, problem])).toEqual([
      [4, 4, undefined],
      [7, 7, undefined],
      [3, 7, undefined],
    ]);
  });

  test('only of the log that was looked at, and only behind what made the store', async () => {
    await made('a', 'b');
    const log = await open();
    const cut = { after: { seq: 2, hash: log.get(2).hash }, head: log.head };
    await put(log, 'c');
    await log.close();
    await expect(open({ cut })).rejects.toMatchObject({ code: 'WAL_CONFLICT' });
    const now = { seq: 4, hash: proof().hash };
    for (const head of [
      { ...now, seq: 3 },
      { ...now, hash: now.hash ^ 1n },
    ])
      await expect(open({ cut: { ...cut, head } })).rejects.toMatchObject({ code: 'WAL_CONFLICT' });
    for (const seq of [0, 4, 5])
      await expect(open({ cut: { after: { seq, hash: 1n }, head: now } })).rejects.toMatchObject({
        code: 'WAL_IO',
        cause: expect.any(RangeError),
      });
    expect(await texts()).toEqual(['a', 'b', 'c']);
  });

  test('of a fork stays behind the fork record, whose epoch is that of its moment', async () => {
    await made('a', 'b', 'c');
    await cutAfter(3);
    const source = await open();
    await put(source, 'd');
    const [early, late] = [directories.path(), directories.path()];
    await forkLog(source, 2, early, { clock: Date.now });
    await forkLog(source, 5, late, { clock: Date.now });
    await source.close();
    for (const [dir, at, epoch] of [
      [early, 3, 1],
      [late, 6, 2],
    ] as const) {
      storeDir = dir;
      const log = await open();
      expect(log.lineage).toMatchObject({ lineageSeq: at, epoch: 1, epochSeq: 0 });
      expect(Buffer.from(log.get(at).body!).readUInt32LE(40)).toBe(epoch);
      await put(log, 'of the fork');
      await log.close();
      expect(await findings()).toEqual([]);
      await cutAfter(at);
      expect(proof()).toMatchObject({ epoch: 2, epochSeq: at + 1, lineageSeq: at });
      expect(await findings()).toEqual([]);
    }
  });

  test('of a transaction of several batches, and before one', async () => {
    const log = await open({ create: true, limits: { maxBatchBytes: 2000 } });
    await put(log, 'a');
    await log.append(Array.from({ length: 20 }, (_, i) => event(`long ${i}`, 200))).durable;
    const { seq } = log.head;
    await put(log, 'b');
    await log.close();
    await cutAfter(seq);
    expect((await texts()).length).toBe(21);
    const again = await open();
    await expect(exportTail(again, storeDir, seq - 3, { reason: '', clock: Date.now })).rejects.toThrow(
      RangeError,
    );
    await again.close();
    await cutAfter(2);
    expect(await texts()).toEqual(['a']);
    expect(await findings()).toEqual([]);
  });
});

describe('quarantine', () => {
  test('holds the records byte for byte', async () => {
    await made('a', 'b', 'c'.repeat(70_000), 'd');
    const log = await open();
    const values: Buffer[] = [];
    for await (const piece of log.raw(3, 5)) values.push(...piece.map(([, value]) => Buffer.from(value)));
    await log.close();
    const { path } = await cutAfter(2);
    const bytes = readFileSync(join(path, 'records'));
    const expected = values.flatMap(value => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(value.length);
      return [length, value];
    });
    expect(bytes.equals(Buffer.concat(expected))).toBe(true);
  });

  test.each<[string, (path: string) => void]>([
    ['a flipped bit', path => flip(join(path, 'records'), 120, 2)],
    ['a length that was altered', path => flip(join(path, 'records'), 1, 7)],
    ['records cut short', path => truncate(join(path, 'records'), 150)],
    ['records that end at a boundary', path => truncate(join(path, 'records'), 4 + 89)],
    ['something behind the records', path => appendFileSync(join(path, 'records'), 'x')],
    ['no manifest', path => writeFileSync(join(path, 'manifest.json'), '{}')],
    ['a manifest that is no object', path => writeFileSync(join(path, 'manifest.json'), 'null')],
    ['a manifest that is gone', path => rmSync(join(path, 'manifest.json'))],
    ...(
      [
        ['of another format', { format: 2 }],
        ['of other records', { records: 3 }],
        ['without a count', { records: 'two' }],
        ['without a reason', { reason: 5 }],
        ['without a first record', { first: null }],
        ['with a first record without a hash', { first: { seq: 3 } }],
        ['that follow another record', { after: { seq: 2, hash: '0'.repeat(16) } }],
        ['that begin with another record', { first: { seq: 3, hash: '0'.repeat(16) } }],
        ['that begin later', { first: { seq: 4, hash: '0'.repeat(16) } }],
        ['that end with another record', { last: { seq: 4, hash: '0'.repeat(16) } }],
        ['that end later', { last: { seq: 5, hash: '0'.repeat(16) } }],
        ['with another digest', { sha256: '0'.repeat(64) }],
      ] as const
    ).map(([what, over]): [string, (path: string) => void] => [
      `a manifest ${what}`,
      path => {
        const file = join(path, 'manifest.json');
        const manifest = JSON.parse(readFileSync(file, 'utf8')) as object;
        writeFileSync(file, JSON.stringify({ ...manifest, ...over }));
      },
    ]),
  ])('%s is found', async (_, damage) => {
    await made('a', 'b', 'c');
    const { path } = await cutAfter(2);
    expect(await inspectQuarantines(storeDir)).toMatchObject([{ problem: undefined }]);
    damage(path);
    expect(await inspectQuarantines(storeDir)).toMatchObject([{ problem: expect.any(String) }]);
  });

  test('the copy of a cut that never began makes way for the next one; half of one too', async () => {
    await made('a', 'b', 'c');
    const exportOnly = async () => {
      const log = await open();
      await exportTail(log, storeDir, 2, { reason: 'first', clock: Date.now });
      await log.close();
    };
    await exportOnly();
    cpSync(listQuarantines(storeDir)[0]!.path, at(PATHS.quarantine, 'half.unfinished'), { recursive: true });
    expect(listQuarantines(storeDir)).toHaveLength(1);
    const { path } = await cutAfter(3);
    expect(readdirSync(at(PATHS.quarantine)).map(name => at(PATHS.quarantine, name))).toEqual([path]);
    // What was cut stays, whatever comes after.
    await exportOnly();
    await exportOnly();
    expect(listQuarantines(storeDir)).toHaveLength(2);
    expect(existsSync(path)).toBe(true);
  });
});

describe('HEAD', () => {
  const sealed = (slot: Buffer) => {
    slot.writeBigUInt64LE(xxh64(slot.subarray(0, 120)), 120);
    return slot;
  };

  test('of a store that was never cut stays of version 1; afterwards only a program that knows epochs opens it', async () => {
    await made('a', 'b');
    const version = () => SLOTS.map(offset => readFileSync(at(PATHS.head)).readUInt32LE(offset + 8));
    expect(version()).toEqual([1, 1]);
    await cutAfter(2);
    expect(version()).toEqual([2, 2]);
  });

  test.each([
    ['the intent to cut in a slot of version 1', 1, 3],
    ['an intent that is not known yet', 2, 4],
    ['a later version', 3, 0],
  ])('%s is refused by name', async (_, version, intent) => {
    await made('a');
    const slot = encodeSlot(proof());
    slot.writeUInt32LE(version, 8);
    slot.writeUInt32LE(intent, 12);
    overwriteWith(at(PATHS.head), SLOTS[1], sealed(slot));
    await expect(open()).rejects.toMatchObject({ code: 'WAL_NEWER_FORMAT' });
    expect(await findings()).toMatchObject([{ code: 'WAL_NEWER_FORMAT' }]);
  });

  test('that names another epoch than the log does is refused', async () => {
    await made('a', 'b', 'c');
    await cutAfter(2);
    const cut = proof();
    const set = (over: Partial<HeadProof>) => HeadFile.create(at(PATHS.head), { ...cut, ...over });
    for (const over of [{ epoch: 3 }, { epochSeq: 2 }]) {
      set(over);
      await expect(open()).rejects.toMatchObject({ code: 'WAL_HEAD_MISMATCH' });
      expect(await findings()).toMatchObject([{ code: 'WAL_HEAD_MISMATCH' }]);
    }
    set({ epoch: 1, epochSeq: 0 });
    expect(await findings()).toMatchObject([{ code: 'WAL_HEAD_MISMATCH' }]);
    set({});
    expect(await findings()).toEqual([]);
  });

  test('whose intent is about another log is refused, and nothing is cut', async () => {
    await made('a', 'b', 'c');
    const { seq, hash, ...rest } = proof();
    const log = await open();
    const after = log.get(2);
    await log.close();
    const intent = { ...rest, intent: Intent.truncate, epoch: 2, epochSeq: 3, seq: 2, hash: after.hash };
    for (const cut of [
      { seq: seq - 1, hash },
      { seq, hash: 1n },
    ]) {
      HeadFile.create(at(PATHS.head), { ...intent, cut });
      await expect(open()).rejects.toMatchObject({ code: 'WAL_HEAD_MISMATCH' });
    }
    HeadFile.create(at(PATHS.head), { ...rest, seq, hash });
    expect(await texts()).toEqual(['a', 'b', 'c']);
  });
});

describe('a crash', () => {
  /** Seqs: 1 genesis, 2..41 singles, then a tail of three batches' worth of deletions. */
  const AFTER = 41;
  const TAIL = 8500;
  let old: string;
  let oldProof: HeadProof;
  let oldTexts: string[];

  beforeAll(async () => {
    old = directories.path();
    const log = await openLog({ storeDir: old, create: true });
    for (let i = 2; i <= AFTER; i++) await put(log, `stays ${i} `.padEnd(1000, '.'));
    for (let i = 0; i < TAIL; i += 500)
      await put(log, ...Array.from({ length: 500 }, (_, k) => `tail ${i + k}`));
    oldTexts = await allTexts(log);
    await log.close();
    oldProof = readHeadFile(join(old, PATHS.head))!.proof;
  });

  beforeEach(() => cpSync(old, storeDir, { recursive: true }));

  /** Runs the cut (or, with after 0, an opening) in a process that is killed at the n-th report of a step. */
  async function killedAt(step: CutStep | 'exported', nth: number, after = AFTER) {
    const child = spawn(process.execPath, [CHILD, storeDir, String(after), step, String(nth)], {
      stdio: 'inherit',
    });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  }

  async function expectOld(): Promise<void> {
    const log = await open();
    expect(log.head).toMatchObject({ seq: oldProof.seq, hash: oldProof.hash });
    expect(log.lineage.epoch).toBe(1);
    expect((await allTexts(log)).join()).toBe(oldTexts.join());
    await log.close();
    expect(await findings()).toEqual([]);
  }

  async function expectNew(): Promise<void> {
    const log = await open();
    expect(log.head.seq).toBe(AFTER + 1);
    expect(epochStartOf(log.get(AFTER + 1))).toEqual({
      epoch: 2,
      cut: { seq: oldProof.seq, hash: oldProof.hash },
    });
    expect(log.lineage).toMatchObject({ storeId: oldProof.storeId, epoch: 2, epochSeq: AFTER + 1 });
    await put(log, 'on');
    await log.close();
    expect(await texts()).toEqual([...oldTexts.slice(0, AFTER - 1), 'on']);
    expect(await verifyLog(storeDir)).toMatchObject({ findings: [], pendingCut: undefined });
    expect(onDisk('tail ')).toBe(false);
    expect(readHeadFile(at(PATHS.head))).toMatchObject({ damagedSlots: 0 });
    expect(await inspectQuarantines(storeDir)).toMatchObject([
      { problem: undefined, manifest: { records: TAIL, last: { hash: hashHex(oldProof.hash) } } },
    ]);
  }

  test('after any step leaves the old log until the intent stands, and from then on the new one', async () => {
    // What a kill would leave is what stands on disk when a step reports: every batch was flushed before.
    const images: { step: string; dir: string }[] = [];
    const keep = (step: string) => {
      const dir = directories.path();
      cpSync(storeDir, dir, { recursive: true });
      images.push({ step, dir });
    };
    const log = await open();
    const cut = { after: { seq: AFTER, hash: log.get(AFTER).hash }, head: log.head };
    await exportTail(log, storeDir, AFTER, {
      ...{ reason: 'a test', clock: Date.now },
      // Within the copy, its beginning and its end will do.
      onStep: (step, done, total) => {
        if (step === 'exported' || done === total || (step === 'export' && !images.length)) keep(step);
      },
    });
    await log.close();
    await (await open({ cut, onCutStep: keep })).close();
    const steps = images.map(({ step }) => step);
    expect(steps.filter((step, i) => step !== steps[i - 1])).toEqual([
      ...['export', 'read back', 'exported', 'intent', 'delete', 'compact', 'epoch', 'head'],
    ]);
    expect(steps.filter(step => step === 'delete')).toHaveLength(3);
    for (const { step, dir } of images) {
      storeDir = dir;
      const isOld =
        images.findIndex(image => image.step === 'intent') > images.findIndex(image => image.dir === dir);
      // No damage in any of these states; verify tells what is to come.
      const pendingCut = isOld || step === 'head' ? undefined : { after: AFTER, head: oldProof.seq };
      expect(await verifyLog(storeDir), step).toMatchObject({ findings: [], pendingCut });
      await (isOld ? expectOld() : expectNew());
    }
  });

  test.each([
    ['exported', 1, expectOld],
    ['delete', 2, expectNew],
    ['epoch', 1, expectNew],
  ] as const)('by kill -9 at %s, %i', async (step, nth, expectEnd) => {
    await killedAt(step, nth);
    await expectEnd();
  });

  test('at every step of the openings that are to finish it', async () => {
    await killedAt('delete', 1);
    for (const step of ['delete', 'compact', 'epoch', 'head'] as const) {
      await killedAt(step, 1, 0);
      expect(await findings()).toEqual([]);
    }
    await expectNew();
  });

  test('and damage in a table that holds what stays: it is not merged into a table with new checksums', async () => {
    // Into a table: it holds the end of what stays and the beginning of what goes. The damage is in a block that no opening reads.
    await (await open()).close();
    await killedAt('delete', 3);
    const isTable = (name: string) => name.endsWith('.ldb');
    const table = readdirSync(at(PATHS.log)).find(
      name => isTable(name) && readFileSync(at(PATHS.log, name)).includes('stays 20'),
    )!;
    flip(at(PATHS.log, table), readFileSync(at(PATHS.log, table)).indexOf('stays 20'), 1);
    await expect(open()).rejects.toMatchObject({ code: 'WAL_BAD_RECORD' });
    expect(await findings()).not.toEqual([]);
    flip(at(PATHS.log, table), readFileSync(at(PATHS.log, table)).indexOf('tays 20') - 1, 1);
    await expectNew();
  });

  test('that tears a slot of HEAD', async () => {
    const slotOf = (counter: number) => (counter % 2 === 0 ? SLOTS[0] : SLOTS[1]);
    // The first slot with the intent never got whole: nothing has begun.
    await killedAt('intent', 1);
    zero(at(PATHS.head), slotOf(proof().counter) + 64, 64);
    await expectOld();
    // The second one: the first counts.
    await killedAt('intent', 2);
    zero(at(PATHS.head), slotOf(proof().counter) + 64, 64);
    expect(proof()).toMatchObject({ intent: Intent.truncate, seq: AFTER });
    await killedAt('delete', 2, 0);
    // Either of them may be lost in the middle of the cut.
    flip(at(PATHS.head), slotOf(proof().counter + 1) + 50, 1);
    // And the one that ends it.
    await killedAt('head', 1, 0);
    zero(at(PATHS.head), slotOf(proof().counter) + 64, 64);
    expect(readFileSync(at(PATHS.head))).toHaveLength(HEAD_FILE_BYTES);
    await expectNew();
  });
});

test('random appends, cuts and crashes against a plain array', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 5 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        keepPercent: fc.integer({ min: 0, max: 99 }),
        failAt: fc.constantFrom<CutStep | undefined>(
          undefined,
          'intent',
          'delete',
          'compact',
          'epoch',
          'head',
        ),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async steps => {
      storeDir = directories.path();
      await made('0');
      /** The text of each record; undefined for the log's own. */
      const model: (string | undefined)[] = [undefined, '0'];
      let epoch = 1;
      let text = 0;
      for (const todo of steps) {
        if ('append' in todo) {
          const log = await open();
          for (let i = 0; i < todo.append; i++) {
            text += 1;
            await put(log, `${text}`);
            model.push(`${text}`);
          }
          await log.close();
        } else {
          const after = 1 + Math.floor(((model.length - 1) * todo.keepPercent) / 100);
          if (after === model.length) continue;
          const failed = new Error('a step failed');
          const onCutStep = (step: CutStep) => {
            if (step === todo.failAt) throw failed;
          };
          const outcome = await cutAfter(after, { onCutStep }).catch(error => error);
          if (todo.failAt !== undefined) expect(outcome).toMatchObject({ code: 'WAL_IO', cause: failed });
          model.splice(after, model.length, undefined);
          epoch += 1;
        }
        const log = await open();
        expect([log.head.seq, log.lineage.epoch]).toEqual([model.length, epoch]);
        expect(await textsOf(log.read())).toEqual(model.filter(entry => entry !== undefined));
        await log.close();
        expect(await findings()).toEqual([]);
      }
    }),
    { numRuns: Number(process.env.CUT_RUNS ?? 6) },
  );
});
