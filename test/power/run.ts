/** `npm run torture:power`: the power loss campaign, as long as one likes. See --help. */
import { UNSUPPORTED } from '../faults/shim.js';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { runPowerCampaign } from './campaign.js';
import { printReport } from './report.js';
import type { Scenario } from './scenarios.js';

await runCommand({
  help: `Usage: npm run torture:power -- [options]

Makes disks as a power loss at some moment may leave them, and opens each.

  --states N         Default: 2000.
  --compound PERCENT So many of them by a second power loss, during the recovery from the first. Default: 10.
  --scenario NAME    This one alone. Default: all.
  --seed S           Default: one of the clock's; it is printed.`,
  options: {
    states: { type: 'string', default: '2000' },
    compound: { type: 'string', default: '10' },
    scenario: { type: 'string' },
  },
  read: ({ states, compound, scenario }) => {
    if (UNSUPPORTED !== undefined) throw new Error(UNSUPPORTED);
    return {
      count: wholeNumber('--states', states),
      compoundPercent: wholeNumber('--compound', compound, 0),
      ...(scenario === undefined ? {} : { scenarios: [scenario as Scenario] }),
    };
  },
  run: async options => {
    const seconds = stopwatch();
    const report = await runPowerCampaign({
      ...options,
      onProgress: (done, total) => {
        if (done % 500 === 0) console.error(`${done} of ${total} states, ${seconds().toFixed(0)} s`);
      },
    });
    return printReport(report, seconds());
  },
});
