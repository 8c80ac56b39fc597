import { join } from 'node:path';
import { it } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { DiskHistory } from './disk-history.js';
import { playHistories } from './history.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

it(`any moment of a store on a disk, killed and cut, is answered as one rebuilt to it would, over ${RUNS} histories (seed ${SEED})`, {
  timeout: 900_000,
}, () => {
  const root = temporaryDirectory();
  let made = 0;
  return playHistories(RUNS, SEED, compactsEarly => new DiskHistory(join(root, `${made++}`), compactsEarly));
});
