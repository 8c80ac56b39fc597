/** `npm run soak -- [--minutes M] [--seed S] [--json]`: see --help. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSoak } from './campaign.js';
import { judge } from './judgement.js';
import { LEAST_MINUTES } from './plan.js';
import { printReport } from './report.js';

const HELP = `Usage: npm run soak -- [options]

One server with all schedules on and a mixed load at a steady pace: nothing acknowledged may be lost, no answer wrong, no run missed, nothing
may fail, and memory must not grow. See docs/soak.md.

  --minutes M      How long, 0.2 to 10080. Default: 30. Below ${LEAST_MINUTES} memory is not judged.
  --seed S         Default: one of the clock's; it is printed.
  --dir DIR        Where everything is made, and stays. Default: a directory for temporary files, removed unless something is wrong.
  --samples FILE   Keep the samples there, as JSON lines.
  --json           The report as JSON.

Exit code 0: nothing is wrong; 1: something is; 2: wrong usage.`;

const PROGRESS_MS = 30_000;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  const { minutes, seed, asJson } = options;
  const dir = options.dir ?? realpathSync(mkdtempSync(join(tmpdir(), 'soak-')));
  console.error(`seed ${seed}, ${minutes} minutes, in ${dir}`);
  let [saidMs, told] = [0, 0];
  const report = await runSoak({
    ...{ totalMs: minutes * 60_000, seed, dir },
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
  const isSound = judgement.wrong.length === 0;
  if (isSound && options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  else console.error(`everything is in ${dir}`);
  return isSound ? 0 : 1;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      dir: { type: 'string' },
      samples: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.2 && minutes <= 10_080))
    throw new Error(`--minutes: ${values.minutes} is not 0.2 to 10080`);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`--seed: ${values.seed} is no whole number`);
  const { dir, samples } = values;
  return { minutes, seed, dir, samples, asJson: values.json } as const;
}
