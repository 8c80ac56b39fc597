/**
 * The embedded embedder: cold start, texts a second one at a time, resident memory, and full windows a second in bulk by one
 * thread and by as many as it takes. `npm run bench:embed`. Prints a row per length of text; a text is embedded through the public interface, thread and messages included.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createEmbeddedEmbedder } from '../src/embedding/embedded/embedder.js';
import { sentences } from './data.js';

const SECONDS = 3;
const embedder = createEmbeddedEmbedder();
const before = performance.now();
await embedder.embedQuery('What is the first thing that is asked?');
console.log(
  `cold start: first vector after ${Math.round(performance.now() - before)} ms, ${embedder.state()}`,
);

for (const words of [5, 8, 20, 90]) {
  const source = sentences(words);
  // The engine compiles the kernels better once they are seen to be hot.
  for (let n = 0; n < 50; n++) await embedder.embedTexts([source.next().value]);
  const times: number[] = [];
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) {
    const start = performance.now();
    await embedder.embedTexts([source.next().value]);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const perSecond = (times.length / SECONDS).toFixed(0);
  const [fastest, median] = [times[0]!, times[times.length >> 1]!].map(ms => ms.toFixed(2));
  console.log(
    `${String(words).padStart(3)} words: ${perSecond.padStart(4)} texts/s, ${median} ms median, ${fastest} ms fastest`,
  );
}
await sleep(1000);
console.log(`resident memory of this process, idle: ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
await embedder.close();

for (const [name, options] of [
  ['one thread', { maxThreads: 1 }],
  ['the pool', {}],
] as const) {
  const bulk = createEmbeddedEmbedder(options);
  const source = sentences(95);
  const take = (count: number) => Array.from({ length: count }, () => source.next().value as string);
  // Starts the threads and warms them up.
  await bulk.embedTexts(take(100));
  const [state, rssMb] = [bulk.state(), Math.round(process.memoryUsage().rss / 1e6)];
  const start = performance.now();
  const embedded = await bulk.embedTexts(take(200));
  const windows = embedded.reduce((sum, { passages }) => sum + passages.length, 0);
  const perSecond = ((windows * 1000) / (performance.now() - start)).toFixed(1);
  console.log(`bulk, ${name}: ${perSecond} full windows/s, ${rssMb} MB resident, ${state}`);
  await bulk.close();
}
