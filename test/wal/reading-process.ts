/** Reads a log of some 40 MB from end to end, again and again, and tells by IPC what the process holds after each time, in bytes. */
import { openLog } from '#wal/open.js';
import { event } from '../helpers/wal.js';

const [storeDir, passes] = process.argv.slice(2) as [string, string];
const BATCHES = 40;
const BATCH = 1000;

const log = await openLog({ storeDir, create: true });
for (let batch = 0; batch < BATCHES; batch++)
  await log.append(Array.from({ length: BATCH }, (_, at) => event(`record ${at}`, 1000)));
const held: number[] = [];
for (let pass = 0; pass < Number(passes); pass++) {
  for await (const _ of log.raw(1, log.head.seq));
  held.push(process.memoryUsage().rss);
}
await log.close();
process.send!(held);
