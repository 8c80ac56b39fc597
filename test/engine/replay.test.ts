import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '#src/engine/checkpoints.js';
import { replay } from '#src/engine/replay.js';
import { verifyStore } from '#src/engine/verify.js';
import { openLog } from '#wal/open.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { clock, makeStore, printedEvents } from './replay-store.js';

let store: string;
beforeAll(async () => {
  store = await makeStore(temporaryDirectory());
});

/** Every stored value as it is, under its sequence number. */
async function rawValues(storeDir: string, to: number): Promise<string[]> {
  const log = await openLog({ storeDir });
  const values: string[] = [];
  for await (const piece of log.raw(1, to))
    for (const [seq, value] of piece) values.push(`${seq} ${Buffer.from(value).toString('hex')}`);
  await log.close();
  return values;
}

describe('the state', () => {
  it('needs everything up to the moment, whatever is counted', async () => {
    const whole = await replay({ storeDir: store, clock });
    const part = await replay({ storeDir: store, clock, since: '2026-03-01T13:00Z' });
    expect(part.collections).toEqual(whole.collections);
    expect(await replay({ storeDir: store, clock, since: '0' })).toEqual({ ...whole, sinceSeq: 1 });
    expect(whole.collections[0]).toMatchObject({ name: 'notes', items: 35 });
    expect(whole.events).toMatchObject({ item_put: 61, item_deleted: 5, collection_created: 2 });
    expect(part.events).toMatchObject({ item_put: 21, item_deleted: 5, collection_created: 1 });
    const early = await replay({ storeDir: store, clock, until: '2026-03-01T12:30Z' });
    expect(early.collections).toEqual([expect.objectContaining({ name: 'notes', items: 40, passages: 80 })]);
  });
});

describe('a fork', () => {
  it('holds equal records, knows where it comes from, is sound, and answers at once', async () => {
    const to = join(temporaryDirectory(), 'fork');
    const source = (await replay({ storeDir: store, clock })).storeId;
    const plan = (await replay({ storeDir: store, clock, until: '2026-03-01T12:30Z', to, dryRun: true }))
      .plan!;
    expect(existsSync(to)).toBe(false);
    const messages = new Set<string>();
    const summary = await replay({
      storeDir: store,
      clock,
      until: '2026-03-01T12:30Z',
      to,
      onProgress: ({ message }) => messages.add(message),
    });
    const { seq } = summary.moment;
    expect(summary.store).toMatchObject({
      path: to,
      seq: seq + 1,
      checkpoint: seq + 1,
      forkedFrom: { storeId: source, seq, epoch: 1 },
    });
    expect([...messages]).toEqual(expect.arrayContaining(['replaying', 'copying', 'applying events']));
    const values = await rawValues(store, seq);
    expect(await rawValues(to, seq)).toEqual(values);
    expect(plan).toMatchObject({ target: 'absent', records: seq });
    expect(plan.recordBytes).toBe(values.reduce((sum, value) => sum + value.split(' ')[1]!.length / 2, 0));

    expect(await verifyStore(to)).toMatchObject({ sound: true, forkedFrom: { storeId: source, seq } });
    const engine = await openTestEngine(to, { clock });
    // No checkpoint was discarded, and the one there is lacks nothing.
    const { checkpoint } = await engine.status({}, testContext);
    expect(checkpoint).toEqual({ seq: seq + 1, age_events: 0, warnings: [] });
    const found = await engine.search(
      { query: 'topic3', k: 3, mode: 'hybrid', collections: ['notes'] },
      testContext,
    );
    expect(found.results).toHaveLength(3);
    await engine.upsert({ collection: 'notes', items: [{ id: 'new', text: 'goes on' }] }, testContext);
    await engine.close();
    const ofFork = await replay({ storeDir: to, clock });
    expect(ofFork.forkedFrom).toEqual({ storeId: source, seq, epoch: 1 });
    const printed = await printedEvents({ storeDir: to, since: String(seq + 1), until: String(seq + 1) });
    expect(printed).toEqual([
      expect.objectContaining({ type: 'fork', forkedFrom: { storeId: source, seq, epoch: 1 } }),
    ]);
  });

  it('without its indexes has no checkpoint', async () => {
    const to = temporaryDirectory();
    const { store: made } = await replay({ storeDir: store, clock, to, checkpoint: false });
    expect(made!.checkpoint).toBeNull();
    expect(listCheckpoints(to)).toEqual([]);
  });

  it.each([false, true])('is refused where it cannot be made (dry run: %s)', async dryRun => {
    const taken = temporaryDirectory();
    writeFileSync(join(taken, 'mine'), '');
    await expect(replay({ storeDir: store, clock, to: taken, dryRun })).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
    });
    for (const inside of [join(store, 'fork'), join(store, 'log', 'a', 'b')])
      await expect(replay({ storeDir: store, clock, to: inside, dryRun })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    expect(existsSync(join(store, 'fork'))).toBe(false);
    expect(readdirSync(taken)).toEqual(['mine']);
  });
});
