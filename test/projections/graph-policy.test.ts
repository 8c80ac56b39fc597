import fc from 'fast-check';
import { expect, test } from 'vitest';
import { areEnough, graphsToKeep, mergeAfterMs, quietMs } from '#src/projections/vectors/graph-policy.js';

/** What comes of rows that come in without a pause, `batch` of them at a time. */
function stream(rows: number, batch: number) {
  const graphs: { rows: number }[] = [];
  let [waiting, mostWaiting, mostGraphs, written, added] = [0, 0, 0, 0, 0];
  for (let done = 0; done < rows; done += batch) {
    waiting += batch;
    mostWaiting = Math.max(mostWaiting, waiting);
    if (!areEnough(waiting, graphs) || quietMs(waiting) > 0) continue;
    const kept = graphsToKeep(waiting, graphs);
    const [base, ...others] = graphs.splice(kept);
    // The first of them is read as it is, the rows of the others are added to it.
    const addedRows = others.reduce((sum, graph) => sum + graph.rows, waiting);
    const size = (base?.rows ?? 0) + addedRows;
    graphs.push({ rows: size });
    written += size;
    added += addedRows;
    waiting = 0;
    mostGraphs = Math.max(mostGraphs, graphs.length);
  }
  return { graphs, mostWaiting, mostGraphs, writtenEach: written / rows, addedEach: added / rows };
}

test('in a stream, rows are added and written as often as the logarithm of their number', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100_000, max: 4_000_000 }),
      fc.integer({ min: 1, max: 5000 }),
      (rows, batch) => {
        const { mostWaiting, mostGraphs, writtenEach, addedEach, graphs } = stream(rows, batch);
        const levels = Math.log(rows / 25_000) / Math.log(4) + 1;
        expect(mostWaiting).toBeLessThanOrEqual(25_000 + batch);
        expect(mostGraphs).toBeLessThanOrEqual(levels + 1);
        expect(addedEach).toBeLessThanOrEqual(levels + 1);
        // A level is written for each of its up to four additions.
        expect(writtenEach).toBeLessThanOrEqual(3 * (levels + 1));
        // Each is searched: none is there for a few rows of many.
        for (const [i, graph] of graphs.slice(1).entries())
          expect(graph.rows * 4).toBeLessThanOrEqual(graphs[i]!.rows);
      },
    ),
    { numRuns: 50 },
  );
});

test('a first graph is built of however few rows are wanted in one; later ones of so many that scanning them takes longer', () => {
  expect(areEnough(1, [])).toBe(true);
  const at = (rows: number, waiting: number) => areEnough(waiting, [{ rows }]);
  expect([at(3000, 256), at(3000, 257)]).toEqual([false, true]);
  expect([at(64_000, 1000), at(64_000, 1001)]).toEqual([false, true]);
  expect([at(1_000_000, 2048), at(1_000_000, 2049)]).toEqual([false, true]);
});

test('graphs become one after a pause, unless all but the first are as good as none', () => {
  expect(mergeAfterMs([])).toBeUndefined();
  expect(mergeAfterMs([{ rows: 5 }])).toBeUndefined();
  expect(mergeAfterMs([{ rows: 64_000 }, { rows: 900 }, { rows: 100 }])).toBeUndefined();
  expect(mergeAfterMs([{ rows: 64_000 }, { rows: 900 }, { rows: 101 }])).toBeGreaterThan(1000);
});
