/** What verify says of stores that do not hang together: events, checkpoints, HEAD and backups that are not of the log, and what rots while it verifies. */
import { cpSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backUpStore } from '#src/engine/backup.js';
import { listCheckpoints } from '#src/engine/checkpoints.js';
import { rollback } from '#src/engine/rollback.js';
import { type VerifyReport, verifyStore } from '#src/engine/verify.js';
import { nextSteps } from '#src/engine/verify-advice.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { manifestOf, rewritePart, writeManifest } from '../helpers/checkpoint.js';
import { flip, truncate } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const parent = temporaryDirectory();
let made = 0;
const newPath = () => join(parent, String(made++));
let sound: string;
let storeDir: string;

const at = (...names: string[]) => join(storeDir, ...names);
const nameOf = (seq: number) => String(seq).padStart(16, '0');
const newest = (store = storeDir) => join(store, PATHS.checkpoints, nameOf(listCheckpoints(store)[0]!));
const codesOf = ({ findings }: Pick<VerifyReport, 'findings'>) => findings.map(({ code }) => code);
const notesOf = ({ notes }: Pick<VerifyReport, 'notes'>) => notes.map(({ message }) => message);

/** Writes an item in a session of its own. @returns the number of its event */
async function put(store: string, id: string, text: string): Promise<number> {
  const engine = await openTestEngine(store);
  const { seq } = await engine.upsert({ collection: 'notes', items: [{ id, text }] }, testContext);
  await engine.close();
  return seq;
}

async function backUp(store: string, to: string): Promise<void> {
  const log = await openLog({ storeDir: store });
  await backUpStore(log, { to }, testContext, { clock: Date.now, ending: new AbortController().signal });
  await log.close();
}

beforeAll(async () => {
  sound = newPath();
  for (const text of ['one', 'two', 'three']) await put(sound, 'a', `version ${text}`);
});

beforeEach(() => {
  storeDir = newPath();
  cpSync(sound, storeDir, { recursive: true });
});

describe('what is no store', () => {
  test('is refused by what it is', async () => {
    const empty = newPath();
    mkdirSync(empty);
    await expect(verifyStore(empty)).rejects.toMatchObject({
      code: 'STORE_MISSING',
      message: `${empty} holds no store`,
    });
    writeFileSync(join(empty, 'notes.txt'), 'somebody’s');
    await expect(verifyStore(empty)).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
  });
});

test('events that this program cannot read are named, and the log is no longer compared', async () => {
  const log = await openLog({ storeDir });
  const types = [32, 999];
  for (const type of types) await log.append([{ type, body: Buffer.from('no event'), actor: 0 }]).durable;
  const last = log.head.seq;
  await log.close();
  const report = await verifyStore(storeDir);
  expect(report.findings.map(({ code, seq }) => [code, seq])).toEqual([
    ['EVENT_MALFORMED', last - 1],
    ['EVENT_UNKNOWN', last],
  ]);
  expect(notesOf(report)).toEqual([expect.stringContaining('the log is damaged')]);
});

test('a finding of a kind that has no advice of its own gets that for damage', () => {
  const [of, other] = [
    { code: 'WAL_GAP', message: '' },
    { code: 'OF_A_LATER_VERSION', message: '' },
  ];
  expect(nextSteps([of, other])).toEqual([{ codes: [of.code, other.code], step: nextSteps([of])[0]!.step }]);
});

describe('a checkpoint', () => {
  test('of another history of the same store is found', async () => {
    const other = newPath();
    cpSync(storeDir, other, { recursive: true });
    expect(await put(storeDir, 'b', 'here')).toBe(await put(other, 'b', 'there'));
    rmSync(newest(), { recursive: true });
    cpSync(newest(other), join(storeDir, PATHS.checkpoints, nameOf(listCheckpoints(other)[0]!)), {
      recursive: true,
    });
    for (const level of ['full', 'deep'] as const) {
      const report = await verifyStore(storeDir, { level });
      expect(codesOf(report)).toEqual(['CHECKPOINT_FOREIGN']);
      expect(report).toMatchObject({ notes: [], checkpoints: [{ sound: false }, { sound: true }] });
    }
  });

  test('of an event beyond a log that was put back is not compared', async () => {
    const seq = await put(storeDir, 'b', 'more');
    for (const name of [PATHS.log, PATHS.head]) {
      rmSync(at(name), { recursive: true });
      cpSync(join(sound, name), at(name), { recursive: true });
    }
    const report = await verifyStore(storeDir);
    expect(report.sound).toBe(true);
    expect(notesOf(report)).toEqual([
      `the checkpoint of event ${seq} was not compared with the log: it is of an event beyond the end of the log`,
    ]);
  });

  test('whose catalog contradicts itself is found', async () => {
    rewritePart(newest(), /^catalog$/, bytes => {
      const place = bytes.indexOf('"items":1');
      expect(place).toBeGreaterThan(0);
      bytes.write('"items":7', place);
      return bytes;
    });
    const { findings } = await verifyStore(storeDir);
    expect(findings).toMatchObject([
      { code: 'CHECKPOINT_DIFFERS', message: expect.stringContaining('counts 7 items, and has 1') },
    ]);
  });

  describe('from before contents were erased', () => {
    let former: string;
    beforeEach(async () => {
      former = newPath();
      const [seq] = listCheckpoints(storeDir);
      cpSync(newest(), join(former, nameOf(seq!)), { recursive: true });
      const engine = await openTestEngine(storeDir);
      await engine.horizon({ through: 'now', dry_run: false }, testContext);
      await engine.close();
    });

    test('knows more than the log, and is not compared by default', async () => {
      rmSync(at(PATHS.checkpoints), { recursive: true });
      cpSync(former, at(PATHS.checkpoints), { recursive: true });
      const report = await verifyStore(storeDir);
      expect([report.sound, report.erased]).toEqual([true, 2]);
      expect(notesOf(report)).toEqual([expect.stringContaining('it is from before contents were erased')]);
    });

    test('and one from afterwards: --deep compares the vectors of what lives', async () => {
      expect(await verifyStore(storeDir, { level: 'deep' })).toMatchObject({
        sound: true,
        checkpoints: [{ compared: 'all' }, {}],
      });
      rewritePart(newest(), /\.vectors$/, bytes => {
        bytes[bytes.length - 3]! ^= 1;
        return bytes;
      });
      expect(codesOf(await verifyStore(storeDir, { level: 'deep' }))).toEqual(['CHECKPOINT_DIFFERS']);
    });
  });

  test('is not compared while a cut waits to be finished', async () => {
    const to = String(listCheckpoints(storeDir)[1]);
    await expect(
      rollback({
        storeDir,
        to,
        truncate: { reason: 'a test' },
        onProgress: ({ message }) => {
          if (message.startsWith('HEAD says')) throw new Error('as if it were killed');
        },
      }),
    ).rejects.toThrow('as if it were killed');
    const report = await verifyStore(storeDir);
    expect([codesOf(report), report.pendingCut]).toEqual([[], expect.anything()]);
    expect(notesOf(report)).toEqual([expect.stringContaining('the log is about to be cut')]);
  });

  test('is not compared by --deep where a power loss cut the last opening off', async () => {
    const names = readdirSync(at(PATHS.log)).filter(
      name => name === 'CURRENT' || /^MANIFEST-|\.log$/.test(name),
    );
    const folder = at(PATHS.evidence, '2026-01-01T00-00-00-000Z-7.opening');
    mkdirSync(folder, { recursive: true });
    for (const name of names) linkSync(at(PATHS.log, name), join(folder, name));
    for (const name of names) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
    const report = await verifyStore(storeDir, { level: 'deep' });
    expect(codesOf(report)).toEqual([]);
    expect(notesOf(report)).toContainEqual(
      expect.stringContaining('a power loss interrupted the last opening'),
    );
    // The next opening takes it back, and then it is.
    await (await openLog({ storeDir })).close();
    expect(await verifyStore(storeDir, { level: 'deep' })).toMatchObject({
      sound: true,
      checkpoints: [{ compared: 'all' }, {}],
    });
  });

  describe('of a log that rots once it was found sound', () => {
    const whileComparing = (damage: () => void) =>
      verifyStore(storeDir, {
        level: 'deep',
        onProgress: ({ message, total }) => {
          if (message === 'comparing the checkpoint with the log' && total === undefined) damage();
        },
      });

    test('is not compared, and what its copy says is a finding', async () => {
      const report = await whileComparing(() => {
        const [table] = readdirSync(at(PATHS.log)).filter(name => name.endsWith('.ldb'));
        truncate(at(PATHS.log, table!), 100);
      });
      expect(report.sound).toBe(false);
      expect(report.findings).toEqual([
        expect.objectContaining({ message: expect.stringContaining('a copy of the log does not open') }),
      ]);
      expect(report.next).not.toEqual([]);
    });

    test('is not compared where it cannot be copied', async () => {
      const report = await whileComparing(() => {
        rmSync(at(PATHS.log, 'CURRENT'));
        mkdirSync(at(PATHS.log, 'CURRENT'));
      });
      expect([report.sound, notesOf(report)]).toEqual([
        true,
        [expect.stringMatching(/not compared .*EISDIR/)],
      ]);
    });
  });

  test('of a log that cannot be applied is not compared', async () => {
    const log = await openLog({ storeDir });
    // Rightly formed, of an item that never was.
    const body = Buffer.from(JSON.stringify({ collection: 1, id: 'never there' }).padEnd(36));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(body.length);
    await log.append([{ type: 33, body: Buffer.concat([length, body]), actor: 0 }]).durable;
    const { seq, hash } = log.head;
    await log.close();
    const manifest = manifestOf(newest());
    cpSync(newest(), at(PATHS.checkpoints, nameOf(seq)), { recursive: true });
    writeManifest(newest(), { ...manifest, seq, hash: hash.toString(16).padStart(16, '0') });
    const report = await verifyStore(storeDir, { level: 'deep' });
    expect(notesOf(report)).toEqual([expect.stringContaining('could not be applied')]);
  });
});

describe('beside its backups', () => {
  let backups: string;
  beforeEach(async () => {
    backups = newPath();
    await backUp(storeDir, backups);
  });

  test('a store whose log is gone altogether lacks all of them', async () => {
    const seq = listCheckpoints(storeDir)[0]!;
    rmSync(at(PATHS.log), { recursive: true });
    for (const level of ['quick', 'full'] as const) {
      const report = await verifyStore(storeDir, { level, backups });
      expect(codesOf(report)).toContain('BACKUP_DIVERGED');
      expect(report.findings.find(({ code }) => code === 'BACKUP_DIVERGED')!.message).toMatch(/ends at 0$/);
      expect(report.coverage).toMatchObject({ last: { seq }, missing: 0 });
    }
  });

  test('quick judges the end of the log alone', async () => {
    expect(await verifyStore(storeDir, { level: 'quick', backups })).toMatchObject({ findings: [] });
    for (let n = 0; n < 3; n++) await put(storeDir, `more-${n}`, 'later');
    expect(await verifyStore(storeDir, { level: 'quick', backups })).toMatchObject({
      findings: [],
      coverage: { missing: expect.any(Number) },
    });
  });

  test('one that went another way is told apart from one that ends too early', async () => {
    const other = newPath();
    cpSync(storeDir, other, { recursive: true });
    const seq = await put(other, 'b', 'there');
    await backUp(other, backups);
    const early = await verifyStore(storeDir, { backups });
    expect(early.findings).toMatchObject([
      { code: 'BACKUP_DIVERGED', message: expect.stringMatching(/ends at/) },
    ]);
    expect(await put(storeDir, 'b', 'here')).toBe(seq);
    const report = await verifyStore(storeDir, { backups });
    expect(report.findings).toMatchObject([
      { code: 'BACKUP_DIVERGED', message: expect.stringMatching(/the log has another one$/), seq },
    ]);
  });

  test.each([
    ['is damaged', () => writeFileSync(at(PATHS.head), Buffer.alloc(readFileSync(at(PATHS.head)).length))],
    ['is missing', () => rmSync(at(PATHS.head))],
  ])('a HEAD that %s is a finding of its own', async (_, damage) => {
    damage();
    const report = await verifyStore(storeDir, { backups });
    expect(codesOf(report)).toEqual([expect.stringMatching(/^WAL_HEAD_/)]);
    expect(report.coverage).toMatchObject({ missing: 0 });
  });

  test('a HEAD that cannot be read ends it', async () => {
    rmSync(at(PATHS.head));
    mkdirSync(at(PATHS.head));
    await expect(verifyStore(storeDir, { backups })).rejects.toMatchObject({ code: 'WAL_IO' });
  });

  test('backups of which none can be read cover nothing', async () => {
    for (const name of readdirSync(backups)) if (name.endsWith('.json')) flip(join(backups, name), 20, 1);
    const { coverage, head, sound } = await verifyStore(storeDir, { backups });
    expect([coverage, sound]).toEqual([{ path: backups, missing: head!.seq }, true]);
  });
});
