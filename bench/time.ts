/**
 * Search as of past moments beside search now, on stores of growing history: time warm and cold, recall against an exact scan,
 * memory held for dead versions, differences between moments, and taking changes back.
 * `npm run bench:time -- [events] [items] [dimension]`, default 100 000 events on 20 000 items of 384 dimensions with a
 * text of 25 words and two metadata fields; a tenth and a hundredth of that beside it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallContext } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { openEngine } from '#src/engine/open.js';
import { createLogger } from '#src/log.js';
import { clusteredVectors, SeededRandom, texts } from './data.js';

const BATCH = 500;
const K = 10;
const QUERIES = 200;
/** Changes between the two moments of the smaller difference; the larger has ten times as many. */
const DIFF_EVENTS = 100;

const context: CallContext = {
  actor: {
    clientName: 'bench',
    clientVersion: '1',
    session: 'bench',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'bench',
  },
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const timed = async (work: () => unknown): Promise<number> => {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
};

const open = (path: string): Promise<StoreEngine> =>
  openEngine({
    path,
    config: {
      metric: 'cosine',
      indexEngine: 'usearch',
      durability: 'interval',
      embedder: { provider: 'embedded', model: '', url: '', key: undefined, dimension: undefined },
    },
    logger: createLogger({ logLevel: 'warn', logFile: undefined }),
  });

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
      context,
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
          context,
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
          context,
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
      const ms = await medianOf(Array.from({ length: 9 }), () => engine.diff({ from, limit: 50 }, context));
      row[`diff over ${changes} changes, ms`] = ms.toFixed(2);
    }
    const target = String(head - Math.min(10_000, events >> 1));
    let plan = '';
    row['revert of a tenth, dry run, ms'] = (
      await timed(async () => {
        plan = (await engine.revert({ to: target }, context)).plan;
      })
    ).toFixed(0);
    let restored = 0;
    const revertMs = await timed(async () => {
      restored = (await engine.revert({ to: target, plan, dry_run: false }, context)).counts.restored;
    });
    row['revert applied, items/s'] = `${Math.round((restored / revertMs) * 1000)} (${restored})`;
    await engine.close();
    return row;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The same items with and without a history: what the process holds more is for the dead versions. */
async function measureMemory(events: number, items: number, dimension: number): Promise<Row> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-bench-time-'));
  try {
    const [path, still] = [join(root, 'store'), join(root, 'still')];
    const row: Record<string, string> = {};
    await fill(path, events, items, dimension);
    await fill(still, items, items, dimension);
    const dead = events - items;
    const [held, base] = [heldBytes(path), heldBytes(still)];
    row['bytes held per dead version: buffers and heap'] = ((held.held - base.held) / dead).toFixed(0);
    row['bytes held per dead version: resident'] = ((held.resident - base.resident) / dead).toFixed(0);
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
      context,
    );
  });
  await engine!.close();
  return ms;
}

/** What a process of its own holds once it has opened a store and searched it now and in the past. */
function heldBytes(path: string): { held: number; resident: number } {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', fileURLToPath(import.meta.url), 'hold', path],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { held: number; resident: number };
}

async function hold(path: string): Promise<void> {
  const engine = await open(path);
  await engine.idle();
  const collect = (globalThis as { gc?: () => void }).gc!;
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  // LevelDB maps its tables into memory: those pages are the system's to take back, and not counted.
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const anonymousKb = /^RssAnon:\s+(\d+) kB/m.exec(status)?.[1];
  const resident = anonymousKb === undefined ? rss : 1024 * Number(anonymousKb);
  process.stdout.write(JSON.stringify({ held: heapUsed + external, resident }));
  await engine.close();
}

if (process.argv[2] === 'hold') await hold(process.argv[3]!);
else {
  const events = Number(process.argv[2] ?? 100_000);
  const items = Number(process.argv[3] ?? 20_000);
  const dimension = Number(process.argv[4] ?? 384);
  const rows: Row[] = [];
  for (const share of [0.01, 0.1, 1]) {
    const size = [Math.round(events * share), Math.round(items * share), dimension] as const;
    rows.push({ ...(await measure(...size)), ...(await measureMemory(...size)) });
  }
  const names = Object.keys(rows.at(-1)!);
  const width = Math.max(...names.map(name => name.length));
  for (const name of names)
    process.stdout.write(
      `${name.padEnd(width)}  ${rows.map(row => String(row[name] ?? '-').padStart(14)).join(' ')}\n`,
    );
}
