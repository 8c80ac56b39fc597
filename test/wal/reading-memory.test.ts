import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { afterAll, expect, test } from 'vitest';
import { Directories } from '../helpers/wal.js';

const PROCESS = createRequire(import.meta.url).resolve('#test/wal/reading-process.js');
const directories = new Directories();
afterAll(() => directories.remove());

// LevelDB's binding keeps what an iterator read last until the garbage collector comes to it, which was after hundreds of megabytes.
test('reading a log of 40 MB again and again keeps none of it', async () => {
  const child = fork(PROCESS, [directories.path(), '8'], { execArgv: ['--no-warnings'] });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`it ended with ${code}`);
  });
  const [held] = (await Promise.race([once(child, 'message'), exited])) as [number[]];
  await exited.catch(() => {});
  expect(held).toHaveLength(8);
  // V8 and the allocator have their room by then; kept, it would be the log another four times.
  const grownMb = (held[7]! - held[3]!) / 1e6;
  expect(grownMb).toBeLessThan(80);
}, 60_000);
