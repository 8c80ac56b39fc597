/**
 * The process that reads documents: a thread parses, the main thread watches. Memory that a parser allocates outside of the JavaScript heap is bounded by
 * nothing but this.
 */
import { Worker } from 'node:worker_threads';
import { MEMORY_EXIT_CODE, type ReadRequest } from './reader.js';

const WATCH_MS = 20;
let maxBytes = Number.POSITIVE_INFINITY;
const HEAP_MIB = 512;

const thread = new Worker(new URL('./reader-thread.js', import.meta.url), {
  resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  // Libraries write warnings about files there, in words of the files.
  stdout: true,
  stderr: true,
});
thread.on('message', answer => process.send!(answer));
thread.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? MEMORY_EXIT_CODE : 1),
);
process.on('message', (request: ReadRequest) => {
  const { bytes, processBytes } = request;
  maxBytes = processBytes;
  // Over the channel came a view of a larger buffer: a copy of its own can be handed over.
  const own = new Uint8Array(bytes);
  thread.postMessage({ ...request, bytes: own }, [own.buffer]);
});
// Without its parent nobody wants to know.
process.once('disconnect', () => process.exit());
setInterval(() => {
  if (process.memoryUsage.rss() > maxBytes) process.exit(MEMORY_EXIT_CODE);
}, WATCH_MS);
