/**
 * `npm run torture:past -- [--runs N] [--seed S]`: as many random histories as one likes, each asked of random moments of its
 * past. They are played in pieces of 500, each with a seed of its own, which a failure names.
 */
import { parseArgs } from 'node:util';
import { playHistories } from './history.js';
import { MemoryHistory } from './memory-history.js';

const PIECE = 500;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const startedMs = performance.now();
const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(0);
for (let played = 0; played < runs; played += PIECE) {
  await playHistories(
    Math.min(PIECE, runs - played),
    seed + played,
    compactsEarly => new MemoryHistory(compactsEarly),
  );
  if ((played / PIECE) % 10 === 9) console.error(`${played + PIECE} of ${runs} histories, ${seconds()} s`);
}
console.log(
  `${runs} histories (seed ${seed}) in ${seconds()} s: every answer as of a moment is that of a store rebuilt to it`,
);
