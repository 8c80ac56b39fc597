/** `npm run torture -- [--seed S] [--size small|full] [--scale F] [--minutes M] [--rows A,B] [--json]`: see --help. */
import { numberWithin, runCommand, stopwatch } from '../helpers/campaign-command.js';
import { ROWS, type Row, type RowReport } from './rows.js';

const HELP = `Usage: npm run torture -- [options]

Runs the fault campaign row by row and prints for each how many cases there were, and how many failed.

  --seed S       Default: one of the clock's; it is printed.
  --size SIZE    small: as in CI; full. Default: small.
  --scale F      A part of full, in (0, 1].
  --minutes M    End each row after so long, wherever it is; damage goes on, of which --scale takes a part.
  --rows A,B     Only these: ${ROWS.map(row => row.name).join(', ')}.
  --json         One line of JSON for each row.

SIGINT or SIGTERM ends it as --minutes does: with what was found by then.

Exit code 0: nothing failed; 1: something did; 2: wrong usage.`;

const SHOWN_FAILURES = 20;
const PROGRESS_MS = 30_000;

await runCommand({
  help: HELP,
  options: {
    size: { type: 'string', default: 'small' },
    scale: { type: 'string', default: '1' },
    minutes: { type: 'string', default: 'Infinity' },
    rows: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  read: values => {
    const { size } = values;
    if (size !== 'small' && size !== 'full') throw new Error(`--size: ${size} is neither small nor full`);
    const scale = numberWithin('--scale', values.scale, 0, 1);
    if (scale < 1 && size === 'small') throw new Error('--scale goes with --size full');
    const minutes = numberWithin('--minutes', values.minutes, 0, Infinity);
    const names = values.rows?.split(',') ?? ROWS.map(row => row.name);
    const rows = names.map(name => {
      const row = ROWS.find(candidate => candidate.name === name);
      if (row === undefined) throw new Error(`--rows: there is no row ${name}`);
      return row;
    });
    return { rows, size, scale, minutes, asJson: values.json } as const;
  },
  run: async ({ rows, seed, size, scale, minutes, asJson }) => {
    let isWhole = true;
    let isStopped = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        isStopped = true;
      });
    if (!asJson) console.log(`seed ${seed}, ${size}${scale === 1 ? '' : `, ${scale} of it`}\n`);
    for (const row of rows) {
      if (isStopped) break;
      const seconds = stopwatch();
      const report = await row.run({
        seed,
        count: Math.ceil(row[size] * scale),
        share: size === 'full' ? scale : undefined,
        isOver: () => isStopped || seconds() > minutes * 60,
        onProgress: progressOf(row.name),
      });
      const took = Math.round(seconds());
      if (asJson) console.log(JSON.stringify({ row: row.name, seed, size, scale, seconds: took, ...report }));
      else sayRow(row, report, took);
      isWhole &&= report.failures.length === 0;
    }
    return isWhole;
  },
});

/** A line on stderr now and then. */
function progressOf(name: string): (done: number, total: number) => void {
  let saidMs = performance.now();
  return (done, total) => {
    if (performance.now() - saidMs < PROGRESS_MS) return;
    saidMs = performance.now();
    console.error(`${name}: ${done} of ${total}`);
  };
}

function sayRow({ name, what }: Row, { cases, failures, counts }: RowReport, seconds: number): void {
  console.log(
    `${name.padEnd(10)}${String(cases).padStart(9)} cases  ${String(failures.length).padStart(4)} failures  ${String(seconds).padStart(6)} s  ${what}`,
  );
  const details = Object.entries(counts).map(([key, count]) => `${key} ${count}`);
  if (details.length > 0) console.log(`          ${details.join(', ')}`);
  for (const failure of failures.slice(0, SHOWN_FAILURES)) console.log(`  FAILED ${failure}`);
  if (failures.length > SHOWN_FAILURES) console.log(`  … and ${failures.length - SHOWN_FAILURES} more`);
}
