import { beforeEach, describe, expect, it } from 'vitest';
import type { DiffQuery } from '#src/domain/travel.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { CountingLog } from '../helpers/counting-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

let log: CountingLog;
let engine: StoreEngine;

beforeEach(async () => {
  log = new CountingLog();
  engine = await memoryEngine(log);
});

const put = async (id: string, text: string, metadata = {}) =>
  (await engine.upsert({ collection: 'default', items: [{ id, text, metadata }] }, testContext)).seq;
const remove = (...ids: string[]) => engine.delete({ collection: 'default', ids }, testContext);
const diff = (from: string | number, query: Partial<DiffQuery> = {}) =>
  engine.diff({ from: String(from), limit: 100, ...query }, testContext);
const told = async (from: string | number, query: Partial<DiffQuery> = {}) =>
  (await diff(from, query)).items.map(({ change, id }) => `${change} ${id}`);

describe('two moments', () => {
  it('differ by what was added, changed and removed between them, the latest first', async () => {
    await put('gone', 'soon gone');
    await put('kept', 'always here');
    const from = await put('edited', 'the quick fox', { year: 2025, kind: 'x' });
    await remove('gone');
    await put('new', 'a new one');
    const to = await put('edited', 'the slow fox', { year: 2026, kind: 'x' });
    const answer = await diff(from);
    expect(answer).toMatchObject({
      from: { seq: from },
      to: { seq: to },
      counts: { added: 1, changed: 1, removed: 1 },
      more: false,
    });
    expect(answer.items).toEqual([
      {
        collection: 'default',
        id: 'edited',
        change: 'changed',
        from: { version: from, text: 'the quick fox', metadata: { year: 2025, kind: 'x' } },
        to: { version: to, text: 'the slow fox', metadata: { year: 2026, kind: 'x' } },
        words: [
          { op: '=', text: 'the ' },
          { op: '-', text: 'quick' },
          { op: '+', text: 'slow' },
          { op: '=', text: ' fox' },
        ],
        metadata: ['year'],
      },
      {
        collection: 'default',
        id: 'new',
        change: 'added',
        to: { version: to - 1, text: 'a new one', metadata: {} },
      },
      {
        collection: 'default',
        id: 'gone',
        change: 'removed',
        from: { version: from - 2, text: 'soon gone', metadata: {} },
      },
    ]);
  });

  it('do not differ in what was changed back, or came and went', async () => {
    const from = await put('a', 'one', { kind: 'x' });
    await put('a', 'two');
    await put('a', 'one');
    await put('b', 'came');
    await remove('b');
    expect(await told(from)).toEqual([]);
    await remove('a');
    await put('a', 'one', { kind: 'x' });
    expect(await told(from)).toEqual([]);
    await put('a', 'one', { kind: 'y' });
    expect(await told(from)).toEqual(['changed a']);
    await engine.revert({ to: String(from), dry_run: false }, testContext);
    expect(await diff(from)).toMatchObject({ counts: { added: 0, changed: 0, removed: 0 }, items: [] });
  });

  it('may be marks, times, or the same', async () => {
    await put('a', 'one');
    await engine.mark({ name: 'before-work' }, testContext);
    await put('a', 'two');
    await engine.mark({ name: 'after-work' }, testContext);
    await put('b', 'more');
    expect(await told('before-work', { to: 'after-work' })).toEqual(['changed a']);
    expect(await told('before-work', { to: 'before after-work' })).toEqual(['changed a']);
    expect(await told('before-work', { to: 'now' })).toEqual(['added b', 'changed a']);
    expect(await told('after-work', { to: 'after-work' })).toEqual([]);
  });

  it('differ in a vector that was given by hand', async () => {
    const give = (vector: number[], text?: string) =>
      engine.upsert(
        { collection: 'given', items: [{ id: 'a', vector, ...(text && { text }) }] },
        testContext,
      );
    const { seq } = await give([1, 0]);
    await give([0, 1]);
    const { items } = await diff(seq);
    expect(items).toMatchObject([{ change: 'changed', id: 'a', vector: true }]);
    expect(items[0]!.words).toBeUndefined();
    await give([1, 0]);
    expect(await told(seq)).toEqual([]);
  });

  it('are compared where a filter matches at one of them', async () => {
    const from = await put('a', 'one', { kind: 'x' });
    await put('a', 'one', { kind: 'y' });
    await put('b', 'two', { kind: 'z' });
    expect(await told(from, { where: { kind: 'x' } })).toEqual(['changed a']);
    expect(await told(from, { where: { kind: 'y' } })).toEqual(['changed a']);
    expect(await told(from, { where: { kind: { $ne: 'y' } } })).toEqual(['added b', 'changed a']);
    expect(await diff(from, { where: { kind: 'z' } })).toMatchObject({
      counts: { added: 1, changed: 0, removed: 0 },
    });
  });

  it('are read for what changed, not for what the store holds', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => ({ id: `item-${i}`, text: `text ${i}` }));
    const start = await put('first', 'one');
    const from = (await engine.upsert({ collection: 'default', items }, testContext)).seq;
    await put('item-3', 'changed');
    await remove('item-4');
    log.reads = 0;
    expect(await told(from)).toEqual(['removed item-4', 'changed item-3']);
    expect(log.reads).toBeLessThan(20);
    // Of many changes the records of a page are read, and none to count the rest.
    log.reads = 0;
    expect(await diff(start, { limit: 2 })).toMatchObject({ counts: { added: 999, changed: 0, removed: 0 } });
    expect(log.reads).toBeLessThan(20);
  });

  it('differ page by page once a page holds much text', async () => {
    const text = 'much text '.repeat(100_000);
    const from = await put('first', 'one');
    for (let i = 0; i < 6; i++) await put(`item-${i}`, `${i} ${text}`);
    const first = await diff(from);
    expect([first.items.length, first.more]).toEqual([5, true]);
    const second = await diff(from, { cursor: first.cursors.at(-1)! });
    expect(second).toMatchObject({ counts: { added: 6, changed: 0, removed: 0 }, more: false });
    expect(second.items.map(({ id }) => id)).toEqual(['item-0']);
  });
});

describe('refusals', () => {
  beforeEach(() => put('a', 'one'));

  it.each<[string, Partial<DiffQuery>, string, RegExp]>([
    ['4', { to: '3' }, 'INVALID_ARGUMENT', /from: "4" is event 4, which is after event 3/],
    ['3', { limit: 0 }, 'INVALID_ARGUMENT', /limit/],
    ['9', {}, 'MOMENT_TOO_LATE', /"9"/],
    ['before 1', {}, 'MOMENT_TOO_EARLY', /before/],
    ['3', { to: 'no-such-mark' }, 'MARK_NOT_FOUND', /no-such-mark/],
    ['3', { collection: 'other' }, 'COLLECTION_NOT_FOUND', /other/],
    ['3', { where: { kind: { $foo: 1 } } }, 'INVALID_ARGUMENT', /\$foo/],
    ['3', { cursor: 'bogus' }, 'CURSOR_INVALID', /cursor/],
  ])('%s %j', async (from, query, code, message) => {
    await put('a', 'two');
    await expect(diff(from, query)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('a collection that came only after the later moment', async () => {
    await engine.upsert({ collection: 'later', items: [{ text: 'later' }] }, testContext);
    await expect(diff(3, { to: '3', collection: 'later' })).rejects.toMatchObject({
      code: 'COLLECTION_NOT_FOUND',
    });
    expect(await diff(3, { collection: 'later' })).toMatchObject({ counts: { added: 1 } });
  });

  it('a cursor of another question, or of a log that went further', async () => {
    await put('b', 'two');
    const cursor = (await diff(3)).cursors[0]!;
    const refused = { code: 'CURSOR_INVALID' };
    await expect(diff(2, { cursor })).rejects.toMatchObject(refused);
    await expect(diff(3, { cursor, collection: 'default' })).rejects.toMatchObject(refused);
    engine = await memoryEngine(log.prefix(3));
    await expect(diff(3, { cursor })).rejects.toMatchObject(refused);
  });

  it('a call that was cancelled', async () => {
    const signal = AbortSignal.abort();
    const cancelled = { code: 'CANCELLED' };
    await expect(engine.diff({ from: '3', limit: 1 }, { ...testContext, signal })).rejects.toMatchObject(
      cancelled,
    );
    await expect(engine.history({ limit: 1 }, { ...testContext, signal })).rejects.toMatchObject(cancelled);
  });
});
