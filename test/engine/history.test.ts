import { beforeEach, describe, expect, it } from 'vitest';
import type { CallContext } from '#src/domain/face.js';
import type { Actor, DomainEvent } from '#src/domain/model.js';
import type { HistoryQuery } from '#src/domain/travel.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { encodeEvent } from '#src/engine/event-codec.js';
import { CountingLog } from '../helpers/counting-log.js';
import { testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

let log: CountingLog;
let engine: StoreEngine;

beforeEach(async () => {
  log = new CountingLog();
  engine = await memoryEngine(log);
});

const by = (actor: Partial<Actor>): CallContext => ({
  ...testContext,
  actor: { ...testContext.actor, ...actor },
});
const put = (id: string, text: string, context = testContext, collection = 'default') =>
  engine.upsert({ collection, items: [{ id, text }] }, context);
const history = (query: Partial<HistoryQuery> = {}, context = testContext) =>
  engine.history({ limit: 100, ...query }, context);
/** `type id` of each change, newest first. */
const told = async (query: Partial<HistoryQuery> = {}, context = testContext) =>
  (await history(query, context)).changes.map(change =>
    `${change.type} ${change.id ?? change.mark?.name ?? ''}`.trim(),
  );
/** Writes an event as another version of the program may: by nobody. */
async function write(...events: readonly DomainEvent[]): Promise<void> {
  await log.append(events.map(event => ({ ...encodeEvent(event), actor: 0 }))).durable;
}

describe('what an item went through', () => {
  it('is told with its texts before and after, newest first', async () => {
    await put('note', 'one');
    const two = await engine.upsert(
      { collection: 'default', items: [{ id: 'note', text: 'two', metadata: { year: 2026 } }] },
      testContext,
    );
    await engine.delete({ collection: 'default', ids: ['note'] }, testContext);
    await put('note', 'again');
    await engine.revert({ to: String(two.seq), dry_run: false }, testContext);
    const { changes, more, moment } = await history({ id: 'note' });
    const versions = { one: 3, two: 4, again: 6, back: 7 };
    const one = { version: versions.one, text: 'one', metadata: {} };
    const two_ = { version: versions.two, text: 'two', metadata: { year: 2026 } };
    const again = { version: versions.again, text: 'again', metadata: {} };
    const back = { ...two_, version: versions.back };
    const item = { collection: 'default', id: 'note', actor: testContext.actor };
    expect(changes).toEqual([
      { seq: 7, type: 'restored', ...item, before: again, after: back, restored_from: 4, ...alone(7) },
      { seq: 6, type: 'created', ...item, after: again, ...alone(6) },
      { seq: 5, type: 'deleted', ...item, before: two_, ...alone(5) },
      { seq: 4, type: 'updated', ...item, before: one, after: two_, ...alone(4) },
      // The first transaction also declares the actor and creates the collection.
      { seq: 3, type: 'created', ...item, after: one, ...alone(3), write: { first_seq: 1, last_seq: 3 } },
    ]);
    expect([more, moment.seq]).toEqual([false, 7]);
  });

  const alone = (seq: number) => ({
    write: { first_seq: seq, last_seq: seq },
    time: new Date(log.get(seq).logicalMs).toISOString(),
  });

  it('is nothing for an id that never was', async () => {
    await put('note', 'one');
    expect(await history({ id: 'other' })).toMatchObject({ changes: [], cursors: [], more: false });
  });

  it('ends a page once it holds much text', async () => {
    const text = 'much text '.repeat(100_000);
    for (let i = 0; i < 5; i++) await put('note', `${i} ${text}`);
    const first = await history({ id: 'note' });
    expect([first.changes.length, first.more]).toEqual([3, true]);
    const second = await history({ id: 'note', cursor: first.cursors.at(-1)! });
    expect([second.changes.length, second.more]).toEqual([2, false]);
  });
});

describe('what a store went through', () => {
  it('includes marks and changes of model, a collection’s its own', async () => {
    await put('a', 'one');
    await put('b', 'two', testContext, 'notes');
    await engine.mark({ name: 'before-work', note: 'all well' }, testContext);
    const space = { ...(await new WordEmbedder().space()), id: 'test/other/32#0' };
    await write({ type: 'space_begun', collection: 2, space });
    await write({ type: 'space_abandoned', collection: 2, space: space.id });
    const { changes } = await history();
    expect(changes.map(({ type, collection, space: id, mark }) => ({ type, collection, id, mark }))).toEqual([
      { type: 'reembedding_abandoned', collection: 'notes', id: space.id },
      { type: 'reembedding_begun', collection: 'notes', id: space.id },
      { type: 'marked', mark: { name: 'before-work', note: 'all well' } },
      { type: 'created', collection: 'notes' },
      { type: 'collection_created', collection: 'notes', id: (await new WordEmbedder().space()).id },
      { type: 'created', collection: 'default' },
      { type: 'collection_created', collection: 'default', id: (await new WordEmbedder().space()).id },
    ]);
    expect(changes[0]!.actor).toBeNull();
    expect(await told({ collection: 'notes' })).toEqual([
      'reembedding_abandoned',
      'reembedding_begun',
      'created b',
      'collection_created',
    ]);
    expect(await told({ collection: 'default' })).toEqual(['created a', 'collection_created']);
  });

  it('shows the beginning of long texts, and that they go on', async () => {
    await put('a', 'x'.repeat(200));
    await put('b', `${'x'.repeat(199)}😀`);
    const [b, a] = (await history({ types: ['created'] })).changes;
    expect(a!.after).toEqual({ version: 3, text: 'x'.repeat(200), metadata: {} });
    expect(b!.after).toEqual({ version: 4, text: 'x'.repeat(199), cut: true, metadata: {} });
    const [whole] = (await history({ id: 'b' })).changes;
    expect(whole!.after!.text).toHaveLength(201);
  });

  it('reads a page, not the store', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => ({ id: `item-${i}`, text: `text ${i}` }));
    await engine.upsert({ collection: 'default', items }, testContext);
    await put('item-3', 'changed', by({ session: 'other' }));
    log.reads = 0;
    await history({ limit: 5 });
    await history({ session: 'other' });
    await history({ id: 'item-3' });
    expect(log.reads).toBeLessThan(100);
  });
});

describe('bounds', () => {
  beforeEach(async () => {
    await put('a', 'one', by({ clientName: 'Claude Code', session: 's1', project: '/work' }));
    await engine.mark({ name: 'middle' }, by({ clientName: 'Cursor', session: 's2', project: '/home' }));
    await put('a', 'two', by({ clientName: 'Cursor', session: 's2', project: '/home' }));
    await engine.delete({ collection: 'default', ids: ['a'] }, by({ clientName: 'Codex', session: 's3' }));
  });

  it.each<[Partial<HistoryQuery>, string[]]>([
    [{ actor: 'CLAUDE' }, ['created a', 'collection_created']],
    [{ actor: 'c', types: ['created', 'deleted'] }, ['deleted a', 'created a']],
    [{ session: 's2' }, ['updated a', 'marked middle']],
    [{ session: 's2', id: 'a' }, ['updated a']],
    [{ project: '/home' }, ['updated a', 'marked middle']],
    [{ project: '' }, ['deleted a']],
    [{ project: '/hom' }, []],
    [{ actor: 'cursor', session: 's1' }, []],
    [{ since: 'middle', until: 'now' }, ['deleted a', 'updated a', 'marked middle']],
    [{ until: 'before middle' }, ['created a', 'collection_created']],
    [{ since: '7' }, ['deleted a']],
    [{ types: ['marked', 'collection_created'] }, ['marked middle', 'collection_created']],
  ])('%j', async (query, expected) => {
    expect(await told(query)).toEqual(expected);
  });

  it('mean the caller by the session "current"', async () => {
    expect(await told({ session: 'current' }, by({ session: 's3' }))).toEqual(['deleted a']);
    expect(await told({ session: 'current' })).toEqual([]);
  });

  it('find no actor where none is known', async () => {
    await write({ type: 'mark_set', name: 'by-nobody', note: '' });
    expect(await told({ since: '9' })).toEqual(['marked by-nobody']);
    expect(await told({ since: '9', project: '' })).toEqual([]);
  });
});

describe('refusals', () => {
  beforeEach(() => put('a', 'one'));

  it.each<[Partial<HistoryQuery>, string, RegExp]>([
    [{ limit: 0 }, 'INVALID_ARGUMENT', /limit: 0/],
    [{ limit: 1001 }, 'INVALID_ARGUMENT', /limit: 1001/],
    [{ actor: '' }, 'INVALID_ARGUMENT', /actor/],
    [{ types: [] }, 'INVALID_ARGUMENT', /types/],
    [{ types: ['delete' as 'deleted'] }, 'INVALID_ARGUMENT', /did you mean "deleted"/],
    [{ collection: 'other' }, 'COLLECTION_NOT_FOUND', /"other"/],
    [{ id: 'a', collection: 'other' }, 'COLLECTION_NOT_FOUND', /"other"/],
    [{ since: 'before 3' }, 'MOMENT_INVALID', /since/],
    [{ since: 'no-such-mark' }, 'MARK_NOT_FOUND', /no-such-mark/],
    [{ cursor: 'bogus' }, 'CURSOR_INVALID', /cursor/],
  ])('%j', async (query, code, message) => {
    await expect(history(query)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('a cursor of another question, or of a log that went further', async () => {
    await put('a', 'two');
    const cursor = (await history({ limit: 1 })).cursors[0]!;
    const refused = { code: 'CURSOR_INVALID' };
    await expect(history({ cursor, types: ['created'] })).rejects.toMatchObject(refused);
    await expect(history({ cursor, id: 'a' })).rejects.toMatchObject(refused);
    const list = await engine.list({ collection: 'default', limit: 1 }, testContext);
    await expect(history({ cursor: list.cursors[0]! })).rejects.toMatchObject(refused);
    const current = (await history({ session: 'current', limit: 1 })).cursors[0]!;
    await expect(
      history({ session: 'current', cursor: current }, by({ session: 'x' })),
    ).rejects.toMatchObject(refused);
    expect(await told({ cursor, limit: 7 })).toEqual(['created a', 'collection_created']);
    engine = await memoryEngine(log.prefix(3));
    await expect(history({ cursor })).rejects.toMatchObject(refused);
  });
});
