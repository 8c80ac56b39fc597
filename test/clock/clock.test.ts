import { expect, test } from 'vitest';
import { runClockCampaign } from './campaign.js';

const COUNT = Number(process.env.CLOCK_CASES ?? 20);
const SEED = Number(process.env.CLOCK_SEED ?? 20_261_127);

test(`${COUNT} stores whose clock jumps: time never runs backwards, and each question by time has its answer (seed ${SEED})`, {
  timeout: 600_000,
}, async () => {
  const { failures, counts } = await runClockCampaign({ seed: SEED, count: COUNT });
  expect(failures).toEqual([]);
  expect(counts.jumps).toBeGreaterThan(COUNT);
});
