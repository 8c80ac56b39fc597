/**
 * Random histories of which random events are lost: the state is what the events that are there say, told by a Map; a moment of the past
 * is what a store of its events alone says; whatever a lost event may have changed is said so; and the store goes on.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoreEngine } from '#src/engine/engine.js';
import { eventOf } from '#src/engine/event-codec.js';
import { encodeLost, isLost } from '#wal/lost.js';
import { MemoryLog } from '#wal/memory-log.js';
import { decodeRecord } from '#wal/record.js';
import { OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { RandomStore, share, step } from './random-store.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

class DamagedStore extends RandomStore {
  /** The log with some of its records lost. @param shares where they are. @param length how many in a row */
  async without(losses: readonly { readonly at: number; readonly length: number }[]): Promise<MemoryLog> {
    const lost = new Set<number>();
    for (const { at, length } of losses)
      for (let seq = this.seqAt(at), n = 0; n < length && seq <= this.log.head.seq; seq++, n++) lost.add(seq);
    const values: Uint8Array[] = [];
    for await (const piece of this.log.raw(1, this.log.head.seq))
      for (const [seq, value] of piece) {
        const record = decodeRecord(value, seq);
        values.push(lost.has(seq) ? encodeLost(record, record.hash) : value);
      }
    return MemoryLog.of(values);
  }
}

type Items = Map<string, { readonly version: number; readonly text: string }>;

/** The items by collection and id, as the events that are there tell them, once each of them happened. */
function statesOf(log: MemoryLog): Items[] {
  const names = new Map<number, string>();
  const texts = new Map<number, string>();
  const items: Items = new Map();
  const states: Items[] = [new Map()];
  let isDamaged = false;
  for (let seq = 1; seq <= log.head.seq; seq++) {
    const record = log.get(seq);
    isDamaged ||= isLost(record);
    const event = eventOf(record);
    if (event?.type === 'collection_created') names.set(event.id, event.name);
    if (event?.type === 'item_put') {
      if (!names.has(event.collection)) names.set(event.collection, `lost-${event.collection}`);
      texts.set(seq, event.text);
      items.set(`${names.get(event.collection)}/${event.id}`, { version: seq, text: event.text });
    } else if (event?.type === 'item_deleted') items.delete(`${names.get(event.collection)}/${event.id}`);
    else if (event?.type === 'item_restored') {
      const key = `${names.get(event.collection)}/${event.id}`;
      const text = texts.get(event.from);
      if (text === undefined || !names.has(event.collection)) items.delete(key);
      else items.set(key, { version: seq, text });
    }
    expect(isDamaged || event !== undefined).toBe(true);
    states.push(new Map(items));
  }
  return states;
}

async function listed(
  engine: StoreEngine,
  asOf?: string,
): Promise<{ items: Items; warnings: (string | undefined)[] }> {
  const items: Items = new Map();
  const warnings: (string | undefined)[] = [];
  const as_of = asOf === undefined ? {} : { as_of: asOf };
  const { collections } = await engine.status(as_of, testContext);
  for (const { name, items: count } of collections) {
    const answer = await engine.list({ collection: name, limit: 1000, ...as_of }, testContext);
    expect(answer.items).toHaveLength(count);
    warnings.push(answer.warning);
    for (const { id, version, text } of answer.items) items.set(`${name}/${id}`, { version, text });
  }
  return { items, warnings };
}

const open = (log: MemoryLog) =>
  memoryEngine(log, { others: { words: new WordEmbedder(), other: new WordEmbedder(OTHER_WORDS) } });

describe('events that are lost', () => {
  it(`leave what the others say, over ${RUNS} histories (seed ${SEED})`, { timeout: 900_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 14 }),
        fc.array(fc.record({ at: share(), length: fc.integer({ min: 1, max: 4 }) }), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.array(share(), { minLength: 1, maxLength: 3 }),
        async (steps, losses, shares) => {
          const store = new DamagedStore();
          await store.play(steps);
          const log = await store.without(losses);
          const states = statesOf(log);
          const firstLost = states.findIndex((_, seq) => seq > 0 && isLost(log.get(seq)));
          const engine = await open(log);
          const now = await listed(engine);
          expect(now.items).toEqual(states.at(-1));
          for (const warning of now.warnings) expect(warning).toMatch(/^Events \d+.* are lost/);
          for (const part of shares) {
            let seq = Math.max(1, Math.ceil(part * log.head.seq));
            while (!log.get(seq).last) seq += 1;
            const then = await listed(engine, String(seq));
            expect(then.items).toEqual(states[seq]);
            for (const warning of then.warnings) expect(warning === undefined).toBe(seq < firstLost);
            const alone = await open(log.prefix(seq));
            for (const mode of ['keyword', 'semantic'] as const) {
              const query = { query: 'tea coffee', mode, k: 50 } as const;
              const past = await engine.search({ ...query, as_of: String(seq) }, testContext);
              const present = await alone.search(query, testContext);
              const hits = ({ results }: typeof past) =>
                new Map(results.map(hit => [`${hit.collection}/${hit.id}`, hit.version]));
              expect(hits(past)).toEqual(hits(present));
            }
          }
          // Whatever of an item's past is told can be read, and it goes on.
          await engine.history({ limit: 100 }, testContext);
          await engine.upsert(
            { collection: 'default', items: [{ id: 'new', text: 'goes on' }] },
            testContext,
          );
          const { items } = await engine.get({ collection: 'default', ids: ['new'] }, testContext);
          expect(items.map(({ text }) => text)).toEqual(['goes on']);
          await engine.revert({ to: '1', dry_run: false, overwrite_conflicts: true }, testContext);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
