// A process whose log lies on a disk that fills up; told by its stdin what has become of the disk.
import { createInterface } from 'node:readline';
import { createLogger } from '#src/log.js';

const [path, count] = process.argv.slice(2);
const logger = createLogger({ logLevel: 'info', logFile: path });
logger.info('before');
process.stdout.write('ready\n');
for await (const state of createInterface({ input: process.stdin })) {
  if (state === 'full')
    for (let n = 0; n < Number(count); n++) logger.info({ n, pad: 'x'.repeat(100_000) }, 'while it is full');
  else {
    logger.info('after');
    logger.info('and after');
  }
  process.stdout.write(`${state} done\n`);
}
