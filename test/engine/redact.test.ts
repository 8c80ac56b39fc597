/**
 * Redaction: nothing of an item's contents is left in any byte of the store, wherever it was, and the past says that something was there.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { backUpStore, restore } from '#src/engine/backup.js';
import { type RedactOptions, redact } from '#src/engine/redact.js';
import { repair } from '#src/engine/repair.js';
import { rollback } from '#src/engine/rollback.js';
import { verifyStore } from '#src/engine/verify.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { flip } from '../helpers/damage.js';
import {
  namedEmbedders,
  OTHER_WORDS,
  openTestEngine,
  temporaryDirectory,
  testContext,
  WordEmbedder,
  wordVector,
} from '../helpers/engine.js';
import { filesHolding, floatBytes } from '../helpers/search-bytes.js';

const dir = temporaryDirectory();
const sound = join(dir, 'sound');
const backups = join(dir, 'backups');
const FIRST = 'passphrase xyzzy-plugh';
const SECOND = 'passphrase frotz-gnusto';
const CUT = 'passphrase cut-off';
const OTHERS = { other: new WordEmbedder(OTHER_WORDS) };
/** All that must be gone: texts, metadata, vectors in both spaces. */
const NEEDLES = [
  ...['xyzzy', 'frotz', 'cut-off', 'vault-door'].map(word => Buffer.from(word)),
  ...[FIRST, SECOND, CUT].flatMap(text => [
    floatBytes(wordVector(text)),
    floatBytes(wordVector(text, OTHER_WORDS)),
  ]),
];

let stores = 0;
let before: number;

async function open(path: string) {
  const engine = await openTestEngine(path, {
    embedderSource: namedEmbedders(OTHERS),
    graphThresholdRows: 8,
  });
  // A new process knows those embedders alone that it was asked for.
  await engine.reembed({ to: 'other', dry_run: true }, testContext);
  return engine;
}
const APPLY = { reason: 'a credential', actor: testContext.actor };
const fresh = () => {
  const path = join(dir, `store-${stores++}`);
  cpSync(sound, path, { recursive: true });
  return path;
};
const redactIn = (storeDir: string, more: Partial<RedactOptions> = {}) =>
  redact({ storeDir, collection: 'default', ids: ['secret'], apply: APPLY, ...more });

beforeAll(async () => {
  const engine = await open(sound);
  const put = (id: string, text: string, metadata = {}) =>
    engine.upsert({ collection: 'default', items: [{ id, text, metadata }] }, testContext);
  for (let n = 0; n < 30; n++) await put(`note-${n}`, `an ordinary note number ${n}`);
  await put('secret', FIRST, { where: 'vault-door' });
  await put('secret', SECOND);
  before = (await engine.mark({ name: 'milestone' }, testContext)).seq;
  await engine.delete({ collection: 'default', ids: ['secret'] }, testContext);
  await engine.revert({ to: 'milestone', dry_run: false }, testContext);
  await engine.reembed({ to: 'other' }, testContext);
  await put('secret', CUT);
  await engine.close();
  const log = await openLog({ storeDir: sound });
  const lastPut = log.head.seq;
  await backUpStore(log, { to: backups }, testContext, {
    clock: Date.now,
    ending: new AbortController().signal,
  });
  await log.close();
  // The last version goes into quarantine.
  await rollback({ storeDir: sound, to: String(lastPut - 1), truncate: { reason: 'a test' } });
  await (await open(sound)).close();
  // A checkpoint of then, in which the item lives.
  const again = await open(sound);
  await again.upsert({ collection: 'default', items: [{ text: 'the last note' }] }, testContext);
  await again.close();
});

test('what is to go is told first, with every place that holds it, and nothing is changed', async () => {
  const storeDir = fresh();
  const held = filesHolding(storeDir, NEEDLES);
  const plan = await redactIn(storeDir, { apply: undefined, backups: [backups] });
  expect(plan.versions).toHaveLength(3);
  expect(plan.versions.map(({ isErased }) => isErased)).toEqual([false, false, false]);
  expect(plan.quarantines).toHaveLength(1);
  expect(plan.backups).toEqual([expect.objectContaining({ path: backups, backups: [expect.any(String)] })]);
  expect(plan.backups[0]!.events).toEqual(
    plan.versions.flatMap(({ events }) => events).sort((a, b) => a - b),
  );
  expect(plan.done).toBeUndefined();
  expect(held.some(file => file.startsWith(PATHS.log))).toBe(true);
  expect(held.some(file => file.startsWith(PATHS.quarantine))).toBe(true);
  expect(held.some(file => file.startsWith(PATHS.checkpoints))).toBe(true);
  expect(filesHolding(storeDir, NEEDLES)).toEqual(held);
});

test('no byte of it is left, the store is sound, and the past shows that something was redacted', async () => {
  const storeDir = fresh();
  const { done } = await redactIn(storeDir);
  expect(done!.freedBytes).toBeGreaterThan(0);
  expect(filesHolding(storeDir, NEEDLES)).toEqual([]);
  expect(await verifyStore(storeDir)).toMatchObject({ sound: true });

  const engine = await open(storeDir);
  const now = await engine.get({ collection: 'default', ids: ['secret'] }, testContext);
  expect(now).toMatchObject({ items: [], missing: ['secret'] });
  const then = await engine.get({ collection: 'default', ids: ['secret'], as_of: 'milestone' }, testContext);
  expect(then.items).toEqual([
    expect.objectContaining({ id: 'secret', text: '', metadata: {}, erased: 'redacted' }),
  ]);
  const { changes } = await engine.history({ id: 'secret', limit: 10 }, testContext);
  expect(changes.map(({ type }) => type)).toEqual(['deleted', 'restored', 'deleted', 'updated', 'created']);
  for (const change of changes)
    for (const view of [change.before, change.after])
      if (view !== undefined) expect(view).toMatchObject({ text: '', metadata: {}, erased: 'redacted' });
  const [redaction] = (await engine.history({ types: ['redacted'], limit: 1 }, testContext)).changes;
  expect(redaction).toMatchObject({ type: 'redacted', id: 'secret', reason: 'a credential' });

  for (const mode of ['hybrid', 'semantic', 'keyword'] as const) {
    const { results } = await engine.search({ query: SECOND, k: 50, mode, as_of: 'milestone' }, testContext);
    expect(results.map(({ id }) => id)).not.toContain('secret');
  }
  const { items } = await engine.list(
    { collection: 'default', limit: 100, as_of: String(before) },
    testContext,
  );
  expect(items.filter(({ erased }) => erased !== undefined).map(({ id }) => id)).toEqual(['secret']);
  expect(items).toHaveLength(31);
  const revert = await engine.revert({ ids: ['secret'] }, testContext);
  expect(revert).toMatchObject({
    counts: { restored: 0, deleted: 0, conflicts: 1 },
    conflicts: [expect.objectContaining({ id: 'secret', erased: 'redacted' })],
  });
  // The id can be used again.
  await engine.upsert({ collection: 'default', items: [{ id: 'secret', text: 'harmless' }] }, testContext);
  await engine.close();
  expect(await verifyStore(storeDir)).toMatchObject({ sound: true });
});

test('interrupted at any step, it is finished by whoever opens the store next', async () => {
  const images: string[] = [];
  const storeDir = fresh();
  await redactIn(storeDir, {
    onProgress() {
      const image = join(dir, `image-${stores}-${images.length}`);
      cpSync(storeDir, image, { recursive: true });
      images.push(image);
    },
  });
  let finished = 0;
  for (const image of images) {
    const engine = await open(image);
    const { changes } = await engine.history({ types: ['redacted'], limit: 1 }, testContext);
    await engine.close();
    if (changes.length === 0) continue;
    finished += 1;
    expect(filesHolding(image, NEEDLES)).toEqual([]);
    expect(await verifyStore(image)).toMatchObject({ sound: true });
  }
  expect(finished).toBeGreaterThanOrEqual(3);
}, 120_000);

describe('refused, and nothing is changed', () => {
  test.each([
    [{ ids: ['never-was'] }, 'INVALID_ARGUMENT'],
    [{ collection: 'elsewhere' }, 'COLLECTION_NOT_FOUND'],
    [{ backups: ['/nowhere'] }, 'BACKUP_MISSING'],
  ])('%j: %s', async (more, code) => {
    const storeDir = fresh();
    const held = filesHolding(storeDir, NEEDLES);
    await expect(redactIn(storeDir, more)).rejects.toMatchObject({ code });
    expect(filesHolding(storeDir, NEEDLES)).toEqual(held);
  });

  test('where evidence of damage may hold it, unless that may go', async () => {
    const storeDir = fresh();
    const evidence = join(storeDir, PATHS.evidence, 'kept');
    mkdirSync(evidence, { recursive: true });
    writeFileSync(join(evidence, '000007.log'), FIRST);
    await expect(redactIn(storeDir)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(evidence),
    });
    await redactIn(storeDir, { discardEvidence: true });
    expect(existsSync(evidence)).toBe(false);
    expect(filesHolding(storeDir, NEEDLES)).toEqual([]);
  });
});

test('a repair that fills holes from a backup that still holds it does not bring it back', async () => {
  const storeDir = fresh();
  await redactIn(storeDir);
  // One of the erased records is damaged.
  const held = filesHolding(join(storeDir, PATHS.log), [Buffer.from('"why":"redacted"')]);
  const path = join(storeDir, PATHS.log, held[0]!);
  flip(path, readFileSync(path).indexOf('"why":"redacted"'), 2);
  const { state, verified } = await repair(storeDir, { backups: [backups], apply: true });
  expect([state, verified!.findings]).toEqual(['repaired', []]);
  // What was taken aside is as it was, and the backup is not touched.
  rmSync(join(storeDir, PATHS.damaged), { recursive: true });
  expect(filesHolding(join(storeDir, PATHS.log), NEEDLES)).toEqual([]);
});

test('a restore from a backup that still holds it does not bring it back', async () => {
  const storeDir = fresh();
  await redactIn(storeDir);
  const log = await openLog({ storeDir });
  const goesOn = join(dir, 'backups-after');
  cpSync(backups, goesOn, { recursive: true });
  await backUpStore(log, { to: goesOn }, testContext, {
    clock: Date.now,
    ending: new AbortController().signal,
  });
  await log.close();
  expect(filesHolding(goesOn, NEEDLES)).not.toEqual([]);
  const to = join(dir, 'restored');
  const { verified } = await restore({ from: goesOn, to });
  expect(verified).toMatchObject({ sound: true });
  expect(filesHolding(to, NEEDLES)).toEqual([]);
});
