/**
 * The child of campaign.ts that makes a recording, under the shim: `recorder.js SCENARIO SEED DIR`. It leaves `disk/`, `journal`, and
 * `hashes.json` in the directory.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_OPTIONS } from '#wal/level.js';
import { shim } from '../faults/shim.js';
import type { Scenario } from './scenarios.js';

const [scenario, seed, dir] = process.argv.slice(2) as [Scenario, string, string];
if (scenario === 'log files')
  Object.assign(LOG_OPTIONS, { writeBufferSize: 64 * 1024, maxFileSize: 1024 * 1024, blockSize: 4096 });
// Only now: the log looks at the options when it is loaded.
const { Performance } = await import('./scenarios.js');

const disk = join(dir, 'disk');
mkdirSync(disk);
shim.watch(disk);
shim.record(join(dir, 'journal'));
const performance = new Performance(disk, Number(seed), mark => shim.mark(JSON.stringify(mark)));
await performance.play(scenario);
shim.stop();
writeFileSync(join(dir, 'hashes.json'), JSON.stringify([...performance.hashes]));
process.disconnect();
