/** `npm run torture:kill`: the kill -9 campaign on one store, as long as one likes. See --help. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { KillCampaign } from './campaign.js';
import { printReport } from './report.js';

await runCommand({
  help: `Usage: npm run torture:kill -- [options]

Kills servers on one store, and programs beside them or in their place, by kill -9.

  --cycles N    Kills. Default: 300.
  --instants K  Instants before each kill that are looked at without one. Default: 9.
  --seed S      Default: one of the clock's; it is printed.
  --dir DIR     Where everything is made, and stays. Default: a directory for temporary files, removed unless something is wrong.`,
  options: {
    cycles: { type: 'string', default: '300' },
    instants: { type: 'string', default: '9' },
    dir: { type: 'string' },
  },
  read: ({ cycles, instants, dir }) => ({
    cycles: wholeNumber('--cycles', cycles),
    instants: wholeNumber('--instants', instants, 0),
    dir,
  }),
  run: async ({ dir: kept, ...options }) => {
    const dir = kept ?? mkdtempSync(join(tmpdir(), 'torture-kill-'));
    const seconds = stopwatch();
    const report = await new KillCampaign({
      ...options,
      dir,
      onCycle: cycle => {
        if (cycle % 20 === 0) console.error(`${cycle} cycles, ${seconds().toFixed(0)} s`);
      },
    }).run();
    const isWhole = printReport(report, seconds());
    if (isWhole && kept === undefined) rmSync(dir, { recursive: true, force: true });
    else console.log(`the store is in ${dir}`);
    return isWhole;
  },
});
