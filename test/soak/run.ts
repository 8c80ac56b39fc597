/** `npm run soak -- [--minutes M] [--seed S] [--json]`: see --help. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constructorsOf, growthBetween } from '#src/ops/heap-snapshot.js';
import { runCommand } from '../helpers/campaign-command.js';
import { runSoak } from './campaign.js';
import { judge } from './judgement.js';
import { LEAST_MINUTES } from './plan.js';
import { printReport } from './report.js';

const HELP = `Usage: npm run soak -- [options]

One server with all schedules on and a mixed load at a steady pace: nothing acknowledged may be lost, no answer wrong, no run missed, nothing
may fail, and memory must not grow. See docs/soak.md.

  --minutes M      How long, 0.2 to 10080, of which half an hour, or half of it, is not judged: code is compiled, caches fill. Default: 60.
                   Below ${LEAST_MINUTES} memory is not judged at all.
  --seed S         Default: one of the clock's; it is printed.
  --dir DIR        Where everything is made, and stays. Default: a directory for temporary files, removed unless something is wrong.
  --samples FILE   Keep the samples there, as JSON lines.
  --snapshots DIR  Keep heap snapshots there, of the beginning and the end, and say what there is more of. They change what is measured.
  --json           The report as JSON.

Exit code 0: nothing is wrong; 1: something is; 2: wrong usage.`;

const PROGRESS_MS = 30_000;
const GROWN_SHOWN = 40;

await runCommand({
  help: HELP,
  options: {
    minutes: { type: 'string', default: '60' },
    dir: { type: 'string' },
    samples: { type: 'string' },
    snapshots: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  read: ({ minutes: text, dir, samples, snapshots, json }) => {
    const minutes = Number(text);
    if (!(minutes >= 0.2 && minutes <= 10_080)) throw new Error(`--minutes: ${text} is not 0.2 to 10080`);
    return { minutes, dir, samples, snapshots, asJson: json };
  },
  run: async options => {
    const { minutes, seed, asJson, snapshots } = options;
    const dir = options.dir ?? realpathSync(mkdtempSync(join(tmpdir(), 'soak-')));
    console.error(`seed ${seed}, ${minutes} minutes, in ${dir}`);
    let [saidMs, told] = [0, 0];
    const report = await runSoak({
      ...{ totalMs: minutes * 60_000, seed, dir, snapshotsDir: snapshots },
      onProgress: (ms, { rss, heap, events }, { failures }) => {
        for (const failure of failures.slice(told)) console.error(`WRONG ${failure}`);
        told = failures.length;
        if (ms - saidMs < PROGRESS_MS) return;
        saidMs = ms;
        const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
        console.error(
          `${(ms / 60_000).toFixed(1)} min: ${events} events, ${mb(rss)} resident, heap ${mb(heap)}, ${failures.length} failures`,
        );
      },
    });
    if (options.samples !== undefined)
      writeFileSync(options.samples, report.samples.map(sample => `${JSON.stringify(sample)}\n`).join(''));
    const judgement = judge(report);
    if (asJson) {
      const { samples, counts, warnings, loggedRuns, ...rest } = report;
      const objects = { counts, warnings, loggedRuns };
      const plain = Object.entries(objects).map(([name, map]) => [name, Object.fromEntries(map)]);
      console.log(JSON.stringify({ seed, minutes, ...rest, ...Object.fromEntries(plain), judgement }));
    } else printReport(report, judgement);
    const taken = report.collected.flatMap(({ snapshot }) => snapshot ?? []);
    if (taken.length === 2) await printGrowth(taken[0]!, taken[1]!);
    const isSound = judgement.wrong.length === 0;
    if (isSound && options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    else console.error(`everything is in ${dir}`);
    return isSound;
  },
});

async function printGrowth(before: string, after: string): Promise<void> {
  console.error(`more in ${after} than in ${before}:`);
  const grown = growthBetween(await constructorsOf(before), await constructorsOf(after));
  for (const { name, count, bytes } of grown.slice(0, GROWN_SHOWN))
    console.error(`${String(bytes).padStart(10)} bytes ${String(count).padStart(8)} ${name}`);
}
