/** `npm run torture:windows`: windows on one store, whose owner is killed again and again. See --help. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { quantile, runWindowsCampaign } from './campaign.js';
import { printReport } from './report.js';

await runCommand({
  help: `Usage: npm run torture:windows -- [options]

Kills the owner of a store under windows that write and search, and measures how long each of them waits.

  --kills N    Default: 200.
  --windows W  Default: 8.
  --rest MS    Between two kills. Default: 1000.
  --pause MS   Between two calls of a window. Default: 0.
  --seed S     Default: one of the clock's; it is printed.`,
  options: {
    kills: { type: 'string', default: '200' },
    windows: { type: 'string', default: '8' },
    rest: { type: 'string', default: '1000' },
    pause: { type: 'string', default: '0' },
  },
  read: ({ kills, windows, rest, pause }) => ({
    kills: wholeNumber('--kills', kills),
    windows: wholeNumber('--windows', windows),
    restMs: wholeNumber('--rest', rest, 0),
    pauseMs: wholeNumber('--pause', pause, 0),
  }),
  run: async options => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'torture-windows-')));
    const seconds = stopwatch();
    console.log(`seed ${options.seed}`);
    const report = await runWindowsCampaign({
      ...options,
      dir,
      onKill: ({ kills, pausesMs }) => {
        if (kills % 20 > 0) return;
        const [p50, p99] = [0.5, 0.99].map(share => quantile(pausesMs, share).toFixed(0));
        console.error(`${kills} kills, ${seconds().toFixed(0)} s; pauses p50 ${p50}, p99 ${p99} ms`);
      },
    });
    const isWhole = printReport(report, seconds());
    if (isWhole) rmSync(dir, { recursive: true, force: true });
    else console.log(`the store is in ${dir}`);
    return isWhole;
  },
});
