/** `npm run torture:stdin -- [--count N] [--seed S] [--dir DIR]`: hostile lines at the real server, as many as one likes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { attackStore, faultsOf } from './hostile-stdin.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    dir: { type: 'string' },
  },
});
const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'torture-stdin-'));
const startedMs = performance.now();
const report = await attackStore({ dir, count: Number(values.count), seed: Number(values.seed) });
const { seed, sent, received, errors, verified } = report;
const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
console.log(`seed ${seed}: ${sent} lines sent, ${received} received in ${seconds} s`);
console.log(`errors by code: ${JSON.stringify(errors)}`);
console.log(verified.said.trimEnd());
const faults = faultsOf(report);
for (const fault of faults) console.log(`FAULT ${fault}`);
if (faults.length === 0 && values.dir === undefined) rmSync(dir, { recursive: true, force: true });
else console.log(`the store is in ${dir}`);
process.exitCode = faults.length === 0 ? 0 : 1;
