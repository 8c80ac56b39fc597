import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { runWindowsCampaign } from './campaign.js';
import { printReport } from './report.js';

const KILLS = Number(process.env.WINDOWS_KILLS ?? 200);
const SEED = Number(process.env.WINDOWS_SEED ?? 20_261_127);

// Without the second of rest that a run by hand has between two kills: the sooner, the worse. With a pause between calls, so that two cores have time for
// the owners that follow one another, and for the tests beside.
test(`${KILLS} owners killed under 8 windows: nothing acknowledged is lost, every window is served again, no server stays (seed ${SEED})`, {
  timeout: 1_200_000,
}, async () => {
  const startedMs = performance.now();
  const report = await runWindowsCampaign({
    windows: 8,
    kills: KILLS,
    seed: SEED,
    dir: temporaryDirectory(),
    restMs: 100,
    pauseMs: 40,
  });
  printReport(report, (performance.now() - startedMs) / 1000);
  expect(report).toMatchObject({ kills: KILLS, failures: [], orphans: [] });
  expect(report.writes).toBeGreaterThan(KILLS);
});
