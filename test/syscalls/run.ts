/** `npm run torture:syscalls`: the campaign of failing system calls. See --help. */
import { UNSUPPORTED } from '../faults/shim.js';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { runSyscallCampaign } from './campaign.js';
import { printReport } from './report.js';

await runCommand({
  help: `Usage: npm run torture:syscalls -- [options]

Lets a system call fail in the life of a store, one after the other.

  --count N  Faults, chosen by the seed. Default: 500.
  --all      All there are.
  --seed S   Default: one of the clock's; it is printed.`,
  options: { count: { type: 'string', default: '500' }, all: { type: 'boolean', default: false } },
  read: ({ count, all }) => {
    if (UNSUPPORTED !== undefined) throw new Error(UNSUPPORTED);
    return { count: all ? undefined : wholeNumber('--count', count) };
  },
  run: async options => {
    const seconds = stopwatch();
    const report = await runSyscallCampaign({
      ...options,
      onProgress: (done, total) => {
        if (done % 500 === 0) console.error(`${done} of ${total} faults, ${seconds().toFixed(0)} s`);
      },
    });
    return printReport(report, seconds());
  },
});
