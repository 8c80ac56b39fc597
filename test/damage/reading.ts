/** Everything that a store can be asked, as one list of answers: taken of the whole store, it is the truth for its damaged copies. */
import { isCoded } from '#src/domain/errors.js';
import type { SearchQuery } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { testContext } from '../helpers/engine.js';
import { GIVEN, GIVEN_DIMENSION, type Ids, NOTES } from './store.js';

/** An answer as JSON, so that two of them can be compared; or the code of a refusal; or what had no code. */
export type Answer = { readonly json: string } | { readonly refused: string } | { readonly uncoded: string };

/** By what was asked. */
export type Reading = Readonly<Record<string, Answer>>;

const probe = Array.from({ length: GIVEN_DIMENSION }, (_, at) => Math.cos(at + 1));
const SEARCHES: Readonly<Record<string, SearchQuery>> = {
  'notes by words': { query: 'harbour lantern', collections: [NOTES], mode: 'keyword', k: 10 },
  'notes by meaning': { query: 'violet quarry engine', collections: [NOTES], mode: 'semantic', k: 10 },
  'notes hybrid': { query: 'copper meadow', collections: [NOTES], mode: 'hybrid', k: 10 },
  'notes filtered': { query: 'signal', collections: [NOTES], mode: 'hybrid', k: 100, where: { kind: 'k1' } },
  'given by vector': { vector: probe, collections: [GIVEN], mode: 'semantic', k: 10 },
  'given hybrid': { vector: probe, query: 'willow', collections: [GIVEN], mode: 'hybrid', k: 10 },
  'all by words': { query: 'ledger', mode: 'keyword', k: 100 },
};

export async function readAll(engine: StoreEngine, ids: Ids): Promise<Reading> {
  const reading: Record<string, Answer> = {};
  const ask = async (what: string, call: () => Promise<unknown>) => {
    reading[what] = await answerOf(call);
  };
  for (const [collection, all] of Object.entries(ids)) {
    for (const id of all)
      await ask(`get ${collection}/${id}`, async () => {
        const { items, missing } = await engine.get({ collection, ids: [id] }, testContext);
        return { items, missing };
      });
    await ask(`list ${collection}`, async () => {
      const { items, more } = await engine.list({ collection, limit: 1000 }, testContext);
      return { items, more };
    });
  }
  await ask('list filtered', async () => {
    const query = { collection: NOTES, limit: 1000, where: { year: { $gte: 2004 } } };
    return (await engine.list(query, testContext)).items;
  });
  for (const [what, query] of Object.entries(SEARCHES))
    await ask(`search ${what}`, async () => {
      const { results } = await engine.search(query, testContext);
      // A graph and a scan sum in another order: their scores differ in the last digits of f32.
      return results.map(({ score, ...hit }) => ({ ...hit, score: score.toFixed(3) }));
    });
  await ask('status', async () => {
    const { head, collections } = await engine.status({}, testContext);
    return { head, collections: collections.map(({ name, items, passages }) => ({ name, items, passages })) };
  });
  return reading;
}

export async function answerOf(call: () => Promise<unknown>): Promise<Answer> {
  try {
    return { json: JSON.stringify(await call()) };
  } catch (error) {
    if (isCoded(error) && error.code !== 'INTERNAL') return { refused: error.code };
    return { uncoded: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
