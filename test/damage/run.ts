/**
 * `npm run torture:damage -- [--every BYTES] [--seed S] [--store plain|graph] [--only REGEX] [--unseen]`: the damage campaign, to the
 * last byte with `--every 1`; `--unseen` lists the cases that verify calls sound.
 */
import { parseArgs } from 'node:util';
import { runDamageCampaign } from './campaign.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const { values } = parseArgs({
  options: {
    every: { type: 'string', default: '64' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    store: { type: 'string' },
    only: { type: 'string' },
    unseen: { type: 'boolean', default: false },
  },
});
let isWhole = true;
for (const { only, ...shape } of SHAPES) {
  if (values.store !== undefined && values.store !== shape.name) continue;
  const startedMs = performance.now();
  const seconds = () => (performance.now() - startedMs) / 1000;
  const files = values.only === undefined ? only : new RegExp(values.only);
  const report = await runDamageCampaign({
    shape,
    stride: Number(values.every),
    seed: Number(values.seed),
    ...(files === undefined ? {} : { only: files }),
    onProgress: (done, total) => {
      if (done % 1000 === 0) console.error(`${done} of ${total} cases, ${seconds().toFixed(0)} s`);
    },
  });
  isWhole = printReport(report, seconds(), values.unseen) && isWhole;
}
process.exitCode = isWhole ? 0 : 1;
