import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { describeFuzz, fuzzHttp } from './fuzz.js';

const COUNT = 800;
const SEED = 20_261_128;

test(`${COUNT} hostile requests: the server lives, gives nothing away, and its store is sound (seed ${SEED})`, async () => {
  const report = await fuzzHttp({ dir: temporaryDirectory(), count: COUNT, seed: SEED });
  console.log(describeFuzz(report));
  expect(report.faults).toEqual([]);
  expect(report.sent).toBe(COUNT);
  // Enough of them got to the tools, and enough did not.
  for (const status of ['200', '400', '401', '403']) expect(report.statuses[status]).toBeGreaterThan(20);
  expect(report.written).toBeGreaterThan(0);
}, 300_000);
