/**
 * `npm run torture:power -- [--states N] [--seed S] [--compound PERCENT] [--scenario NAME]`: the power loss campaign, as long as one
 * likes; `--compound 100` for second power losses alone.
 */
import { parseArgs } from 'node:util';
import { UNSUPPORTED } from '../faults/shim.js';
import { runPowerCampaign } from './campaign.js';
import { printReport } from './report.js';
import type { Scenario } from './scenarios.js';

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: '2000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    compound: { type: 'string', default: '10' },
    scenario: { type: 'string' },
  },
});
if (UNSUPPORTED !== undefined) {
  console.error(UNSUPPORTED);
  process.exit(2);
}
const startedMs = performance.now();
const seconds = () => (performance.now() - startedMs) / 1000;
const report = await runPowerCampaign({
  seed: Number(values.seed),
  count: Number(values.states),
  compoundPercent: Number(values.compound),
  ...(values.scenario === undefined ? {} : { scenarios: [values.scenario as Scenario] }),
  onProgress: (done, total) => {
    if (done % 500 === 0) console.error(`${done} of ${total} states, ${seconds().toFixed(0)} s`);
  },
});
process.exitCode = printReport(report, seconds()) ? 0 : 1;
