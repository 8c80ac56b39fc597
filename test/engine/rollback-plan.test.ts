/** What a rollback tells of logs that hold more than it lists, or what it cannot make sense of; and what is in quarantine. */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { quarantinesOf, rollback } from '#src/engine/rollback.js';
import { openLog } from '#wal/open.js';
import { logDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey, eraseRecord } from '#wal/record.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const dir = temporaryDirectory();
let made = 0;
const newPath = () => join(dir, String(made++));
let sound: string;
let storeDir: string;
let kept: number;

beforeAll(async () => {
  sound = newPath();
  const engine = await openTestEngine(sound);
  const items = [{ id: 'kept', text: 'stays' }];
  kept = (await engine.upsert({ collection: 'notes', items }, testContext)).seq;
  await engine.close();
});

beforeEach(() => {
  storeDir = newPath();
  cpSync(sound, storeDir, { recursive: true });
});

const cut = () => rollback({ storeDir, to: String(kept), truncate: { reason: 'a test' } });

/** Events as this program would not write them. */
async function append(...events: readonly { type: number; body: Uint8Array }[]): Promise<void> {
  const log = await openLog({ storeDir });
  for (const one of events) await log.append([{ ...one, actor: 0 }]).durable;
  await log.close();
}

/** An event's body. */
function bodyOf(event: object): Buffer {
  const json = Buffer.from(JSON.stringify(event));
  const body = Buffer.alloc(4 + Math.ceil(json.length / 4) * 4, ' ');
  body.writeUInt32LE(body.length - 4);
  json.copy(body, 4);
  return body;
}

async function expectKeptAlone(): Promise<void> {
  const engine = await openTestEngine(storeDir);
  const { items } = await engine.list({ collection: 'notes', limit: 10 }, testContext);
  expect(items.map(({ id }) => id)).toEqual(['kept']);
  await engine.close();
}

test('more items than are listed are counted', async () => {
  const engine = await openTestEngine(storeDir);
  const items = Array.from({ length: 500 }, (_, n) => n);
  for (const part of [0, 500, 1000])
    await engine.upsert(
      { collection: 'many', items: items.map(n => ({ id: `n-${part + n}`, vector: [1, n] })) },
      testContext,
    );
  await engine.close();
  const { items: changes } = await rollback({ storeDir, to: String(kept) });
  expect(changes).toMatchObject({ changed: 0, restored: 0, removed: 1500 });
  expect(changes.list).toHaveLength(1000);
});

describe('events that cannot be made sense of do not hold it up', () => {
  test.each([
    ['of a type that is not known', { type: 999, body: Buffer.from('?') }, /^EVENT_UNKNOWN/],
    ['that are no JSON', { type: 32, body: Buffer.from('no event') }, /^EVENT_MALFORMED/],
    [
      'of an item that never was',
      { type: 33, body: bodyOf({ collection: 1, id: 'x' }) },
      /^PROJECTION_FAILED/,
    ],
    [
      'without their fields',
      { type: 32, body: bodyOf({ collection: 1 }) },
      /^EVENT_MALFORMED.* "id" is no string/,
    ],
  ])('%s', async (_, event, named) => {
    await append(event);
    const plan = await rollback({ storeDir, to: String(kept) });
    expect(plan).toMatchObject({ unreadable: [expect.stringMatching(named)], events: { unreadable: 1 } });
    expect((await cut()).done).toBeDefined();
    await expectKeptAlone();
  });

  test('the first few are named, and all are counted', async () => {
    await append(...Array.from({ length: 25 }, () => ({ type: 999, body: Buffer.from('?') })));
    const { unreadable, events } = await rollback({ storeDir, to: String(kept) });
    expect([unreadable.length, events.unreadable]).toEqual([20, 25]);
  });
});

test('a record that was erased and left nothing of itself counts as erased', async () => {
  const engine = await openTestEngine(storeDir);
  const { seq } = await engine.mark({ name: 'goes' }, testContext);
  await engine.close();
  const database = logDatabase(storeDir, { createIfMissing: false });
  await database.open();
  await database.put(encodeKey(seq), eraseRecord((await database.get(encodeKey(seq)))!, seq), { sync: true });
  await database.close();
  expect(await rollback({ storeDir, to: String(kept) })).toMatchObject({ events: { erased: 1 }, marks: [] });
});

describe('what is in quarantine', () => {
  test('is told as far as it can be read', async () => {
    const engine = await openTestEngine(storeDir);
    await engine.mark({ name: 'goes' }, testContext);
    await engine.close();
    await cut();
    const [folder] = readdirSync(join(storeDir, PATHS.quarantine));
    const path = join(storeDir, PATHS.quarantine, folder!);
    expect(quarantinesOf(storeDir)).toMatchObject([{ path, cut: true, first: kept + 1, reason: 'a test' }]);
    writeFileSync(join(path, 'manifest.json'), '{');
    expect(quarantinesOf(storeDir)).toEqual([
      { path, cut: true, problem: expect.stringContaining('manifest.json cannot be read') },
    ]);
  });

  test('of what is no store is not asked', () => {
    const empty = newPath();
    expect(() => quarantinesOf(empty)).toThrow(expect.objectContaining({ code: 'STORE_MISSING' }));
    mkdirSync(empty);
    writeFileSync(join(empty, 'notes.txt'), 'somebody’s');
    expect(() => quarantinesOf(empty)).toThrow(expect.objectContaining({ code: 'STORE_FOREIGN' }));
  });
});
