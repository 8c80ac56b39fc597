/** A short portion of the soak: everything that it does, for some seconds. Memory is judged in longer ones alone: docs/soak.md. */
import { realpathSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { runSoak } from './campaign.js';
import { judge } from './judgement.js';

const SEED = Number(process.env.SOAK_SEED ?? 20_261_128);

test(`some seconds of mixed load with all schedules on: nothing lost, nothing wrong, every job has run (seed ${SEED})`, {
  timeout: 240_000,
}, async () => {
  const dir = realpathSync(temporaryDirectory('soak-'));
  const report = await runSoak({ totalMs: 12_000, seed: SEED, dir });
  expect(judge(report).wrong).toEqual([]);
  expect(report.jobs.map(({ job }) => job).sort()).toEqual([
    'backup',
    'backup-continuous',
    'backup-monthly',
    'checkpoint',
    'horizon',
    'optimize',
    'reports',
    'verify',
  ]);
  for (const { runs } of report.jobs) expect(runs).toBeGreaterThan(0);
  for (const what of [
    'items written',
    'GET /metrics',
    'GET /health',
    'looks at the page',
    'commands at a terminal',
  ])
    expect(report.counts.get(what), what).toBeGreaterThan(0);
  expect(report.counts.get('lost')).toBeUndefined();
  expect(report.logLines).toBeGreaterThan(50);
});
