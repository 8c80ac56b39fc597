/** The engine over the socket, against the engine itself. */
import { setMaxListeners } from 'node:events';
import { realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { CallContext, Engine } from '#src/domain/face.js';
import type { JsonValue } from '#src/domain/model.js';
import { connectToOwner } from '#src/local/client.js';
import { temporaryDirectory, testContext, WordEmbedder } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';

let owner: LocalOwner;
beforeEach(async () => {
  owner = await LocalOwner.start();
});
afterEach(() => owner.close());

/** Embeds until it is told to stop. */
class EndlessEmbedder extends WordEmbedder {
  override embedTexts(_: readonly string[], signal?: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new CodedError('CANCELLED', 'stopped', 'Call again.')));
    });
  }
}

const text = (id: string, words: string) => ({ collection: 'default', items: [{ id, text: words }] });

describe('the engine over the socket', () => {
  test('answers what the engine itself answers, whatever is stored', async () => {
    const remote = await owner.client();
    const value = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>;
    const item = fc.record({
      id: fc.string({ minLength: 1, maxLength: 20 }).filter(id => /^[\w -]+$/.test(id)),
      text: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      metadata: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value, { maxKeys: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(item, { selector: i => i.id, minLength: 1, maxLength: 5 }),
        async items => {
          const settle = (call: Promise<unknown>) =>
            call.then(
              answer => ({ answer }),
              ({ name, code, message, wayOut, details }) => ({ name, code, message, wayOut, details }),
            );
          const command = { collection: 'default', items, allow_secrets: true };
          const written = await settle(remote.upsert(command, testContext));
          // The same once more changes nothing, so the engine itself must answer with the same versions or the same refusal.
          const again = await settle(owner.engine.upsert(command, testContext));
          if ('answer' in written) expect(versions(again)).toEqual(versions(written));
          else expect(again).toEqual(written);
          const ids = items.map(i => i.id);
          for (const call of [
            (e: Engine) => e.get({ collection: 'default', ids }, testContext),
            (e: Engine) => e.list({ collection: 'default', limit: 100 }, testContext),
            (e: Engine) => e.search({ query: items[0]!.text, k: 5, mode: 'hybrid' }, testContext),
            (e: Engine) => e.get({ collection: 'nowhere', ids }, testContext),
          ])
            expect(await settle(call(remote))).toEqual(await settle(call(owner.engine)));
        },
      ),
      { numRuns: 15 },
    );
    await remote.close();
  });

  const versions = (settled: unknown) =>
    (settled as { answer: { items: { id: string; version: number }[] } }).answer.items.map(i => [
      i.id,
      i.version,
    ]);

  test('an item is written in the name of the caller', async () => {
    const remote = await owner.client();
    const actor = {
      ...testContext.actor,
      clientName: 'the terminal',
      transport: 'cli',
      tool: 'cli x',
    } as const;
    await remote.upsert(text('a', 'one two'), { actor });
    const { items } = await owner.engine.get({ collection: 'default', ids: ['a'] }, testContext);
    expect(items[0]!.actor).toEqual(actor);
    await remote.close();
  });

  test('several calls run at once over one connection, and each gets its own answer', async () => {
    const remote = await owner.client();
    const ids = Array.from({ length: 40 }, (_, i) => `item-${i}`);
    await Promise.all(ids.map(id => remote.upsert(text(id, `words of ${id}`), testContext)));
    const answers = await Promise.all(
      ids.map(id => remote.get({ collection: 'default', ids: [id] }, testContext)),
    );
    expect(answers.map(a => a.items[0]!.text)).toEqual(ids.map(id => `words of ${id}`));
    await remote.close();
  });

  test('an answer beyond the limit is a coded refusal, and the connection goes on', async () => {
    const remote = await owner.client();
    // Escaped, each of its characters takes six bytes.
    const long = '\u0001'.repeat(1 << 20);
    const ids = Array.from({ length: 11 }, (_, i) => `long-${i}`);
    const items = ids.map(id => ({ id, text: long, vector: [1, 2] }));
    await owner.engine.upsert({ collection: 'long', items, allow_secrets: true }, testContext);
    await expect(remote.get({ collection: 'long', ids }, testContext)).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
    const one = await remote.get({ collection: 'long', ids: ['long-7'] }, testContext);
    expect(one.items[0]!.text).toBe(long);
    await remote.close();
  });

  test('an error keeps its class, code, way out and details', async () => {
    const remote = await owner.client();
    await remote.upsert(text('a', 'one'), testContext);
    const conflict = { collection: 'default', items: [{ id: 'a', text: 'two', if_version: 99 }] };
    await expect(remote.upsert(conflict, testContext)).rejects.toMatchObject({
      name: 'CodedError',
      code: 'VERSION_CONFLICT',
      wayOut: expect.stringMatching(/./),
      details: expect.objectContaining({}),
    });
    await remote.close();
  });
});

describe('long work', () => {
  function documents(count: number): string {
    const dir = realpathSync(temporaryDirectory());
    for (let i = 0; i < count; i++) writeFileSync(join(dir, `${i}.md`), `# ${i}\n\nNumber ${i} of many.\n`);
    return dir;
  }
  const ingest = (remote: Engine, root: string, context: Partial<CallContext>) =>
    remote.ingest({ paths: [root], roots: [root], collection: 'docs' }, { ...testContext, ...context });

  test('reports its progress, if it is asked to', async () => {
    const remote = await owner.client();
    const done: number[] = [];
    const answer = await ingest(remote, documents(50), { onProgress: p => done.push(p.done) });
    expect(answer).toMatchObject({ done: true, chunks: { added: 50 } });
    expect(done.length).toBeGreaterThan(5);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    await remote.close();
  });

  test('tells how a search was done, if it is asked to', async () => {
    const remote = await owner.client();
    await remote.upsert(text('a', 'one two'), testContext);
    const traces: unknown[] = [];
    const query = { query: 'two', k: 3, mode: 'hybrid' } as const;
    await remote.search(query, { ...testContext, onTrace: trace => traces.push(trace) });
    await remote.search(query, testContext);
    expect(traces).toEqual([
      expect.objectContaining({ plan: 'scan + words', collections: ['default'], results: 1 }),
    ]);
    await remote.close();
  });

  test('stops when its caller cancels it, and says what was written', async () => {
    const remote = await owner.client();
    const abort = new AbortController();
    const context = { signal: abort.signal, onProgress: () => abort.abort() };
    await expect(ingest(remote, documents(400), context)).rejects.toMatchObject({ code: 'CANCELLED' });
    const { collections } = await owner.engine.status({}, testContext);
    expect(collections[0]!.items).toBeGreaterThan(0);
    expect(collections[0]!.items).toBeLessThan(400);
    await remote.close();
  });

  test('stops when its caller goes away', async () => {
    const caller = await owner.peer();
    const root = documents(400);
    const { actor } = testContext;
    const command = { paths: [root], roots: [root], collection: 'docs' };
    caller.send({ type: 'call', id: 1, method: 'ingest', command, actor, progress: true });
    expect(await caller.next()).toMatchObject({ type: 'progress', id: 1 });
    caller.socket.destroy();
    let before = -1;
    for (let now = 0; now !== before; ) {
      before = now;
      await new Promise(resolve => setTimeout(resolve, 60));
      now = (await owner.engine.status({}, testContext)).collections[0]!.items;
    }
    expect(before).toBeLessThan(400);
  });

  describe('that does not end', () => {
    let slow: LocalOwner;
    let remote: Engine;
    beforeEach(async () => {
      slow = await LocalOwner.start(undefined, { embedder: new EndlessEmbedder() });
      remote = await slow.client();
    });
    afterEach(() => slow.close());
    const cancelled = expect.objectContaining({ code: 'CANCELLED' });

    test('is aborted, and answered, when the owner closes', async () => {
      const refused = expect(remote.upsert(text('a', 'one'), testContext)).rejects.toEqual(cancelled);
      // Read in order: the upsert is on its way once this is answered.
      await remote.status({}, testContext);
      const closing = slow.server.close();
      await expect(remote.status({}, testContext)).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
      await refused;
      await closing;
      await expect(remote.status({}, testContext)).rejects.toMatchObject({ code: 'OWNER_LOST' });
    });

    test('takes its place: more calls than a connection may have are refused', async () => {
      const abort = new AbortController();
      setMaxListeners(64, abort.signal);
      const context = { ...testContext, signal: abort.signal };
      const calls = Array.from({ length: 64 }, (_, i) => remote.upsert(text(`${i}`, 'one'), context));
      const ended = Promise.allSettled(calls);
      await expect(remote.status({}, testContext)).rejects.toMatchObject({ code: 'OWNER_BUSY' });
      abort.abort();
      for (const result of await ended) expect(result).toMatchObject({ reason: cancelled });
      expect((await remote.status({}, testContext)).head.seq).toBe(1);
    });
  });
});

test('what windows say of their memory is known while they are there; nonsense ends the connection', async () => {
  const peer = await owner.peer();
  const other = await owner.peer();
  peer.send({ type: 'memory', pid: 7, rss_bytes: 1_000 });
  peer.send({ type: 'memory', pid: 7, rss_bytes: 2_000 });
  await expect.poll(() => owner.server.windows()).toEqual([{ pid: 7, rss_bytes: 2_000 }]);
  for (const nonsense of [
    { pid: '7', rss_bytes: 1 },
    { pid: 7 },
    { pid: 7, rss_bytes: -1 },
    { pid: 7, rss_bytes: 0.5 },
  ]) {
    const stranger = await owner.peer();
    stranger.send({ type: 'memory', ...nonsense });
    await stranger.closed;
  }
  // A window's engine says it by itself, a command's does not.
  const window = await connectToOwner(owner.storeDir, { tellsMemory: true });
  await expect.poll(() => owner.server.windows().length).toBe(2);
  const [, told] = owner.server.windows();
  expect(told!.pid).toBe(process.pid);
  expect(told!.rss_bytes / process.memoryUsage.rss()).toBeCloseTo(1, 0);
  await window!.close();
  peer.socket.destroy();
  await expect.poll(() => owner.server.windows()).toEqual([]);
  other.socket.destroy();
});

test.each([
  ['before', 0],
  ['as', 1],
  ['a moment after', 2],
])(
  'a write that is sent %s the owner begins to end is done, or was not begun, and whoever sent it knows',
  async (_, when) => {
    const remote = await owner.client();
    await remote.upsert(text('first', 'tea'), testContext);
    const write = () =>
      remote.upsert(text('last', 'tea'), testContext).then(
        () => 'done',
        ({ code }) => code,
      );
    let written = when === 0 ? write() : undefined;
    const closing = owner.server.close();
    if (when === 2) await Promise.resolve();
    written ??= write();
    const outcome = await written;
    await closing;
    const { items } = await owner.engine.get({ collection: 'default', ids: ['last'] }, testContext);
    expect(['done', 'OWNER_LOST', 'ENGINE_CLOSED']).toContain(outcome);
    expect(items[0] !== undefined).toBe(outcome === 'done');
  },
);
