/**
 * Search as of past moments beside search now, on stores of growing history: time warm and cold, recall against an exact scan,
 * memory held for dead versions (from 20 000 of them on), differences between moments, and taking changes back.
 * `npm run bench:time -- [events] [items] [dimension]`, default 100 000 events on 20 000 items of 384 dimensions with a
 * text of 25 words and two metadata fields; a tenth and a hundredth of that beside it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StoreEngine } from '#src/engine/engine.js';
import { benchContext, clusteredVectors, SeededRandom, texts } from './data.js';
import { residentBytes } from './own-process.js';
import { open } from './store.js';

const BATCH = 500;
const K = 10;
const QUERIES = 200;
/** Changes between the two moments of the smaller difference; the larger has ten times as many. Whole batches: there is no moment within one. */
const DIFF_EVENTS = BATCH;
/** Processes that hold each of the two stores. */
const MEMORY_RUNS = 5;
/** What a process holds by chance comes to more than fewer dead versions take. */
const MEMORY_LEAST_DEAD = 20_000;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const timed = async (work: () => unknown): Promise<number> => {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
};

/** A version for the exact scan: [born, died) in events. */
interface Version {
  readonly item: number;
  readonly vector: Float32Array;
  readonly born: number;
  died: number;
}

/** Fills a store: `items` items, then updates of random ones until there are `events` versions. */
async function fill(path: string, events: number, items: number, dimension: number): Promise<Version[]> {
  const random = new SeededRandom();
  const vector = clusteredVectors(random, dimension);
  const text = texts(random);
  const versions: Version[] = [];
  const current: (Version | undefined)[] = [];
  const engine = await open(path);
  for (let done = 0; done < events; ) {
    const chosen = new Set<number>();
    while (chosen.size < Math.min(BATCH, events - done, items))
      chosen.add(done + chosen.size < items ? done + chosen.size : random.below(items));
    const batch = [...chosen].map(item => ({ item, vector: vector(), text: text() }));
    const answer = await engine.upsert(
      {
        collection: 'default',
        items: batch.map(({ item, vector: components, text: words }) => ({
          id: `item-${item}`,
          text: words,
          metadata: { lang: ['en', 'de', 'fr'][item % 3]!, year: 2000 + (item % 25) },
          vector: Array.from(components),
        })),
      },
      benchContext,
    );
    batch.forEach(({ item, vector: components }, at) => {
      const born = answer.items[at]!.version;
      const before = current[item];
      if (before) before.died = born;
      current[item] = { item, vector: components, born, died: Number.POSITIVE_INFINITY };
      versions.push(current[item]!);
    });
    done += batch.length;
  }
  await engine.idle();
  await engine.close();
  return versions;
}

/** Ids of the k nearest that lived at a moment, by comparing with all of them. */
function exact(versions: readonly Version[], query: readonly number[], seq: number): Set<string> {
  const best: { item: number; score: number }[] = [];
  for (const { item, vector, born, died } of versions) {
    if (born > seq || died <= seq) continue;
    let score = 0;
    for (let i = 0; i < query.length; i++) score += query[i]! * vector[i]!;
    if (best.length === K && score <= best[K - 1]!.score) continue;
    let at = best.length;
    while (at > 0 && best[at - 1]!.score < score) at--;
    best.splice(at, 0, { item, score });
    best.length = Math.min(best.length, K);
  }
  return new Set(best.map(({ item }) => `item-${item}`));
}

interface Row {
  readonly [figure: string]: string | number;
}

async function measure(events: number, items: number, dimension: number): Promise<Row> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-bench-time-'));
  try {
    const path = join(root, 'store');
    const versions = await fill(path, events, items, dimension);
    const random = new SeededRandom(7);
    const vector = clusteredVectors(new SeededRandom(), dimension);
    const text = texts(random);
    const queries = Array.from({ length: QUERIES }, () => ({ vector: Array.from(vector()), query: text() }));
    const head = versions.at(-1)!.born;
    const moments = { '10 %': 0.1, '50 %': 0.5, '90 %': 0.9 };
    // Alternately, so that neither has the warmer caches of the system.
    const firsts: { now: number; past: number }[] = [];
    for (let i = 0; i < 5; i++)
      firsts.push({
        now: await firstSearch(path, undefined, queries[i]!),
        past: await firstSearch(path, String(Math.round(head / 2)), queries[i]!),
      });
    const firstNow = median(firsts.map(({ now }) => now));
    const firstPast = median(firsts.map(({ past }) => past));
    const engine = await open(path);
    await engine.idle();
    const row: Record<string, string | number> = { events, items, 'dead versions': events - items };
    const search = (mode: 'semantic' | 'hybrid', as_of?: string) =>
      medianOf(queries, q =>
        engine.search(
          { ...(mode === 'hybrid' ? q : { vector: q.vector }), k: K, mode, ...(as_of && { as_of }) },
          benchContext,
        ),
      );
    for (const mode of ['semantic', 'hybrid'] as const) {
      const now = await search(mode);
      row[`${mode}, now, ms`] = now.toFixed(3);
      for (const [name, share] of Object.entries(moments)) {
        const past = await search(mode, String(Math.max(2, Math.round(share * head))));
        row[`${mode}, as of ${name}, ms (x now)`] = `${past.toFixed(3)} (${(past / now).toFixed(2)})`;
      }
    }
    for (const [name, share] of Object.entries(moments)) {
      const seq = Math.max(2, Math.round(share * head));
      let found = 0;
      let wanted = 0;
      for (const { vector: components } of queries.slice(0, 100)) {
        const { results, moment } = await engine.search(
          { vector: components, k: K, mode: 'semantic', as_of: String(seq) },
          benchContext,
        );
        const best = exact(versions, components, moment.seq);
        wanted += best.size;
        found += results.filter(hit => best.has(hit.id)).length;
      }
      row[`recall@10 as of ${name}`] = (found / wanted).toFixed(4);
    }
    row['first search now after the start, ms'] = firstNow.toFixed(0);
    row['first search of the past after the start, ms (more)'] =
      `${firstPast.toFixed(0)} (${(firstPast - firstNow).toFixed(0)})`;
    for (const changes of [DIFF_EVENTS, 10 * DIFF_EVENTS]) {
      if (changes >= events) continue;
      const from = String(head - changes);
      let found = 0;
      const ms = await medianOf(Array.from({ length: 9 }), async () => {
        const { counts } = await engine.diff({ from, limit: 50 }, benchContext);
        found = counts.added + counts.changed + counts.removed;
      });
      row[`a page of 50 of the diff over ${changes} changes, ms (items)`] = `${ms.toFixed(1)} (${found})`;
    }
    const target = String(head - Math.min(10_000, events >> 1));
    let plan = '';
    row['revert of a tenth, dry run, ms'] = (
      await timed(async () => {
        plan = (await engine.revert({ to: target }, benchContext)).plan;
      })
    ).toFixed(0);
    let restored = 0;
    const revertMs = await timed(async () => {
      restored = (await engine.revert({ to: target, plan, dry_run: false }, benchContext)).counts.restored;
    });
    row['revert applied, items/s'] = `${Math.round((restored / revertMs) * 1000)} (${restored})`;
    await engine.close();
    return row;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/**
 * The same items with and without a history: what the process holds more is for the dead versions. Both were closed when nothing was
 * left to be done (all of the dead are codes, the graph stands), are opened and searched alike, with the system's allocator as it
 * is. In brackets: the least and the most that any two of the processes differ by.
 */
async function measureMemory(events: number, items: number, dimension: number): Promise<Row> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-bench-time-'));
  try {
    const [path, still] = [join(root, 'store'), join(root, 'still')];
    const row: Record<string, string> = {};
    await fill(path, events, items, dimension);
    await fill(still, items, items, dimension);
    const dead = events - items;
    // Alternately, each in a process of its own. The allocator keeps what loading once asked for, as luck will have it: hence medians.
    const pairs = Array.from({ length: MEMORY_RUNS }, () => ({ history: held(path), base: held(still) }));
    if (pairs.some(({ history, base }) => history.vectors - base.vectors > dead * dimension))
      throw new Error(
        'dead versions are kept as vectors, not as codes: the two stores are not in the same state',
      );
    const perDead = (bytes: (of: Held) => number) => {
      const history = pairs.map(pair => bytes(pair.history));
      const base = pairs.map(pair => bytes(pair.base));
      const each = (a: number, b: number) => ((a - b) / dead).toFixed(0);
      const least = each(Math.min(...history), Math.max(...base));
      const most = each(Math.max(...history), Math.min(...base));
      return `${each(median(history), median(base))} (${least}-${most})`;
    };
    row['bytes per dead version: heap and buffers'] = perDead(({ buffers }) => buffers);
    row['bytes per dead version: resident'] = perDead(({ opened }) => opened);
    row['bytes per dead version: resident, searched'] = perDead(({ searched }) => searched);
    const pastMb = median(pairs.map(({ history }) => (history.searchedPast - history.searched) / 2 ** 20));
    row['resident more with caches of the past, MB'] = pastMb.toFixed(0);
    return row;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function medianOf<T>(inputs: readonly T[], work: (input: T) => Promise<unknown>): Promise<number> {
  for (const input of inputs.slice(0, 50)) await work(input);
  const times: number[] = [];
  for (const input of inputs) times.push(await timed(() => work(input)));
  return median(times);
}

/** From the start of a process's engine to its first answer. */
async function firstSearch(
  path: string,
  as_of: string | undefined,
  query: { vector: number[] },
): Promise<number> {
  let engine: StoreEngine | undefined;
  const ms = await timed(async () => {
    engine = await open(path);
    await engine.search(
      { vector: query.vector, k: K, mode: 'semantic', ...(as_of !== undefined && { as_of }) },
      benchContext,
    );
  });
  await engine!.close();
  return ms;
}

/** What a process holds, in bytes. */
interface Held {
  /** Of the vector indexes: vectors, graph, codes. */
  readonly vectors: number;
  /** That, the heap in use, and the buffers that V8 knows of. */
  readonly buffers: number;
  /** Anonymous memory that is resident once the store is open and the graph stands. */
  readonly opened: number;
  /** The same after searches of the present. */
  readonly searched: number;
  /** And of the past, which fills caches that have a bound, however many versions there are. */
  readonly searchedPast: number;
}

/** What a process of its own holds. */
function held(path: string): Held {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', fileURLToPath(import.meta.url), 'hold', path],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Held;
}

async function hold(path: string): Promise<void> {
  const engine = await open(path);
  await engine.idle();
  await collectGarbage();
  const opened = residentBytes();
  const { heapUsed, external } = process.memoryUsage();
  const { head, collections, memory } = await engine.status({}, benchContext);
  const vectors = memory.vectors_bytes;
  const text = texts(new SeededRandom(7));
  const vector = clusteredVectors(new SeededRandom(), collections[0]!.space.dimension);
  const queries = Array.from(
    { length: QUERIES },
    () => ({ vector: Array.from(vector()), query: text(), k: K, mode: 'hybrid' }) as const,
  );
  for (const query of queries) await engine.search(query, benchContext);
  await collectGarbage();
  const searched = residentBytes();
  for (const [i, query] of queries.entries()) {
    const as_of = String(Math.round(((1 + (i % 9)) / 10) * head.seq));
    await engine.search({ ...query, as_of }, benchContext);
  }
  await collectGarbage();
  const buffers = heapUsed + external + vectors;
  const answer: Held = { vectors, buffers, opened, searched, searchedPast: residentBytes() };
  process.stdout.write(JSON.stringify(answer));
  await engine.close();
}

async function collectGarbage(): Promise<void> {
  const collect = (globalThis as { gc?: () => void }).gc!;
  for (let i = 0; i < 3; i++) {
    collect();
    await sleep(100);
  }
}

if (process.argv[2] === 'hold') await hold(process.argv[3]!);
else {
  const events = Number(process.argv[2] ?? 100_000);
  const items = Number(process.argv[3] ?? 20_000);
  const dimension = Number(process.argv[4] ?? 384);
  const rows: Row[] = [];
  for (const share of [0.01, 0.1, 1]) {
    const size = [Math.round(events * share), Math.round(items * share), dimension] as const;
    const memory = size[0] - size[1] < MEMORY_LEAST_DEAD ? {} : await measureMemory(...size);
    rows.push({ ...(await measure(...size)), ...memory });
  }
  const names = Object.keys(rows.at(-1)!);
  const width = Math.max(...names.map(name => name.length));
  for (const name of names)
    process.stdout.write(
      `${name.padEnd(width)}  ${rows.map(row => String(row[name] ?? '-').padStart(14)).join(' ')}\n`,
    );
}
