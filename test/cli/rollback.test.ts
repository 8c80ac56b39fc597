/**
 * tools/rollback as an operator meets it, and what the next opening of the store makes of a cut.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { rollback } from '#src/engine/rollback.js';
import { openLog } from '#wal/open.js';
import { FIRST_CALLER_TYPE } from '#wal/record.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';
import { StoreProcess } from '../helpers/store-process.js';

const dir = temporaryDirectory();
const sound = join(dir, 'sound');
/** Events: 1 genesis, 2 actor, 3 collection, 4 note-1, 5 note-2, 6 note-3 | 7 actor, 8 note-1 anew, 9 note-2 deleted, 10 note-4, 11 a collection, 12 other. */
const KEPT = 6;
const HEAD = 12;
let store: string;
let copies = 0;

const OTHER = { actor: { ...testContext.actor, clientName: 'Bad \u001b[31mAgent', session: 'session-2' } };

beforeAll(async () => {
  const engine = await openTestEngine(sound);
  const put = (context: typeof testContext, id: string, text: string, collection = 'default') =>
    engine.upsert({ collection, items: [{ id, text }] }, context);
  await put(testContext, 'note-1', 'first version of the note');
  await put(testContext, 'note-2', 'about to be deleted');
  await put(testContext, 'note-3', 'never touched');
  await put(OTHER, 'note-1', 'second version of the note');
  await engine.delete({ collection: 'default', ids: ['note-2'] }, OTHER);
  await put(OTHER, 'note-4', 'should not be here');
  const { seq } = await put(OTHER, 'other', 'in a collection of its own', 'mistakes');
  expect(seq).toBe(HEAD);
  await engine.close();
});

/** A fresh copy of the store. */
function fresh(): void {
  copies += 1;
  store = join(dir, `store-${copies}`);
  cpSync(sound, store, { recursive: true });
}

const cli = (...args: string[]) => runCli(['rollback', ...args, '--store', store], { env: { HOME: dir } });
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli(...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

async function items(): Promise<Record<string, string>> {
  const engine = await openTestEngine(store);
  try {
    const { items } = await engine.list({ collection: 'default', limit: 100 }, testContext);
    return Object.fromEntries(items.map(({ id, text }) => [id, text]));
  } finally {
    await engine.close();
  }
}

const THEN = {
  'note-1': 'first version of the note',
  'note-2': 'about to be deleted',
  'note-3': 'never touched',
};

describe('the preview', () => {
  test('tells what would go, and changes nothing', async () => {
    fresh();
    const plan = await json('--to', '6');
    expect(plan).toMatchObject({
      ...{ to: { seq: KEPT }, head: { seq: HEAD }, epoch: 1, records: 6 },
      events: { actor_declared: 1, item_put: 3, item_deleted: 1, collection_created: 1 },
      items: { changed: 1, restored: 1, removed: 2 },
      ...{ collections: ['mistakes'], checkpoints: [HEAD], unreadable: [], marks: [] },
    });
    expect(plan.actors).toContainEqual({
      ...{ client: OTHER.actor.clientName, session: 'session-2', tool: 'vector_upsert' },
      events: expect.any(Number),
    });
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    expect(plan.items.list.sort(byId)).toEqual([
      { collection: 'default', id: 'note-1', becomes: 'changed', version: 4 },
      { collection: 'default', id: 'note-2', becomes: 'restored', version: 5 },
      { collection: 'default', id: 'note-4', becomes: 'removed' },
      { collection: 'mistakes', id: 'other', becomes: 'removed' },
    ]);
    expect(plan.done).toBeUndefined();
    const { code, stdout } = await cli('--to', '6');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^would cut +6 records: 7 to 12 {2}\([\d.]+ kB\)$/m);
    expect(stdout).toContain('session session-2');
    expect(stdout).toContain('Nothing was changed. To cut: tools/rollback --to 6 --truncate --yes');
    expect(stdout).not.toContain('\u001b');
    expect(Object.keys(await items()).sort()).toEqual(['note-1', 'note-3', 'note-4']);
    expect(existsSync(join(store, 'quarantine'))).toBe(false);
    expect(await json('--list')).toEqual([]);
  });

  test('of the head, and of moments that are not there', async () => {
    fresh();
    expect((await cli('--to', 'now')).stdout).toContain('there is nothing to cut');
    expect(await json('--to', '12', '--truncate', '--yes')).toMatchObject({ records: 0, epoch: 1 });
    expect((await cli('--to', '99')).stderr).toContain('error MOMENT_TOO_LATE');
    expect((await cli('--to', '0')).stderr).toContain('error MOMENT_TOO_EARLY');
    expect(await json('--to', 'before 7')).toMatchObject({ to: { seq: 6 } });
  });
});

test.each([
  [['--to', '6', '--truncate'], '--yes'],
  [['--to', '6', '--yes'], '--truncate'],
  [['--truncate', '--yes'], '--to is missing'],
  [['--to', '6', '--reason', 'x'], '--truncate'],
  [['--list', '--to', '6'], '--list'],
])('%j is refused by name', async (args, named) => {
  fresh();
  const { code, stdout, stderr } = await cli(...args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('error INVALID_ARGUMENT: ');
  expect(stderr).toContain(named);
  expect(existsSync(join(store, 'quarantine'))).toBe(false);
});

describe('the cut', () => {
  test('gives back the state then, keeps what went, and verify says so', async () => {
    fresh();
    const answer = await json('--to', '6', '--truncate', '--yes', '--reason', 'the agent went astray');
    expect(answer.done).toMatchObject({ seq: KEPT + 1, epoch: 2, sha256: expect.any(String) });
    expect(readdirSync(join(store, 'checkpoints'))).toEqual([]);
    expect(await items()).toEqual(THEN);
    expect(await json('--list')).toEqual([
      {
        ...{ path: answer.done.quarantine, cut: true, first: 7, last: 12, records: 6, epoch: 2 },
        ...{ reason: 'the agent went astray', sizeBytes: answer.done.sizeBytes, time: expect.any(String) },
      },
    ]);
    expect((await cli('--list')).stdout).toContain('the agent went astray');
    // A checkpoint of the new head was saved meanwhile; saying the same again changes nothing.
    const again = await json('--to', '6', '--truncate', '--yes');
    expect(again).toMatchObject({ records: 0, checkpoints: [], epoch: 2, finishedEarlier: false });
    expect(again.done).toBeUndefined();
    const verify = await runCli(['verify', '--store', store], { env: { HOME: dir } });
    expect(verify.code).toBe(0);
    expect(verify.stdout).toMatch(/^epoch +2 since 7 /m);
    expect(verify.stdout).toContain(answer.done.quarantine);
    const status = await runCli(['status', '--store', store], { env: { HOME: dir } });
    expect(status.stdout).toContain('epoch 2');
    // What was cut is damaged later: found, and said to be no damage of the store.
    writeFileSync(join(answer.done.quarantine, 'records'), 'x');
    const damaged = await runCli(['verify', '--store', store], { env: { HOME: dir } });
    expect([damaged.code, damaged.stdout]).toEqual([1, expect.stringContaining('QUARANTINE_DAMAGED')]);
    expect(damaged.stdout).toContain('The store itself is sound');
  });

  test('is refused while a process has the store', async () => {
    fresh();
    const owner = await StoreProcess.start(store);
    const { code, stderr } = await cli('--to', '6', '--truncate', '--yes');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error STORE_IN_USE: /)]);
    expect((await cli('--list')).code).toBe(0);
    await owner.close();
  });

  test('that was interrupted is finished by the next opening, which says so; its checkpoints are discarded', async () => {
    fresh();
    // The checkpoint of event 12 is still there, and the log will reach event 12 again before it is looked at.
    const log = await openLog({ storeDir: store });
    const cut = { after: { seq: KEPT, hash: log.get(KEPT).hash }, head: log.head };
    await log.close();
    const failed = openLog({
      ...{ storeDir: store, cut },
      onCutStep: step => {
        if (step === 'compact') throw new Error('power loss');
      },
    });
    await expect(failed).rejects.toMatchObject({ code: 'WAL_IO' });
    const copy = `${store}-again`;
    cpSync(store, copy, { recursive: true });
    const again = await rollback({ storeDir: copy, to: '6', truncate: { reason: 'again' } });
    expect(again).toMatchObject({ records: 0, epoch: 2, finishedEarlier: true });
    const doctor = await runCli(['doctor', '--store', store], { env: { HOME: dir } });
    expect(doctor.stdout).toMatch(/^warn +head proof +a rollback to event 6 was interrupted/m);
    const engine = await openTestEngine(store);
    const { checkpoint } = await engine.status({}, testContext);
    expect(checkpoint.warnings).toEqual([
      expect.stringContaining('was cut after event 6'),
      expect.stringContaining('beyond the head'),
    ]);
    await engine.close();
    expect(await items()).toEqual(THEN);
  });

  test('leaves a checkpoint of the cut part to its hash, once the log has reached its number again', async () => {
    fresh();
    const log = await openLog({ storeDir: store });
    const cut = { after: { seq: KEPT, hash: log.get(KEPT).hash }, head: log.head };
    await log.close();
    const shortened = await openLog({ storeDir: store, cut });
    const event = { type: FIRST_CALLER_TYPE | 0x8000 | 1000, body: new Uint8Array(0), actor: 0 };
    while (shortened.head.seq < HEAD) await shortened.append([event]).durable;
    await shortened.close();
    expect(existsSync(join(store, 'checkpoints', String(HEAD).padStart(16, '0')))).toBe(true);
    const engine = await openTestEngine(store);
    const { checkpoint } = await engine.status({}, testContext);
    expect(checkpoint.warnings).toEqual([expect.stringContaining('event 12 has another hash in the log')]);
    await engine.close();
    expect(await items()).toEqual(THEN);
  });

  test('ends a page-by-page reading, also once its number has been used again', async () => {
    fresh();
    const list = async (cursor?: string) => {
      const engine = await openTestEngine(store);
      try {
        const query = { collection: 'default', limit: 1, ...(cursor !== undefined && { cursor }) };
        return await engine.list(query, testContext);
      } finally {
        await engine.close();
      }
    };
    const [cursor] = (await list()).cursors;
    expect((await list(cursor)).items).toHaveLength(1);
    await rollback({ storeDir: store, to: '6', truncate: { reason: 'a test' } });
    await expect(list(cursor)).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
    const engine = await openTestEngine(store);
    for (let i = 0; i < 6; i++)
      await engine.upsert({ collection: 'default', items: [{ text: `new ${i}` }] }, testContext);
    await engine.close();
    await expect(list(cursor)).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
  });

  test('takes off an event that this program cannot read', async () => {
    fresh();
    const log = await openLog({ storeDir: store });
    await log.append([{ type: 0x1000, body: Buffer.from('of a later version'), actor: 0 }]).durable;
    await log.close();
    await expect(items()).rejects.toMatchObject({ code: 'PROJECTION_FAILED' });
    const answer = await rollback({ storeDir: store, to: '12', truncate: { reason: 'unreadable' } });
    expect(answer).toMatchObject({ events: { unreadable: 1 }, done: { epoch: 2 } });
    expect(answer.unreadable[0]).toContain('EVENT_UNKNOWN');
    expect(Object.keys(await items()).sort()).toEqual(['note-1', 'note-3', 'note-4']);
  });

  test('stays behind what made a store of a fork', async () => {
    fresh();
    const fork = join(dir, 'fork');
    mkdirSync(fork);
    const made = await runCli(['replay', '--until', '6', '--to', fork, '--store', store], {
      env: { HOME: dir },
    });
    expect(made.code).toBe(0);
    store = fork;
    const { code, stderr } = await cli('--to', '5');
    expect([code, stderr]).toEqual([2, expect.stringContaining('error MOMENT_TOO_EARLY')]);
    expect(stderr).toContain('tools/replay');
  });
});
