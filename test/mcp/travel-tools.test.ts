import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkedCalls, refusedCalls } from './checked-calls.js';
import { type Connection, inMemory } from './connections.js';

let connection: Connection;
// biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
let call: (name: string, args?: unknown) => Promise<any>;
let refused: (name: string, args?: unknown) => Promise<string>;
beforeEach(async () => {
  connection = await inMemory();
  call = checkedCalls(connection, await connection.listTools());
  refused = refusedCalls(connection);
});
afterEach(() => connection.close());

const remember = (id: string, text: string, more = {}) =>
  call('vector_upsert', { items: [{ id, text, ...more }] });
const textOf = async (id: string, more = {}) =>
  (await call('vector_get', { ids: [id], ...more })).items[0]?.text;

describe('asking the past', () => {
  test('search, get, list and status answer as of a sequence number, a mark, or the moment before it', async () => {
    await remember('cache', 'The cache is Redis.');
    await call('vector_mark', { name: 'redis-days' });
    await remember('cache', 'The cache is Valkey.');
    await call('vector_delete', { ids: ['cache'] });
    await remember('other', 'Tea at four.');
    expect(await textOf('cache')).toBeUndefined();
    // A number is taken for its digits, as clients send it.
    for (const as_of of ['1', 1, 'redis-days', 'before redis-days', 'before 3']) {
      expect(await textOf('cache', { as_of })).toBe('The cache is Redis.');
      const found = await call('vector_search', { query: 'redis', as_of });
      expect(found.results).toMatchObject([{ id: 'cache', text: 'The cache is Redis.' }]);
    }
    expect((await call('vector_search', { query: 'redis' })).results).toEqual([]);
    expect((await call('vector_list', { as_of: '3' })).items).toMatchObject([
      { id: 'cache', preview: 'The cache is Valkey.' },
    ]);
    const then = await call('vector_status', { as_of: '1' });
    expect(then).toMatchObject({ head: { seq: 1 }, marks: [], collections: [{ name: 'default', items: 1 }] });
    expect((await call('vector_status')).marks).toMatchObject([{ name: 'redis-days', seq: 2 }]);
  });

  test('a moment that is none, or not there, is refused with its code', async () => {
    await remember('a', 'one');
    for (const tool of ['vector_search', 'vector_list', 'vector_status', 'vector_get']) {
      const args = {
        ...(tool === 'vector_search' && { query: 'one' }),
        ...(tool === 'vector_get' && { ids: ['a'] }),
      };
      expect(await refused(tool, { ...args, as_of: 'last doomsday' })).toMatch(/^MOMENT_INVALID: /);
      expect(await refused(tool, { ...args, as_of: '99' })).toMatch(/^MOMENT_TOO_LATE: /);
      expect(await refused(tool, { ...args, as_of: 'before 1' })).toMatch(/^MOMENT_TOO_EARLY: /);
      expect(await refused(tool, { ...args, as_of: 'no-such-mark' })).toMatch(/^MARK_NOT_FOUND: /);
      expect(await refused(tool, { ...args, as_of: '' })).toMatch(/^INVALID_ARGUMENT: as_of: empty/);
      expect(await refused(tool, { ...args, asof: '1' })).toMatch(/did you mean as_of\?/);
    }
  });
});

describe('vector_history', () => {
  test('tells who changed an item, when, and what it said before and after', async () => {
    await remember('port', 'The port is 8080.', { metadata: { topic: 'net' } });
    await remember('port', 'The port is 9090.');
    await call('vector_delete', { ids: ['port'] });
    const { changes, moment } = await call('vector_history', { id: 'port' });
    expect(moment.seq).toBe(3);
    expect(changes).toMatchObject([
      { seq: 3, type: 'deleted', before: { version: 2, text: 'The port is 9090.', truncated: false } },
      { seq: 2, type: 'updated', before: { version: 1 }, after: { version: 2 }, write: { first_seq: 2 } },
      { seq: 1, type: 'created', after: { text: 'The port is 8080.', metadata: { topic: 'net' } } },
    ]);
    expect(changes[0]).not.toHaveProperty('after');
    for (const { time, actor } of changes) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      expect(actor).toMatchObject({ client: 'test-client 9.8.7', session: expect.any(String) });
    }
  });

  test('narrows by session, client, time and kind; "current" is the caller\'s own session', async () => {
    await connection.call(
      'vector_upsert',
      { items: [{ id: 'theirs', text: 'x' }] },
      { meta: { threadId: 't-1' } },
    );
    await remember('mine', 'y');
    await call('vector_mark', { name: 'here', note: 'Lunch.' });
    const ids = async (args: object) =>
      (await call('vector_history', args)).changes.map(
        (change: { id?: string; mark?: { name: string } }) => change.id ?? change.mark?.name,
      );
    expect(await ids({})).toEqual(['here', 'mine', 'theirs']);
    expect(await ids({ session: 'current' })).toEqual(['here', 'mine']);
    expect(await ids({ session: 't-1' })).toEqual(['theirs']);
    expect(await ids({ actor: 'TEST-cl' })).toHaveLength(3);
    expect(await ids({ actor: 'cursor' })).toEqual([]);
    expect(await ids({ types: ['marked'] })).toEqual(['here']);
    expect(await ids({ since: '2', until: '2' })).toEqual(['mine']);
    expect(await ids({ collection: 'default', types: 'created' })).toEqual(['mine', 'theirs']);
    expect(await refused('vector_history', { types: ['renamed'] })).toMatch(
      /types\[0\]: wants one of created/,
    );
  });

  test('pages within max_chars, each change once', async () => {
    for (let i = 0; i < 12; i++) await remember('a', `${i} ${'words and more '.repeat(i * 20)}`);
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await connection.call('vector_history', {
        id: 'a',
        limit: 5,
        max_chars: 2000,
        ...(cursor && { cursor }),
      });
      expect(page.content[0]!.text.length).toBeLessThanOrEqual(2000);
      seen.push(...page.structuredContent.changes.map((change: { seq: number }) => change.seq));
      cursor = page.structuredContent.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => 12 - i));
  });
});

describe('vector_diff', () => {
  test('shows what was added, changed and removed, net, with the words that differ', async () => {
    await remember('port', 'The port is 8080 on every machine.', {
      metadata: { topic: 'net', owner: 'ada' },
    });
    await remember('gone', 'Soon forgotten.');
    await call('vector_mark', { name: 'start' });
    await remember('port', 'The port is 9090 on every machine.', { metadata: { owner: 'bob' } });
    await remember('new', 'Just learnt.');
    await remember('came-and-went', 'A moth.');
    await call('vector_delete', { ids: ['gone', 'came-and-went'] });
    const { from, to, counts, items } = await call('vector_diff', { from: 'start' });
    expect([from.seq, to.seq]).toEqual([3, 8]);
    expect(counts).toEqual({ added: 1, changed: 1, removed: 1 });
    expect(items).toEqual([
      {
        collection: 'default',
        id: 'gone',
        change: 'removed',
        from: expect.objectContaining({ text: 'Soon forgotten.' }),
      },
      {
        collection: 'default',
        id: 'new',
        change: 'added',
        to: expect.objectContaining({ text: 'Just learnt.' }),
      },
      {
        collection: 'default',
        id: 'port',
        change: 'changed',
        from: { version: 1, metadata: { owner: 'ada' } },
        to: { version: 4, metadata: { owner: 'bob' } },
        words: ['=The port is ', '-8080 ', '+9090 ', '=on every machine.'],
        truncated: false,
      },
    ]);
    expect(await refused('vector_diff', { from: '5', to: '2' })).toMatch(/^INVALID_ARGUMENT: /);
    expect(await refused('vector_diff', {})).toMatch(/^INVALID_ARGUMENT: from: missing/);
  });

  test('keeps what changed in sight where texts are long, and pages within max_chars', async () => {
    const filler = 'lorem ipsum dolor sit amet '.repeat(200);
    for (let i = 0; i < 9; i++) await remember(`n${i}`, `${filler}count ${i} ${filler}`);
    for (let i = 0; i < 9; i++) await remember(`n${i}`, `${filler}count ${i + 100} ${filler}`);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await connection.call('vector_diff', {
        from: '9',
        limit: 4,
        max_chars: 1500,
        ...(cursor && { cursor }),
      });
      expect(page.content[0]!.text.length).toBeLessThanOrEqual(1500);
      for (const { id, words, truncated } of page.structuredContent.items) {
        seen.push(id);
        expect(truncated).toBe(true);
        expect(words.join('')).toMatch(new RegExp(`count -${id.slice(1)} \\+10${id.slice(1)} =lorem`));
      }
      expect(page.structuredContent.counts.changed).toBe(9);
      cursor = page.structuredContent.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 9 }, (_, i) => `n${8 - i}`));
  });
});

describe('vector_revert', () => {
  test('first shows what it would do, and names the call that does it; a revert can be reverted', async () => {
    await remember('port', 'The port is 8080.');
    await call('vector_mark', { name: 'good' });
    await remember('port', 'The port is 9090.');
    await remember('junk', 'Noise.');
    const dry = await call('vector_revert', { to: 'good' });
    expect(dry).toMatchObject({ dry_run: true, counts: { restored: 1, deleted: 1, conflicts: 0 }, seq: 4 });
    expect(dry.steps).toContainEqual({
      collection: 'default',
      id: 'port',
      version: 3,
      to_version: 1,
      text: 'The port is 9090.',
      to_text: 'The port is 8080.',
    });
    expect(dry).not.toHaveProperty('undo');
    expect(await textOf('port')).toBe('The port is 9090.');
    expect(dry.apply).toEqual({
      tool: 'vector_revert',
      arguments: { to: 'good', dry_run: false, plan: dry.plan },
    });
    const done = await call(dry.apply.tool, dry.apply.arguments);
    expect(done).toMatchObject({ dry_run: false, seq: 6 });
    expect(done).not.toHaveProperty('apply');
    expect([await textOf('port'), await textOf('junk')]).toEqual(['The port is 8080.', undefined]);
    expect(done.undo.arguments).toEqual({ since: '5', until: '6', dry_run: false });
    await call(done.undo.tool, done.undo.arguments);
    expect([await textOf('port'), await textOf('junk')]).toEqual(['The port is 9090.', 'Noise.']);
  });

  test('a plan that no longer holds is refused; nothing to do names no call', async () => {
    await remember('a', 'one');
    await remember('a', 'two');
    const dry = await call('vector_revert', { ids: ['a'] });
    await remember('a', 'three');
    expect(await refused('vector_revert', dry.apply.arguments)).toMatch(/^PLAN_STALE: /);
    const none = await call('vector_revert', { session: 'nobody' });
    expect(none).toMatchObject({ counts: { restored: 0, deleted: 0, conflicts: 0 }, steps: [] });
    expect(none).not.toHaveProperty('apply');
    expect(none.hint).toContain('vector_history');
    expect(await refused('vector_revert', {})).toMatch(/^REVERT_EMPTY: /);
  });

  test('what others changed later is a conflict, left alone, unless the call says otherwise', async () => {
    await remember('shared', 'By me.');
    const meta = { threadId: 'somebody-else' };
    await connection.call('vector_upsert', { items: [{ id: 'shared', text: 'By them.' }] }, { meta });
    const dry = await call('vector_revert', { session: 'current' });
    expect(dry).toMatchObject({
      counts: { restored: 0, deleted: 0, conflicts: 1 },
      conflicts: [{ id: 'shared', seq: 2, actor: { session: 'somebody-else' } }],
      hint: expect.stringContaining('overwrite_conflicts'),
    });
    const forced = await call('vector_revert', {
      session: 'current',
      overwrite_conflicts: true,
      dry_run: false,
    });
    expect(forced.counts).toMatchObject({ deleted: 1 });
    expect(await textOf('shared')).toBeUndefined();
  });

  test('events by their numbers, however a client sends them', async () => {
    await call('vector_upsert', {
      items: [
        { id: 'a', text: 'one' },
        { id: 'b', text: 'two' },
      ],
    });
    for (const seqs of [[2], '[2]', ['2'], 2, '2']) {
      const { steps } = await call('vector_revert', { seqs });
      expect(steps).toMatchObject([{ id: 'b', to_version: 0 }]);
    }
    expect(await refused('vector_revert', { seqs: [1.5] })).toMatch(
      /^INVALID_ARGUMENT: seqs\[0\]: wants an integer/,
    );
    expect(await refused('vector_revert', { seqs: [] })).toMatch(/^INVALID_ARGUMENT: seqs: 0 given/);
  });

  test('a revert of very many items shows the first of them', async () => {
    const items = Array.from({ length: 500 }, (_, i) => ({
      id: `item-${i}`,
      text: `Text ${i} ${'x'.repeat(60)}`,
    }));
    await call('vector_upsert', { items });
    const result = await connection.call('vector_revert', { since: '1' });
    expect(result.content[0]!.text.length).toBeLessThan(8000);
    expect(result.structuredContent.counts.deleted).toBe(500);
    expect(result.structuredContent.steps.length).toBeGreaterThan(10);
    const ids = items.map(({ id }) => id);
    const dry = await call('vector_revert', { ids });
    expect(dry).not.toHaveProperty('apply');
    expect(dry.hint).toMatch(/same arguments, dry_run false and this plan/);
    expect((await call('vector_revert', { ids, dry_run: false, plan: dry.plan })).counts.deleted).toBe(500);
  });
});

describe('vector_mark', () => {
  test('names the present moment, once', async () => {
    await remember('a', 'one');
    const mark = await call('vector_mark', { name: 'before-cleanup', note: 'Merging.' });
    expect(mark).toMatchObject({ name: 'before-cleanup', moment: { seq: 2 }, seq: 2 });
    expect(await refused('vector_mark', { name: 'before-cleanup' })).toMatch(/^MARK_EXISTS: /);
    expect(await refused('vector_mark', {})).toMatch(/^INVALID_ARGUMENT: name: missing/);
    expect(await refused('vector_mark', { label: 'x' })).toMatch(/label: unknown, did you mean name\?/);
  });
});
