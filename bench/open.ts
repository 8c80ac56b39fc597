/**
 * From openEngine to the first right answer of a vector search, in a new process each time, and how long the event loop stalls
 * afterwards. ranMs and waitedMs tell how busy the machine was: the main thread ran, or waited for a core, so long until the answer. `npm run bench:open -- [runs] [rows …]`, default 5 runs of 20 000 and 100 000 rows x 384 with a text of 25 words and two metadata
 * fields. Stores stay in the directory that BENCH_STORES names, if it does, and are used again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchContext } from './data.js';
import { makeStore, open, query, SEARCH } from './store.js';

/** One opening: prints its figures as a line of JSON. */
async function measure(path: string, isLost: boolean): Promise<void> {
  if (isLost) rmSync(join(path, 'checkpoints'), { recursive: true, force: true });
  const vector = query();
  const startMs = performance.now();
  const before = schedule();
  const engine = await open(path);
  const openMs = performance.now() - startMs;
  const first = await engine.search({ vector, ...SEARCH }, benchContext);
  const answerMs = performance.now() - startMs;
  const after = schedule();
  const answeredMs = performance.now();
  const stalls = new Stalls();
  let isIdle = false;
  const done = () => {
    isIdle = true;
  };
  engine.idle().then(done, done);
  while (!isIdle) await stalls.turn();
  const idleMs = performance.now() - answeredMs;
  for (const untilMs = performance.now() + 300; performance.now() < untilMs; ) await stalls.turn();
  const wordsStartMs = performance.now();
  const words = await engine.search(
    {
      query: first.results[0]!.text.split(' ').slice(0, 3).join(' '),
      collections: ['bench'],
      k: 10,
      mode: 'keyword',
    },
    benchContext,
  );
  const wordsMs = performance.now() - wordsStartMs;
  const later = await engine.search({ vector, ...SEARCH }, benchContext);
  const ids = ({ results }: typeof later) => results.map(({ id }) => id).join();
  if (ids(later) !== ids(first) || words.results.length !== 10) throw new Error('a wrong answer');
  console.log(
    JSON.stringify({
      openMs,
      answerMs,
      ...(before &&
        after && { ranMs: after.ranMs - before.ranMs, waitedMs: after.waitedMs - before.waitedMs }),
      idleMs,
      stallMs: stalls.mostMs,
      wordsMs,
      rssMb: process.memoryUsage().rss / 1e6,
    }),
  );
  await engine.close();
}

/** How long this thread has run, and how long it was ready to run while others had the cores, in ms; where Linux tells, else undefined. */
function schedule(): { ranMs: number; waitedMs: number } | undefined {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1');
    const [ran, waited] = text.split(' ').map(Number);
    return { ranMs: ran! / 1e6, waitedMs: waited! / 1e6 };
  } catch {
    return undefined;
  }
}

/** Turns of the event loop that took long: the time that the thread ran, where that can be told. */
class Stalls {
  mostMs = 0;
  async turn(): Promise<void> {
    const startMs = performance.now();
    const before = schedule();
    await new Promise(resolve => setImmediate(resolve));
    const after = schedule();
    const ranMs = before && after ? after.ranMs - before.ranMs : performance.now() - startMs;
    this.mostMs = Math.max(this.mostMs, ranMs);
  }
}

async function measureInChild(...args: string[]): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', chunk => {
    output += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the measured process ended with ${code}`);
  return JSON.parse(output);
}

async function compare(runs: number, sizes: number[]): Promise<void> {
  const kept = process.env.BENCH_STORES;
  const root = kept ?? mkdtempSync(join(tmpdir(), 'mvs-bench-open-'));
  if (kept === undefined) process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  for (const rows of sizes) {
    const path = join(root, `store-${rows}`);
    if (!existsSync(path)) await makeStore(path, rows);
    for (const mode of ['checkpoint', 'lost']) {
      const all: Record<string, number>[] = [];
      for (let run = 0; run < runs; run++) all.push(await measureInChild('--measure', path, mode));
      const shown = Object.keys(all[0]!).map(name => {
        const values = all.map(figures => Number(figures[name])).sort((a, b) => a - b);
        return `${name} ${values[values.length >> 1]!.toFixed(0)} (${values[0]!.toFixed(0)}..${values.at(-1)!.toFixed(0)})`;
      });
      console.log(`${rows} rows, ${mode}: ${shown.join(' · ')}`);
    }
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--measure') await measure(rest[0]!, rest[1] === 'lost');
else if (first === '--make') await makeStore(rest[0]!, Number(rest[1]));
else await compare(Number(first ?? 5), rest.length > 0 ? rest.map(Number) : [20_000, 100_000]);
