/** `npm run torture -- [--seed S] [--size small|full] [--scale F] [--minutes M] [--rows A,B] [--json]`: see --help. */
import { parseArgs } from 'node:util';
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
  const { rows, seed, size, scale, minutes, asJson } = options;
  let isWhole = true;
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      isStopped = true;
    });
  if (!asJson) console.log(`seed ${seed}, ${size}${scale === 1 ? '' : `, ${scale} of it`}\n`);
  for (const row of rows) {
    if (isStopped) break;
    const startedMs = performance.now();
    const report = await row.run({
      seed,
      count: Math.ceil(row[size] * scale),
      share: size === 'full' ? scale : undefined,
      isOver: () => isStopped || performance.now() - startedMs > minutes * 60_000,
      onProgress: progressOf(row.name),
    });
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    if (asJson) console.log(JSON.stringify({ row: row.name, seed, size, scale, seconds, ...report }));
    else sayRow(row, report, seconds);
    isWhole &&= report.failures.length === 0;
  }
  return isWhole ? 0 : 1;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      size: { type: 'string', default: 'small' },
      scale: { type: 'string', default: '1' },
      minutes: { type: 'string', default: 'Infinity' },
      rows: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { size } = values;
  if (size !== 'small' && size !== 'full') throw new Error(`--size: ${size} is neither small nor full`);
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale: ${values.scale} is not in (0, 1]`);
  if (scale < 1 && size === 'small') throw new Error('--scale goes with --size full');
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes: ${values.minutes} is no time`);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`--seed: ${values.seed} is no whole number`);
  const names = values.rows?.split(',') ?? ROWS.map(row => row.name);
  const rows = names.map(name => {
    const row = ROWS.find(candidate => candidate.name === name);
    if (row === undefined) throw new Error(`--rows: there is no row ${name}`);
    return row;
  });
  return { rows, seed, size, scale, minutes, asJson: values.json } as const;
}

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
