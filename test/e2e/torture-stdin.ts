/** `npm run torture:stdin`: hostile lines at the real server, as many as one likes. See --help. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { attackStore, faultsOf } from './hostile-stdin.js';

await runCommand({
  help: `Usage: npm run torture:stdin -- [options]

Writes hostile lines to a server's stdin.

  --count N  Default: 10000.
  --seed S   Default: one of the clock's; it is printed.
  --dir DIR  Where everything is made, and stays. Default: a directory for temporary files, removed unless something is wrong.`,
  options: { count: { type: 'string', default: '10000' }, dir: { type: 'string' } },
  read: ({ count, dir }) => ({ count: wholeNumber('--count', count), dir }),
  run: async ({ dir: kept, ...options }) => {
    const dir = kept ?? mkdtempSync(join(tmpdir(), 'torture-stdin-'));
    const seconds = stopwatch();
    const report = await attackStore({ ...options, dir });
    const { seed, sent, received, errors, verified } = report;
    console.log(`seed ${seed}: ${sent} lines sent, ${received} received in ${seconds().toFixed(0)} s`);
    console.log(`errors by code: ${JSON.stringify(errors)}`);
    console.log(verified.said.trimEnd());
    const faults = faultsOf(report);
    for (const fault of faults) console.log(`FAULT ${fault}`);
    if (faults.length === 0 && kept === undefined) rmSync(dir, { recursive: true, force: true });
    else console.log(`the store is in ${dir}`);
    return faults.length === 0;
  },
});
