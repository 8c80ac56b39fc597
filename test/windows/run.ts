/** `npm run torture:windows -- [--kills N] [--windows W] [--seed S] [--rest MS] [--pause MS]`: windows on one store, whose owner is killed again and again. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { quantile, runWindowsCampaign } from './campaign.js';
import { printReport } from './report.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    windows: { type: 'string', default: '8' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    rest: { type: 'string', default: '1000' },
    pause: { type: 'string', default: '0' },
  },
});
const dir = realpathSync(mkdtempSync(join(tmpdir(), 'torture-windows-')));
const startedMs = performance.now();
console.log(`seed ${values.seed}`);
const report = await runWindowsCampaign({
  windows: Number(values.windows),
  kills: Number(values.kills),
  seed: Number(values.seed),
  restMs: Number(values.rest),
  pauseMs: Number(values.pause),
  dir,
  onKill: ({ kills, pausesMs }) => {
    if (kills % 20 > 0) return;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    const [p50, p99] = [0.5, 0.99].map(share => quantile(pausesMs, share).toFixed(0));
    console.error(`${kills} kills, ${seconds} s; pauses p50 ${p50}, p99 ${p99} ms`);
  },
});
const isWhole = printReport(report, (performance.now() - startedMs) / 1000);
if (isWhole) rmSync(dir, { recursive: true, force: true });
else console.log(`the store is in ${dir}`);
process.exitCode = isWhole ? 0 : 1;
