import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PrintOptions, printEvents } from '#src/engine/printed-event.js';
import { openLog } from '#wal/open.js';
import { logDatabase } from '#wal/open-database.js';
import { decodeRecord, encodeKey, encodeRecord, eraseRecord } from '#wal/record.js';
import { temporaryDirectory, testContext, wordVector } from '../helpers/engine.js';
import { HOUR_MS, makeStore, printedEvents, START_MS } from './replay-store.js';

let store: string;
beforeAll(async () => {
  store = await makeStore(temporaryDirectory());
});

const collect = (options: Partial<PrintOptions> = {}) => printedEvents({ storeDir: store, ...options });

describe('the events printed', () => {
  it('are all that was committed, in order, with their transaction, time and author', async () => {
    const events = await collect();
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events[0]).toMatchObject({ seq: 1, tx: 1, type: 'genesis', actor: null });
    expect(events[0]!.storeId).toMatch(/^[0-9a-f]{32}$/);
    const put = events.find(({ type }) => type === 'item_put')!;
    expect(put).toMatchObject({
      tx: 2,
      time: '2026-03-01T12:00:00.000Z',
      actor: testContext.actor,
      id: 'note-0',
      text: 'note 0 about topic0\n\nand a second passage',
      metadata: { n: 0, even: true },
      origin: 'agent',
      vectors: { dimension: 32, passages: 2 },
    });
    expect(put).not.toHaveProperty('wall_time');
    expect(events.filter(({ type }) => type === 'item_deleted')).toHaveLength(5);
    expect(events.at(-1)).toMatchObject({ id: 'v', actor: { session: 'session-2', tool: 'vector_import' } });
  });

  it('carry whole vectors on request, as stored', async () => {
    const events = await collect({ vectors: true });
    const put = events.find(({ id, type }) => id === 'note-0' && type === 'item_put')!;
    expect(put.vectors).toEqual([
      [...wordVector('note 0 about topic0\n\n')],
      [...wordVector('and a second passage')],
    ]);
    expect(events.at(-1)!.vectors).toEqual([[3, 4]]);
  });

  it('are bounded by both moments, whole transactions, authors known all the same', async () => {
    const all = await collect();
    const second = await collect({ since: '2026-03-01T13:00Z', until: '2026-03-01T13:59Z' });
    expect(second).toEqual(all.filter(({ time }) => time === '2026-03-01T13:00:00.000Z'));
    expect(second[0]!.actor).toEqual(testContext.actor);
    // The second transaction of eight notes, named by one in its middle.
    const inside = all.filter(({ id }) => id === 'note-11')[0]!;
    const from = await collect({ since: String(inside.seq), until: String(inside.seq) });
    expect(from.map(({ seq }) => seq)).toEqual(
      all.filter(({ tx }) => tx === inside.tx).map(({ seq }) => seq),
    );
    expect(await collect({ since: '2026-03-02' })).toEqual([]);
    await expect(collect({ since: '30', until: '2' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('lets go of the store when given up in the middle', async () => {
    for await (const piece of printEvents({ storeDir: store })) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await (await openLog({ storeDir: store })).close();
  });

  it('leaves out what was aborted, and says what was erased, unknown or timed by a leaping clock', async () => {
    const other = join(temporaryDirectory(), 'store');
    let nowMs = START_MS;
    const limits = { maxBatchBytes: 500 };
    let log = await openLog({ storeDir: other, create: true, clock: () => nowMs, limits });
    const bytes = (text: string) => Buffer.from(text);
    const skippable = { type: 0x8000 | 99, body: bytes('from the future'), actor: 0 };
    await log.append([skippable]).durable;
    nowMs -= HOUR_MS;
    await log.append([skippable]).durable;
    // A transaction of several batches, whole.
    const long = log.append(Array.from({ length: 9 }, () => ({ ...skippable, body: Buffer.alloc(100) })));
    await long.durable;
    const erased = log.append([{ type: 33, body: bytes('{}'), actor: 2 }]);
    await erased.durable;
    const head = log.head.seq;
    await log.close();
    const database = logDatabase(other, { createIfMissing: false });
    await database.open();
    const value = (await database.get(encodeKey(erased.lastSeq)))!;
    await database.put(encodeKey(erased.lastSeq), eraseRecord(value, erased.lastSeq));
    // A crash in the middle of another: its first record without the commit that makes it count.
    const last = decodeRecord((await database.get(encodeKey(head)))!, head);
    const unfinished = { ...last, seq: head + 1, txFirst: head + 1, txIndex: 0, type: 0x8000 | 99 };
    const { bytes: begun } = encodeRecord({
      ...unfinished,
      prevHash: last.hash,
      last: false,
      long: true,
      body: bytes('never counted'),
    });
    await database.put(encodeKey(head + 1), begun);
    await database.close();
    log = await openLog({ storeDir: other, clock: () => nowMs });
    expect(log.head.seq).toBe(head + 2);
    await log.close();

    const events = await collect({ storeDir: other });
    expect(events.map(({ type }) => type)).toEqual(['genesis', ...Array(11).fill(99), 'item_deleted']);
    expect(events[1]).toEqual({
      seq: 2,
      time: '2026-03-01T12:00:00.000Z',
      tx: 2,
      type: 99,
      actor: null,
      unknown: true,
      sizeBytes: 15,
    });
    expect(events[2]).toMatchObject({
      time: '2026-03-01T12:00:00.000Z',
      wall_time: '2026-03-01T11:00:00.000Z',
    });
    expect(events.at(-1)).toMatchObject({ type: 'item_deleted', erased: true, actor: { erased: true } });
    expect(events.at(-1)).not.toHaveProperty('id');
  });
});
