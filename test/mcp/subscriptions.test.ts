/** Subscriptions to resources, over the server as it ships: what is told, with which sequence number, and what costs nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '#src/domain/face.js';
import type { WatchAnswer, WatchQuery } from '#src/domain/watch.js';
import { ResourceWatch } from '#src/mcp/subscriptions/resource-watch.js';
import { testContext } from '../helpers/engine.js';
import { SURFACE_CLIENTS, type SurfaceClient, until } from './surface-clients.js';

let directory: string;
let open: SurfaceClient[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mvs-subscriptions-'));
  open = [];
});
afterEach(async () => {
  for (const client of open) await client.close();
  rmSync(directory, { recursive: true, force: true });
});

const TIMEOUT_MS = 120_000;
const upsert = async (client: SurfaceClient, id: string, text: string, collection = 'notes') => {
  const result = await client.call('vector_upsert', { collection, items: [{ id, text }] });
  expect(result.isError, result.content[0]?.text).toBeFalsy();
  return result.structuredContent.seq as number;
};

describe.each(SURFACE_CLIENTS)('%s', (_, launch) => {
  test(
    'hears of each resource that changed, with the event that changed it, and of no other',
    async () => {
      const client = await launch({ store: join(directory, 'store') });
      open.push(client);
      await upsert(client, 'a b', 'The harbour closes at eight.');
      const uris = ['vector://', 'vector://notes', 'vector://notes/a%20b', 'vector://notes/a b/history'];
      const end = await client.subscribe(...uris, 'vector://other', 'vector://notes/quiet');
      // What was read behind the subscription is the state from which it goes on.
      const { moment } = await client.read('vector://notes');

      const seq = await upsert(client, 'a b', 'The harbour closes at nine.');
      const heard = () => client.updates.filter(update => update.seq === seq).map(({ uri }) => uri);
      await until(() => heard().length === uris.length);
      expect(heard().sort()).toEqual([...uris].sort());
      expect(client.updates.every(update => update.seq > moment.seq)).toBe(true);

      // The sequence lets the client catch up: history from there on names that change first.
      const { changes } = (await client.call('vector_history', { since: String(seq) })).structuredContent;
      expect(changes).toMatchObject([{ seq, id: 'a b', type: 'updated' }]);

      // A delete is a change, too.
      const gone = (await client.call('vector_delete', { collection: 'notes', ids: ['a b'] }))
        .structuredContent.seq;
      await until(() => client.updates.some(update => update.seq === gone && update.uri === uris[2]));
      expect(client.updates.some(({ uri }) => uri.endsWith('other') || uri.endsWith('quiet'))).toBe(false);

      // Ended, it is silent: a second subscription hears what the first would have.
      await end();
      const before = client.updates.length;
      await client.subscribe('vector://other');
      const last = await upsert(client, 'x', 'Somewhere else.', 'other');
      await until(() => client.updates.some(update => update.seq === last));
      expect(client.updates.slice(before).map(({ uri }) => uri)).toEqual(['vector://other']);
    },
    TIMEOUT_MS,
  );

  test(
    'a bulk load is told in few updates, the last of them with the last event',
    async () => {
      const client = await launch({ store: join(directory, 'store') });
      open.push(client);
      await upsert(client, 'first', 'The first one.');
      await client.subscribe('vector://notes');
      let seq = 0;
      for (let call = 0; call < 30; call++) {
        const items = Array.from({ length: 100 }, (_, i) => ({ id: `${call}-${i}`, vector: [1, i, call] }));
        const { structuredContent } = await client.call('vector_upsert', { collection: 'bulk', items });
        seq = structuredContent.seq;
        if (call === 0) await client.subscribe('vector://bulk');
      }
      await until(() => client.updates.some(update => update.uri === 'vector://bulk' && update.seq === seq));
      expect(client.updates.length).toBeLessThan(60);
      expect(client.updates.some(({ uri }) => uri === 'vector://notes')).toBe(false);
    },
    TIMEOUT_MS,
  );
});

/** An engine of which only watch is asked, and which the test answers for. */
class WatchedEngine {
  readonly queries: WatchQuery[] = [];
  readonly signals: AbortSignal[] = [];
  opened = 0;
  readonly #answers: ((answer: Promise<WatchAnswer>) => void)[] = [];

  readonly engine = async (): Promise<Engine> => {
    this.opened += 1;
    return { watch: this.#watch } as unknown as Engine;
  };

  readonly #watch: Engine['watch'] = (query, { signal }) => {
    this.queries.push(query);
    this.signals.push(signal!);
    return new Promise((resolve, reject) => {
      this.#answers.push(resolve);
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  };

  async answer(answer: WatchAnswer | Error): Promise<void> {
    await until(() => this.#answers.length > 0);
    const resolve = this.#answers.shift()!;
    resolve(answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer));
  }
}

describe('the poll behind subscriptions', () => {
  const quiet = { epoch: 1, changed: [], more: false };
  const watchOver = (watched: WatchedEngine) => {
    const updates: { uri: string; seq: number }[] = [];
    const watch = new ResourceWatch({
      engine: watched.engine,
      actor: testContext.actor,
      logger: pino({ level: 'silent' }),
      updated: async ({ uri, _meta }) => {
        updates.push({ uri, seq: _meta['mcp-vector-server/seq'] });
      },
    });
    return { watch, updates };
  };

  test('is one, however many subscriptions there are; none before the first and after the last', async () => {
    const watched = new WatchedEngine();
    const { watch } = watchOver(watched);
    expect(watched.opened).toBe(0);
    const begun = Promise.all([1, 2, 3].map(n => watch.subscribe(n, [`vector://c${n}`])));
    await watched.answer({ ...quiet, head: 7 });
    expect(await begun).toEqual([7, 7, 7]);
    await until(() => watched.queries.length === 2);
    expect(watched.queries[1]).toMatchObject({ after: 7 });
    watch.unsubscribe(1);
    watch.unsubscribe(2);
    expect(watched.signals[1]!.aborted).toBe(false);
    watch.unsubscribe(3);
    expect(watched.signals[1]!.aborted).toBe(true);
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(watched.queries).toHaveLength(2);
  });

  test('goes on where it was when the owner of the store changes, so that nothing is missed', async () => {
    const watched = new WatchedEngine();
    const { watch, updates } = watchOver(watched);
    const begun = watch.subscribe('a', ['vector://notes/a']);
    await watched.answer({ ...quiet, head: 7 });
    await begun;
    const lost = Object.assign(new Error('the owner ended'), { code: 'OWNER_LOST', wayOut: 'Repeat.' });
    await watched.answer(lost);
    await watched.answer(lost);
    await watched.answer({ ...quiet, head: 9, changed: [{ collection: 'notes', id: 'a', seq: 8 }] });
    await until(() => updates.length === 1);
    expect(updates).toEqual([{ uri: 'vector://notes/a', seq: 8 }]);
    expect(
      watched.queries
        .slice(1)
        .map(({ after }) => after)
        .slice(0, 3),
    ).toEqual([7, 7, 7]);
    await until(() => watched.queries.length === 5);
    expect(watched.queries[4]).toMatchObject({ after: 9 });
    watch.close();
  });

  test('tells of everything where the log was cut', async () => {
    const watched = new WatchedEngine();
    const { watch, updates } = watchOver(watched);
    const begun = watch.subscribe('all', ['vector://', 'vector://notes/a', 'vector://notes/a?as_of=3']);
    await watched.answer({ ...quiet, head: 7 });
    await begun;
    await watched.answer({ ...quiet, head: 4 });
    await until(() => updates.length === 2);
    expect(updates).toEqual([
      { uri: 'vector://', seq: 4 },
      { uri: 'vector://notes/a', seq: 4 },
    ]);
    await watched.answer({ ...quiet, head: 6, epoch: 2 });
    await until(() => updates.length === 4);
    watch.close();
  });

  test('a store that cannot be opened refuses the subscription, and is tried again by the next', async () => {
    const watched = new WatchedEngine();
    const { watch } = watchOver(watched);
    const refused = expect(watch.subscribe('a', ['vector://'])).rejects.toThrow('in use');
    await watched.answer(new Error('in use'));
    await refused;
    expect(watch.size).toBe(0);
    const begun = watch.subscribe('a', ['vector://']);
    await watched.answer({ ...quiet, head: 1 });
    expect(await begun).toBe(1);
    watch.close();
  });
});
