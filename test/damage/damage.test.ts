import { expect, test } from 'vitest';
import { runDamageCampaign } from './campaign.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const STRIDE = Number(process.env.DAMAGE_EVERY ?? 97);
const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_122);

test.each(SHAPES)(
  `store $name: a flip and a cut every ${STRIDE} bytes of every file, each deleted, zeroed, exchanged and put back (seed ${SEED})`,
  {
    timeout: 1_200_000,
  },
  async ({ only, ...shape }) => {
    const startedMs = performance.now();
    const report = await runDamageCampaign({
      shape,
      stride: STRIDE,
      seed: SEED,
      ...(only === undefined ? {} : { only }),
    });
    printReport(report, (performance.now() - startedMs) / 1000, false);
    expect(report.failures).toEqual([]);
  },
);
