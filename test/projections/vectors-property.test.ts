import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IndexEngine, Metric } from '#src/domain/model.js';
import type { VectorIndexOptions } from '#src/projections/vectors/index-options.js';
import { VectorIndex } from '#src/projections/vectors/vector-index.js';
import { VectorOracle } from './vectors-oracle.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vectors-property-'));
});
afterAll(() => rm(dir, { recursive: true }));

const DIMENSION = 7; // not a multiple of a SIMD lane
/** f32 sums against f64 sums of the components below. */
const TOLERANCE = 2e-5;

const METRICS: Metric[] = ['cosine', 'ip', 'l2'];
const ENGINES: IndexEngine[] = ['usearch', 'hnswlib'];

const anyVector = fc
  .array(fc.integer({ min: -1000, max: 1000 }), { minLength: DIMENSION, maxLength: DIMENSION })
  .filter(components => components.some(component => component !== 0))
  .map(components => Float32Array.from(components, component => component / 1000));

/** Every fifth or so equals others: see EqualVectors. */
const vector = fc.oneof(
  { weight: 4, arbitrary: anyVector },
  { weight: 1, arbitrary: fc.constant(Float32Array.from({ length: DIMENSION }, (_, i) => i + 1)) },
);

type Step =
  | { do: 'append'; passages: Float32Array[][] }
  | { do: 'remove'; rows: number[] }
  | { do: 'search'; query: Float32Array; k: number; acceptOneIn: number | undefined; isPast: boolean }
  | { do: 'turn' | 'idle' | 'save' | 'saveAndLoad' | 'retire' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      passages: fc.array(fc.array(vector, { minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 40,
        size: 'max',
      }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('remove' as const),
      rows: fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 15 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('search' as const),
      query: vector,
      k: fc.integer({ min: 1, max: 12 }),
      acceptOneIn: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined, freq: 1 }),
      isPast: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'turn' }, { do: 'save' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>(
      { do: 'idle' },
      { do: 'idle' },
      { do: 'idle' },
      { do: 'saveAndLoad' },
      { do: 'saveAndLoad' },
      { do: 'saveAndLoad' },
      { do: 'retire' },
    ),
  },
);

/** Owners are found by the graph or must be: counted over a whole property, since one miss in a hundred is allowed. */
interface Recall {
  wanted: number;
  found: number;
  /** Rows at the ends of the histories of which only codes were left. */
  coded: number;
}

function checkSearch(
  index: VectorIndex,
  oracle: VectorOracle,
  { query, k, acceptOneIn, isPast }: Step & { do: 'search' },
  recall: Recall,
): void {
  const owners = 1 + Math.max(0, ...oracle.rows.map(row => row.owner));
  const accept =
    acceptOneIn === undefined
      ? undefined
      : Uint8Array.from({ length: owners }, (_, owner) => (owner % acceptOneIn === 0 ? 1 : 0));
  const past = accept !== undefined && isPast;
  const fetch = (owner: number) => index.prepare(oracle.vectorsOf(owner));
  const expected = oracle.search(query, k, accept, past);
  const hits = past ? index.searchPast(query, { k, accept, fetch }) : index.search(query, { k, accept });

  expect(new Set(hits.owners).size, 'owners are distinct').toBe(hits.owners.length);
  expect(hits.owners.length, 'as many as there are').toBe(expected.length);
  hits.owners.forEach((owner, i) => {
    const row = oracle.rowOf(owner, hits.passages[i]!);
    expect(oracle.rows[row]!.owner, 'a passage of the owner').toBe(owner);
    if (!past) expect(oracle.rows[row]!.dead, 'no removed row').toBe(false);
    if (accept !== undefined) expect(accept[owner], 'accepted').toBe(1);
    expect(hits.scores[i]).toBeCloseTo(oracle.score(query, row), 4);
    if (i > 0) expect(hits.scores[i]).toBeLessThanOrEqual(hits.scores[i - 1]!);
    const best = index.scoreOwner(query, owner, fetch)!;
    if (best.passage === hits.passages[i]) {
      expect(best.score, 'the same bits whichever way').toBe(hits.scores[i]);
    } else {
      // The graph may have missed an owner's best passage and found another.
      expect(index.counts.indexed).toBeGreaterThan(0);
      expect(best.score).toBeGreaterThanOrEqual(hits.scores[i]!);
    }
  });

  const { indexed, coded } = index.counts;
  const isExact = indexed === 0 && (!past || coded === 0);
  const last = hits.scores.at(-1) ?? Number.POSITIVE_INFINITY;
  for (const hit of expected) {
    recall.wanted++;
    // A tie with the last one may have gone either way.
    if (hits.owners.includes(hit.owner) || hit.score <= last + TOLERANCE) recall.found++;
    else expect(isExact, 'scanned rows are never missed').toBe(false);
  }
}

async function run(options: VectorIndexOptions, steps: Step[], recall: Recall): Promise<void> {
  const oracle = new VectorOracle(options.metric);
  let index = VectorIndex.create(options);
  let owner = 0;
  let saves = 0;
  const saving: Promise<unknown>[] = [];
  try {
    for (const next of steps) {
      if (next.do === 'append') {
        for (const passages of next.passages) {
          owner += 1 + (passages.length % 2);
          oracle.append(passages, owner);
          index.append(Float32Array.from(passages.flatMap(passage => [...passage])), owner);
        }
      } else if (next.do === 'remove') {
        for (const number of next.rows) {
          const row = oracle.rows[number % Math.max(1, oracle.rows.length)];
          if (row === undefined) continue;
          oracle.remove(row.owner);
          index.remove(row.owner);
        }
      } else if (next.do === 'search') {
        checkSearch(index, oracle, next, recall);
      } else if (next.do === 'retire') {
        for (const row of oracle.rows) row.dead = true;
        index.retire();
      } else if (next.do === 'turn') {
        await sleep(2);
      } else if (next.do === 'idle') {
        await index.idle();
        expect(index.counts.pending).toBe(0);
      } else if (next.do === 'save') {
        saving.push(index.save(dir, `background-${saves++}`));
      } else {
        await index.save(dir, 'index');
        await Promise.all(saving);
        await index.close();
        index = await VectorIndex.load(dir, 'index', options);
      }
    }
    await Promise.all(saving);
    await index.idle();
    const { rows, live, dead, coded, indexed, kind } = index.counts;
    expect(rows).toBe(oracle.rows.length);
    expect(dead).toBe(oracle.rows.filter(row => row.dead).length);
    expect(live + dead).toBe(rows);
    if (live > options.graphThresholdRows!) expect(kind).toBe('hnsw');
    if (kind === 'hnsw') expect(indexed).toBe(rows - coded);
    recall.coded += coded;
  } finally {
    // Also after a failure, or the next run would meet its files.
    await Promise.allSettled(saving);
    await index.close();
  }
}

describe.each(METRICS)('%s, random histories against the oracle', metric => {
  const base = {
    dimension: DIMENSION,
    metric,
    efSearch: 250,
    scratchDir: tmpdir(),
    compactDeadShare: 2,
    compactNowDeadRows: 1e9,
    onFailure: (error: Error) => {
      throw error;
    },
  };

  async function recallOf(options: VectorIndexOptions, numRuns: number, steps: [number, number]) {
    const recall = { wanted: 0, found: 0, coded: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: steps[0], maxLength: steps[1], size: 'max' }), history =>
        run(options, history, recall),
      ),
      { numRuns },
    );
    return { share: recall.found / recall.wanted, coded: recall.coded };
  }

  test('exact scan alone', async () => {
    const { share } = await recallOf({ ...base, graphThresholdRows: 1e6 }, 30, [0, 25]);
    expect(share).toBe(1);
  });

  test.each(ENGINES)('a graph that follows the rows, by %s', async engine => {
    const { share } = await recallOf({ ...base, engine, graphThresholdRows: 2 }, 25, [5, 40]);
    expect(share).toBeGreaterThanOrEqual(0.99);
  });

  test.each(ENGINES)(
    'graphs extended in worker threads and built anew without the dead, by %s',
    async engine => {
      const compacted = { keepDeadRows: 5, compactMinDeadRows: 1, compactDeadShare: 0.05 };
      const options = { ...base, engine, graphThresholdRows: 2, workerBacklogRows: 40, ...compacted };
      const { share, coded } = await recallOf(options, 8, [20, 60]);
      expect(share).toBeGreaterThanOrEqual(0.98);
      expect(coded).toBeGreaterThan(0);
    },
  );

  test('dead rows as codes, given up in the background or at once', async () => {
    const compacted = {
      keepDeadRows: 10,
      compactMinDeadRows: 5,
      compactDeadShare: 0.2,
      compactNowDeadRows: 20,
    };
    const { share, coded } = await recallOf({ ...base, graphThresholdRows: 1e6, ...compacted }, 40, [5, 40]);
    expect(share).toBeGreaterThanOrEqual(0.98);
    expect(coded).toBeGreaterThan(0);
  });
});
