/** `npm run torture:kill -- [--cycles N] [--instants K] [--seed S] [--dir DIR]`: the kill -9 campaign, as long as one likes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KillCampaign } from './campaign.js';
import { printReport } from './report.js';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '300' },
    instants: { type: 'string', default: '9' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    dir: { type: 'string' },
  },
});
const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'torture-kill-'));
const startedMs = performance.now();
const report = await new KillCampaign({
  cycles: Number(values.cycles),
  instants: Number(values.instants),
  seed: Number(values.seed),
  dir,
  onCycle: cycle => {
    if (cycle % 20 === 0)
      console.error(`${cycle} cycles, ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  },
}).run();
const isWhole = printReport(report, (performance.now() - startedMs) / 1000);
if (isWhole && values.dir === undefined) rmSync(dir, { recursive: true, force: true });
else console.log(`the store is in ${dir}`);
process.exitCode = isWhole ? 0 : 1;
