/** Where else contents of an item are: what was cut off the log, and backups, in every state in which they may be. */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { backUpStore } from '#src/engine/backup.js';
import { type RedactOptions, redact } from '#src/engine/redact.js';
import { repair } from '#src/engine/repair.js';
import { rollback } from '#src/engine/rollback.js';
import { verifyStore } from '#src/engine/verify.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { destroyRecord, flip } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { filesHolding } from '../helpers/search-bytes.js';

const dir = temporaryDirectory();
let made = 0;
const newPath = () => join(dir, String(made++));
const SECRET = 'passphrase xyzzy-plugh';
const NEEDLE = [Buffer.from('xyzzy')];
const APPLY = { reason: 'a credential', actor: testContext.actor };

let storeDir: string;
beforeEach(() => {
  storeDir = newPath();
});

async function put(id: string, text: string, collection = 'default'): Promise<number> {
  const engine = await openTestEngine(storeDir);
  const { seq } = await engine.upsert({ collection, items: [{ id, text }] }, testContext);
  await engine.close();
  return seq;
}

async function remove(id: string): Promise<void> {
  const engine = await openTestEngine(storeDir);
  await engine.delete({ collection: 'default', ids: [id] }, testContext);
  await engine.close();
}

const cutAfter = (seq: number) => rollback({ storeDir, to: String(seq), truncate: { reason: 'a test' } });
const redactSecret = (more: Partial<RedactOptions> = {}) =>
  redact({ storeDir, collection: 'default', ids: ['secret'], apply: APPLY, ...more });
const plan = (more: Partial<RedactOptions> = {}) => redactSecret({ apply: undefined, ...more });

async function backUp(to: string): Promise<void> {
  const log = await openLog({ storeDir });
  await backUpStore(log, { to }, testContext, { clock: Date.now, ending: new AbortController().signal });
  await log.close();
}

test('an empty store has no collection to redact in, and says so', async () => {
  await (await openTestEngine(storeDir)).close();
  await expect(plan()).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND', wayOut: 'There are: none.' });
});

test('an item that is deleted is redacted, and deleted once', async () => {
  await put('secret', SECRET);
  await remove('secret');
  await redactSecret();
  expect(filesHolding(storeDir, NEEDLE)).toEqual([]);
  const engine = await openTestEngine(storeDir);
  const { changes } = await engine.history({ id: 'secret', limit: 10 }, testContext);
  expect(changes.map(({ type }) => type)).toEqual(['deleted', 'created']);
  await engine.close();
  // Again: there is nothing more to erase, and it is said that there was.
  const again = await plan();
  expect(again.versions.map(({ isErased }) => isErased)).toEqual([true]);
});

describe('in quarantine', () => {
  test('a collection that went with the cut is not the one that has its number now', async () => {
    const kept = await put('ordinary', 'an ordinary note');
    await put('secret', SECRET, 'mistakes');
    await cutAfter(kept);
    await put('secret', 'another secret', 'later');
    expect((await plan({ collection: 'later' })).quarantines).toEqual([]);
    await redactSecret({ collection: 'later' });
    expect(filesHolding(storeDir, [Buffer.from('another secret')])).toEqual([]);
    expect(filesHolding(storeDir, NEEDLE)).toEqual([expect.stringContaining(PATHS.quarantine)]);
    expect(await verifyStore(storeDir)).toMatchObject({ sound: true });
  });

  test('of what was erased there before, nothing is left to be told', async () => {
    const kept = await put('secret', 'the first secret');
    await put('other', 'of another item');
    await put('secret', SECRET);
    await cutAfter(kept);
    expect((await plan()).quarantines).toMatchObject([{ events: [kept + 2] }]);
    await redactSecret();
    expect((await plan()).quarantines).toEqual([]);
    expect(filesHolding(storeDir, NEEDLE)).toEqual([]);
    expect(filesHolding(storeDir, [Buffer.from('of another item')])).not.toEqual([]);
  });

  test('items of a collection whose creation is lost are of none by name', async () => {
    const kept = await put('secret', SECRET);
    const other = await put('secret', 'of a collection without a name', 'other');
    destroyRecord(storeDir, other - 1);
    expect(await repair(storeDir, { backups: [], apply: true })).toMatchObject({ state: 'repaired' });
    await cutAfter(kept);
    expect((await plan()).quarantines).toEqual([]);
  });

  describe('that cannot be read', () => {
    let folder: string;
    let kept: number;
    const manifest = () => join(folder, 'manifest.json');
    beforeEach(async () => {
      kept = await put('secret', 'the first secret');
      await put('secret', SECRET);
      await cutAfter(kept);
      const [name] = readdirSync(join(storeDir, PATHS.quarantine));
      folder = join(storeDir, PATHS.quarantine, name!);
    });

    test('nothing is redacted: what it holds is not known', async () => {
      const whole = readFileSync(manifest());
      writeFileSync(manifest(), '{');
      const held = filesHolding(storeDir, NEEDLE);
      expect(held).not.toEqual([]);
      const refusal = { code: 'WAL_IO', message: expect.stringContaining(folder) };
      await expect(plan()).rejects.toMatchObject(refusal);
      await expect(redactSecret()).rejects.toMatchObject(refusal);
      const engine = await openTestEngine(storeDir);
      const { items } = await engine.get({ collection: 'default', ids: ['secret'] }, testContext);
      expect(items.map(({ text }) => text)).toEqual(['the first secret']);
      await engine.close();
      writeFileSync(manifest(), whole);
      await redactSecret();
      expect(filesHolding(storeDir, NEEDLE)).toEqual([]);
    });

    test('a redaction that was interrupted is not finished before it can be, or is moved away', async () => {
      let image: string | undefined;
      await redactSecret({
        onProgress({ message }) {
          if (message !== 'erasing contents' && message !== 'writing the files of the log anew') return;
          image ??= newPath();
          if (!existsSync(image)) cpSync(storeDir, image, { recursive: true });
        },
      });
      storeDir = image!;
      const [name] = readdirSync(join(storeDir, PATHS.quarantine));
      folder = join(storeDir, PATHS.quarantine, name!);
      writeFileSync(manifest(), '{');
      await expect(openTestEngine(storeDir)).rejects.toMatchObject({
        code: 'WAL_IO',
        message: expect.stringContaining(folder),
        wayOut: expect.stringContaining('move it out of the store'),
      });
      renameSync(folder, newPath());
      await (await openTestEngine(storeDir)).close();
      expect(filesHolding(storeDir, NEEDLE)).toEqual([]);
      expect(await verifyStore(storeDir)).toMatchObject({ sound: true });
    });
  });
});

describe('in backups', () => {
  let backups: string;
  beforeEach(async () => {
    backups = newPath();
    await put('secret', SECRET);
    await backUp(backups);
  });

  test('segments without it are not named, nor are backups of another store', async () => {
    await put('ordinary', 'an ordinary note');
    await backUp(backups);
    const [held, ...more] = (await plan({ backups: [backups] })).backups;
    expect([held!.backups.length, more]).toEqual([2, []]);
    const redacted = storeDir;
    storeDir = newPath();
    await put('secret', SECRET);
    expect((await plan({ backups: [backups] })).backups).toEqual([]);
    storeDir = redacted;
  });

  test('one that was made after the redaction holds nothing of it', async () => {
    await redactSecret();
    const after = newPath();
    await backUp(after);
    expect((await plan({ backups: [after] })).backups).toEqual([]);
    expect((await plan({ backups: [backups, after] })).backups).toMatchObject([{ path: backups }]);
  });

  test('where one cannot be read, nothing is redacted', async () => {
    const [name] = readdirSync(backups).filter(file => file.endsWith('.json'));
    flip(join(backups, name!), 20, 1);
    await expect(redactSecret({ backups: [backups] })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
    expect(filesHolding(storeDir, NEEDLE)).not.toEqual([]);
  });
});
