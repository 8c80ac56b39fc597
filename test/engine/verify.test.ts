/** What verify says of a store: checkpoints against the log, the window, the next steps; in a process of its own; beside a server. */

import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { VerifyAnswer } from '#src/domain/verify.js';
import type { StoreEngine } from '#src/engine/engine.js';
import type { OnlineVerifier } from '#src/engine/online-verifier.js';
import { type VerifyReport, verifyStore } from '#src/engine/verify.js';
import { FINDING_CODES, nextSteps } from '#src/engine/verify-advice.js';
import { verifyApart } from '#src/engine/verify-apart.js';
import { createXxh64, hashHex } from '#wal/hash.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { flip } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { MAIN } from '../helpers/run-cli.js';

const parent = temporaryDirectory();
let made = 0;
const newPath = () => join(parent, String(made++));
let sound: string;
let storeDir: string;

const write = async (engine: StoreEngine, n: number) => {
  await engine.upsert(
    {
      collection: 'notes',
      items: [
        { id: `a-${n % 5}`, text: `note ${n} of many words`, metadata: { n } },
        { id: `b-${n}`, text: `another ${n}` },
      ],
    },
    testContext,
  );
  if (n % 3 === 2) await engine.delete({ collection: 'notes', ids: [`b-${n - 1}`] }, testContext);
};

beforeAll(async () => {
  sound = newPath();
  for (let session = 0; session < 3; session++) {
    const engine = await openTestEngine(sound);
    for (let n = session * 8; n < session * 8 + 8; n++) await write(engine, n);
    if (session === 1) {
      await engine.mark({ name: 'a-mark' }, testContext);
      await engine.revert({ to: '20', dry_run: false } as never, testContext);
    }
    await engine.close();
  }
});

beforeEach(() => {
  storeDir = newPath();
  cpSync(sound, storeDir, { recursive: true });
});

const newestCheckpoint = (): string => {
  const parent = join(storeDir, PATHS.checkpoints);
  return join(parent, readdirSync(parent).sort().at(-1)!);
};

/** Changes a part of the newest checkpoint as a faulty program would have written it: every digest is right. */
function rewrite(name: RegExp, change: (bytes: Buffer) => Buffer): void {
  const dir = newestCheckpoint();
  const [json] = readFileSync(join(dir, 'manifest.json'), 'utf8').split('\n');
  const manifest = JSON.parse(json!) as { files: { name: string; bytes: number; digest: string }[] };
  const file = manifest.files.find(file => name.test(file.name))!;
  const bytes = change(readFileSync(join(dir, file.name)));
  writeFileSync(join(dir, file.name), bytes);
  const digest = (of: Uint8Array) => {
    const hash = createXxh64();
    hash.update(of);
    return hashHex(hash.digest());
  };
  Object.assign(file, { bytes: bytes.length, digest: digest(bytes) });
  const changed = JSON.stringify(manifest);
  writeFileSync(join(dir, 'manifest.json'), `${changed}\n${digest(Buffer.from(changed))}\n`);
}

const codesOf = ({ findings }: Pick<VerifyReport, 'findings'>) => findings.map(({ code }) => code);

describe('the newest checkpoint', () => {
  test('is compared with the log: its versions by default, all of it by --deep', async () => {
    const full = await verifyStore(storeDir);
    expect(full).toMatchObject({ sound: true, findings: [], notes: [] });
    expect(full.checkpoints[0]).toMatchObject({ sound: true, compared: 'versions' });
    expect(full.restorable.store).toEqual(full.whole);
    expect(full.range).toEqual({ first: 1, last: full.head!.seq });
    const deep = await verifyStore(storeDir, { level: 'deep' });
    expect(deep).toMatchObject({ sound: true, findings: [], notes: [] });
    expect(deep.checkpoints[0]).toMatchObject({ compared: 'all' });
    const quick = await verifyStore(storeDir, { level: 'quick' });
    expect(quick).toMatchObject({ sound: true, findings: [], restorable: {} });
    expect(quick.checkpoints[0]).toEqual({ seq: full.head!.seq, sound: true });
  });

  test('that holds another version than the log is found by default', async () => {
    rewrite(/^catalog$/, bytes => {
      const at = bytes.indexOf('b-12');
      expect(at).toBeGreaterThan(0);
      bytes.write('b-99', at);
      return bytes;
    });
    const report = await verifyStore(storeDir);
    expect(report).toMatchObject({ sound: false, checkpoints: [{ sound: false }, { sound: true }] });
    expect(codesOf(report)).toEqual(['CHECKPOINT_DIFFERS']);
    expect(report.next[0]!.step).toContain('delete the folder under checkpoints/');
    // The log is whole all the same.
    expect(report.restorable.store!.seq).toBe(report.head!.seq);
    expect(codesOf(await verifyStore(storeDir, { level: 'deep' }))).toEqual(['CHECKPOINT_DIFFERS']);
  });

  test.each([
    ['a word', /^keywords$/],
    ['metadata', /^metadata$/],
    ['a vector', /\.vectors$/],
  ])('of which %s differs is found by --deep', async (_, name) => {
    rewrite(name, bytes => {
      bytes[bytes.length - 3]! ^= 1;
      return bytes;
    });
    expect(codesOf(await verifyStore(storeDir))).toEqual([]);
    const { findings } = await verifyStore(storeDir, { level: 'deep' });
    expect(findings).toMatchObject([{ code: 'CHECKPOINT_DIFFERS' }]);
  });

  test('that is damaged is found, by quick if a file is missing or has another length', async () => {
    flip(join(newestCheckpoint(), 'keywords'), 30, 1);
    expect(codesOf(await verifyStore(storeDir, { level: 'quick' }))).toEqual([]);
    expect(codesOf(await verifyStore(storeDir))).toEqual(['CHECKPOINT_DAMAGED']);
    rmSync(join(newestCheckpoint(), 'keywords'));
    expect(codesOf(await verifyStore(storeDir, { level: 'quick' }))).toEqual(['CHECKPOINT_DAMAGED']);
  });
});

test('the window ends before the first damage', async () => {
  const log = join(storeDir, PATHS.log);
  const [, table] = readdirSync(log)
    .filter(name => name.endsWith('.ldb'))
    .sort();
  flip(join(log, table!), 2000, 1);
  const report = await verifyStore(storeDir);
  expect(report.sound).toBe(false);
  const first = Math.min(...report.findings.map(({ seq = Number.POSITIVE_INFINITY }) => seq));
  expect(report.restorable.store?.seq ?? 0).toBeLessThan(first);
  expect(report.notes.map(({ code }) => code)).toEqual(['LEVELDB_NOT_COMPARED', 'CHECKPOINT_NOT_COMPARED']);
  expect(report.next.length).toBeGreaterThan(0);
});

test('every kind of finding has a next step, and the documentation names it', () => {
  const docs = readFileSync(new URL('../../docs/verify.md', import.meta.url), 'utf8');
  for (const code of FINDING_CODES) {
    expect(nextSteps([{ code, message: '' }])[0]!.step).toMatch(/\.$/);
    expect(docs, code).toContain(`\`${code}\``);
  }
  expect(
    nextSteps(
      ['WAL_GAP', 'CHECKPOINT_DAMAGED', 'WAL_BAD_RECORD', 'WAL_GAP'].map(code => ({ code, message: '' })),
    ),
  ).toMatchObject([{ codes: ['WAL_GAP', 'WAL_BAD_RECORD'] }, { codes: ['CHECKPOINT_DAMAGED'] }]);
});

describe('in a process of its own', () => {
  test('says the same, and refuses with the same codes', async () => {
    const options = { level: 'full', seed: 1 } as const;
    const apart = await verifyApart(storeDir, options);
    const { before, ...own } = await verifyStore(storeDir, options);
    expect([apart, before?.completed?.seq]).toEqual([own, own.head!.seq]);
    await expect(verifyApart(join(storeDir, 'nothing'))).rejects.toMatchObject({
      code: 'STORE_MISSING',
      wayOut: expect.stringContaining('--store'),
    });
    const engine = await openTestEngine(storeDir);
    await expect(verifyApart(storeDir)).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await engine.close();
  });

  test('that is killed is an error that says what it was doing', async () => {
    let pid = 0;
    const killed = verifyApart(storeDir, {
      onStarted: started => {
        pid = started;
      },
      onProgress: () => process.kill(pid, 'SIGKILL'),
    });
    await expect(killed).rejects.toMatchObject({
      code: 'VERIFY_DIED',
      details: { how: 'SIGKILL', doing: expect.stringMatching(/checkpoint|verifying|LevelDB/) },
    });
    // The lock went with it, and the store is as it was.
    expect((await verifyStore(storeDir)).sound).toBe(true);
    expect(readdirSync(join(storeDir, PATHS.scratch))).toEqual([]);
  });

  test('that native code ends is an error as well', async () => {
    const source = `process.once('message', () => process.send({ type: 'progress', progress: { done: 0, message: 'reading 000005.ldb' } }, () => process.abort()));`;
    const child = join(parent, 'child.mjs');
    writeFileSync(child, source);
    await expect(verifyApart(storeDir, { childUrl: new URL(`file://${child}`) })).rejects.toMatchObject({
      code: 'VERIFY_DIED',
      message: expect.stringMatching(/\(SIGABRT\); it was reading 000005\.ldb$/),
    });
  });
});

describe('beside the work', () => {
  let engine: StoreEngine;
  let warnings: readonly string[];
  beforeEach(async () => {
    engine = await openTestEngine(storeDir);
    return () => engine.close();
  });
  const verify = (command: object = {}, context: object = {}): Promise<VerifyAnswer> =>
    engine.verify({ level: 'full', ...command }, { ...testContext, ...context });
  const status = async () => {
    const { verification, checkpoint } = await engine.status({}, testContext);
    warnings = checkpoint.warnings;
    return verification;
  };
  const firstTable = () => {
    const log = join(storeDir, PATHS.log);
    const tables = readdirSync(log).filter(name => name.endsWith('.ldb'));
    return join(log, tables.sort()[1]!);
  };

  test('a whole round is noted, shown, and known to the next server and to verify', async () => {
    expect(await status()).toEqual({ schedule: 'off', is_running: false, findings: [] });
    const { head, range, restorable, findings } = await verify();
    expect(findings).toEqual([]);
    expect(range).toEqual({ first: 1, last: head.seq });
    expect(restorable.store!.seq).toBe(head.seq);
    const { verified, completed } = await status();
    expect(verified).toMatchObject({ seq: head.seq, hash: head.hash });
    expect(completed).toEqual(verified);
    await engine.close();
    engine = await openTestEngine(storeDir);
    expect(await status()).toMatchObject({ verified, completed });
    await engine.close();
    expect((await verifyStore(storeDir)).before).toEqual({ verified, completed, findings: [] });
    engine = await openTestEngine(storeDir);
  });

  test('what rots is found and shown, and the server goes on', async () => {
    flip(firstTable(), 100, 1);
    const { findings, next } = await verify();
    expect(findings).toMatchObject([{ code: 'TABLE_DAMAGED' }]);
    expect(next[0]!.step).toContain('tools/repair');
    const shown = await status();
    expect(shown.findings).toEqual(findings);
    expect(warnings).toEqual([expect.stringContaining('verification found TABLE_DAMAGED')]);
    // Told once, and still shown after the next round.
    await verify();
    expect(await status()).toMatchObject({ findings });
    expect(warnings.length).toBe(1);
    await engine.mark({ name: 'still-writing' }, testContext);
    await engine.close();
    flip(firstTable(), 100, 1);
    engine = await openTestEngine(storeDir);
    expect((await status()).findings).toEqual(findings);
    await verify();
    expect((await status()).findings).toEqual([]);
  });

  test('a round that is cancelled goes on where it was; two at once are refused', async () => {
    const stop = new AbortController();
    const slow = verify({ bytes_per_second: 1 }, { signal: stop.signal });
    await expect(verify()).rejects.toMatchObject({ code: 'VERIFY_RUNNING' });
    expect((await status()).is_running).toBe(true);
    stop.abort();
    await expect(slow).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await status()).is_running).toBe(false);
    expect((await verify()).findings).toEqual([]);
  });

  test('by itself it goes on where it was stopped, and begins anew once it has reached the head', async () => {
    const stop = new AbortController();
    const stopped = verify(
      {},
      { signal: stop.signal, onProgress: ({ done }: { done: number }) => done > 5 && stop.abort() },
    );
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
    const { verified } = await status();
    const { head } = await engine.status({}, testContext);
    expect(verified!.seq).toBeGreaterThan(5);
    expect(verified!.seq).toBeLessThan(head.seq);
    await engine.close();
    engine = await openTestEngine(storeDir);
    const { verifier } = engine as unknown as { verifier: OnlineVerifier };
    const goOn = async () => (await verifier.goOn({ bytesPerSecond: Number.POSITIVE_INFINITY }))!.range;
    expect(await goOn()).toEqual({ first: verified!.seq + 1, last: head.seq });
    expect((await status()).completed).toMatchObject({ seq: head.seq, hash: head.hash });
    expect(await goOn()).toEqual({ first: 1, last: head.seq });
  });

  test('never two at once: what is asked for goes before the schedule, and the schedule waits for nothing', async () => {
    const { verifier } = engine as unknown as { verifier: OnlineVerifier };
    const scheduled = verifier.goOn({ bytesPerSecond: 1 });
    expect(await verifier.goOn({ bytesPerSecond: 1 })).toBeUndefined();
    expect((await verify()).findings).toEqual([]);
    expect(await scheduled).toBeUndefined();
    const stop = new AbortController();
    const asked = verify({ bytes_per_second: 1 }, { signal: stop.signal });
    await status();
    expect(await verifier.goOn({ bytesPerSecond: 1 })).toBeUndefined();
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('of a history that was cut off nothing is taken over', async () => {
    await verify();
    await engine.close();
    const log = await openLog({ storeDir });
    const { head } = log;
    const last = log.get(log.get(head.seq).txFirst - 1);
    await log.close();
    const cut = { after: { seq: last.seq, hash: last.hash }, head: { seq: head.seq, hash: head.hash } };
    await (await openLog({ storeDir, cut })).close();
    engine = await openTestEngine(storeDir);
    expect(await status()).toEqual({ schedule: 'off', is_running: false, findings: [] });
  });

  test('ends at once when the server closes', async () => {
    const slow = verify({ bytes_per_second: 1 });
    const outcome = expect(slow).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    await engine.close();
    await outcome;
  });

  test('the end of the log alone is no round', async () => {
    const { range, restorable } = await verify({ level: 'quick' });
    expect(range!.first).toBeGreaterThan(1);
    expect(restorable).toEqual({});
    expect((await status()).verified).toBeUndefined();
  });
});

describe('what is remembered of a verification without a server', () => {
  const noted = async () => {
    const engine = await openTestEngine(storeDir, { create: false });
    const { verification } = await engine.status({}, testContext);
    await engine.close();
    return verification;
  };

  test('is when the whole log was verified, to which record and at which level', async () => {
    await verifyStore(storeDir, { level: 'quick' });
    expect((await noted()).completed).toBeUndefined();
    const { head } = await verifyStore(storeDir);
    const reached = { seq: head!.seq, hash: head!.hash, time: expect.any(String) };
    expect(await noted()).toMatchObject({ completed: { ...reached, level: 'full' }, findings: [] });
    const { before } = await verifyStore(storeDir, { level: 'deep' });
    expect(before!.completed).toMatchObject({ ...reached, level: 'full' });
    expect(await noted()).toMatchObject({ completed: { level: 'deep' } });
    // Of another store it says nothing.
    const file = join(storeDir, PATHS.verified);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"storeId":"./, '"storeId":"_'));
    expect((await noted()).completed).toBeUndefined();
  });

  test('is what was found, until the whole log is found sound', async () => {
    const table = readdirSync(join(storeDir, PATHS.log)).find(name => name.endsWith('.ldb'))!;
    flip(join(storeDir, PATHS.log, table), 100, 1);
    const { findings } = await verifyStore(storeDir);
    expect(findings).not.toEqual([]);
    flip(join(storeDir, PATHS.log, table), 100, 1);
    expect((await noted()).findings).toEqual(findings);
    await verifyStore(storeDir, { level: 'quick' });
    expect((await noted()).findings).toEqual(findings);
    await verifyStore(storeDir);
    expect((await noted()).findings).toEqual([]);
  });

  /** Where the system lets a user have mounts of their own. */
  test('is nothing on a medium that takes no writes; the store is verified all the same', () => {
    const [mount, main] = [`mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"`, MAIN];
    const apart = (script: string, ...args: string[]) =>
      spawnSync('unshare', ['-rm', 'sh', '-c', script, storeDir, ...args], { encoding: 'utf8' });
    if (apart(mount).status !== 0) return;
    const verify = `${mount} && exec "$@" verify --json --store "$0"`;
    const { status, stdout } = apart(verify, process.execPath, main);
    const report = JSON.parse(stdout) as VerifyReport;
    expect([status, report.findings, report.range?.last]).toEqual([0, [], report.head?.seq]);
    expect(report.notes.map(({ code }) => code)).toContain('VERIFICATION_NOT_NOTED');
    flip(join(storeDir, PATHS.head), 5, 1);
    expect(apart(verify, process.execPath, main).status).toBe(1);
  });
});
