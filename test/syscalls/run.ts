/** `npm run torture:syscalls -- [--count N | --all] [--seed S]`: the campaign of failing system calls. */
import { parseArgs } from 'node:util';
import { UNSUPPORTED } from '../faults/shim.js';
import { runSyscallCampaign } from './campaign.js';
import { printReport } from './report.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '500' },
    all: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
if (UNSUPPORTED !== undefined) {
  console.error(UNSUPPORTED);
  process.exit(2);
}
const startedMs = performance.now();
const seconds = () => (performance.now() - startedMs) / 1000;
const report = await runSyscallCampaign({
  seed: Number(values.seed),
  count: values.all ? undefined : Number(values.count),
  onProgress: (done, total) => {
    if (done % 500 === 0) console.error(`${done} of ${total} faults, ${seconds().toFixed(0)} s`);
  },
});
process.exitCode = printReport(report, seconds()) ? 0 : 1;
