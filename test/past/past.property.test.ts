import { it } from 'vitest';
import { playHistories } from './history.js';
import { MemoryHistory } from './memory-history.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 1000);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

it(
  `any moment is answered as a store rebuilt to it would, over ${RUNS} histories (seed ${SEED})`,
  {
    timeout: 900_000,
  },
  () => playHistories(RUNS, SEED, compactsEarly => new MemoryHistory(compactsEarly)),
);
