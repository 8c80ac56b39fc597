// A process that writes numbered lines into a log file which others write into as well.
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { LogFile } from '#src/log/log-file.js';

const [path, name, count, maxBytes] = process.argv.slice(2);
const file = new LogFile({
  path,
  rotation: { maxBytes: Number(maxBytes), daily: false },
  keep: { files: Infinity, days: Infinity, bytes: Infinity },
  settleMs: 300,
});
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  for (let n = 0; n < Number(count); n++) {
    file.write(`${name} ${n} ${'x'.repeat(n % 50)}\n`);
    if (n % 100 === 99) await new Promise(resolve => setTimeout(resolve, 15));
  }
  const directory = dirname(path);
  // Until one was compressed, by this process or the other.
  while (!readdirSync(directory).some(file => file.endsWith('.gz')))
    await new Promise(resolve => setTimeout(resolve, 50));
  process.exit(0);
});
