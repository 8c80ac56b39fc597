/**
 * `npm run torture:damage -- [--every BYTES] [--share F] [--read-every N] [--seed S] [--store NAME] [--only REGEX] [--unseen]`: the damage
 * campaign, to the last bit with `--every 1`, of which `--share 0.1` takes a tenth; with `--read-every 64` only each 64th store is opened as
 * well as verified; `--unseen` lists the cases that verify calls sound.
 */
import { parseArgs } from 'node:util';
import { runDamageCampaign } from './campaign.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const { values } = parseArgs({
  options: {
    every: { type: 'string', default: '97' },
    share: { type: 'string', default: '1' },
    'read-every': { type: 'string', default: '1' },
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
    share: Number(values.share),
    readEvery: Number(values['read-every']),
    seed: Number(values.seed),
    ...(files === undefined ? {} : { only: files }),
    onProgress: (done, total) => {
      if (done % 1000 === 0) console.error(`${done} of ${total} cases, ${seconds().toFixed(0)} s`);
    },
  });
  isWhole = printReport(report, seconds(), values.unseen) && isWhole;
}
process.exitCode = isWhole ? 0 : 1;
