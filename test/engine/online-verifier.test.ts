/** The verification beside the work, by itself: where it goes on, what of its notes it believes, and how it ends. */
import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { backUpStore } from '#src/engine/backup.js';
import { OnlineVerifier } from '#src/engine/online-verifier.js';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { event, put } from '../helpers/wal.js';

const parent = temporaryDirectory();
let made = 0;
const newPath = () => join(parent, String(made++));

let storeDir: string;
let log: LevelLog;
let warnings: string[];
let onWarning: () => void;

/** Of the open log, as the next server would have it. */
const newVerifier = () =>
  new OnlineVerifier({
    ...{ storeDir, log, clock: Date.now },
    warn: message => {
      warnings.push(message);
      onWarning();
    },
  });

beforeEach(async () => {
  storeDir = newPath();
  warnings = [];
  onWarning = () => {};
  for (let session = 0; session < 3; session++) {
    const filled = await openLog({ storeDir, create: true });
    for (let n = 0; n < 5; n++)
      await filled.append(Array.from({ length: 4 }, (_, i) => event(`record ${session} ${n} ${i}`, 40_000)))
        .durable;
    await filled.close();
  }
  log = await openLog({ storeDir });
  await put(log, 'in the live log');
  return () => log.close();
});

const whole = (verifier: OnlineVerifier, context: object = {}) =>
  verifier.verify({ level: 'full' }, { ...testContext, ...context });
const FAST = Number.POSITIVE_INFINITY;

/** Takes the name of the file away by which the tables are known, as a disk that does not answer would. */
function hideTables(): () => void {
  const current = join(storeDir, PATHS.log, 'CURRENT');
  renameSync(current, `${current}.hidden`);
  return () => renameSync(`${current}.hidden`, current);
}

describe('what it noted', () => {
  const noted = () => join(storeDir, PATHS.verified);
  const change = (more: object) =>
    writeFileSync(noted(), JSON.stringify({ ...JSON.parse(readFileSync(noted(), 'utf8')), ...more }));

  beforeEach(async () => {
    await whole(newVerifier());
  });

  test('is believed by the next server', () => {
    expect(newVerifier().state.verified).toMatchObject({ seq: log.head.seq });
  });

  test.each([
    ['of another store', { storeId: 'another' }],
    ['in another format', { format: 2 }],
    ['that is no list of findings', { findings: 'none' }],
    ['of an event that never was', { verified: { seq: 0, hash: '', time: '' } }],
    ['of an event that is none', { verified: { seq: 'twelve', hash: '', time: '' } }],
    ['of an event beyond the head', { verified: { seq: 1_000_000, hash: '', time: '' } }],
  ])('%s is not, and keeps no store from being opened', async (_, more) => {
    change(more);
    expect(newVerifier().state).toEqual({ findings: [] });
    const verifier = newVerifier();
    expect((await verifier.goOn({ bytesPerSecond: FAST }))!.range).toEqual({ first: 1, last: log.head.seq });
  });

  test('and cannot be meant keeps no store from being opened', async () => {
    const store = newPath();
    const engine = await openTestEngine(store);
    const { findings, head } = await engine.verify({ level: 'full' }, testContext);
    await engine.close();
    expect(findings).toEqual([]);
    const path = join(store, PATHS.verified);
    const rotten = readFileSync(path, 'utf8').replaceAll(`"seq":${head.seq}`, `"seq":0`);
    writeFileSync(path, rotten);
    const opened = await openTestEngine(store);
    expect((await opened.status({}, testContext)).verification).toMatchObject({ findings: [] });
    await opened.close();
  });
});

describe('a round that was stopped', () => {
  test('before it had verified anything begins anew, though one before it was completed', async () => {
    const verifier = newVerifier();
    await whole(verifier);
    const { completed } = verifier.state;
    const stop = new AbortController();
    onWarning = () => stop.abort();
    const [table] = readdirSync(join(storeDir, PATHS.log))
      .filter(name => name.endsWith('.ldb'))
      .sort();
    const path = join(storeDir, PATHS.log, table!);
    renameSync(path, `${path}.hidden`);
    await expect(whole(verifier, { signal: stop.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    renameSync(`${path}.hidden`, path);
    expect(verifier.state).toEqual({
      completed,
      findings: [expect.objectContaining({ code: 'TABLE_MISSING' })],
    });
    expect((await verifier.goOn({ bytesPerSecond: FAST }))!.range).toEqual({ first: 1, last: log.head.seq });
    expect(verifier.state.findings).toEqual([]);
  });

  test('goes on with what it had found, also of what has no number', async () => {
    const verifier = newVerifier();
    const stop = new AbortController();
    const showTables = hideTables();
    const stopped = whole(verifier, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
    showTables();
    const { verified, findings } = verifier.state;
    expect(findings).toMatchObject([{ code: 'MANIFEST_MISSING' }]);
    expect((await verifier.goOn({ bytesPerSecond: FAST }))!.range).toEqual({
      first: verified!.seq + 1,
      last: log.head.seq,
    });
    expect(verifier.state.findings).toEqual(findings);
    // The next one has not met it.
    await verifier.goOn({ bytesPerSecond: FAST });
    expect(verifier.state.findings).toEqual([]);
  });
});

describe('it ends', () => {
  test('where the server is shut down in the middle', async () => {
    const verifier = newVerifier();
    const running = verifier.verify({ level: 'full', bytes_per_second: 1 }, testContext);
    const ended = expect(running).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    while (!verifier.isRunning) await new Promise(resolve => setImmediate(resolve));
    await verifier.stop();
    await ended;
    expect(await verifier.goOn({ bytesPerSecond: FAST })).toBeUndefined();
  });

  test('with what the log says where it can give nothing', async () => {
    const verifier = newVerifier();
    await log.close();
    await expect(whole(verifier)).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    await expect(verifier.goOn({ bytesPerSecond: FAST })).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    expect(verifier.isRunning).toBe(false);
    log = await openLog({ storeDir });
  });
});

test('a store that is an older copy of the one that was backed up lacks what the backup has', async () => {
  const backups = newPath();
  await log.close();
  const newer = newPath();
  cpSync(storeDir, newer, { recursive: true });
  const other = await openLog({ storeDir: newer });
  await put(other, 'only there');
  await backUpStore(other, { to: backups }, testContext, {
    clock: Date.now,
    ending: new AbortController().signal,
  });
  const { seq } = other.head;
  await other.close();
  log = await openLog({ storeDir });
  const early = await newVerifier().verify({ level: 'full', backups }, testContext);
  expect(early.findings).toMatchObject([
    { code: 'BACKUP_DIVERGED', message: expect.stringContaining(`ends at ${seq - 1}`) },
  ]);
  await put(log, 'something else');
  const { findings } = await newVerifier().verify({ level: 'full', backups }, testContext);
  expect(findings).toMatchObject([
    { code: 'BACKUP_DIVERGED', message: expect.stringMatching(/has another one$/), seq },
  ]);
});
