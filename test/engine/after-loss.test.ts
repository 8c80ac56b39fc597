/**
 * What an event presupposes that is lost: each kind of event behind a gap, in histories that were written by an engine and of which the events
 * named are lost. Random ones are in after-loss.property.test.ts.
 */
import { expect, test } from 'vitest';
import type { DomainEvent } from '#src/domain/model.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { eventOf, eventToAppend } from '#src/engine/event-codec.js';
import { encodeLost } from '#wal/lost.js';
import { MemoryLog } from '#wal/memory-log.js';
import { decodeRecord } from '#wal/record.js';
import { OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const open = (log: MemoryLog) =>
  memoryEngine(log, {
    others: {
      words: new WordEmbedder(),
      other: new WordEmbedder(OTHER_WORDS),
      third: new WordEmbedder({ model: 'third-words', dimension: 24, seed: 99 }),
    },
    reembedBatches: { items: 2, lastItems: 1 },
  });

const put = (engine: StoreEngine, id: string, text: string, collection = 'default') =>
  engine.upsert({ collection, items: [{ id, text }] }, testContext);

/** An engine on what is left of a log. @param isLost told of each event and of how many of its type came before it */
async function without(
  log: MemoryLog,
  isLost: (event: DomainEvent, nth: number, seq: number) => boolean,
): Promise<StoreEngine> {
  const counts = new Map<string, number>();
  const values: Uint8Array[] = [];
  for await (const piece of log.raw(1, log.head.seq))
    for (const [seq, value] of piece) {
      const record = decodeRecord(value, seq);
      const event = eventOf(record);
      const nth = counts.get(event?.type ?? '') ?? 0;
      counts.set(event?.type ?? '', nth + 1);
      const goes = event !== undefined && isLost(event, nth, seq);
      values.push(goes ? encodeLost(record, record.hash) : value);
    }
  return open(MemoryLog.of(values));
}

/** Texts by id, as they are listed. */
async function texts(engine: StoreEngine, collection = 'default'): Promise<Record<string, string>> {
  const { items } = await engine.list({ collection, limit: 100 }, testContext);
  return Object.fromEntries(items.map(({ id, text }) => [id, text]));
}

const collectionsOf = async (engine: StoreEngine) =>
  (await engine.status({}, testContext)).collections.map(({ name, items }) => [name, items]);

/** It is found in the space that the collection has now, and by its words. */
async function expectFound(engine: StoreEngine, id: string, query: string): Promise<void> {
  for (const mode of ['semantic', 'keyword'] as const) {
    const { results } = await engine.search({ query, mode, k: 1 }, testContext);
    expect(results[0]?.id, mode).toBe(id);
  }
}

test('a collection whose name was taken by one that is made up in place of a lost one is made up as well', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  await put(engine, 'a', 'of the first', 'first');
  await put(engine, 'b', 'of the second', 'lost-1');
  const left = await without(log, (event, nth) => event.type === 'collection_created' && nth === 0);
  expect(await collectionsOf(left)).toEqual([
    ['lost-1', 1],
    ['lost-2', 1],
  ]);
  expect(await texts(left, 'lost-1')).toEqual({ a: 'of the first' });
  expect(await texts(left, 'lost-2')).toEqual({ b: 'of the second' });
});

/** Three versions of an item, of which all but the last are given up. */
async function withHorizon(): Promise<MemoryLog> {
  const log = new MemoryLog();
  const engine = await open(log);
  await engine.mark({ name: 'earlier' }, testContext);
  for (const text of ['one', 'two', 'three']) await put(engine, 'a', `version ${text}`);
  const through = String(log.head.seq);
  expect(await engine.horizon({ through, dry_run: false }, testContext)).toMatchObject({ versions: 2 });
  return log;
}

test('contents that were erased stay so, and what ends the erasure counts where it was begun', async () => {
  const left = await without(await withHorizon(), event => event.type === 'mark_set');
  expect(await texts(left)).toEqual({ a: 'version three' });
  const { changes } = await left.history({ id: 'a', limit: 10 }, testContext);
  expect(changes.map(({ after }) => after?.text)).toEqual(['version three', '', '']);
  await left.resumeErasing();
});

test('an erasure that ended and whose beginning is lost has ended', async () => {
  const left = await without(await withHorizon(), event => event.type === 'history_erased');
  expect(await texts(left)).toEqual({ a: 'version three' });
  await put(left, 'a', 'version four');
  expect(await texts(left)).toEqual({ a: 'version four' });
});

test('of a collection that is lost, what was erased says nothing', async () => {
  const left = await without(
    await withHorizon(),
    (event, nth) => event.type === 'collection_created' || (event.type === 'item_put' && nth === 2),
  );
  expect(await collectionsOf(left)).toEqual([]);
});

test('a redaction behind a gap is one', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  await engine.mark({ name: 'earlier' }, testContext);
  await put(engine, 'a', 'a secret');
  await engine.delete({ collection: 'default', ids: ['a'] }, testContext);
  await log.append([
    eventToAppend({ type: 'item_redacted', collection: 1, id: 'a', reason: 'a credential' }, 2),
  ]).durable;
  const left = await without(log, event => event.type === 'mark_set');
  const { changes } = await left.history({ id: 'a', limit: 10 }, testContext);
  expect(JSON.stringify(changes)).not.toContain('a secret');
  const [redaction] = (await left.history({ types: ['redacted'], limit: 1 }, testContext)).changes;
  expect(redaction).toMatchObject({ type: 'redacted', id: 'a', reason: 'a credential' });
});

test('a space that was abandoned is, where it was being prepared; else there is nothing to abandon', async () => {
  for (const lost of ['mark_set', 'space_begun'] as const) {
    const log = new MemoryLog();
    const engine = await open(log);
    await engine.mark({ name: 'earlier' }, testContext);
    for (const id of ['a', 'b', 'c', 'd']) await put(engine, id, `note ${id}`);
    await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
    await engine.reembed({ abandon: true }, testContext);
    const left = await without(
      log,
      event => event.type === lost || (lost === 'space_begun' && event.type === 'vectors_added'),
    );
    await expectFound(left, 'c', 'note c');
    // It can be prepared for again.
    expect(await left.reembed({ to: 'other' }, testContext)).toMatchObject({ done: true });
    await expectFound(left, 'c', 'note c');
  }
});

test('a space that is begun while another is being prepared, whose end is lost, ends it', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  for (const id of ['a', 'b', 'c', 'd']) await put(engine, id, `note ${id}`);
  await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
  await engine.reembed({ abandon: true }, testContext);
  await engine.reembed({ to: 'third' }, testContext);
  const left = await without(log, event => event.type === 'space_abandoned');
  await expectFound(left, 'd', 'note d');
  const { collections } = await left.status({}, testContext);
  expect(collections[0]!.space.model).toBe('third-words');
});

test.each([
  ['the way there', (nth: number) => nth === 0],
  ['the way there, and the beginning of the way back', () => true],
])('a switch to the space that a collection has already changes nothing: lost is %s', async (_, isLost) => {
  const log = new MemoryLog();
  const engine = await open(log);
  for (const id of ['a', 'b']) await put(engine, id, `note ${id}`);
  await engine.reembed({ to: 'other' }, testContext);
  await engine.reembed({ to: 'words' }, testContext);
  const left = await without(
    log,
    (event, nth) =>
      (event.type === 'space_switched' && nth === 0) ||
      (event.type === 'space_begun' && isLost(nth)) ||
      (event.type === 'vectors_added' && nth < 2),
  );
  const { collections } = await left.status({}, testContext);
  expect(collections[0]!.space.model).toBe('words');
  for (const id of ['a', 'b']) await expectFound(left, id, `note ${id}`);
  await put(left, 'c', 'note c');
  await expectFound(left, 'c', 'note c');
});

test('a preparation that began anew for the same space, whose end and second beginning are lost, is a second one', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  for (const id of ['a', 'b', 'c', 'd']) await put(engine, id, `note ${id}`);
  await engine.reembed({ to: 'other', budget_ms: 0 }, testContext);
  await engine.reembed({ abandon: true }, testContext);
  await engine.reembed({ to: 'other' }, testContext);
  const left = await without(
    log,
    (event, nth) => event.type === 'space_abandoned' || (event.type === 'space_begun' && nth === 1),
  );
  const { collections } = await left.status({}, testContext);
  expect(collections[0]!.space.model).toBe('other-words');
  for (const id of ['a', 'b', 'c', 'd']) await expectFound(left, id, `note ${id}`);
});

test('a switch to a space that is prepared for again, as present as it is, is made', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  for (const id of ['a', 'b', 'c', 'd']) await put(engine, id, `note ${id}`);
  await engine.reembed({ to: 'other' }, testContext);
  await engine.reembed({ to: 'words' }, testContext);
  await engine.reembed({ to: 'other' }, testContext);
  // The way back, and the last beginning: the same space's vectors come a second time.
  const left = await without(
    log,
    (event, nth) =>
      (event.type === 'space_begun' && nth > 0) ||
      (event.type === 'space_switched' && nth === 1) ||
      (event.type === 'vectors_added' && nth >= 4 && nth < 8),
  );
  const { collections } = await left.status({}, testContext);
  expect(collections[0]!.space.model).toBe('other-words');
  await expectFound(left, 'd', 'note d');
  expect(await left.reembed({ to: 'third' }, testContext)).toMatchObject({ done: true });
});

test('more than three gaps are counted, not named', async () => {
  const log = new MemoryLog();
  const engine = await open(log);
  for (let n = 0; n < 12; n++) await put(engine, `n-${n}`, `note ${n}`);
  const seqs: number[] = [];
  const left = await without(log, (event, nth, seq) => {
    const goes = event.type === 'item_put' && nth % 2 === 0;
    if (goes) seqs.push(seq);
    return goes;
  });
  const { warning } = await left.list({ collection: 'default', limit: 100 }, testContext);
  expect(warning).toContain(`Events ${seqs.slice(0, 3).join(', ')} and 3 more ranges are lost`);
  expect(await texts(left)).toEqual(
    Object.fromEntries([1, 3, 5, 7, 9, 11].map(n => [`n-${n}`, `note ${n}`])),
  );
});
