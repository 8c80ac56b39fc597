/**
 * This project beside what people would pick instead, and beside the limits of what it is made of, in one run on one machine:
 * `npm run bench:peers -- [options]`. The peers are installed beside the project, each system runs in processes of its own.
 *
 *   --rows 20000,100000   sizes
 *   --only own,zvec       systems, by name
 *   --seed N              of the data
 *   --skip-install        the peers are there already
 *   --out docs            where the chart goes; empty: no chart
 *   --json | --markdown   in place of the table for a terminal
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeChart } from './chart.js';
import { installPeers } from './install.js';
import { type Measured, measure } from './measure.js';
import { SYSTEMS, systemNamed } from './systems/index.js';
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
  },
});

const sizes = values.rows.split(',').map(Number);
if (!sizes.every(rows => Number.isSafeInteger(rows) && rows >= 1000))
  throw new Error('--rows takes whole numbers from 1000 on, separated by commas');
const kinds = values.only === undefined ? SYSTEMS : values.only.split(',').map(systemNamed);
const startMs = performance.now();
const progress = (message: string) =>
  process.stderr.write(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s  ${message}\n`);

const peersDir = join(ROOT, '.bench', 'peers');
if (!values['skip-install']) {
  progress(`installing the peers into ${peersDir}`);
  installPeers(peersDir, SYSTEMS);
}

const workDir = mkdtempSync(join(tmpdir(), 'mvs-bench-peers-'));
process.once('exit', () => rmSync(workDir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const results: SizeResult[] = [];
for (const rows of sizes)
  results.push({
    rows,
    systems: await measure({ kinds, rows, seed: Number(values.seed), peersDir, workDir, progress }),
  });

const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}, Node ${process.version}`;
const table = tableOf(results);
if (values.json) {
  const systems = (all: readonly Measured[]) =>
    all.map(({ kind, rows, figures, failure }) => ({ name: kind.name, rows, figures, failure }));
  const sizesOut = results.map(({ rows, systems: all }) => ({ rows, systems: systems(all) }));
  process.stdout.write(`${JSON.stringify({ machine, seed: values.seed, sizes: sizesOut }, undefined, 2)}\n`);
} else if (values.markdown) {
  process.stdout.write(
    `${machine}\n\n${markdown(table)}\n\n${notesOf(results)
      .map(note => `- ${note}`)
      .join('\n')}\n`,
  );
} else process.stdout.write(`${machine}\n\n${printed(table)}\n\n${notesOf(results).join('\n')}\n`);
if (values.out !== '')
  for (const written of writeChart(join(ROOT, values.out), machine, results)) progress(written);
process.exitCode = results.some(({ systems }) =>
  systems.some(({ kind, failure }) => kind.role === 'own' && failure),
)
  ? 1
  : 0;
