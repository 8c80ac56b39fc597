import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTestEngine, temporaryDirectory } from '../helpers/engine.js';
import { KillCampaign } from './campaign.js';
import { noFindings } from './findings.js';
import { printReport } from './report.js';

const STORES = 6;
const CYCLES = Number(process.env.KILL_CYCLES ?? 12);
/** Looked at before each kill. */
const INSTANTS = 4;
const SEED = Number(process.env.KILL_SEED ?? 20_261_122);

// Several stores, as what a kill is judged by takes longer the longer a store has lived, and side by side, as each waits for processes and
// disks half of its time. `npm run torture:kill` lets one live on.
test.concurrent.each(Array.from({ length: STORES }, (_, at) => SEED + at))(
  `${CYCLES} times kill -9, of servers and of programs, and ${INSTANTS} times as often what it would leave: nothing acknowledged is lost, nothing half-done, every open succeeds, backups verify (seed %i)`,
  {
    timeout: 1_200_000,
  },
  async seed => {
    const startedMs = performance.now();
    const report = await new KillCampaign({
      cycles: CYCLES,
      instants: INSTANTS,
      seed,
      dir: temporaryDirectory(),
    }).run();
    printReport(report, (performance.now() - startedMs) / 1000);
    expect(report).toMatchObject({ cycles: CYCLES, ...noFindings() });
    expect(report.acknowledged).toBeGreaterThan(CYCLES);
  },
);

test('a checkpoint that a crash cut off does not stay behind', async () => {
  const store = join(temporaryDirectory(), 'store');
  await (await openTestEngine(store)).close();
  const unfinished = join(store, 'checkpoints', 'tmp-0000000000000007');
  mkdirSync(unfinished, { recursive: true });
  writeFileSync(join(unfinished, 'catalog'), 'half of one');
  const engine = await openTestEngine(store);
  expect(existsSync(unfinished)).toBe(false);
  await engine.close();
});
