/** A short run of writes for strace to watch: marks in the trace are looks at files that do not exist. */
import { accessSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXTRA_ROWS, readItems } from './dataset.js';
import { systemNamed } from './systems/index.js';
import type { WorkerOptions } from './worker.js';

export type SyncWorkerOptions = Omit<WorkerOptions, 'clock'>;

export const MARKS = {
  singles: '/mark-of-the-single-upserts',
  bulk: '/mark-of-the-bulk-upserts',
  end: '/mark-of-the-end',
} as const;

/** Calls between the marks. */
export const SYNC_CALLS = { singles: 50, bulk: 3 } as const;
const BATCH = 500;

const mark = (path: string) => {
  try {
    accessSync(path);
  } catch {
    // That it does not exist is known; the call stands in the trace.
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = JSON.parse(process.argv[2]!) as SyncWorkerOptions;
  const system = await systemNamed(options.system).open({
    dir: options.dir,
    peersDir: options.peersDir,
    capacity: options.rows + EXTRA_ROWS,
  });
  const item = readItems(options.dataDir);
  let row = 0;
  const upsert = async (count: number) =>
    system.upsert(Array.from({ length: count }, () => system.prepare(item(row++))));
  await upsert(BATCH / 2);
  mark(MARKS.singles);
  for (let i = 0; i < SYNC_CALLS.singles; i++) await upsert(1);
  mark(MARKS.bulk);
  for (let i = 0; i < SYNC_CALLS.bulk; i++) await upsert(BATCH);
  mark(MARKS.end);
  await system.close();
}
