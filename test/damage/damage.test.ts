import { expect, test } from 'vitest';
import { runDamageCampaign } from './campaign.js';
import { type Case, describe } from './cases.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const STRIDE = Number(process.env.DAMAGE_EVERY ?? 64);
const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_122);

/** Ends of the first slot of HEAD and start of the second. */
const HEAD_SLOT_END = 128;
const HEAD_SLOT_START = 4096;

/** What verify may pass over, because nothing is ever read from it. */
function isWithoutMeaning({ file, damage }: Case): boolean {
  // LevelDB's diaries and locks, and the database whose lock says who owns the store: it is empty, and made anew when off.
  if (/^(log\/(LOG|LOG\.old|LOCK)|owner\/.*)$/.test(file)) return true;
  return (
    file === 'HEAD' &&
    damage.kind === 'flip' &&
    damage.offset >= HEAD_SLOT_END &&
    damage.offset < HEAD_SLOT_START
  );
}

test.each(SHAPES)(
  `store $name: a flip and a cut every ${STRIDE} bytes of every file, each deleted (seed ${SEED})`,
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
    expect(report.unseen.filter(one => !isWithoutMeaning(one)).map(describe)).toEqual([]);
  },
);
