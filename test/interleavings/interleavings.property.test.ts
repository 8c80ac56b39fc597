import { expect, it } from 'vitest';
import { playInterleavings } from './history.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 800);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);
/** What a history comes to on average, and a little less. */
const COMMANDS_PER_RUN = 25;

it(`whatever is asked at the same time is answered as one thing after the other would be, over ${RUNS} histories (seed ${SEED})`, {
  timeout: 900_000,
}, async () => {
  const commands = await playInterleavings(RUNS, SEED);
  console.log(`${commands} commands`);
  expect(commands).toBeGreaterThan(RUNS * COMMANDS_PER_RUN);
});
