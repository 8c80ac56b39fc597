/** `npm run torture:http -- [--count N] [--seed S]`: hostile requests at `serve`, as many as one likes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeFuzz, fuzzHttp } from './fuzz.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const dir = mkdtempSync(join(tmpdir(), 'torture-http-'));
const startedMs = performance.now();
const seconds = () => (performance.now() - startedMs) / 1000;
const report = await fuzzHttp({
  dir,
  count: Number(values.count),
  seed: Number(values.seed),
  onProgress: done => {
    if (done % 5000 === 0) console.error(`${done} requests, ${seconds().toFixed(0)} s`);
  },
});
console.log(`${describeFuzz(report)}\nin ${seconds().toFixed(0)} s`);
if (report.faults.length === 0) rmSync(dir, { recursive: true, force: true });
else console.log(`the store is in ${dir}`);
process.exitCode = report.faults.length === 0 ? 0 : 1;
