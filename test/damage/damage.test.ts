import { expect, test } from 'vitest';
import { runDamageCampaign } from './campaign.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const STRIDE = Number(process.env.DAMAGE_EVERY ?? 64);
const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_122);

/**
 * What verify may pass over, as nothing depends on it: LevelDB's diaries, its lock, the lock's own database (which is mended), and
 * an empty file's truncation to nothing.
 */
const WITHOUT_MEANING = /^(log\/(LOG|LOG\.old|LOCK)|owner\/.*)$/;

test.each(SHAPES)(
  `store "$name", a flip and a cut every ${STRIDE} bytes of every file, each deleted (seed ${SEED})`,
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
    const silent = report.files.filter(file => file.unseen > 0 && !WITHOUT_MEANING.test(file.file));
    expect(silent.map(file => file.file)).toEqual(['HEAD'].filter(name => silent.some(f => f.file === name)));
  },
);
