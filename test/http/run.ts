/** `npm run torture:http`: hostile requests at `serve`, as many as one likes. See --help. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { describeFuzz, fuzzHttp } from './fuzz.js';

await runCommand({
  help: `Usage: npm run torture:http -- [options]

Sends hostile requests, eight at a time, to \`serve\`.

  --count N  Default: 20000.
  --seed S   Default: one of the clock's; it is printed.`,
  options: { count: { type: 'string', default: '20000' } },
  read: ({ count }) => ({ count: wholeNumber('--count', count) }),
  run: async options => {
    const dir = mkdtempSync(join(tmpdir(), 'torture-http-'));
    const seconds = stopwatch();
    const report = await fuzzHttp({
      ...options,
      dir,
      onProgress: done => {
        if (done % 5000 === 0) console.error(`${done} requests, ${seconds().toFixed(0)} s`);
      },
    });
    console.log(`${describeFuzz(report)}\nin ${seconds().toFixed(0)} s`);
    const isWhole = report.faults.length === 0;
    if (isWhole) rmSync(dir, { recursive: true, force: true });
    else console.log(`the store is in ${dir}`);
    return isWhole;
  },
});
