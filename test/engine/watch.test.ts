import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CallContext } from '#src/domain/face.js';
import type { WatchQuery } from '#src/domain/watch.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { changesIn } from './changes-oracle.js';
import { RandomStore, share, step } from './random-store.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);
/** As long as a test may take: nothing here waits for it. */
const FOR_EVER_MS = 60_000;

let log: MemoryLog;
let engine: StoreEngine;
beforeEach(async () => {
  log = new MemoryLog();
  engine = await memoryEngine(log);
});

const put = (id: string, text = `about ${id}`, collection = 'default') =>
  engine.upsert({ collection, items: [{ id, text }] }, testContext);
const watch = (query: WatchQuery, context: CallContext = testContext) => engine.watch(query, context);

describe('a watch', () => {
  it('without an event to begin at tells where the log stands', async () => {
    const { seq } = await put('a');
    expect(await watch({})).toEqual({ head: seq, epoch: 1, changed: [], more: false });
    expect(await watch({ wait_ms: 1 })).toMatchObject({ head: seq, changed: [] });
  });

  it('answers at once what has changed already', async () => {
    const { seq } = await put('a');
    expect(await watch({ after: 0, wait_ms: FOR_EVER_MS })).toEqual({
      head: seq,
      epoch: 1,
      changed: [
        { collection: 'default', seq: 2 },
        { collection: 'default', id: 'a', seq },
      ],
      more: false,
    });
  });

  it('waits for the next event, and answers with it', async () => {
    const { seq } = await put('a');
    let isAnswered = false;
    const answer = watch({ after: seq, wait_ms: FOR_EVER_MS }).finally(() => {
      isAnswered = true;
    });
    await new Promise(resolve => setTimeout(resolve, 30));
    expect(isAnswered).toBe(false);
    const { seq: next } = await put('b');
    expect(await answer).toMatchObject({
      head: next,
      changed: [{ collection: 'default', id: 'b', seq: next }],
    });
  });

  it('wakes everybody who waits', async () => {
    const { seq } = await put('a');
    const waiting = [1, 2, 3].map(() => watch({ after: seq, wait_ms: FOR_EVER_MS }));
    const { seq: next } = await put('b');
    for (const { head } of await Promise.all(waiting)) expect(head).toBe(next);
  });

  it('ends without a change when the time is up', async () => {
    const { seq } = await put('a');
    expect(await watch({ after: seq, wait_ms: 5 })).toEqual({
      head: seq,
      epoch: 1,
      changed: [],
      more: false,
    });
  });

  it('ends at once when it is aborted, and when the engine is closed', async () => {
    const closing = await openTestEngine(join(temporaryDirectory(), 'store'));
    const { seq } = await closing.mark({ name: 'here' }, testContext);
    const abort = new AbortController();
    const context = { ...testContext, signal: abort.signal };
    const aborted = expect(
      closing.watch({ after: seq, wait_ms: FOR_EVER_MS }, context),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    const closed = expect(
      closing.watch({ after: seq, wait_ms: FOR_EVER_MS }, testContext),
    ).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    abort.abort();
    await aborted;
    await closing.close();
    await closed;
    await expect(closing.watch({}, testContext)).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });

  it('tells of a mark, of which nothing follows, by the head alone', async () => {
    const { seq } = await put('a');
    const marked = await engine.mark({ name: 'here' }, testContext);
    expect(await watch({ after: seq })).toMatchObject({ head: marked.seq, changed: [] });
  });

  it('answers at once where the log is shorter than what was seen', async () => {
    const { seq } = await put('a');
    expect(await watch({ after: seq + 100, wait_ms: FOR_EVER_MS })).toMatchObject({ head: seq, changed: [] });
  });

  it('is bounded: what one answer does not hold, the next ones do', async () => {
    const ids = Array.from({ length: 1500 }, (_, i) => `item-${i}`);
    for (let start = 0; start < ids.length; start += 500)
      await engine.upsert(
        { collection: 'default', items: ids.slice(start, start + 500).map(id => ({ id, text: id })) },
        testContext,
      );
    const seen = new Set<string>();
    let after = 0;
    let answers = 0;
    for (let more = true; more; answers++) {
      const answer = await watch({ after });
      expect(answer.changed.length).toBeLessThanOrEqual(1000);
      expect(answer.head).toBeGreaterThan(after);
      for (const { id } of answer.changed) if (id !== undefined) seen.add(id);
      ({ head: after, more } = answer);
    }
    expect(answers).toBe(2);
    expect([...seen]).toEqual(ids);
    expect(after).toBe(log.head.seq);
  });

  it('refuses what cannot be meant', async () => {
    for (const query of [{ after: -1 }, { after: 1.5 }, { wait_ms: -1 }, { wait_ms: 60_001 }])
      await expect(watch(query)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('whoever follows the head of each answer', () => {
  it(`is told of every item that changed, with its last change, over ${RUNS} histories (seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 14 }),
        fc.array(share(), { maxLength: 3 }),
        fc.constantFrom(undefined, ['notes'], ['default'], ['notes', 'none']),
        async (steps, stops, within) => {
          const store = new Watched();
          await store.play(steps);
          await store.follow(stops, within);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

class Watched extends RandomStore {
  async follow(stops: readonly number[], within: readonly string[] | undefined): Promise<void> {
    const scope = within === undefined ? {} : { within };
    const isMeant = (name: string | undefined) => name !== undefined && (within?.includes(name) ?? true);
    for (const after of [0, ...stops.map(stop => this.seqAt(stop))]) {
      const { changed, head, more } = await this.engine.watch({ after, ...scope }, testContext);
      expect({ head, more }).toEqual({ head: this.log.head.seq, more: false });
      const expected = new Map<string, number>();
      for (const { seq, collection, id } of changesIn(this.log))
        if (seq > after && isMeant(collection)) expected.set(JSON.stringify([collection, id]), seq);
      const told = changed.map(({ collection, id, seq }) => [JSON.stringify([collection, id]), seq]);
      expect(told).toEqual([...expected].sort(([, a], [, b]) => a - b));
    }
  }
}
