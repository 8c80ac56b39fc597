/**
 * This project beside what people would pick instead, and beside the limits of what it is made of, in one run on one machine:
 * `npm run bench:peers -- [options]`. The peers are installed beside the project, each system runs in processes of its own.
 *
 *   --rows 20000,100000   sizes
 *   --only own,zvec       systems, by name or by role (own, peer, limit)
 *   --seed N              of the data
 *   --skip-install        the peers are there already
 *   --out docs            where the chart goes; empty: no chart
 *   --json | --markdown   in place of the table for a terminal
 *   --cpu-time            for a machine that is busy: work is timed by the CPU time of its process, so that ratios of what waits for nothing hold; the start over MCP stays by the wall
 *   --from FILE           what an earlier run printed with --json, in place of a new run
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Measured } from './candidate.js';
import { writeChart } from './chart.js';
import { installPeers } from './install.js';
import { measure } from './measure.js';
import { SYSTEMS, systemNamed, systemsOf } from './systems/index.js';
import { markdown, notesOf, printed, type SizeResult, tableOf } from './table.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000,100000' },
    only: { type: 'string' },
    seed: { type: 'string', default: '20261122' },
    'skip-install': { type: 'boolean', default: false },
    out: { type: 'string', default: 'docs' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    'cpu-time': { type: 'boolean', default: false },
    from: { type: 'string' },
  },
});

/** A run as --json prints it. */
interface Saved {
  readonly machine: string;
  readonly seed: number;
  readonly sizes: readonly {
    readonly rows: number;
    readonly systems: readonly (Omit<Measured, 'kind'> & { readonly name: string })[];
  }[];
}

const startMs = performance.now();
const progress = (message: string) =>
  process.stderr.write(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s  ${message}\n`);

async function run(): Promise<Saved> {
  const sizes = values.rows.split(',').map(Number);
  if (!sizes.every(rows => Number.isSafeInteger(rows) && rows >= 1000))
    throw new Error('--rows takes whole numbers from 1000 on, separated by commas');
  const seed = Number(values.seed);
  const clock = values['cpu-time'] ? 'cpu' : 'wall';
  const kinds = values.only === undefined ? SYSTEMS : systemsOf(values.only.split(','));
  const peersDir = join(ROOT, '.bench', 'peers');
  if (!values['skip-install']) {
    progress(`installing the peers into ${peersDir}`);
    installPeers(peersDir, SYSTEMS);
  }
  const workDir = mkdtempSync(join(tmpdir(), 'mvs-bench-peers-'));
  process.once('exit', () => rmSync(workDir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const measured = [];
  for (const rows of sizes) {
    const systems = await measure({ kinds, rows, seed, clock, peersDir, workDir, progress });
    measured.push({ rows, systems: systems.map(({ kind, ...rest }) => ({ name: kind.name, ...rest })) });
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}, Node ${process.version}${clock === 'cpu' ? '; timed by the CPU time of each process' : ''}`;
  return { machine, seed, sizes: measured };
}

const saved =
  values.from === undefined ? await run() : (JSON.parse(readFileSync(values.from, 'utf8')) as Saved);
const results = saved.sizes.map(
  ({ rows, systems }): SizeResult => ({
    rows,
    systems: systems.map(({ name, ...rest }) => ({ kind: systemNamed(name), ...rest })),
  }),
);
const [table, notes] = [tableOf(results), notesOf(results)];
const output = values.json
  ? JSON.stringify(saved, undefined, 2)
  : values.markdown
    ? [saved.machine, markdown(table), notes.map(note => `- ${note}`).join('\n')].join('\n\n')
    : [saved.machine, printed(table), notes.join('\n')].join('\n\n');
process.stdout.write(`${output}\n`);
if (values.out !== '')
  for (const written of writeChart(join(ROOT, values.out), saved.machine, results)) progress(written);
if (results.some(({ systems }) => systems.some(({ kind, failure }) => kind.role === 'own' && failure)))
  process.exitCode = 1;
